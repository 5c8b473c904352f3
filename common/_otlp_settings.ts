/**
 * Where spans go, from the environment variables that OpenTelemetry names
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
 *
 * @module
 */

/** Decides whether the trace of a new root is recorded. */
export interface Sampling {
  /** Whether a caller's own decision counts. */
  readonly parentBased: boolean;
  /** Share of the traces that are recorded, 0 to 1. */
  readonly ratio: number;
}

/** How spans are exported. */
export interface OtlpSettings {
  /** Where they are posted. */
  readonly url: string;
  /** How they are written. */
  readonly protocol: "http/json" | "http/protobuf";
  /** Further headers; they may hold secrets and are never logged. */
  readonly headers: Readonly<Record<string, string>>;
  /** Time of one request, in milliseconds. */
  readonly timeoutMs: number;
  /** How long ended spans are gathered before they are sent, in milliseconds. */
  readonly delayMs: number;
  /** Ended spans that may wait; more are dropped. */
  readonly queueLimit: number;
  /** Spans in one request. */
  readonly batchSize: number;
  /** Which traces are recorded. */
  readonly sampling: Sampling;
  /** What the process is, in OpenTelemetry's words. */
  readonly resource: Readonly<Record<string, string>>;
  /** File of certificates that the receiver is trusted by; the system's when undefined. */
  readonly caPath: string | undefined;
}

/** Settings; or, in `error`, why they cannot be used; or neither when nothing asks for an export. */
export interface FoundSettings {
  /** How to export. */
  readonly value?: OtlpSettings;
  /** Why it cannot be done as the environment has it. */
  readonly error?: string;
}

const DEFAULT_ENDPOINT = "http://localhost:4318";
const MAX_QUEUE = 65_536;
const MAX_BATCH = 512;

/** Whether the environment asks for an export at all. Cheap: the command line asks this in every run. */
export function otlpWanted(env: Readonly<Record<string, string | undefined>>): boolean {
  if (env["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true") return false;
  const exporter = env["OTEL_TRACES_EXPORTER"]?.trim();
  if (exporter !== undefined && exporter !== "") return exporter === "otlp";
  return (env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] ?? env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "") !== "";
}

/** Reads the settings of a process that is called `service` unless the environment calls it otherwise. */
export function otlpSettings(
  env: Readonly<Record<string, string | undefined>>,
  service: string,
): FoundSettings {
  if (!otlpWanted(env)) return {};
  try {
    return { value: read(env, service) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function read(env: Readonly<Record<string, string | undefined>>, service: string): OtlpSettings {
  const of = (name: string) =>
    text(env, `OTEL_EXPORTER_OTLP_TRACES_${name}`) ?? text(env, `OTEL_EXPORTER_OTLP_${name}`);
  const queueLimit = count(env, "OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1, MAX_QUEUE);
  return {
    url: endpoint(env),
    protocol: protocol(of("PROTOCOL")),
    headers: { ...pairs("OTEL_EXPORTER_OTLP_HEADERS", of("HEADERS")) },
    timeoutMs: timeout(env),
    delayMs: count(env, "OTEL_BSP_SCHEDULE_DELAY", 5000, 1, 3_600_000),
    queueLimit,
    batchSize: Math.min(queueLimit, count(env, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 128, 1, MAX_BATCH)),
    sampling: sampling(env),
    resource: {
      ...pairs("OTEL_RESOURCE_ATTRIBUTES", text(env, "OTEL_RESOURCE_ATTRIBUTES")),
      "service.name": text(env, "OTEL_SERVICE_NAME") ?? service,
      "service.namespace": "brokkr",
      "process.pid": String(Deno.pid),
    },
    caPath: of("CERTIFICATE"),
  };
}

/** A variable's value; an empty one counts as absent. */
function text(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === "" ? undefined : value;
}

function count(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  fallback: number,
  least: number,
  most: number,
): number {
  const value = text(env, name);
  if (value === undefined) return fallback;
  const number = Number(value);
  if (Number.isInteger(number) && number >= least && number <= most) return number;
  throw new Error(`${name} takes a whole number of ${least} to ${most}, not ${JSON.stringify(value)}`);
}

function timeout(env: Readonly<Record<string, string | undefined>>): number {
  const own = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";
  return count(env, text(env, own) === undefined ? "OTEL_EXPORTER_OTLP_TIMEOUT" : own, 10_000, 1, 600_000);
}

function endpoint(env: Readonly<Record<string, string | undefined>>): string {
  const whole = text(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  const base = text(env, "OTEL_EXPORTER_OTLP_ENDPOINT");
  const name = whole === undefined ? "OTEL_EXPORTER_OTLP_ENDPOINT" : "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  const wanted = whole ?? base ?? DEFAULT_ENDPOINT;
  const url = URL.parse(wanted);
  // Its text is not shown: it may hold a password.
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new Error(`${name} takes an address such as ${DEFAULT_ENDPOINT}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new Error(`${name} must not hold a name or a password; put them into OTEL_EXPORTER_OTLP_HEADERS`);
  }
  // Only the general address is that of a collector for all signals.
  if (whole === undefined) url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/traces`;
  return url.href;
}

function protocol(value: string | undefined): OtlpSettings["protocol"] {
  if (value === undefined || value === "http/protobuf" || value === "http/json") {
    return value ?? "http/protobuf";
  }
  throw new Error(
    `OTEL_EXPORTER_OTLP_PROTOCOL takes http/protobuf or http/json, not ${JSON.stringify(value)}`,
  );
}

/** `key=value,key=value`, percent-encoded. */
function pairs(name: string, value: string | undefined): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of value?.split(",") ?? []) {
    if (pair.trim() === "") continue;
    const at = pair.indexOf("=");
    if (at < 1) throw new Error(`${name} takes key=value pairs with commas between them`);
    try {
      found[pair.slice(0, at).trim()] = decodeURIComponent(pair.slice(at + 1).trim());
    } catch {
      throw new Error(`${name} holds a value that is not percent-encoded as it must be`);
    }
  }
  return found;
}

function sampling(env: Readonly<Record<string, string | undefined>>): Sampling {
  const name = text(env, "OTEL_TRACES_SAMPLER") ?? "parentbased_always_on";
  const parentBased = name.startsWith("parentbased_");
  switch (parentBased ? name.slice("parentbased_".length) : name) {
    case "always_on":
      return { parentBased, ratio: 1 };
    case "always_off":
      return { parentBased, ratio: 0 };
    case "traceidratio": {
      const ratio = Number(text(env, "OTEL_TRACES_SAMPLER_ARG") ?? "1");
      if (ratio >= 0 && ratio <= 1) return { parentBased, ratio };
      throw new Error("OTEL_TRACES_SAMPLER_ARG takes a number of 0 to 1");
    }
  }
  throw new Error(
    "OTEL_TRACES_SAMPLER takes always_on, always_off or traceidratio, or one of them after parentbased_, not " +
      JSON.stringify(name),
  );
}

/**
 * Which grid a command talks to: flags over environment over `brokkr.toml`. The configuration's own loader is brought in
 * only where there is a file, or a variable beyond the two that are common: loading it takes as long as a cached run.
 *
 * @module
 */

import { DIGEST_FUNCTIONS, digestFunctionBySegment } from "@brokkr/cas/client";
import { BrokkrError, Code } from "@brokkr/common";
import { DEFAULT_ENDPOINT, parseEndpoint } from "@brokkr/common/units";
import { type Client, connectGrid, type GridOptions } from "./client.ts";
import { commandTracer } from "./_tracing.ts";

/** Flags of every command that talks to a grid. */
export interface ConnectionFlags {
  /** `--endpoint`. */
  readonly endpoint?: string;
  /** `--instance`. */
  readonly instance?: string;
  /** `--digest`. */
  readonly digest?: string;
  /** `--config`. */
  readonly config?: string;
}

/** Where a grid is and how to talk to it. */
export interface Connection {
  /** Endpoint. */
  readonly endpoint: string;
  /** The rest. */
  readonly options: GridOptions;
}

const COMMON = new Set([
  "BROKKR_CLIENT_ENDPOINT",
  "BROKKR_CLIENT_INSTANCE",
  "BROKKR_CLIENT_DIGEST",
  "BROKKR_CONFIG",
  "BROKKR_DEBUG",
]);

function needsLoader(flags: ConnectionFlags, env: Readonly<Record<string, string>>): boolean {
  if (flags.config !== undefined || (env["BROKKR_CONFIG"] ?? "") !== "") return true;
  // Those of the servers are none of a client's business; one that nobody knows is for the loader to refuse.
  const asksLoader = (name: string) =>
    name.startsWith("BROKKR_") && !COMMON.has(name) && !/^BROKKR_(CONTROL|WORKER|UP|LOG)_/.test(name);
  if (Object.keys(env).some(asksLoader)) return true;
  try {
    Deno.lstatSync("brokkr.toml");
    return true;
  } catch {
    return false; // not there, or not to be seen: the loader would not read it either
  }
}

async function pem(what: string, path: string): Promise<string | undefined> {
  if (path === "") return undefined;
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new BrokkrError(
      Code.INVALID_ARGUMENT,
      `client.${what}: ${path} cannot be read; name a PEM file that this user may read`,
      { cause: error },
    );
  }
}

/** Named by a variable: what a literal names Deno reads before anything runs. */
const CONFIG = "@brokkr/common/config" as string;

async function loaded(flags: ConnectionFlags, env: Readonly<Record<string, string>>): Promise<Connection> {
  const { loadConfig }: typeof import("@brokkr/common/config") = await import(CONFIG);
  const texts: Record<string, string> = {};
  if (flags.endpoint !== undefined) texts["client.endpoint"] = flags.endpoint;
  if (flags.instance !== undefined) texts["client.instance"] = flags.instance;
  if (flags.digest !== undefined) texts["client.digest"] = flags.digest;
  const { client } = await loadConfig({ file: flags.config, env, flags: texts });
  const [ca, cert, key] = await Promise.all([
    pem("tls_ca", client.tlsCa),
    pem("tls_cert", client.tlsCert),
    pem("tls_key", client.tlsKey),
  ]);
  const tls = client.endpoint.startsWith("grpcs:") ? { ca, cert, key } : undefined;
  return {
    endpoint: client.endpoint,
    options: {
      instance: client.instance,
      timeoutMs: client.timeoutMs,
      tls,
      compression: client.compression,
      chunking: client.chunking,
      digest: client.digest,
    },
  };
}

/**
 * The grid that flags, environment and file name.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the flag, the variable, or file, line and key.
 */
export async function resolveConnection(
  flags: ConnectionFlags,
  env: Readonly<Record<string, string>> = Deno.env.toObject(),
): Promise<Connection> {
  if (needsLoader(flags, env)) return await loaded(flags, env);
  const variable = env["BROKKR_CLIENT_ENDPOINT"];
  const endpoint = parseEndpoint(flags.endpoint ?? variable ?? DEFAULT_ENDPOINT);
  const digest = flags.digest ?? env["BROKKR_CLIENT_DIGEST"] ?? DIGEST_FUNCTIONS[0].segment;
  // The loader words the complaint, so that it reads the same either way.
  if (endpoint.error !== undefined || digestFunctionBySegment(digest) === undefined) {
    return await loaded(flags, env);
  }
  return {
    endpoint: endpoint.value,
    options: { instance: flags.instance ?? env["BROKKR_CLIENT_INSTANCE"] ?? "", digest },
  };
}

/** Connects a command to its grid. */
export async function connectCommand(flags: ConnectionFlags): Promise<Client> {
  const [{ endpoint, options }, tracer] = await Promise.all([resolveConnection(flags), commandTracer()]);
  return connectGrid(endpoint, { ...options, tracer });
}

/**
 * Runs the client in Python, whose cases live in `client/`.
 *
 * @module
 */

/** What runs Python; to have it: `python3 -m pip install grpcio grpcio-tools hpack`. */
export const PYTHON: string = Deno.env.get("BROKKR_TEST_PYTHON") ?? "python3";
/** No case takes nearly as long; a client that hangs must not hold the tests for ever. */
const LIMIT_MS = 240_000;

/** No log of gRPC's core. */
const QUIET = { GRPC_VERBOSITY: "NONE" };

const here = (path: string) => decodeURIComponent(new URL(path, import.meta.url).pathname);
const MAIN = here("client/main.py");

async function lacks(modules: string, packages: string): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command(PYTHON, {
      args: ["-c", `import ${modules}`],
      stdout: "null",
      stderr: "null",
    }).output();
    return success ? undefined : `${PYTHON} lacks some of: pip install ${packages}`;
  } catch {
    return `there is no ${PYTHON}`;
  }
}

/** Why Python's gRPC cannot be used here, or undefined. */
export const noPython: string | undefined = await lacks(
  "grpc, grpc_tools.protoc, google.protobuf",
  "grpcio grpcio-tools",
);
/** Why HTTP/2 cannot be spoken by hand here, or undefined. */
export const noFrames: string | undefined = noPython ?? await lacks("hpack", "hpack");

/** Paths of certificates, as PEM files. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

/** What a client in Python is told. */
export interface Request {
  /** `host:port`. */
  readonly endpoint: string;
  readonly instance: string;
  readonly tls: TlsFiles | null;
  /** Names of cases. */
  readonly cases: readonly string[];
  /** What a case before has said. */
  readonly given?: string;
}

/** What came of a case. */
export interface CaseResult {
  readonly case: string;
  /** What it reports, when it passed. */
  readonly told?: unknown;
  /** Python's traceback, when it failed. */
  readonly error?: string;
  readonly ms: number;
}

async function python(args: readonly string[], input?: unknown): Promise<string> {
  const child = new Deno.Command(PYTHON, {
    args: ["-B", MAIN, ...args],
    env: QUIET,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const killer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input === undefined ? "" : JSON.stringify(input)));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  clearTimeout(killer);
  const text = new TextDecoder().decode(stdout);
  if (success) return text;
  throw new Error(`The client in Python failed: ${new TextDecoder().decode(stderr)}\n${text}`);
}

/** The client, with the protocol compiled by Google's own compiler. */
export class PythonClient implements AsyncDisposable {
  readonly #out: string;

  private constructor(out: string) {
    this.#out = out;
  }

  /** Directory of the protocol's modules, made by Google's compiler. */
  get modules(): string {
    return this.#out;
  }

  static async open(): Promise<PythonClient> {
    const out = await Deno.makeTempDir({ prefix: "brokkr-interop-" });
    await python(["compile", here("../../proto"), out]);
    return new PythonClient(out);
  }

  /** Names of all the cases it knows. */
  static async cases(): Promise<string[]> {
    return JSON.parse(await python(["list"]));
  }

  /** Runs cases, one after the other. */
  async run(request: Request): Promise<CaseResult[]> {
    const lines = (await python([this.#out], request)).trim().split("\n");
    return lines.map((line) => JSON.parse(line));
  }

  /** Runs a case that holds its calls open, until it says so; then kills it with SIGKILL. Gives what it said. */
  async killWhenHeld(request: Request): Promise<string> {
    const child = new Deno.Command(PYTHON, {
      args: ["-B", MAIN, this.#out],
      env: QUIET,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const killer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(request)));
    await writer.close();
    let said = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (!said.includes("\n")) continue;
      try {
        child.kill("SIGKILL");
      } catch {
        // It ended by itself: what it said tells why.
      }
    }
    await child.status;
    clearTimeout(killer);
    if (said.startsWith("{")) throw new Error(said);
    return said.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#out, { recursive: true });
  }
}

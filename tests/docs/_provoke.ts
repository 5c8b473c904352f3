/**
 * Brings about what can go wrong on real processes, and gives what they say of it.
 *
 * @module
 */

import { type Grid, startGrid, type StartGridOptions } from "@brokkr/cli/up";
import { asBrokkrError, codeName } from "@brokkr/common";
import {
  BytesCodec,
  ContentAddressableStorage,
  ExecuteResponseCodec,
  Execution,
  method,
} from "@brokkr/proto";
import { connect, fromWireStatus } from "@brokkr/proto/rpc/client";
import { removeTree } from "@brokkr/sandbox";
import { Certificates, noOpenssl } from "../interop/_certs.ts";

const ROOT = new URL("../../", import.meta.url);
const KEPT = ["PATH", "HOME", "DENO_DIR", "TMPDIR", "LD_LIBRARY_PATH"];
const EMPTY = { hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sizeBytes: 0 };
const ABSENT = { hash: "0".repeat(63) + "1", sizeBytes: 7 };

/** Nothing waits longer for a program to say something; what it said instead is then compared. */
const SAYS_WITHIN_MS = 120_000;

/** A program of ours. */
type Program = "brokk" | "control" | "worker";

/** What something said before it ended. */
export type Said = string | { readonly skipped: string };

/** What a provocation may use: a directory of its own and a grid that is well. */
export interface Place {
  /** Empty, and removed afterwards. */
  readonly dir: string;
  /** A grid with one worker of one slot, that takes blobs of at most 4 MiB and timeouts of at most an hour. */
  readonly grid: Grid;
}

function command(
  program: Program,
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Deno.Command {
  const path = (name: string) => decodeURIComponent(new URL(name, ROOT).pathname);
  const kept = KEPT.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const main = path(program === "brokk" ? "cli/main.ts" : `${program}/main.ts`);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--quiet", "--config", path("deno.json"), main, ...args],
    cwd,
    env: { ...Object.fromEntries(kept), ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs a program to its end and gives its standard error. */
async function said(...call: Parameters<typeof command>): Promise<string> {
  const { stderr } = await command(...call).output();
  return new TextDecoder().decode(stderr);
}

/** Runs a program until it has said `words`, or for too long, and kills it. */
async function saidUntil(words: string, ...call: Parameters<typeof command>): Promise<string> {
  const child = command(...call).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), SAYS_WITHIN_MS);
  const stdout = child.stdout.cancel();
  let text = "";
  for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (!text.includes(words)) continue;
    // What follows on the same line belongs to it.
    if (text.slice(text.indexOf(words)).includes("\n")) break;
  }
  clearTimeout(limit);
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended by itself.
  }
  await Promise.all([stdout, child.status]);
  return text;
}

/** Runs `use` with a grid of its own. */
async function withGrid<T>(options: StartGridOptions, use: (grid: Grid) => Promise<T>): Promise<T> {
  await using grid = await startGrid({ slots: 1, ...options });
  return await use(grid);
}

/** The code and message that a call fails with. */
async function refusal(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (error) {
    const { code, message } = asBrokkrError(error);
    return `${codeName(code)}: ${message}`;
  }
  return "It succeeded";
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 60_000; !await holds();) {
    if (performance.now() > endMs) throw new Error("It did not come true within a minute");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port of loopback on which nobody listens. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

const bare = (endpoint: string) => endpoint.replace(/^\w+:\/\//, "");
const run = (endpoint: string, ...args: string[]) => ["run", "--endpoint", endpoint, ...args];

async function execute(grid: Grid, actionDigest: { hash: string; sizeBytes: number }): Promise<string> {
  await using channel = connect(grid.endpoint, { retry: { retries: 0 } });
  return await refusal(async () => {
    const stream = channel.serverStream(Execution.execute, { instanceName: "", actionDigest });
    for await (const { response } of stream) {
      const { status } = ExecuteResponseCodec.decode(response?.value ?? new Uint8Array());
      if (status !== undefined && status.code !== 0) throw fromWireStatus(status.code, status.message);
    }
  });
}

/** What can be brought about, by the id of its quotation in the page. */
export const PROVOCATIONS: Readonly<Record<string, (place: Place) => Promise<Said>>> = {
  "no-control": () => said("brokk", run(`grpc://127.0.0.1:${freePort()}`, "--", "/bin/true")),
  "pages-port": ({ grid }) => said("brokk", run(`grpc://${bare(grid.httpUrl)}`, "--", "/bin/true")),
  "tls-to-plain": ({ grid }) => said("brokk", run(`grpcs://${bare(grid.endpoint)}`, "--", "/bin/true")),
  "plain-to-tls": ({ dir }) =>
    withTls(dir, (grid) => said("brokk", run(`grpc://${bare(grid.endpoint)}`, "--", "/bin/true"))),
  "wrong-authority": ({ dir }) =>
    withTls(dir, (grid) => said("brokk", run(grid.endpoint, "--", "/bin/true"))),
  "worker-no-control": ({ dir }) =>
    saidUntil("No connection", "worker", [`--data-dir=${dir}/w`, `--control=grpc://127.0.0.1:${freePort()}`]),
  "port-in-use": ({ dir, grid }) =>
    said("control", [`--data-dir=${dir}/c`, `--listen=${bare(grid.endpoint)}`, "--http-listen="]),
  "data-dir-in-use": ({ grid }) =>
    said("control", [`--data-dir=${grid.dataDir}/control`, "--listen=127.0.0.1:0", "--http-listen="]),
  "data-dir-unwritable": async ({ dir }) => {
    await Deno.writeTextFile(`${dir}/file`, "");
    return await said("control", [`--data-dir=${dir}/file/c`, "--listen=127.0.0.1:0", "--http-listen="]);
  },
  "insecure-remote": ({ dir }) => said("control", [`--data-dir=${dir}/c`, "--listen=0.0.0.0:0"]),
  "worker-refused": ({ dir }) =>
    withGrid(
      { workers: 0, controlFlags: ["--require-sandbox=always"] },
      (grid) =>
        saidUntil("takes only workers", "worker", [
          `--data-dir=${dir}/w`,
          `--control=${grid.endpoint}`,
          "--no-sandbox",
        ]),
    ),
  "no-sandbox-here": async ({ dir }) => {
    // A machine without user namespaces is simulated by a user namespace that may have none beneath.
    const script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all "$@"';
    const confine = ["-Ur", "sh", "-c", script, "sh"];
    const able = await new Deno.Command("unshare", { args: [...confine, "true"], stderr: "null" }).output()
      .then(({ success }) => success, () => false);
    if (!able) return { skipped: "unshare and setpriv do not work here" };
    const main = decodeURIComponent(new URL("worker/main.ts", ROOT).pathname);
    const args = ["run", "-A", "--no-check", "--quiet", main, `--data-dir=${dir}/w`, "--http-listen="];
    const { stderr } = await new Deno.Command("unshare", {
      args: [...confine, Deno.execPath(), ...args],
      cwd: dir,
    }).output();
    return new TextDecoder().decode(stderr);
  },
  "unknown-key": async ({ dir }) => {
    await Deno.writeTextFile(`${dir}/brokkr.toml`, '[control]\nlease_tll = "30s"\n');
    return await said("control", [], { cwd: dir });
  },
  "unknown-variable": ({ dir }) =>
    said("control", [], { cwd: dir, env: { BROKKR_CONTROL_LISEN: "127.0.0.1:1" } }),
  "no-match": ({ grid }) =>
    saidUntil("still waiting", "brokk", run(grid.endpoint, "--platform", "Pool=fast", "--", "/bin/true")),
  "no-worker": () =>
    withGrid(
      { workers: 0 },
      (grid) => saidUntil("still waiting", "brokk", run(grid.endpoint, "--", "/bin/true")),
    ),
  "queue-full": () =>
    withGrid({ workers: 0, controlFlags: ["--max-queue=1"] }, async (grid) => {
      const first = command("brokk", run(grid.endpoint, "--", "/bin/true")).spawn();
      const ended = first.output();
      try {
        await until(async () => await queued(grid) === 1);
        return await saidUntil("no room", "brokk", run(grid.endpoint, "--", "/bin/false"));
      } finally {
        first.kill("SIGKILL");
        await ended;
      }
    }),
  "drained": async () =>
    await withGrid({}, async (grid) => {
      const { stdout } = await command("brokk", ["workers", "--json", "--endpoint", grid.endpoint]).output();
      const [{ id }] = JSON.parse(new TextDecoder().decode(stdout)) as { id: string }[];
      await command("brokk", ["workers", "drain", id, "--endpoint", grid.endpoint]).output();
      return await saidUntil("still waiting", "brokk", run(grid.endpoint, "--", "/bin/true"));
    }),
  "action-missing": ({ grid }) => execute(grid, ABSENT),
  "output-missing": ({ dir, grid }) =>
    said("brokk", run(grid.endpoint, "-o", "app", "--", "/bin/true"), { cwd: dir }),
  "program-missing": ({ grid }) => said("brokk", run(grid.endpoint, "--", "/no/such/tool")),
  "program-not-in-path": ({ grid }) => said("brokk", run(grid.endpoint, "--", "no-such-tool")),
  "timeout-too-long": ({ grid }) => said("brokk", run(grid.endpoint, "--timeout", "2h", "--", "/bin/true")),
  "timed-out": ({ grid }) => said("brokk", run(grid.endpoint, "--timeout", "1s", "--", "/bin/sleep", "600")),
  "blob-too-large": async ({ dir, grid }) => {
    await Deno.writeFile(`${dir}/large`, new Uint8Array(5 << 20));
    return await said("brokk", ["cache", "put", "--endpoint", grid.endpoint, "large"], { cwd: dir });
  },
  "store-full": async ({ dir }) => {
    await Deno.writeFile(`${dir}/large`, crypto.getRandomValues(new Uint8Array(65536)));
    return await withGrid(
      { workers: 0, controlFlags: ["--cas-max-size=1KiB"] },
      (grid) => said("brokk", ["cache", "put", "--endpoint", grid.endpoint, "large"], { cwd: dir }),
    );
  },
  "blob-missing": ({ grid }) =>
    said("brokk", ["cache", "get", "--endpoint", grid.endpoint, `${ABSENT.hash}/${ABSENT.sizeBytes}`, "x"]),
  "takes-workers-down": ({ dir }) =>
    withGrid({
      controlFlags: ["--heartbeat-interval=300ms", "--lease-ttl=2s"],
      // The action tells by a file outside that it runs.
      workerFlags: ["--no-sandbox"],
    }, async (grid) => {
      const script = `echo started >> ${dir}/started; exec sleep 600`;
      const run = command("brokk", ["run", "--endpoint", grid.endpoint, "--", "/bin/sh", "-c", script])
        .spawn();
      const ended = run.output();
      for (let times = 1; times <= 3; times++) {
        await until(async () =>
          (await Deno.readTextFile(`${dir}/started`).catch(() => "")).length >= 8 * times
        );
        grid.workers[0].kill("SIGKILL");
      }
      return new TextDecoder().decode((await ended).stderr);
    }),
  "digest-function": async ({ grid }) => {
    await using channel = connect(grid.endpoint, { retry: { retries: 0 } });
    return await refusal(() =>
      channel.unary(ContentAddressableStorage.findMissingBlobs, {
        instanceName: "",
        blobDigests: [EMPTY],
        digestFunction: 7,
      })
    );
  },
  "build-events": async ({ grid }) => {
    await using channel = connect(grid.endpoint, { retry: { retries: 0 } });
    const service = "google.devtools.build.v1.PublishBuildEvent";
    const lifecycle = method(service, "PublishLifecycleEvent", "unary", BytesCodec, BytesCodec);
    return await refusal(() => channel.unary(lifecycle, new Uint8Array()));
  },
};

async function queued(grid: Grid): Promise<number> {
  const { stdout } = await command("brokk", ["status", "--json", "--endpoint", grid.endpoint]).output();
  return (JSON.parse(new TextDecoder().decode(stdout)) as { queued: number }).queued;
}

async function withTls(dir: string, use: (grid: Grid) => Promise<string>): Promise<Said> {
  if (noOpenssl !== undefined) return { skipped: noOpenssl };
  const { cert, key } = await (await Certificates.make(dir)).issue("/CN=grid");
  return await withGrid(
    { workers: 0, tls: true, controlFlags: [`--tls-cert=${cert}`, `--tls-key=${key}`] },
    use,
  );
}

/** Runs `use` with a {@linkcode Place}. */
export async function withPlace(use: (make: () => Promise<Place>) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "brokkr-trouble-" });
  try {
    await using grid = await startGrid({
      slots: 1,
      controlFlags: ["--max-blob-size=4MiB", "--default-timeout=10m", "--max-timeout=1h"],
    });
    await use(async () => ({ dir: await Deno.makeTempDir({ dir: root }), grid }));
  } finally {
    await removeTree(root);
  }
}

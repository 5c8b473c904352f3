import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { noProcessOf, run, start } from "./_processes.ts";
import { TestGrid } from "./_grid.ts";
import { testUnless } from "../_skip.ts";

type Entry = "control" | "worker" | "cli";

interface Mistake {
  readonly name: string;
  readonly entry: Entry;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Contents of brokkr.toml. */
  readonly toml?: string | Uint8Array;
  readonly code: number;
  /** What standard error says. */
  readonly words: readonly string[];
}

/** A directory that is none's; `DIR` in arguments stands for it. */
const DIR = "DIR";
const control = (name: string, args: readonly string[], ...words: readonly string[]): Mistake => ({
  name,
  entry: "control",
  args,
  code: 2,
  words,
});
const worker = (name: string, args: readonly string[], ...words: readonly string[]): Mistake => ({
  ...control(name, args, ...words),
  entry: "worker",
});
const brokk = (
  name: string,
  args: readonly string[],
  code: number,
  ...words: readonly string[]
): Mistake => ({
  name,
  entry: "cli",
  args,
  code,
  words,
});
const toml = (name: string, text: string | Uint8Array, ...words: readonly string[]): Mistake => ({
  name,
  entry: "control",
  toml: text,
  code: 2,
  words,
});

const NOBODY = "grpc://127.0.0.1:1";

const MISTAKES: readonly Mistake[] = [
  control("an unknown flag", ["--lissten=x"], "--lissten", "--listen"),
  control("an address that is none", ["--listen=nonsense"], "--listen", '"nonsense"', "127.0.0.1:8980"),
  control("a port beyond all ports", ["--listen=127.0.0.1:99999"], "--listen", "65535"),
  control("a duration that is none", ["--lease-ttl=soon"], "--lease-ttl", '"soon"', "30s"),
  control("a flag without a value", ["--lease-ttl"], "--lease-ttl", "missing"),
  control("an argument too many", ["extra"], "extra", "--help"),
  control("a file as data directory", ["--data-dir=/etc/passwd"], "/etc/passwd", "data directory"),
  control("a data directory that cannot be made", ["--data-dir=/proc/x"], "/proc/x", "data directory"),
  control(
    "a certificate that is not there",
    [`--data-dir=${DIR}/d`, "--tls-cert=/no/such", "--tls-key=/no/key"],
    "control.tls_",
    "/no/",
  ),
  control(
    "a certificate without key",
    [`--data-dir=${DIR}/d`, "--tls-cert=/etc/passwd"],
    "--tls-cert",
    "tls_key",
  ),
  control(
    "an open port",
    [`--data-dir=${DIR}/d`, "--listen=0.0.0.0:0"],
    "0.0.0.0:0",
    "--allow-insecure-remote",
  ),
  control("a configuration that is not there", ["--config=/no/such.toml"], "/no/such.toml", "brokk init"),
  worker("an unknown flag", ["--slot=2"], "--slot", "--slots"),
  worker("a negative number of slots", ["--slots=-1"], "--slots", "-1", "0 to 4096"),
  worker("a property without a value", ["--platform=x"], "--platform", '"x"'),
  worker("an endpoint that is none", ["--control=http://x"], "--control", "grpc://"),
  worker("a data directory that cannot be made", ["--data-dir=/proc/x"], "/proc/x", "data directory"),
  {
    ...control("a variable with a value that is none", [], "BROKKR_CONTROL_LEASE_TTL", '"soon"'),
    env: { BROKKR_CONTROL_LEASE_TTL: "soon" },
  },
  {
    ...control("a misspelled variable", [], "BROKKR_CONTROL_LISEN", "BROKKR_CONTROL_LISTEN"),
    env: { BROKKR_CONTROL_LISEN: "127.0.0.1:0" },
  },
  {
    ...brokk("a misspelled variable", ["status"], 2, "BROKKR_CLEINT_ENDPOINT", "BROKKR_CLIENT_ENDPOINT"),
    env: { BROKKR_CLEINT_ENDPOINT: NOBODY },
  },
  worker(
    "pages open to others",
    [`--data-dir=${DIR}/d`, "--http-listen=0.0.0.0:0"],
    "0.0.0.0:0",
    "--allow-insecure-remote",
  ),
  toml(
    "a value of the wrong kind in brokkr.toml",
    '[control]\nlease_ttl = "soon"\n',
    "brokkr.toml:2: control.lease_ttl",
    "30s",
  ),
  toml("an unknown key", '[control]\n\nleese_ttl = "3s"\n', "brokkr.toml:3: control.leese_ttl", "lease_ttl"),
  toml("an unknown section", '[contrl]\nlease_ttl = "3s"\n', "brokkr.toml:1: contrl", "[control]"),
  toml("broken TOML", "[control]\nlease_ttl = \n", "brokkr.toml:2:13", "TOML"),
  toml("a key given twice", "[control]\nmax_queue = 1\nmax_queue = 2\n", "brokkr.toml:3:1"),
  toml(
    "keys that contradict one another",
    '[control]\nlease_ttl = "5s"\nheartbeat_interval = "4s"\n',
    "brokkr.toml:2: control.lease_ttl",
    "heartbeat_interval",
  ),
  toml(
    "two mistakes at once, both of which are told",
    '[control]\nmax_queue = "many"\n[worker]\nslots = 1.5\n',
    "brokkr.toml:2: control.max_queue",
    "brokkr.toml:4: worker.slots",
  ),
  toml("bytes that are no text", new Uint8Array([0xff, 0xfe, 0]), "brokkr.toml", "UTF-8"),
  brokk("an unknown command", ["frobnicate"], 2, "frobnicate", "--help"),
  brokk("a run without a command", ["run"], 2, "command", "--help"),
  brokk("a run with a timeout that is none", ["run", "--timeout=x", "--", "true"], 2, "--timeout", '"x"'),
  brokk(
    "a run on a grid that is not there",
    ["run", `--endpoint=${NOBODY}`, "--", "true"],
    125,
    NOBODY,
    "brokk up",
  ),
  brokk("a run at an endpoint that is none", ["run", "--endpoint=nonsense", "--", "true"], 2, "--endpoint"),
  brokk("an input that is not there", ["run", "--input=/no/such", "--", "true"], 125, "/no/such", "exist"),
  brokk("a variable that is not there", ["run", "--env=NO_SUCH_VAR", "--", "true"], 2, "NO_SUCH_VAR"),
  brokk("an output outside", ["run", "--output=../x", "--", "true"], 2, 'Output "../x"', "working directory"),
  brokk("a working directory outside", ["run", "--chdir=/abs", "--", "true"], 2, 'Working directory "/abs"'),
  brokk("a digest that is none", ["cache", "get", "zz"], 2, "zz", "<hash>/<size>"),
  brokk("the status of a grid that is not there", ["status", `--endpoint=${NOBODY}`], 1, NOBODY, "brokk up"),
  brokk("a grid with slots that are none", ["up", "--slots=x"], 2, "--slots", '"x"'),
  brokk("a grid where nobody may write", ["up", "--data-dir=/proc/x"], 1, "/proc/x", "data directory"),
  {
    ...brokk("a grid with a brokkr.toml that is wrong", ["up"], 2, "brokkr.toml:2: worker.slots"),
    toml: "[worker]\nslots = true\n",
  },
];

async function withDirectory(use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-e2e-op-" });
  try {
    await use(path);
    await noProcessOf(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

async function assertMistake(mistake: Mistake, path: string): Promise<void> {
  const { entry, args = [], env = {}, toml, code, words } = mistake;
  const file = `${path}/brokkr.toml`;
  if (typeof toml === "string") await Deno.writeTextFile(file, toml);
  else if (toml !== undefined) await Deno.writeFile(file, toml);
  // Whoever has the standard port on this machine must not be in the way of the mistake that is meant.
  const free = entry === "control" && !args.some((arg) => arg.startsWith("--http-listen"));
  const all = [...(free && toml === undefined ? ["--http-listen=127.0.0.1:0"] : []), ...args];
  const ended = await run(entry, { args: all.map((each) => each.replace(DIR, path)), env, cwd: path });
  if (toml !== undefined) await Deno.remove(file);
  const told = `${ended.stdout}\n${ended.stderr}`;
  assertEquals(ended.code, code, told);
  for (const word of words) assertStringIncludes(ended.stderr, word);
  assertEquals(/\n\s+at .*\.ts/.test(told), false, `A person is not shown a stack: ${told}`);
  assertEquals(ended.stdout.includes("READY"), false);
}

Deno.test("A mistake of the operator is told by its place, and nothing is left of it", async (t) => {
  await withDirectory(async (path) => {
    for (const mistake of MISTAKES) {
      await t.step(`${mistake.entry} tells ${mistake.name}`, () => assertMistake(mistake, path));
    }
  });
});

Deno.test("Ports and data directories that are taken stay with their owner", async (t) => {
  await withDirectory(async (path) => {
    await using grid = await TestGrid.start({ dataDir: `${path}/grid` });
    const address = grid.grid.endpoint.replace("grpc://", "");
    const http = grid.grid.httpUrl.replace("http://", "");
    const pids = grid.grid.pids;
    const cases: readonly Mistake[] = [
      control("a gRPC port in use", [`--data-dir=${DIR}/d`, `--listen=${address}`], address, "in use"),
      control(
        "an HTTP port in use",
        [`--data-dir=${DIR}/d`, "--listen=127.0.0.1:0", `--http-listen=${http}`],
        http,
        "in use",
      ),
      control(
        "the data directory of another control",
        [`--data-dir=${DIR}/grid/control`, "--listen=127.0.0.1:0"],
        "grid/control",
        `in use by control with process id ${pids[0]}`,
      ),
      worker(
        "the data directory of another worker",
        [`--data-dir=${DIR}/grid/worker`, `--control=grpc://${address}`],
        "grid/worker",
        `in use by worker with process id ${pids[1]}`,
      ),
      worker(
        "the data directory of control",
        [`--data-dir=${DIR}/grid/control`, `--control=grpc://${address}`],
        `in use by control with process id ${pids[0]}`,
      ),
      brokk(
        "a grid over the data of another",
        ["up", `--data-dir=${DIR}/grid`, "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"],
        1,
        `in use by control with process id ${pids[0]}`,
      ),
      brokk(
        "a grid on a port in use",
        ["up", `--data-dir=${DIR}/other`, `--listen=${address}`, "--http-listen=127.0.0.1:0"],
        1,
        address,
        "in use",
      ),
    ];
    for (const mistake of cases) {
      await t.step(`${mistake.entry} tells ${mistake.name}`, () => assertMistake(mistake, path));
    }
    await grid.assertGood();
    assertEquals(grid.grid.pids, pids);
  });
});

const notRoot = Deno.uid() === 0
  ? await new Deno.Command("unshare", { args: ["-m", "true"], stderr: "null" }).output()
    .then(
      ({ success }) => success ? undefined : "no mount namespace can be made",
      () => "there is no unshare",
    )
  : "mounting needs root";

for (const entry of ["control", "worker"] as const) {
  testUnless(notRoot, `A ${entry} over a read-only disk says so and ends`, async () => {
    await withDirectory(async (path) => {
      await Deno.mkdir(`${path}/ro`);
      // The mount is in a namespace of its own, which goes with the process.
      const before = ["unshare", "-m", "sh", "-c", `mount -t tmpfs -o ro none ${path}/ro && exec "$@"`, "sh"];
      const flags = entry === "control"
        ? ["--listen=127.0.0.1:0", "--http-listen="]
        : [`--control=${NOBODY}`];
      const ended = await run(entry, {
        before,
        args: [`--data-dir=${path}/ro/data`, ...flags],
        cwd: path,
      });
      assertEquals(ended.code, 2, ended.stderr);
      assertMatch(ended.stderr, /ro\/data as a data directory: Read-only file system/);
    });
  });
}

Deno.test("What is not TLS, and what is not gRPC, does no harm to the port", async () => {
  await using grid = await TestGrid.start();
  const [hostname, port] = grid.grid.endpoint.replace("grpc://", "").split(":");
  const noises = [
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense that is no frame at all",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "\0".repeat(100_000),
    "",
  ];
  for (const noise of noises) {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    try {
      await connection.write(new TextEncoder().encode(noise));
      await connection.closeWrite();
      while (await connection.read(new Uint8Array(65536)) !== null);
    } catch {
      // It may hang up on us at any moment.
    }
    await grid.assertGood();
  }
});

Deno.test("brokk up that is killed takes its grid with it, and SIGTERM ends it in order", async (t) => {
  for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
    await t.step(signal, async () => {
      await withDirectory(async (path) => {
        const args = ["up", `--data-dir=${path}/g`, "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"];
        const child = start("cli", { args, cwd: path });
        let out = "";
        const decoder = new TextDecoder();
        const reader = child.stdout.getReader();
        while (!out.includes("Ctrl-C")) {
          const { value, done } = await reader.read();
          assert(!done, out);
          out += decoder.decode(value, { stream: true });
        }
        child.kill(signal);
        const [{ code, signal: by }] = await Promise.all([
          child.status,
          reader.read().then(() => reader.cancel()),
          new Response(child.stderr).text(),
        ]);
        assertEquals(`${by ?? code}`, signal === "SIGKILL" ? "SIGKILL" : "0");
        await noProcessOf(path);
      });
    });
  }
});

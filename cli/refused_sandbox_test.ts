import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";

/** Runs what follows it where no user namespace may be made, and nobody holds a capability. */
const WITHOUT_NAMESPACES = [
  "-Ur",
  "sh",
  "-c",
  'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all "$@"',
  "sh",
];

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function confined(directory: string, ...command: string[]): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: [...WITHOUT_NAMESPACES, ...command],
    env: { TMPDIR: directory },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function deno(script: string, ...args: string[]): string[] {
  const path = decodeURIComponent(new URL(script, import.meta.url).pathname);
  return [Deno.execPath(), "run", "-A", "--no-check", "--quiet", path, ...args];
}

/** Whether this machine can be made to refuse. */
const ignore = !await confined("/tmp", "true").then(({ code }) => code === 0, () => false);

async function inTempDir(test: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokk-refused-" });
  try {
    await test(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test({
  name: "On a machine that does not allow the sandbox brokk up ends at once and names both ways out",
  ignore,
  fn: () =>
    inTempDir(async (directory) => {
      const flags = [`--data-dir=${directory}/grid`, "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"];
      const { code, stdout, stderr } = await confined(directory, ...deno("./main.ts", "up", ...flags));
      assertEquals([code, stdout], [1, ""], stderr);
      assertMatch(
        stderr,
        /\nbrokk: The worker process ended with exit code 2 before it served:\nbrokk: {3}\S/,
      );
      const [, last] = stderr.split("before it served:");
      for (const part of ["sysctl -w user.max_user_namespaces=", "`brokk doctor`", "--no-sandbox"]) {
        assertStringIncludes(last, part);
      }
      // Started once, not again and again.
      assertEquals(stderr.match(/^worker +\| brokkr-worker: /gm)?.length, 1, stderr);
    }),
});

Deno.test({
  name: "On a machine that does not allow the sandbox the demo says so, and runs without when told to",
  ignore,
  fn: () =>
    inTempDir(async (directory) => {
      const refused = await confined(directory, ...deno("./demo.ts"));
      assertEquals([refused.code, refused.stdout], [1, ""], refused.stderr);
      assertEquals(refused.stderr.match(/does not allow the sandbox/g)?.length, 1, refused.stderr);
      assertStringIncludes(refused.stderr, "--no-sandbox");
      assertEquals([...Deno.readDirSync(directory)], []);

      const open = await confined(directory, ...deno("./demo.ts", "--no-sandbox"));
      assertEquals(open.code, 0, open.stderr);
      assertStringIncludes(open.stdout, "hello world\n[brokk] exit=0 cache_hit=true\n");
    }),
});

Deno.test("The demo refuses arguments that it does not know", async () => {
  const [program, ...args] = deno("./demo.ts", "--sandbox");
  const { code, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  assertEquals(code, 2);
  assertStringIncludes(new TextDecoder().decode(stderr), "the only argument is --no-sandbox, not --sandbox");
});

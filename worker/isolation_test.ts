import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";

/** Runs what follows it where no user namespace may be made, and nobody holds a capability. */
const WITHOUT_NAMESPACES = [
  "unshare",
  "-Ur",
  "sh",
  "-c",
  'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all "$@"',
  "sh",
];
/** Runs what follows it as a root that may do no more than others. */
const POWERLESS_ROOT = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

async function run([program, ...args]: readonly string[]): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await new Deno.Command(program, { args, stdin: "null", stdout: "null" }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

function works(command: readonly string[]): Promise<boolean> {
  return run([...command, "true"]).then(({ code }) => code === 0, () => false);
}

/** Starts a worker process that is to refuse, and gives what it says of that. */
async function refusal(machine: readonly string[]): Promise<string> {
  const dataDir = await Deno.makeTempDir({ prefix: "brokkr-worker-" });
  try {
    const main = new URL("./main.ts", import.meta.url).pathname;
    const args = [`--data-dir=${dataDir}`, "--control=grpc://127.0.0.1:1", "--http-listen="];
    const worker = [Deno.execPath(), "run", "-A", "--no-check", "--quiet", main, ...args];
    const { code, stderr } = await run([...machine, ...worker]);
    assertEquals(code, 2, stderr);
    return stderr;
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

Deno.test({
  name: "A worker on a machine without user namespaces ends, and says what mends that and how to go without",
  ignore: !await works(WITHOUT_NAMESPACES),
  fn: async () => {
    const said = await refusal(WITHOUT_NAMESPACES);
    const parts = [
      "brokkr-worker: This machine does not allow the sandbox: ",
      "\n  User namespaces: unshare of namespaces (user, mount): ENOSPC\n    Remedy: sysctl -w user.max_user_namespaces=",
      "`brokk doctor`",
      "--no-sandbox",
    ];
    for (const part of parts) assertStringIncludes(said, part);
    // Nothing before it that it does not limit what it does not run.
    assertMatch(said, /^brokkr-worker: /);
  },
});

Deno.test({
  name: "A worker that is root in name only ends, and says which capabilities it lacks",
  ignore: Deno.uid() !== 0 || !await works(POWERLESS_ROOT),
  fn: async () => {
    const said = await refusal(POWERLESS_ROOT);
    assertStringIncludes(said, "brokkr-worker: This machine does not allow the sandbox: ");
    assertMatch(said, /\n {2}Capabilities: root without CAP_CHOWN, .*CAP_SYS_ADMIN\n {4}Remedy: /);
    assertStringIncludes(said, "--no-sandbox");
  },
});

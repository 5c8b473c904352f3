/**
 * The settings files and the client of docs/clients, used as a reader would use them.
 */

import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { Admin } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { startGrid } from "@brokkr/cli/up";
import { testUnless } from "../_skip.ts";
import { type BazelClient, debianBazel, npmBazel } from "../bazel/clients.ts";
import { openWorkspace, SMALL } from "../bazel/workspace.ts";
import { Certificates, noOpenssl } from "./_certs.ts";
import { noPython, PYTHON, PythonClient } from "./_python.ts";

const examples = (name: string) =>
  decodeURIComponent(new URL(`../../docs/clients/examples/${name}`, import.meta.url).pathname);

const STUBS = decodeURIComponent(new URL("../bazel/stubs", import.meta.url).pathname);

/** What the workspace needs to build offline, and nothing of the grid. */
function offline(rc: string): string {
  const overrides = ["rules_cc", "rules_java", "rules_proto", "remote_coverage_tools"]
    .map((name) => `build --override_repository=${name}=${STUBS}/${name}`);
  return [...overrides, "build --noshow_progress --color=no --curses=no", `import ${rc}`, ""].join("\n");
}

async function withRc(client: BazelClient, name: string, t: Deno.TestContext): Promise<void> {
  const files = { ...SMALL, ".bazelrc": offline(examples(name)) };
  await using workspace = await openWorkspace(client, files);
  await using grid = await startGrid({ slots: 2 });
  await using channel = connect(grid.endpoint);
  const executed = async () => (await channel.unary(Admin.getStatus, {})).actionsExecuted;
  const build = async (...args: string[]) => {
    const { code, text } = await workspace.bazel("build", ...args, "//:gen", "//:app");
    assertEquals(code, 0, text);
    return text;
  };
  // The files name the port that a grid has by default; only that differs here.
  const remote = `--remote_executor=${grid.endpoint}`;
  const cache = `--remote_cache=${grid.endpoint}`;

  await t.step("grid: runs actions remotely", async () => {
    await build("--config=grid", remote);
    assertGreater(await executed(), 2);
  });
  await t.step("grid and minimal: leaves outputs where they are", async () => {
    assertEquals((await workspace.bazel("clean")).code, 0);
    assertStringIncludes(await build("--config=grid", "--config=minimal", remote), "remote cache hit");
  });
  await t.step("readonly: brings nothing", async () => {
    const before = await executed();
    for (const _ of [1, 2]) {
      assertEquals((await workspace.bazel("clean")).code, 0);
      const text = await build("--config=cache", "--config=readonly", cache, "--remote_instance_name=other");
      assertEquals(text.includes("remote cache hit"), false, text);
    }
    assertEquals(await executed(), before);
  });
  await t.step("cache: shares what was built here", async () => {
    const texts = [];
    for (const _ of [1, 2]) {
      assertEquals((await workspace.bazel("clean")).code, 0);
      texts.push(await build("--config=cache", cache, "--remote_instance_name=other"));
    }
    assertEquals(texts[0].includes("remote cache hit"), false, texts[0]);
    assertStringIncludes(texts[1], "remote cache hit");
  });
}

const noCompiler = await new Deno.Command("gcc", { args: ["--version"], stdout: "null", stderr: "null" })
  .output()
  .then(({ success }) => success ? undefined : "gcc does not work", () => "there is no gcc");

for (
  const [name, file, found] of [
    ["Bazel 2.1.0", "bazel-2-3.bazelrc", await npmBazel()],
    ["Bazel 4.2.3", "bazel-4-6.bazelrc", await debianBazel()],
  ] as const
) {
  testUnless(
    "reason" in found ? found.reason : noCompiler,
    `${name} does with the settings file ${file} what the file says`,
    async (t) => {
      if ("client" in found) await withRc(found.client, file, t);
    },
  );
}

/** Runs the client of the documents and gives its exit code and what it said. */
async function runClient(
  client: PythonClient,
  dir: string,
  env: Record<string, string>,
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(PYTHON, {
    args: ["-B", examples("client.py"), ...args],
    env: { ...env, PYTHONPATH: client.modules },
    cwd: dir,
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

testUnless(
  noPython ?? noOpenssl,
  "The client of the documents does its ten steps, with and without TLS",
  async (t) => {
    const dir = await Deno.makeTempDir({ prefix: "brokkr-interop-docs-" });
    try {
      await using client = await PythonClient.open();
      const certificates = await Certificates.make(dir);
      const [server, own] = await Promise.all([
        certificates.issue("/CN=control"),
        certificates.issue("/CN=own"),
      ]);
      const ca = certificates.ca();
      // Large enough to go as a stream.
      const content = crypto.getRandomValues(new Uint8Array(60_000)).toHex().repeat(20);
      await Deno.writeTextFile(`${dir}/in.txt`, content);
      const secure = {
        tls: true,
        controlFlags: [`--tls-cert=${server.cert}`, `--tls-key=${server.key}`, `--tls-client-ca=${ca}`],
        workerFlags: [`--tls-ca=${ca}`, `--tls-cert=${own.cert}`, `--tls-key=${own.key}`],
      };
      for (
        const [name, options, env] of [
          ["plain text", {}, {}],
          ["mutual TLS", secure, { BROKKR_CA: ca, BROKKR_CERT: own.cert, BROKKR_KEY: own.key }],
        ] as const
      ) {
        await t.step(name, async () => {
          await using grid = await startGrid({ slots: 1, ...options });
          const address = grid.endpoint.replace(/^grpcs?:\/\//, "");
          const script = "tr a-z A-Z < in.txt > out.txt; echo said; echo warned >&2; exit 3";
          for (const cached of ["False", "False"]) {
            const args = [address, "docs", "in.txt", "out.txt", "/bin/sh", "-c", script];
            const { code, stdout, stderr } = await runClient(client, dir, env, ...args);
            assertEquals([code, stdout], [3, "said\n"], stderr); // what failed is not cached
            assertStringIncludes(stderr, `warned\nexit=3 cached=${cached}\n`);
            assertEquals(await Deno.readTextFile(`${dir}/out.txt`), content.toUpperCase());
            await Deno.remove(`${dir}/out.txt`);
          }
          for (const cached of ["False", "True"]) {
            const args = [address, "", "in.txt", "size", "/bin/sh", "-c", "wc -c < in.txt > size"];
            const { code, stderr } = await runClient(client, dir, env, ...args);
            assertEquals(code, 0, stderr);
            assertStringIncludes(stderr, `exit=0 cached=${cached}\n`);
            assertEquals((await Deno.readTextFile(`${dir}/size`)).trim(), String(content.length));
          }
        });
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);

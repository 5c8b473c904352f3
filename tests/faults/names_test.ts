import { assertEquals, assertMatch } from "@std/assert";
import { testUnless } from "../_skip.ts";
import { run } from "./_client.ts";
import { runControl, Running, runWorker, withDir } from "./_running.ts";

const noNamespaces = Deno.uid() !== 0 ? "mounting needs root" : await new Deno.Command("unshare", {
  args: ["-m", "true"],
  stderr: "null",
}).output().then(
  ({ success }) => success ? undefined : "there are no namespaces here",
  () => "there is no unshare",
);

const NAME = "grid.invalid";
const NOBODY = "127.0.0.1 localhost\n";
const RESOLVED = `127.0.0.1 localhost ${NAME}\n`;

testUnless(
  noNamespaces,
  "A name that cannot be resolved is named, and connected to when it can be",
  async (t) => {
    await withDir(async (dir) => {
      await Deno.writeTextFile(`${dir}/hosts`, NOBODY);
      // Nobody answers there.
      await Deno.writeTextFile(`${dir}/resolv.conf`, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
      const mounts =
        `mount --bind ${dir}/hosts /etc/hosts && mount --bind ${dir}/resolv.conf /etc/resolv.conf`;
      const before = ["unshare", "-m", "sh", "-c", `${mounts} && exec "$@"`, "sh"];
      await using control = await runControl({ dir });
      const address = `${NAME}:${control.address.split(":")[1]}`;

      for (const [flags, code] of [[["status"], 1], [["run"], 125]] as const) {
        await t.step(`brokk ${flags[0]} ends and says which host`, async () => {
          const command = flags[0] === "run" ? ["--", "echo", "x"] : [];
          await using brokk = new Running("cli", {
            dir,
            before,
            flags: [...flags, `--endpoint=grpc://${address}`, ...command],
          });
          assertEquals((await brokk.status).code, code);
          await brokk.end();
          assertMatch(
            brokk.lines.join("\n"),
            /^brokk: Cannot reach grpc:\/\/grid\.invalid:\d+: no such host/m,
          );
        });
      }

      await t.step("a worker says so, keeps trying, and is taken in when the name is there", async () => {
        await using worker = runWorker({ dir, before, control: address });
        assertMatch(await worker.line("No connection to control"), /grid\.invalid:\d+: no such host/);
        await Deno.writeTextFile(`${dir}/hosts`, RESOLVED);
        await worker.ready;
        assertEquals((await run(control.channel, "true")).result?.exitCode, 0);
      });

      await t.step("a name that goes away does not end what is connected", async () => {
        await using worker = runWorker({ dir, before, control: address });
        await worker.ready;
        await Deno.writeTextFile(`${dir}/hosts`, NOBODY);
        assertEquals((await run(control.channel, "true")).result?.exitCode, 0);
      });
    });
  },
);

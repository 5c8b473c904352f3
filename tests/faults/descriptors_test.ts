import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import { Admin } from "@brokkr/proto";
import { assertFailure } from "../e2e/_grid.ts";
import { testUnless } from "../_skip.ts";
import { get, noise, put, putFailure } from "./_client.ts";
import { eventually, runControl, withDir } from "./_running.ts";

const MIB = 2 ** 20;
/** Enough to serve, and not for a crowd. */
const DESCRIPTORS = 96;
const CROWD = 200;

const noLimits = await new Deno.Command("prlimit", { args: ["--version"], stdout: "null" }).output()
  .then(() => undefined, () => "there is no prlimit");

testUnless(
  noLimits,
  "Control without file descriptors says so, and works again when it has some",
  async () => {
    await withDir(async (dir) => {
      const before = ["prlimit", `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`, "--"];
      await using control = await runControl({ dir, before });
      const { channel, process, http } = control;
      const data = noise(3 * MIB);
      const kept = await put(channel, data);
      const [hostname, port] = control.address.split(":");
      const crowd: Deno.Conn[] = [];
      for (let i = 0; i < CROWD; i++) crowd.push(await Deno.connect({ hostname, port: Number(port) }));
      const failed = await eventually(() => putFailure(channel, 3 * MIB));
      assertFailure(
        failed,
        Code.RESOURCE_EXHAUSTED,
        "Out of file descriptors",
        "raise the limit with ulimit -n",
      );
      // What needs no new descriptor goes on, and nothing turns round and round.
      const beforeSeconds = await process.cpuSeconds();
      const startMs = performance.now();
      while (performance.now() < startMs + 2000) {
        await channel.unary(Admin.listWorkers, {}).then(() => pause(100));
      }
      const busy = (await process.cpuSeconds() - beforeSeconds) / ((performance.now() - startMs) / 1000);
      assert(busy < 0.7, `It keeps a processor busy to ${Math.round(100 * busy)} %`);
      // Deno's own server would take the process along here.
      await fetch(`${http}/livez`).then((response) => response.body?.cancel(), () => undefined);
      for (const each of crowd) each.close();
      assertEquals(await eventually(() => put(channel, data)), kept);
      for (const sizeBytes of [100, 100_000, 20 * MIB]) {
        await eventually(() => put(channel, noise(sizeBytes)));
      }
      assertEquals(await get(channel, kept), data);
      const page = await eventually(async () => {
        const response = await fetch(`${http}/readyz`);
        return [response.status, await response.text()] as const;
      });
      assertEquals(page[0], 200, page[1]);
      assertStringIncludes(page[1], '"ready":true');
    });
  },
);

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

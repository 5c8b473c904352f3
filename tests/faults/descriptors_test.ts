import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import { Admin } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { assertFailure } from "../e2e/_grid.ts";
import { testUnless } from "../_skip.ts";
import { get, noise, put, putFailure } from "./_client.ts";
import { eventually, runControl, withDir } from "./_running.ts";

const MIB = 2 ** 20;
/** Enough to serve, and not for a crowd. */
const DESCRIPTORS = 256;
/** Less than a crowd has taken. */
const FEWER = 96;
/** What tells a client of HTTP/2, which may stay, from one that says nothing. */
const HELLO = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
const CROWD = 100;

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
      for (let i = 0; i < CROWD; i++) {
        const each = await Deno.connect({ hostname, port: Number(port) });
        crowd.push(each);
        await each.write(HELLO);
      }
      // Control keeps a reserve from those who connect, so that only what comes from outside exhausts it.
      const args = [`--pid=${process.pid}`, `--nofile=${FEWER}:${FEWER}`];
      assert((await new Deno.Command("prlimit", { args }).output()).success);
      // Nobody can take these in, which must not be the last that is heard of the port.
      for (let i = 0; i < 10; i++) crowd.push(await Deno.connect({ hostname, port: Number(port) }));
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
      // Whoever comes now is served as well as who was there.
      await eventually(async () => {
        await using fresh = connect(`grpc://${control.address}`, { retry: { retries: 0 } });
        await fresh.unary(Admin.getStatus, {}, { timeoutMs: 5000 });
      });
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

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Code, codeName } from "@brokkr/common";
import { ActionCache, Admin } from "@brokkr/proto";
import { failure } from "../e2e/_grid.ts";
import { testUnless } from "../_skip.ts";
import { execute, get, isThere, noise, put, run, storeAction } from "./_client.ts";
import { eventually, runControl, runWorker, withDir } from "./_running.ts";

/** What a store leaves free on its disk. */
const HEADROOM_BYTES = 32 << 20;

async function command(name: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(name, { args, stdout: "null" }).output();
  if (!success) throw new Error(`${name} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

const notRoot = Deno.uid() !== 0 ? "mounting needs root" : await new Deno.Command("unshare", {
  args: ["-m", "mount", "-t", "tmpfs", "none", "/mnt"],
  stderr: "null",
}).output().then(
  ({ success }) => success ? undefined : "nothing can be mounted here",
  () => "there is no unshare",
);

/** A small disk of memory at `path`. */
async function disk(path: string, size: string): Promise<AsyncDisposable> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  await command("mount", "-t", "tmpfs", "-o", `size=${size},mode=700`, "none", path);
  return { [Symbol.asyncDispose]: () => command("umount", "-l", path) };
}

testUnless(
  notRoot,
  "A full disk under the metadata fails what must be remembered, and nothing else",
  async () => {
    await withDir(async (dir) => {
      await Deno.mkdir(`${dir}/data/control`, { recursive: true, mode: 0o700 });
      const meta = `${dir}/data/meta`;
      await Deno.chmod(`${dir}/data`, 0o700);
      await using _disk = await disk(meta, "4m");
      await using control = await runControl({ dir });
      const { channel } = control;
      await using worker = runWorker({ dir, control: control.address });
      await worker.ready;
      const action = await storeAction(channel, "echo kept > out");
      assertEquals((await execute(channel, action)).result?.exitCode, 0);
      const data = noise(3 << 20);
      const blob = await put(channel, data);
      const fill = await Deno.open(`${meta}/fill`, { write: true, create: true });
      try {
        for (;;) await fill.write(new Uint8Array(4096));
      } catch {
        fill.close();
      }
      const actionDigest = await storeAction(channel, "never run");
      const put1 = () =>
        channel.unary(ActionCache.updateActionResult, {
          instanceName: "main",
          actionDigest,
          actionResult: { exitCode: 3, stdoutRaw: noise(20_000) },
        });
      const refused = await failure(put1);
      assertEquals(codeName(refused.code), codeName(Code.RESOURCE_EXHAUSTED), refused.message);
      assertMatch(
        refused.message,
        /Cannot write metadata to .*: the disk is full or failing: free space, then try again|Cannot write metadata to .*the disk is full/,
      );
      const drained = await failure(() =>
        channel.unary(Admin.drainWorker, { workerId: "nobody-known", reason: "x" })
      );
      assertEquals(drained.message.length > 0, true);
      // What was known is known, and blobs go elsewhere.
      assertEquals((await execute(channel, action)).cachedResult, true);
      assertEquals(await get(channel, blob), data);
      await put(channel, noise(1 << 20));
      await Deno.remove(`${meta}/fill`);
      await eventually(put1);
      assertEquals((await run(channel, "true")).result?.exitCode, 0);
    });
  },
);

testUnless(
  notRoot,
  "A store gives way to others who fill its disk, and takes the room again when they leave",
  async () => {
    await withDir(async (dir) => {
      await Deno.mkdir(`${dir}/data/control`, { recursive: true, mode: 0o700 });
      await Deno.chmod(`${dir}/data`, 0o700);
      const store = `${dir}/data/cas`;
      await using _disk = await disk(store, "128m");
      // As whoever else uses that disk: the directory is not the store's own.
      const others = `${store}/fill`;
      await using control = await runControl({ dir });
      const { channel } = control;
      const freeBytes = async () => {
        const { stdout } = await new Deno.Command("stat", { args: ["-f", "-c", "%a %S", store] }).output();
        const [blocks, size] = new TextDecoder().decode(stdout).split(" ").map(Number);
        return blocks * size;
      };
      const evicted = async () => {
        const page = await (await fetch(`${control.http}/metrics`)).text();
        return Number(/^brokkr_cas_evicted_bytes_total (\S+)$/m.exec(page)?.[1]);
      };
      const putMany = async (mib: number) => {
        const small: Uint8Array[] = [];
        for (let i = 0; i < mib; i++) {
          await put(channel, noise(900_000));
          small.push(noise(10_000));
        }
        for (const each of small) await put(channel, each);
      };
      await putMany(50);
      assertEquals(await evicted(), 0);

      await Deno.writeFile(others, new Uint8Array(await freeBytes() - (20 << 20)));
      // Nobody writes: it finds out by itself that less is free than should be, or with the next that is stored.
      const kept = await put(channel, noise(100_000)).catch(() => undefined);
      // Only what a client asked for is promised.
      const promised = kept !== undefined && await isThere(channel, kept);
      await eventually(async () =>
        assert(await freeBytes() >= HEADROOM_BYTES, `${await freeBytes()} are free`)
      );
      const before = await evicted();
      assert(before > 0);
      if (promised) assertEquals((await get(channel, kept!)).length, 100_000);
      await putMany(50);
      assert(await evicted() > before);
      await eventually(async () =>
        assert(await freeBytes() >= HEADROOM_BYTES, `${await freeBytes()} are free`)
      );

      await Deno.remove(others);
      const last = await evicted();
      await putMany(10);
      assertEquals(await evicted(), last);
    });
  },
);

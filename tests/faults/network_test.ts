import { assertEquals } from "@std/assert";
import { DirectoryCodec } from "@brokkr/proto";
import { digest } from "../e2e/_grid.ts";
import { TcpProxy } from "../e2e/_tcp_proxy.ts";
import { execute, noise, put, storeAction } from "./_client.ts";
import { runControl, runWorker, withDir } from "./_running.ts";

Deno.test("A network cut while a worker downloads costs time and not the action", async () => {
  await withDir(async (dir) => {
    await using control = await runControl({ dir, flags: ["--lease-ttl=4s", "--heartbeat-interval=500ms"] });
    const { channel } = control;
    await using proxy = new TcpProxy(control.address);
    await using worker = runWorker({ dir, control: proxy.address });
    await worker.ready;
    const blob = await put(channel, noise(48 << 20));
    const root = DirectoryCodec.encode({ files: [{ name: "big", digest: blob }] });
    await put(channel, root);
    const action = await storeAction(channel, "wc -c < big > out; cat out", digest(root));
    const running = execute(channel, action);
    // It has begun to lay out inputs when there is something of them on its disk.
    await firstFile(`${dir}/worker`, 1 << 20);
    proxy.cut();
    await worker.line("No connection to control");
    proxy.restore();
    const { result, status } = await running;
    assertEquals([status?.code ?? 0, result?.exitCode], [0, 0], status?.message);
    const words = new TextDecoder().decode(result?.stdoutRaw);
    if (words !== "") assertEquals(words.trim(), String(48 << 20));
  });
});

/** Waits for a file of some size below a directory, or for the moment at which it may be too late to see one. */
async function firstFile(path: string, sizeBytes: number): Promise<void> {
  for (const until = performance.now() + 10_000; performance.now() < until;) {
    if (await bytesBelow(path) >= sizeBytes) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function bytesBelow(path: string): Promise<number> {
  let sum = 0;
  try {
    for await (const { name, isDirectory, isFile } of Deno.readDir(path)) {
      if (isDirectory) sum += await bytesBelow(`${path}/${name}`);
      else if (isFile) sum += (await Deno.stat(`${path}/${name}`)).size;
    }
  } catch {
    return sum; // it is gone meanwhile
  }
  return sum;
}

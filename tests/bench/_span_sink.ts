/**
 * Where spans go to be forgotten: an OTLP collector that says yes to everything. A process of its own, so that its CPU is
 * nobody's figure; prints its port, and at the end of standard input how many requests came.
 *
 * @module
 */

/** Starts it. */
export async function startSpanSink(): Promise<
  { readonly url: string; stop(): Promise<number> } & AsyncDisposable
> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", new URL(import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  let stopped: Promise<number> | undefined;
  const stop = () =>
    stopped ??= (async () => {
      await child.stdin.close();
      const { value } = await reader.read();
      await reader.cancel();
      await child.status;
      return Number(value);
    })();
  return {
    url: `http://127.0.0.1:${value?.trim()}`,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

if (import.meta.main) {
  let requests = 0;
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(port),
  }, async (request) => {
    await request.arrayBuffer();
    requests++;
    return new Response(new Uint8Array(), { headers: { "content-type": "application/x-protobuf" } });
  });
  for await (const _ of Deno.stdin.readable);
  console.log(requests);
  await server.shutdown();
}

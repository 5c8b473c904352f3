import { assertEquals } from "@std/assert";
import { Health, noLog } from "./mod.ts";
import { serveHttp } from "./http.ts";
import { prometheusMetrics } from "./prometheus.ts";

function start() {
  return serveHttp({ listen: "127.0.0.1:0", health: new Health(), metrics: prometheusMetrics(), log: noLog });
}

/** What there is of requests that will never be whole. */
const PIECES: Record<string, string> = {
  "nothing": "",
  "half a line": "GET /live",
  "half the headers": "GET /livez HTTP/1.1\r\nhost: x\r\n",
  "a request, and holds the connection open": "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n",
  "a request without its body": "POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc",
};

for (const [what, piece] of Object.entries(PIECES)) {
  Deno.test(`The HTTP port ends although a peer sent ${what}`, async () => {
    const http = start();
    const port = Number(new URL(http.endpoint).port);
    const peer = await Deno.connect({ hostname: "127.0.0.1", port });
    if (piece !== "") await peer.write(new TextEncoder().encode(piece));
    // When this one is answered, the server has seen the other.
    const live = await fetch(`${http.endpoint}/livez`);
    assertEquals([live.status, await live.text()], [200, "ok\n"]);
    await http.shutdown();
    peer.close();
  });
}

Deno.test("The HTTP port answers GET and HEAD of its pages and nothing else", async () => {
  const http = start();
  const ask = async (path: string, method = "GET") => {
    const response = await fetch(http.endpoint + path, { method });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await ask("/livez"), 200);
  assertEquals(await ask("/livez", "HEAD"), 200);
  assertEquals(await ask("/readyz"), 200);
  assertEquals(await ask("/metrics"), 200);
  assertEquals(await ask("/livez", "POST"), 405);
  assertEquals(await ask("//"), 404);
  assertEquals(await ask("/livez/x"), 404);
  await http.shutdown();
});

import { assertEquals, assertStringIncludes } from "@std/assert";
import { startGrid } from "@brokkr/cli/up";
import { Certificates, noOpenssl } from "../interop/_certs.ts";
import { testUnless } from "../_skip.ts";

const MAIN = decodeURIComponent(new URL("./main.ts", import.meta.url).pathname);

async function conformance(...args: readonly string[]) {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--quiet", MAIN, "--only=CAP,FMB,GRPC-51", ...args],
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: output.code, text: text(output.stdout) + text(output.stderr) };
}

testUnless(
  noOpenssl,
  "The suite speaks TLS, with a certificate of its own where the server asks for one",
  async () => {
    const dir = await Deno.makeTempDir();
    try {
      const certificates = await Certificates.make(dir);
      const [server, worker, client] = [
        await certificates.issue("/CN=server"),
        await certificates.issue("/CN=worker"),
        await certificates.issue("/CN=client"),
      ];
      const ca = certificates.ca();
      await using grid = await startGrid({
        tls: true,
        controlFlags: [`--tls-cert=${server.cert}`, `--tls-key=${server.key}`, `--tls-client-ca=${ca}`],
        workerFlags: [`--tls-ca=${ca}`, `--tls-cert=${worker.cert}`, `--tls-key=${worker.key}`],
      });
      const endpoint = grid.endpoint.replace("grpc://", "grpcs://");
      const own = [`--cert=${client.cert}`, `--key=${client.key}`];
      const good = await conformance(endpoint, `--ca=${ca}`, ...own, "--json");
      assertEquals(good.code, 0, good.text);
      assertEquals(JSON.parse(good.text).failed, 0);
      for (const wrong of [[`--ca=${ca}`], [`--ca=${certificates.ca("other")}`, ...own]]) {
        const { code, text } = await conformance(endpoint, ...wrong);
        assertEquals(code, 2, text);
        assertStringIncludes(text, "GetCapabilities");
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);

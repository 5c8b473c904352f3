/** Tools that know nothing of us, with the HTTP cache: curl and ccache. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ActionCache, digestOf, MemoryBlobStore, MemoryMetadataStore, SHA256 } from "@brokkr/cas";
import { type HttpCacheOptions, serveHttpCache } from "@brokkr/cas/http_cache";
import { scopeOf } from "@brokkr/common";
import { defaultPolicy } from "@brokkr/proto/rpc/server";
import { testUnless } from "../_skip.ts";

async function missing(...names: string[]): Promise<string | undefined> {
  for (const name of names) {
    const args = ["--version"];
    const works = await new Deno.Command(name, { args, stdout: "null", stderr: "null" }).output()
      .then(({ success }) => success, () => false);
    if (!works) return `${name} is not installed`;
  }
}

interface Tools extends AsyncDisposable {
  readonly endpoint: string;
  readonly store: MemoryBlobStore;
  readonly dir: string;
  /** Runs a command there; gives its standard output. */
  run(command: string, args: readonly string[], env?: Record<string, string>): Promise<string>;
}

async function start(options: Partial<HttpCacheOptions> = {}): Promise<Tools> {
  const store = new MemoryBlobStore(64 << 20);
  const metadata = new MemoryMetadataStore();
  const http = await serveHttpCache({
    listen: "127.0.0.1:0",
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
    store,
    cache: new ActionCache({ metadata, blobs: store }),
    ...options,
  });
  const dir = await Deno.makeTempDir({ prefix: "brokkr-http-tools-" });
  return {
    endpoint: http.endpoint,
    store,
    dir,
    async run(command, args, env = {}) {
      const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd: dir, env })
        .output();
      assert(success, `${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
      return new TextDecoder().decode(stdout);
    },
    async [Symbol.asyncDispose]() {
      await http.shutdown({ graceMs: 0 });
      await store[Symbol.asyncDispose]();
      await metadata[Symbol.asyncDispose]();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

testUnless(await missing("curl"), "curl puts, gets, resumes and looks, over one connection", async () => {
  await using tools = await start();
  const data = crypto.getRandomValues(new Uint8Array(65_536));
  const whole = new Uint8Array(5 << 20);
  for (let at = 0; at < whole.length; at += data.length) whole.set(data, at);
  const { hash } = digestOf(SHA256, whole);
  const url = `${tools.endpoint}/ci/main/cas/${hash}`;
  await Deno.writeFile(`${tools.dir}/in`, whole);
  const say = ["-sS", "-o", "/dev/null", "-w", "%{http_code} "];
  // curl asks before it sends so much.
  assertEquals(await tools.run("curl", [...say, "-T", "in", url]), "200 ");
  assertEquals(await tools.run("curl", [...say, "-T", "in", url]), "200 ");
  assertEquals(await tools.run("curl", [...say, "-H", "Expect:", "-T", "in", url]), "200 ");
  assertEquals(
    await tools.run("curl", [...say, "-T", "in", url.replace(/.$/, hash.endsWith("0") ? "1" : "0")]),
    "400 ",
  );
  await tools.run("curl", ["-sSf", "-o", "out", url]);
  assertEquals(await Deno.readFile(`${tools.dir}/out`), whole);
  await Deno.writeFile(`${tools.dir}/part`, whole.subarray(0, 1_234_567));
  await tools.run("curl", ["-sSf", "-C", "-", "-o", "part", url]);
  assertEquals(await Deno.readFile(`${tools.dir}/part`), whole);
  await tools.run("curl", ["-sSf", "-r", "100-199", "-o", "some", url]);
  assertEquals(await Deno.readFile(`${tools.dir}/some`), whole.slice(100, 200));
  const looked = await tools.run("curl", ["-sSfI", url]);
  assertMatch(looked, /^HTTP\/1\.1 200 OK\r\n/);
  assertMatch(looked, new RegExp(`^content-length: ${whole.length}\r$`, "im"));
  const one = ["-sS", "-o", "/dev/null", "-w", "%{num_connects}:%{http_code} ", url];
  assertEquals(await tools.run("curl", [...one, "--next", ...one, "--next", ...one]), "1:200 0:200 0:200 ");
  const chunked = ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"];
  await Deno.writeFile(`${tools.dir}/small`, data);
  const small = `${tools.endpoint}/cas/${digestOf(SHA256, data).hash}`;
  assertEquals(await tools.run("curl", [...say, ...chunked, "-T", "small", small]), "200 ");
  assertEquals(tools.store.sizeOf(scopeOf(""), SHA256, digestOf(SHA256, data).hash), data.length);
});

testUnless(
  await missing("ccache", "gcc"),
  "ccache finds on another machine what it compiled on one",
  async () => {
    await using tools = await start({ validateAc: false });
    await Deno.writeTextFile(`${tools.dir}/a.c`, "int answer(void) { return 42; }\n");
    const compile = (machine: string) =>
      tools.run("ccache", ["gcc", "-c", "a.c", "-o", `${machine}.o`], {
        CCACHE_DIR: `${tools.dir}/${machine}`,
        CCACHE_REMOTE_STORAGE: `${tools.endpoint}/ccache|layout=bazel`,
      });
    const stats = async (machine: string) => {
      const text = await tools.run("ccache", ["--print-stats"], { CCACHE_DIR: `${tools.dir}/${machine}` });
      return Object.fromEntries(text.trim().split("\n").map((line) => line.split("\t")));
    };
    await compile("one");
    assertEquals((await stats("one")).cache_miss, "1");
    await compile("two");
    const two = await stats("two");
    assertEquals([two.cache_miss, Number(two.remote_storage_hit) > 0], ["0", true], JSON.stringify(two));
    assertEquals(await Deno.readFile(`${tools.dir}/two.o`), await Deno.readFile(`${tools.dir}/one.o`));
  },
);

// `brokk cache fsck`, as a process.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { digestOf, SHA256 } from "@brokkr/cas";
import { openDiskBlobStore } from "@brokkr/cas/disk";
import { openDataDirectory, scopeOf } from "@brokkr/common";

const MAIN = new URL("../main.ts", import.meta.url).pathname;
const SCOPE = scopeOf("");

async function brokk(args: readonly string[], cwd: string) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "cache", "fsck", ...args],
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("brokk cache fsck tells what is wrong, repairs it, and ends as it says", async () => {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-fsck-cli-" });
  try {
    const data = new Uint8Array(2 << 20).fill(3);
    const digest = digestOf(SHA256, data);
    {
      await using store = await openDiskBlobStore(`${dir}/control/cas`);
      await store.put(SCOPE, digest, data);
    }
    assertEquals((await brokk([dir], dir)).code, 0);
    const file = `${dir}/control/cas/blobs/sha256/${digest.hash.slice(0, 2)}/${digest.hash}`;
    data[7] ^= 1;
    await Deno.writeFile(file, data);

    const found = await brokk([`${dir}/control`], dir);
    assertEquals([found.code, found.stderr], [1, ""]);
    assertStringIncludes(found.stdout, `(blob ${digest.hash}/2097152)`);
    assertMatch(
      found.stdout,
      /^problem {2}blobs\/sha256\/.*\n[^]*1 problem; --repair makes the rest usable\n$/,
    );

    const json = await brokk(["--json", dir], dir);
    assertEquals(json.code, 1);
    assertEquals(JSON.parse(json.stdout).findings[0].area, "files");

    const repaired = await brokk(["--repair", dir], dir);
    assertEquals(repaired.code, 1);
    assertMatch(repaired.stdout, /: set aside\n[^]*1 problem, all repaired\n$/);
    assertEquals((await brokk([dir], dir)).code, 0);

    // Without a directory it is the configured one.
    await Deno.writeTextFile(`${dir}/brokkr.toml`, `[control]\ndata_dir = "${dir}/control"\n`);
    assertMatch((await brokk([], dir)).stdout, /No problems\n$/);

    const nothing = await brokk([`${dir}/nothing`], dir);
    assertEquals(nothing.code, 2);
    assertStringIncludes(nothing.stderr, "holds no store to check");
    using _owner = openDataDirectory(`${dir}/control`, "control");
    const owned = await brokk([dir], dir);
    assertEquals(owned.code, 2);
    assertStringIncludes(owned.stderr, "is in use by control with process id");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

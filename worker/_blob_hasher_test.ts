import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { digestKey, digestOf, SHA256 } from "@brokkr/cas/client";
import { BrokkrError, Code } from "@brokkr/common";
import { Beneath } from "@brokkr/sandbox";
import { BlobHasher } from "./_blob_hasher.ts";

/** Runs `test` with a directory and a hasher of what is in it. */
async function withHasher(test: (dir: string, hasher: BlobHasher) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-hasher-" });
  const root = Beneath.open(dir);
  try {
    using hasher = new BlobHasher(root, SHA256);
    await test(dir, hasher);
  } finally {
    root.close();
    await Deno.remove(dir, { recursive: true });
  }
}

async function assertRefused(hash: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(hash, BrokkrError);
  assertEquals(error.code, Code.FAILED_PRECONDITION);
  assertStringIncludes(error.message, "mostly holes");
}

Deno.test("BlobHasher refuses a file that is one large hole before it reads it", async () => {
  await withHasher(async (dir, hasher) => {
    await Deno.writeTextFile(`${dir}/sparse`, "x");
    await Deno.truncate(`${dir}/sparse`, 2 * 1024 ** 3);
    await assertRefused(() => hasher.file("sparse"));
  });
});

Deno.test("BlobHasher refuses holes that are too much together", async () => {
  await withHasher(async (dir, hasher) => {
    for (let number = 0; number < 2; number++) {
      await Deno.writeTextFile(`${dir}/${number}`, String(number));
      await Deno.truncate(`${dir}/${number}`, 640 * 1024 ** 2);
    }
    await assertRefused(async () => {
      for (let number = 0; number < 2; number++) await hasher.file(String(number));
    });
  });
});

Deno.test("BlobHasher refuses many links of one file, and takes some", async () => {
  await withHasher(async (dir, hasher) => {
    const bytes = crypto.getRandomValues(new Uint8Array(65536));
    const file = await Deno.open(`${dir}/file`, { write: true, create: true });
    for (let mib = 0; mib < 64 * 16; mib++) await file.write(bytes);
    file.close();
    for (let number = 0; number < 40; number++) await Deno.link(`${dir}/file`, `${dir}/${number}`);
    const { digest } = await hasher.file("file");
    for (let number = 0; number < 5; number++) {
      assertEquals((await hasher.file(String(number))).digest, digest);
    }
    await assertRefused(async () => {
      for (let number = 5; number < 40; number++) await hasher.file(String(number));
    });
  });
});

Deno.test("BlobHasher takes holes up to a limit that no honest output reaches", async () => {
  await withHasher(async (dir, hasher) => {
    await Deno.writeTextFile(`${dir}/sparse`, "x");
    await Deno.truncate(`${dir}/sparse`, 32 * 1024 ** 2);
    const { digest } = await hasher.file("sparse");
    assertEquals(digest.sizeBytes, 32 * 1024 ** 2);
  });
});

Deno.test("BlobHasher hashes files of all sizes in their order, and gives their contents again", async () => {
  await withHasher(async (dir, hasher) => {
    const MIB = 1024 ** 2;
    // Large ones between small ones; more than a group has, by number and by bytes; equal ones; empty ones.
    const sizes = [
      5,
      0,
      MIB + 1,
      7,
      MIB,
      600_000,
      600_001,
      0,
      3 * MIB,
      ...Array.from({ length: 600 }, (_, i) => i % 500),
    ];
    const contents = sizes.map((size, i) => new Uint8Array(size).map((_, at) => (at * (i % 500 + 3)) >> 5));
    const paths = contents.map((_, i) => `f${i}`);
    for (const [i, path] of paths.entries()) {
      await Deno.writeFile(`${dir}/${path}`, contents[i], { mode: i % 3 === 0 ? 0o755 : 0o644 });
    }
    const hashed = await hasher.files(paths);
    assertEquals(
      hashed.map(({ digest }) => digest.hash),
      contents.map((data) => digestOf(SHA256, data).hash),
    );
    assertEquals(hashed.map(({ executable }) => executable), contents.map((_, i) => i % 3 === 0));
    const byKey = new Map(contents.map((data) => [digestKey(digestOf(SHA256, data)), data]));
    assertEquals(new Set(hasher.blobs.map(({ digest }) => digestKey(digest))), new Set(byKey.keys()));
    for (const { digest, data } of hasher.blobs) {
      const parts = typeof data === "function" ? await Array.fromAsync(data()) : [data];
      const hash = SHA256.hasher();
      for (const part of parts) hash.update(part);
      assertEquals(hash.digestHex(), digest.hash);
    }
    assertEquals(await hasher.files([]), []);
  });
});

Deno.test("BlobHasher names the file of many that may not be read", async () => {
  await withHasher(async (dir, hasher) => {
    await Deno.writeTextFile(`${dir}/a`, "a");
    await Deno.writeTextFile(`${dir}/b`, "b", { mode: 0o044 });
    const error = await assertRejects(() => hasher.files(["a", "b"]), BrokkrError);
    assertStringIncludes(error.message, '"b" may not be read');
  });
});

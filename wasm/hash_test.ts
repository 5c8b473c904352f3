import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import * as fc from "fast-check";
import {
  acquireBuffer,
  createHasher,
  type Engine,
  hash,
  HASH_BYTES,
  hashBatch,
  hashBatchHex,
  hashHex,
  type HashName,
} from "./mod.ts";
import { referenceBlake3, referenceSha256Tree } from "./reference.ts";

const NAMES: readonly HashName[] = ["sha256", "blake3", "sha1", "md5", "sha384", "sha512", "sha256tree"];

/** The engines that have a function. */
const ENGINES: Readonly<Record<HashName, readonly Engine[]>> = {
  sha256: ["auto", "wasm", "node"],
  blake3: ["auto", "wasm"],
  sha256tree: ["auto", "wasm"],
  sha1: ["auto", "node"],
  md5: ["auto", "node"],
  sha384: ["auto", "node"],
  sha512: ["auto", "node"],
};
const CASES = NAMES.flatMap((name) => ENGINES[name].map((engine) => ({ name, engine })));

const source = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i >> 3) % 253);

function expected(name: HashName, bytes: Uint8Array): string {
  if (name === "blake3") return referenceBlake3(bytes).toHex();
  if (name === "sha256tree") return referenceSha256Tree(bytes).toHex();
  return createHash(name).update(bytes).digest("hex");
}

/** Around the sizes at which another engine is chosen, blocks and leaves. */
const LENGTHS = [
  0,
  1,
  55,
  56,
  63,
  64,
  65,
  119,
  120,
  183,
  184,
  247,
  248,
  631,
  632,
  1023,
  1024,
  1025,
  2048,
  2049,
];

for (const { name, engine } of CASES) {
  Deno.test(`${name} by ${engine} is the same in one, in a batch and as a stream`, () => {
    const inputs = LENGTHS.map((length, i) => source.subarray(i, i + length));
    const hashes = inputs.map((input) => expected(name, input));
    const batch = hashBatch(name, inputs, { engine });
    assertEquals(batch.length, inputs.length * HASH_BYTES[name]);
    assertEquals(hashBatchHex(name, inputs, { engine }), hashes);
    inputs.forEach((input, i) => {
      const what = `${input.length} bytes`;
      const one = hash(name, input, { engine });
      assertEquals(one.toHex(), hashes[i], what);
      assertEquals(Object.getPrototypeOf(one), Uint8Array.prototype, "a plain array");
      assertEquals(hashHex(name, input, { engine }), hashes[i], what);
      const at = i * HASH_BYTES[name];
      assertEquals(batch.subarray(at, at + HASH_BYTES[name]).toHex(), hashes[i], `${what} in a batch`);
      const hasher = createHasher(name, { engine });
      for (let from = 0; from < input.length; from += 77) hasher.update(input.subarray(from, from + 77));
      assertEquals(hasher.digest().toHex(), hashes[i], `${what} as a stream`);
      const again = createHasher(name, { engine });
      again.update(input);
      assertEquals(again.digestHex(), hashes[i], `${what} as a stream, in hex`);
    });
  });

  Deno.test(`${name} by ${engine} takes any view and keeps none`, () => {
    const shared = new Uint8Array(new SharedArrayBuffer(900), 33, 300);
    shared.set(source.subarray(0, 300));
    for (const size of [40, 300]) {
      const right = expected(name, source.subarray(0, size));
      for (const view of [shared.subarray(0, size), Buffer.from(source.subarray(0, size))]) {
        assertEquals(hashHex(name, view, { engine }), right);
        assertEquals(hashBatch(name, [view], { engine }).toHex(), right);
        const hasher = createHasher(name, { engine });
        hasher.update(view);
        assertEquals(hasher.digest().toHex(), right);
      }
      const hasher = createHasher(name, { engine });
      const scratch = source.slice(0, size);
      hasher.update(scratch);
      scratch.fill(0);
      hasher.update(new Uint8Array());
      assertEquals(hasher.digest().toHex(), right, "the bytes may be reused");
    }
  });

  Deno.test(`${name} by ${engine} gives hashes that later ones leave alone`, () => {
    const first = hash(name, source.subarray(0, 50), { engine });
    const batch = hashBatch(name, [source.subarray(0, 50)], { engine });
    const right = expected(name, source.subarray(0, 50));
    hash(name, source.subarray(0, 60), { engine });
    hashBatch(name, [source, source], { engine });
    assertEquals([first.toHex(), batch.toHex()], [right, right]);
  });

  Deno.test(`A hasher of ${name} by ${engine} ends with its hash`, () => {
    const hasher = createHasher(name, { engine });
    hasher.digest();
    assertThrows(() => hasher.digest(), TypeError, "given its hash already");
    assertThrows(() => hasher.digestHex(), TypeError, "given its hash already");
    assertThrows(() => hasher.update(new Uint8Array()), TypeError, "given its hash already");
  });

  Deno.test(`${name} by ${engine} has no hashes of no inputs`, () => {
    assertEquals(hashBatch(name, [], { engine }), new Uint8Array());
    assertEquals(hashBatchHex(name, [], { engine }), []);
  });
}

Deno.test("Random batches of SHA-256 are right whichever engine takes which message", () => {
  const length = fc.oneof(fc.nat(260), fc.integer({ min: 1000, max: 1050 }), fc.nat(3000));
  const inputs = fc.array(fc.tuple(fc.nat(500), length), { maxLength: 40, size: "max" });
  fc.assert(fc.property(inputs, (ranges) => {
    const messages = ranges.map(([from, length]) => source.subarray(from, from + length));
    const right = messages.map((message) => expected("sha256", message)).join("");
    assertEquals(hashBatch("sha256", messages).toHex(), right);
    assertEquals(hashBatchHex("sha256", messages).join(""), right);
  }));
});

Deno.test("Small messages have their hash before and after the kernel is loaded for them", () => {
  const message = source.subarray(0, 60);
  const right = expected("sha256", message);
  for (let i = 0; i < 2100; i++) assert(hashHex("sha256", message) === right, `message ${i}`);
  assertEquals(hash("sha256", message).toHex(), right);
  assertEquals(hashBatch("sha256", [message]).toHex(), right);
});

Deno.test("A program that may not read the kernel's file hashes by node:crypto", async () => {
  const code = `import { createHasher, hashBatchHex, hashHex } from ${
    JSON.stringify(import.meta.resolve("./mod.ts"))
  };
    const message = new Uint8Array(60);
    for (let i = 0; i < 2100; i++) hashHex("sha256", message);
    const hasher = createHasher("sha256");
    hasher.update(message);
    console.log(hasher.digestHex(), ...hashBatchHex("sha256", Array(20).fill(message)));`;
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, code);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", "--no-config", script],
  }).output();
  await Deno.remove(script);
  const found = new TextDecoder().decode(stdout).trim().split(" ");
  assertEquals(
    found,
    Array(21).fill(expected("sha256", new Uint8Array(60))),
    new TextDecoder().decode(stderr),
  );
});

Deno.test("Batches of more hashes than are decoded at once are in order", () => {
  const inputs = Array.from({ length: 9000 }, (_, i) => Uint8Array.of(i, i >> 8));
  for (const name of ["md5", "sha512"] as const) {
    const right = inputs.map((input) => expected(name, input)).join("");
    assert(hashBatch(name, inputs).toHex() === right, name);
  }
});

Deno.test("Small streams that take turns do not disturb each other", () => {
  const hashers = Array.from({ length: 5 }, () => createHasher("sha256"));
  for (let at = 0; at < 300; at += 10) {
    hashers.forEach((hasher, i) => {
      if (at < (i + 1) * 50) hasher.update(source.subarray(at, at + 10));
    });
  }
  hashers.forEach((hasher, i) => {
    assertEquals(hasher.digestHex(), expected("sha256", source.subarray(0, (i + 1) * 50)));
  });
});

Deno.test("An engine that does not have a function is refused", () => {
  for (const name of NAMES) {
    for (const engine of ["wasm", "node"] as const) {
      if (ENGINES[name].includes(engine)) continue;
      const message = engine === "node" ? "node:crypto does not compute" : "no kernel that computes";
      assertThrows(() => hash(name, source, { engine }), RangeError, message);
      assertThrows(() => hashHex(name, source, { engine }), RangeError, message);
      assertThrows(() => hashBatch(name, [], { engine }), RangeError, message);
      assertThrows(() => createHasher(name, { engine }), RangeError, message);
    }
  }
});

Deno.test("A buffer to read into can be had for each function, whatever its size", () => {
  for (const name of NAMES) {
    for (const size of [0, 100, 300_000, 5_000_000]) {
      using buffer = acquireBuffer(name, size);
      assertEquals(buffer.bytes.length, size);
      const used = Math.min(size, 5000);
      buffer.bytes.set(source.subarray(0, used));
      const right = expected(name, source.subarray(0, used));
      assertEquals(hashHex(name, buffer.bytes.subarray(0, used)), right, `${name}, ${size} bytes`);
    }
  }
  assertThrows(() => acquireBuffer("sha256", -1), RangeError, "whole number");
  assertThrows(() => acquireBuffer("sha256", 1.5), RangeError, "whole number");
});

Deno.test("A file is read into a lent buffer and hashed there", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, source);
    using file = await Deno.open(path);
    using buffer = acquireBuffer("sha256tree", 1 << 20);
    const size = file.readSync(buffer.bytes);
    assert(size === source.length);
    assertEquals(
      hashHex("sha256tree", buffer.bytes.subarray(0, size)),
      expected("sha256tree", source),
    );
    assertEquals(hashHex("sha256", buffer.bytes.subarray(0, size)), expected("sha256", source));
  } finally {
    await Deno.remove(path);
  }
});

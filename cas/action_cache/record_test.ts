import { assert, assertEquals, assertThrows } from "@std/assert";
import { BrokkrError, Code, type InstanceName } from "@brokkr/common";
import fc from "fast-check";
import { digestOf, SHA256 } from "../digest.ts";
import { batchOf, digestAt } from "../digest_batch.ts";
import { decodeRecord, encodeRecord, type ResultRecord, withUse } from "./_record.ts";
import { digestOfText, encodeVersion1 } from "./_testing.ts";

const action = digestOfText("an action");
const text = fc.string({ unit: "grapheme", maxLength: 20 });
const records: fc.Arbitrary<ResultRecord> = fc.record({
  bytes: fc.uint8Array({ maxLength: 40 }),
  closure: fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 8 })
    .map((all) => batchOf(SHA256, all.map((data) => digestOf(SHA256, data)))),
  action: fc.record({ size: fc.maxSafeNat(), seed: fc.string() })
    .map(({ size, seed }) => ({ ...digestOfText(seed), sizeBytes: size })),
  origin: fc.record({
    scope: fc.record({ instance: text.map((name) => name as InstanceName), tenant: text, lane: text }),
    environment: text,
  }),
  storedS: fc.nat(),
  usedS: fc.nat(),
});

/** The same bytes at another place of a buffer. */
function moved(stored: Uint8Array, shift: number): Uint8Array {
  const copy = new Uint8Array(stored.length + 8).subarray(shift, shift + stored.length);
  copy.set(stored);
  return copy;
}

Deno.test("a record gives back what was put in, wherever its bytes lie", () => {
  fc.assert(fc.property(records, fc.nat(7), (record, shift) => {
    const { bytes, closure, origin, ...rest } = decodeRecord(moved(encodeRecord(record), shift));
    assertEquals(bytes.slice(), record.bytes);
    assertEquals(closure.hashes.byteOffset % 4, 0);
    assertEquals(closure.length, record.closure.length);
    for (let i = 0; i < closure.length; i++) assertEquals(digestAt(closure, i), digestAt(record.closure, i));
    assertEquals({ scope: origin?.scope, environment: origin?.environment }, record.origin);
    const { action, storedS, usedS } = record;
    assertEquals(rest, { action, storedS, usedS });
  }));
});

Deno.test("a record of version 1 is read, and says no more than it did", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const digests = [digestOfText("a"), digestOfText("bb")];
  const stored = encodeVersion1(bytes, batchOf(SHA256, digests));
  for (let shift = 0; shift < 8; shift++) {
    const { closure, ...record } = decodeRecord(moved(stored, shift));
    assertEquals({ ...record, bytes: record.bytes.slice() }, { bytes });
    assertEquals([digestAt(closure, 0), digestAt(closure, 1)], digests);
  }
  assertEquals(withUse(stored, 5), undefined);
});

Deno.test("withUse changes the time of the use and nothing else", () => {
  fc.assert(fc.property(records, fc.nat(), (record, usedS) => {
    const stored = encodeRecord(record);
    const before = stored.slice();
    assertEquals(withUse(stored, usedS), encodeRecord({ ...record, usedS }));
    assertEquals(stored, before);
  }));
});

Deno.test("a damaged record is DATA_LOSS, not a wrong answer", () => {
  const origin = { scope: { instance: "i" as InstanceName, tenant: "", lane: "" }, environment: "e" };
  const closure = batchOf(SHA256, [action]);
  const stored = encodeRecord({ bytes: new Uint8Array(9), closure, action, origin, storedS: 1, usedS: 2 });
  const changed = (at: number, ...values: number[]) => {
    const copy = stored.slice();
    copy.set(values, at);
    return copy;
  };
  const cases = [
    stored.subarray(0, 0),
    stored.subarray(0, 10),
    stored.subarray(0, -1),
    new Uint8Array([...stored, 0]),
    changed(0, 0),
    changed(1, 99),
    changed(8, 2),
    changed(12, 1),
    changed(22, 0xf0, 0xff),
    changed(30, 0xf0, 0xff),
    changed(38, 0xf0, 0xff),
    changed(stored.length - 1, 0),
    changed(stored.length - 3, 0xff),
  ];
  for (const bad of cases) {
    const error = assertThrows(() => decodeRecord(bad).origin?.scope, BrokkrError);
    assertEquals(error.code, Code.DATA_LOSS, error.message);
  }
  const later = assertThrows(() => decodeRecord(changed(0, 3)), BrokkrError);
  assertEquals(later.code, Code.FAILED_PRECONDITION);
  assert(decodeRecord(stored).origin?.environment === "e");
});

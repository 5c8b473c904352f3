/**
 * Compares the generated codecs with protobufjs's own, which it builds at run time from the same .proto files: another
 * reader, another writer, and Long for 64-bit integers.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type protobuf from "protobufjs";
import { BrokkrError } from "@brokkr/common";
import * as proto from "./mod.ts";
import { buildModel, loadRoot } from "./_generate/model.ts";
import { goldens, toHex } from "./testdata/_goldens.ts";
import { blob, damaged, lengthField, message, type Piece, text, varintField } from "./raw/_arbitrary.ts";

const root = loadRoot(import.meta.dirname + "/");
const model = buildModel(root);

/** protobufjs keeps every member of a oneof that came; here the last one wins, as the language says. */
const hasOneof = new Set(
  model.messages.filter((it) => it.fields.some((field) => field.oneof !== undefined)).map((it) =>
    it.fullName
  ),
);

function codecOf(name: string): proto.Codec<unknown> {
  return (proto as unknown as Record<string, proto.Codec<unknown>>)[`${name}Codec`];
}

/** What comes of decoding and encoding: hexadecimal, or why not. */
function oracle(type: protobuf.Type, bytes: Uint8Array): string {
  try {
    return toHex(type.encode(type.decode(bytes)).finish());
  } catch {
    return "refused";
  }
}

function ours(codec: proto.Codec<unknown>, bytes: Uint8Array): string {
  let value: unknown;
  try {
    value = codec.decode(bytes);
  } catch (error) {
    assert(error instanceof BrokkrError);
    // protobufjs passes over unknown numbers of any length.
    return error.message.includes("more than ten bytes") ? "strict" : "refused";
  }
  try {
    return toHex(codec.encode(value));
  } catch (error) {
    assert(error instanceof BrokkrError);
    return "rounded";
  }
}

/** A message of this type, two levels deep, with fields of the wrong type among the right ones. */
function arbitraryOf(name: string, depth: number): Piece {
  const found = model.messages.find((it) => it.name === name);
  assert(found, name);
  const pieces = found.fields.map((field): Piece => {
    if (field.label === "map") {
      return lengthField(field.id, message(lengthField(1, text), lengthField(2, depth > 0 ? text : blob)));
    }
    if (field.type.kind === "message") {
      return lengthField(
        field.id,
        depth > 0 ? arbitraryOf(field.type.name, depth - 1) : fc.constant(new Uint8Array(0)),
      );
    }
    if (field.type.kind === "scalar" && field.type.name === "string") return lengthField(field.id, text);
    if (field.type.kind === "scalar" && field.type.name === "bytes") return lengthField(field.id, blob);
    return varintField(field.id);
  });
  return damaged(message(...pieces));
}

for (const { name, fullName, fields } of model.messages) {
  // In a message without fields protobufjs 8.8 refuses every group, well-formed or not.
  if (fields.length === 0 || hasOneof.has(fullName)) continue;
  Deno.test(`${name}Codec takes, refuses and writes back what protobufjs does`, () => {
    const type = root.lookupType(fullName);
    fc.assert(
      fc.property(arbitraryOf(name, 2), (bytes) => {
        const actual = ours(codecOf(name), bytes);
        // Integers past 2^53 are read rounded, and refused when written.
        if (actual !== "rounded" && actual !== "strict") assertEquals(actual, oracle(type, bytes));
      }),
      { numRuns: 60 },
    );
  });
}

Deno.test("the goldens come back the same from protobufjs", () => {
  for (const { message: fullName, value, hex } of goldens()) {
    assertEquals(
      oracle(root.lookupType(fullName), codecOf(fullName.split(".").at(-1) ?? "").encode(value)),
      hex,
    );
  }
});

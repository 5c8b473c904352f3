/**
 * Prints the typed side: declarations of the codecs, an interface and a codec for every message, and the services.
 *
 * @module
 */

import type { EnumModel, FieldModel, MessageModel, Model, ServiceModel } from "./model.ts";

const BANNER = "// Made by `deno task gen` from the .proto files; changes belong there.";

/** What the well-known types mean; their files carry no comments of ours. */
const WELL_KNOWN: Readonly<Record<string, string>> = {
  "google.protobuf.Any": "A message of any type, with the name of its type.",
  "google.protobuf.Any.typeUrl": '`"type.googleapis.com/"` and the full name of the message.',
  "google.protobuf.Any.value": "The encoded message.",
  "google.protobuf.Duration": "A span of time.",
  "google.protobuf.Duration.seconds": "Whole seconds; negative for a negative span.",
  "google.protobuf.Duration.nanos": "The rest, with the sign of `seconds`.",
  "google.protobuf.Empty": "Nothing.",
  "google.protobuf.Timestamp": "A moment.",
  "google.protobuf.Timestamp.seconds": "Since 1970-01-01T00:00:00Z.",
  "google.protobuf.Timestamp.nanos": "The rest; never negative.",
  "google.protobuf.UInt32Value": "A number that may be absent.",
  "google.protobuf.UInt32Value.value": "The number.",
};

/** Declarations beside the JavaScript module. */
export function printDeclarations(model: Model): string {
  const names = model.messages.map((it) => `export const ${it.name}: StaticMessage;`);
  return [BANNER, 'import type { StaticMessage } from "../codec.ts";', ...names, ""].join("\n");
}

/** The module with every message's interface and codec, and every enum. */
export function printMessages(model: Model): string {
  const lines = [
    BANNER,
    'import * as statics from "./codecs.js";',
    'import { type Codec, type Init, messageCodec } from "../codec.ts";',
    "",
  ];
  for (const it of model.enums) lines.push(...printEnum(it));
  for (const it of model.messages) lines.push(...printMessage(it));
  return lines.join("\n");
}

/** The module with every service. */
export function printServices(model: Model): string {
  const lines = [
    BANNER,
    'import { type Init, type Method, method } from "../codec.ts";',
    'import * as m from "./messages.ts";',
    "",
  ];
  for (const it of model.services) lines.push(...printService(it));
  return lines.join("\n");
}

function doc(text: string, indent: string): string[] {
  const lines = text.replaceAll("*/", "* /").split("\n").map((line) => line.trim());
  if (lines.length === 1) return [`${indent}/** ${lines[0]} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`), `${indent} */`];
}

function printEnum(it: EnumModel): string[] {
  const lines = [...doc(it.comment || `Values of ${it.fullName}.`, ""), `export const ${it.name} = {`];
  for (const value of it.values) {
    lines.push(...doc(value.comment || `${value.name}, ${value.id} on the wire.`, "  "));
    lines.push(`  ${value.name}: ${value.id},`);
  }
  const about =
    `A value of ${it.name}. Any number can come in: peers may know values that this version does not.`;
  return [...lines, "} as const;", "", ...doc(about, ""), `export type ${it.name} = number;`, ""];
}

function printMessage(it: MessageModel): string[] {
  const about = it.comment || WELL_KNOWN[it.fullName] || `The message ${it.fullName}.`;
  const lines = [...doc(about, ""), `export interface ${it.name} {`];
  const oneofs = new Map<string, FieldModel[]>();
  for (const field of it.fields) {
    const text = field.comment || WELL_KNOWN[`${it.fullName}.${field.name}`] || `Field ${field.id}.`;
    lines.push(...doc(text, "  "), `  ${field.name}${isOptional(field) ? "?" : ""}: ${fieldType(field)};`);
    if (field.oneof !== undefined) oneofs.set(field.oneof, [...(oneofs.get(field.oneof) ?? []), field]);
  }
  for (const [name, fields] of oneofs) {
    const members = fields.map((field) => JSON.stringify(field.name)).join(" | ");
    lines.push(...doc("Which of these came; not looked at when encoding.", "  "), `  ${name}?: ${members};`);
  }
  lines.push("}", "", ...doc(`Encodes and decodes ${it.fullName}.`, ""));
  const type = `Codec<${it.name}, Init<${it.name}>>`;
  const args = `"${it.fullName}", statics.${it.name}`;
  lines.push(`export const ${it.name}Codec: ${type} = messageCodec<${it.name}>(${args});`, "");
  return lines;
}

function isOptional(field: FieldModel): boolean {
  if (field.label === "repeated" || field.label === "map") return false;
  return field.label === "optional" || field.oneof !== undefined || field.type.kind === "message";
}

function fieldType(field: FieldModel): string {
  const one = field.type.kind === "scalar" ? scalarType(field.type.name) : field.type.name;
  if (field.label === "repeated") return `readonly ${one}[]`;
  return field.label === "map" ? `Readonly<Record<string, ${one}>>` : one;
}

function scalarType(name: string): string {
  switch (name) {
    case "string":
      return "string";
    case "bytes":
      return "Uint8Array";
    case "bool":
      return "boolean";
    default:
      return "number";
  }
}

function printService(it: ServiceModel): string[] {
  // "Health" alone would say too little beside the health of this project's own parts.
  const name = it.name === "Health" ? "HealthService" : it.name;
  const lines = [...doc(it.comment || `The service ${it.fullName}.`, ""), `export const ${name}: {`];
  for (const call of it.methods) {
    const [req, res] = [`m.${call.request}`, `m.${call.response}`];
    lines.push(...doc(call.comment || `Calls ${call.name}.`, "  "));
    lines.push(`  readonly ${lowerFirst(call.name)}: Method<${req}, ${res}, Init<${req}>, Init<${res}>>;`);
  }
  lines.push("} = {");
  for (const call of it.methods) {
    const args = [it.fullName, call.name, call.kind].map((text) => JSON.stringify(text)).join(", ");
    lines.push(
      `  ${lowerFirst(call.name)}: method(${args}, m.${call.request}Codec, m.${call.response}Codec),`,
    );
  }
  return [...lines, "};", ""];
}

function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/**
 * Makes the static codecs: the flattened messages go through pbjs, whose output is then fitted to this project.
 *
 * pbjs makes class instances with defaults on their prototypes. Here decoded messages are plain objects that own every
 * scalar and repeated field, so that spreading, comparing and cloning them does what it looks like.
 *
 * @module
 */

import protobuf from "protobufjs";
import type { FieldModel, MessageModel, Model } from "./model.ts";

/** The part of pbjs used here; its own declarations leave it out. */
interface Pbjs {
  generate(
    root: protobuf.NamespaceBase,
    options: Record<string, unknown>,
    done: (error: Error | null, output?: string) => void,
  ): void;
}

/** The codecs of every message, as one JavaScript module. */
export async function printCodecs(model: Model): Promise<string> {
  const root = protobuf.parse(flatSource(model), { keepCase: true }).root.resolveAll();
  const output = await runPbjs(root);
  return fit(output, model);
}

/** The messages of all packages as one .proto source without a package; an enum is an int32 on the wire. */
function flatSource(model: Model): string {
  const lines = ['syntax = "proto3";'];
  for (const message of model.messages) lines.push(...flatMessage(message));
  return lines.join("\n");
}

function flatMessage(message: MessageModel): string[] {
  const lines = [`message ${message.name} {`];
  const oneofs = new Map<string, string[]>();
  for (const field of message.fields) {
    const prefix = field.label === "repeated" ? "repeated " : field.label === "optional" ? "optional " : "";
    const one = field.type.kind === "enum" ? "int32" : field.type.name;
    const type = field.label === "map" ? `map<string, ${one}>` : one;
    const line = `  ${prefix}${type} ${field.name} = ${field.id};`;
    if (field.oneof === undefined) lines.push(line);
    else oneofs.set(field.oneof, [...(oneofs.get(field.oneof) ?? []), line]);
  }
  for (const [name, fields] of oneofs) lines.push(`  oneof ${name} {`, ...fields, "  }");
  return [...lines, "}"];
}

async function runPbjs(root: protobuf.NamespaceBase): Promise<string> {
  const pbjs = (await import("protobufjs-cli/pbjs.js")).default as unknown as Pbjs;
  const options = {
    target: "static-module",
    wrap: "esm",
    "force-number": true,
    create: false,
    verify: false,
    convert: false,
    delimited: false,
    typeurl: false,
    service: false,
    comments: false,
    lint: "",
  };
  return await new Promise((resolve, reject) => {
    pbjs.generate(root, options, (error, output) => {
      if (error || output === undefined) reject(error ?? new Error("pbjs gave no output"));
      else resolve(output);
    });
  });
}

const HEADER = [
  "// Made by `deno task gen` from the .proto files; changes belong there.",
  '// @ts-self-types="./codecs.d.ts"',
  "",
];

/** Fits pbjs's module; every step checks that it found what it came for, since pbjs may change. */
function fit(output: string, model: Model): string {
  let text = output
    .replace(/^[\s\S]*?const \$root = [^\n]*\n/, "")
    .replace(/export \{\s*\$root as default\s*\};\s*$/, "")
    .replace(/^export const (\w+) = \$root\.\1 = /gm, "export const $1 = ")
    .replace(/^( *)if \(message\.\$unknowns != null[^\n]*\n[^\n]*\n[^\n]*\n/gm, "")
    .replace(/^ *if \(!reader\.discardUnknown\) \{\n[^\n]*\n[^\n]*\n *\}\n/gm, "")
    .replace(/^ *let start = reader\.pos;\n/gm, "")
    .replace(/^ *if \(!writer\)\n[^\n]*\n/gm, "")
    .replace(/^ *if \(!\(reader instanceof \$Reader\)\)\n[^\n]*\n/gm, "")
    .replace(/\$Object\.hasOwnProperty\.call\(message, "\w+"\)( && )?/g, "")
    .replace(/ && \)/g, ")")
    // The names of this project's reader and writer.
    .replace(/reader\.len\b/g, "reader.end")
    .replace(/reader\.size\(\)/g, "reader.length()")
    .replace(/reader\.stringVerify\(\)/g, "reader.string()")
    .replace(/reader\.bytes\(\)/g, "reader.view()")
    .replace(/\)\.bytes\(/g, ").blob(")
    .replace(/reader\.skipType\(tag & 7, _depth, tag\)/g, "reader.skip(tag, _depth)")
    .replace(
      /reader\.skipType\(wireType, _depth, (tag2?)\)/g,
      "reader.skip(($1 << 3 | wireType) >>> 0, _depth)",
    )
    .replace(/\$util\.recursionLimit|\$Reader\.recursionLimit/g, "$$depthLimit")
    .replace(/\$(undefined|Error|RangeError|Object)\b/g, "$1")
    .replace(/^(?: {4})+/gm, (indent) => " ".repeat(indent.length / 4));
  for (const message of model.messages) text = fitMessage(text, message);
  text = text.replace(/\$root\.(\w+)/g, "$1").replace(/\n{2,}/g, "\n");
  // makeProp is all that is left of the library here: the readers and writers are handed in.
  const makeProp = text.includes("$util.makeProp")
    ? [
      "function $own(object, key) {",
      " Object.defineProperty(object, key, { value: undefined, writable: true, enumerable: true, configurable: true });",
      "}",
    ]
    : [];
  text = text.replace(
    /if \((\w+) === "__proto__"\)\n *\$util\.makeProp\((.*?), \1\);/g,
    'if ($1 === "__proto__") $$own($2, $1);',
  );
  text = text.replace(/\$util\.emptyObject/g, "$$emptyMap");
  // A field's default is what its reader gives for it, so there is nothing to tell apart.
  text = text.replace(
    /if \((?:typeof )?\(*value = (reader\.\w+\(\))[^\n]*\n *(message\S+) = value;\n *else\n *\2 = [^\n]*\n/g,
    "$2 = $1;\n",
  );
  const left =
    /\$util|\$Reader|\$Writer|\$root|\$protobuf|\$unknowns|\bdelete\b|\bnew (?!Uint8Array)|skipType|stringVerify/
      .exec(
        text,
      );
  if (left) throw new Error(`pbjs made something new: ${text.slice(left.index - 200, left.index + 200)}`);
  const preamble = [
    "const $depthLimit = 100;",
    "const $none = Object.freeze([]);",
    "const $emptyMap = Object.freeze({});",
    "const $noBytes = new Uint8Array(0);",
    ...makeProp,
  ];
  for (const message of model.messages) text = clearOtherMembers(text, message);
  return [...HEADER, ...preamble, text.trim(), ""].join("\n");
}

/** Turns one message's constructor into a factory of plain objects, and clearing a field into setting its default. */
function fitMessage(text: string, message: MessageModel): string {
  const begin = text.indexOf(`export const ${message.name} = (`);
  const end = text.indexOf("\n})();", begin);
  if (begin < 0 || end < 0) throw new Error(`pbjs made no ${message.name}`);
  const fields = message.fields.map((field) => [field.name, defaultOf(field)]);
  const literal = fields.filter(([, value]) => value !== undefined).map(([name, value]) =>
    `${name}: ${value}`
  );
  let body = text.slice(begin, end)
    .replace(/\n *const \w+ = function \(properties\) \{[\s\S]*?\n \};\n/, `\n const ${message.name} = {};\n`)
    .replace(/^ \w+\.prototype[.[][^\n]*\n/gm, "")
    .replace(/^ Object\.defineProperty\(\w+\.prototype, [\s\S]*?\}\);\n/gm, "")
    .replace(/^ let \$oneOfFields;\n/gm, "");
  for (const [name, value] of fields) {
    const member = name === "arguments" ? '["arguments"]' : `.${name}`;
    body = body.replaceAll(`delete message${member};`, `message${member} = ${value};`);
  }
  body = body.replace(/new \$root\.(\w+)(\(\))?/g, "$1.make()");
  const make = ` ${message.name}.make = () => ({ ${literal.join(", ")} });\n`.replace("{  }", "{}");
  return text.slice(0, begin) + body.replace(/\n ?return (\w+);\s*$/, `\n${make} return $1;`) +
    text.slice(end);
}

/** The last member of a oneof on the wire is the one that counts; pbjs leaves earlier ones in place. */
function clearOtherMembers(text: string, message: MessageModel): string {
  const begin = text.indexOf(`export const ${message.name} = (`);
  const end = text.indexOf("\n})();", begin);
  let body = text.slice(begin, end);
  for (const field of message.fields) {
    if (field.oneof === undefined) continue;
    const others = message.fields.filter((it) => it.oneof === field.oneof && it.name !== field.name);
    const clear = others.map((it) => `delete message.${it.name};`).join(" ");
    const set = `message.${field.oneof} = "${field.name}";`;
    body = body.replaceAll(set, `if (message.${field.oneof}) { ${clear} }\n     ${set}`);
  }
  return text.slice(0, begin) + body + text.slice(end);
}

function defaultOf(field: FieldModel): string | undefined {
  if (field.label === "repeated") return "$none";
  if (field.label === "map") return "$emptyMap";
  if (field.label === "optional" || field.oneof !== undefined || field.type.kind === "message") {
    return undefined;
  }
  if (field.type.kind === "enum") return "0";
  switch (field.type.name) {
    case "string":
      return '""';
    case "bytes":
      return "$noBytes";
    case "bool":
      return "false";
    default:
      return "0";
  }
}

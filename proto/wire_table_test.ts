/**
 * Compares the .proto files with the table of the wire, where that is at hand. Covered are the packages below; Remote
 * Asset, LogStream and the build event service are in the table and not in this project yet.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import protobuf from "protobufjs";
import { loadRoot } from "./_generate/model.ts";

const TABLE = new URL("../../shared/reapi/wire.tsv", import.meta.url);

const COVERED = [
  "build.bazel.remote.execution.v2",
  "build.bazel.semver",
  "google.bytestream",
  "google.longrunning",
  "google.rpc",
];

const NOT_COVERED = [
  "build.bazel.remote.asset.v1",
  "build.bazel.remote.logstream.v1",
  "google.devtools.build.v1",
];

/** Lines of the table below each heading, such as `message google.rpc.Status`. */
type Table = Map<string, string[]>;

function parseTable(text: string): Table {
  const table: Table = new Map();
  let rows: string[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    if (line.startsWith("\t")) rows.push(line.slice(1));
    else table.set(line, rows = []);
  }
  return table;
}

function packageOf(heading: string): string | undefined {
  const name = heading.slice(heading.indexOf(" ") + 1);
  return [...COVERED, ...NOT_COVERED].find((it) => name.startsWith(it + "."));
}

/** The name as the table writes it: without the package, and without the message it is in. */
function shortName(target: protobuf.ReflectionObject, from: protobuf.Type): string {
  const full = target.fullName.slice(1);
  const pkg = packageOf(` ${from.fullName.slice(1)}`) ?? "";
  if (full.startsWith(from.fullName.slice(1) + ".")) return full.slice(from.fullName.length);
  return full.startsWith(pkg + ".") ? full.slice(pkg.length + 1) : full;
}

function fieldRow(field: protobuf.Field, parent: protobuf.Type): string {
  const base = field.resolvedType ? shortName(field.resolvedType, parent) : field.type;
  const labels: string[] = [];
  if (field.repeated) labels.push("repeated");
  if (field.options?.deprecated) labels.push("deprecated");
  if (field.partOf) labels.push(`oneof:${field.partOf.name}`);
  return [field.id, field.name, field.map ? `map<string,${base}>` : base, labels.join(" ")].join("\t");
}

function messageRows(type: protobuf.Type): string[] {
  const rows = [...type.fieldsArray].map((field) => fieldRow(field, type));
  const reserved = (type.reserved ?? []).filter((it): it is number[] => Array.isArray(it));
  if (reserved.length > 0) {
    rows.push(`reserved\t[${reserved.map(([from, to]) => `[${from}, ${to}]`).join(", ")}]`);
  }
  return rows;
}

function methodRow(method: protobuf.Method, service: protobuf.Service): string {
  const name = (type: protobuf.Type | null) => {
    const full = type?.fullName.slice(1) ?? "";
    const pkg = service.parent?.fullName.slice(1) ?? "";
    return full.startsWith(pkg + ".") ? full.slice(pkg.length + 1) : full;
  };
  const side = (stream: boolean | undefined, type: protobuf.Type | null) =>
    (stream ? "stream " : "") + name(type);
  const request = side(method.requestStream, method.resolvedRequestType);
  return ["rpc", method.name, request, side(method.responseStream, method.resolvedResponseType)].join("\t");
}

function tableOf(root: protobuf.Root): Table {
  const table: Table = new Map();
  const visit = (object: protobuf.ReflectionObject) => {
    const name = object.fullName.slice(1);
    if (object instanceof protobuf.Type) table.set(`message ${name}`, messageRows(object));
    else if (object instanceof protobuf.Enum) {
      table.set(`enum ${name}`, Object.entries(object.values).map(([key, id]) => `${id}\t${key}`));
    } else if (object instanceof protobuf.Service) {
      for (const method of object.methodsArray) method.resolve();
      table.set(`service ${name}`, object.methodsArray.map((it) => methodRow(it, object)));
    }
    if (object instanceof protobuf.Namespace) object.nestedArray.forEach(visit);
  };
  visit(root);
  return table;
}

function tableExists(): boolean {
  try {
    return Deno.statSync(TABLE).isFile;
  } catch {
    console.log(`skipped: the wire table is not at ${TABLE.pathname}`);
    return false;
  }
}

const root = loadRoot(import.meta.dirname + "/");

Deno.test({
  name: "every message, field, enum value and method of the table is in the .proto files as it says",
  ignore: !tableExists(),
  async fn() {
    const expected = parseTable(await Deno.readTextFile(TABLE));
    const actual = tableOf(root);
    let compared = 0;
    for (const [heading, rows] of expected) {
      const pkg = packageOf(heading);
      assert(pkg !== undefined, `The table has a package that this test does not know: ${heading}`);
      if (!COVERED.includes(pkg)) continue;
      assertEquals(actual.get(heading)?.toSorted(), rows.toSorted(), heading);
      compared++;
    }
    for (const heading of actual.keys()) {
      const pkg = packageOf(heading);
      if (pkg !== undefined && COVERED.includes(pkg)) {
        assert(expected.has(heading), `${heading} is not in the table`);
      }
    }
    assert(compared > 90, `Only ${compared} headings were compared`);
  },
});

Deno.test("field numbers are used once in every message of every package", () => {
  const visit = (object: protobuf.ReflectionObject) => {
    if (object instanceof protobuf.Type) {
      const ids = object.fieldsArray.map((field) => field.id);
      assertEquals(new Set(ids).size, ids.length, object.fullName);
    }
    if (object instanceof protobuf.Namespace) object.nestedArray.forEach(visit);
  };
  visit(root);
});

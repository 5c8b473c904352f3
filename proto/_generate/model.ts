/**
 * What the .proto files say, flattened: every message, enum and service under one short name that is unique among all
 * packages, ready to be printed.
 *
 * @module
 */

import protobuf from "protobufjs";

/** The files that are compiled; what they import comes with them. */
export const PROTO_FILES: readonly string[] = [
  "build/bazel/semver/semver.proto",
  "build/bazel/remote/execution/v2/remote_execution.proto",
  "google/longrunning/operations.proto",
  "google/bytestream/bytestream.proto",
  "google/rpc/status.proto",
  "google/rpc/error_details.proto",
  "grpc/health/v1/health.proto",
  "brokkr/v1/worker.proto",
  "brokkr/v1/admin.proto",
];

/** What a field's value is. */
export type FieldType =
  | { readonly kind: "scalar"; readonly name: string }
  | { readonly kind: "enum"; readonly name: string }
  | { readonly kind: "message"; readonly name: string };

/** One field. */
export interface FieldModel {
  /** In camelCase. */
  readonly name: string;
  /** Its number. */
  readonly id: number;
  /** Type of one value. */
  readonly type: FieldType;
  /** How many, and whether absence can be told from a default. */
  readonly label: "plain" | "optional" | "repeated" | "map";
  /** Name of the oneof it belongs to, if any. */
  readonly oneof: string | undefined;
  /** Comment in the source. */
  readonly comment: string;
}

/** One message. */
export interface MessageModel {
  /** Flat name, such as `Command_EnvironmentVariable`. */
  readonly name: string;
  /** Name on the wire, such as `build.bazel.remote.execution.v2.Command.EnvironmentVariable`. */
  readonly fullName: string;
  /** In the order of their numbers. */
  readonly fields: readonly FieldModel[];
  /** Comment in the source. */
  readonly comment: string;
}

/** One enum. */
export interface EnumModel {
  /** Flat name; a message that only holds an enum `Value` lends it its own. */
  readonly name: string;
  /** Name on the wire. */
  readonly fullName: string;
  /** Name and number of each value. */
  readonly values: readonly { readonly name: string; readonly id: number; readonly comment: string }[];
  /** Comment in the source. */
  readonly comment: string;
}

/** One call. */
export interface MethodModel {
  /** As in the source, such as `FindMissingBlobs`. */
  readonly name: string;
  /** Flat name of the request. */
  readonly request: string;
  /** Flat name of the response. */
  readonly response: string;
  /** Who streams. */
  readonly kind: "unary" | "serverStream" | "clientStream" | "bidi";
  /** Comment in the source. */
  readonly comment: string;
}

/** One service. */
export interface ServiceModel {
  /** Short name. */
  readonly name: string;
  /** Name on the wire. */
  readonly fullName: string;
  /** In the order of the source. */
  readonly methods: readonly MethodModel[];
  /** Comment in the source. */
  readonly comment: string;
}

/** All of it. */
export interface Model {
  /** Sorted by wire name. */
  readonly messages: readonly MessageModel[];
  /** Sorted by wire name. */
  readonly enums: readonly EnumModel[];
  /** Sorted by wire name. */
  readonly services: readonly ServiceModel[];
}

/** Parses the project's .proto files below `protoDir`, which ends in a slash. */
export function loadRoot(protoDir: string): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin: string, target: string) =>
    target in protobuf.common ? target : protoDir + target;
  root.loadSync([...PROTO_FILES], { keepCase: true, alternateCommentMode: true });
  root.resolveAll();
  return root;
}

/** Flattens what {@linkcode loadRoot} gave. */
export function buildModel(root: protobuf.Root): Model {
  const messages: protobuf.Type[] = [];
  const enums: protobuf.Enum[] = [];
  const services: protobuf.Service[] = [];
  const visit = (object: protobuf.ReflectionObject) => {
    if (object instanceof protobuf.Type) messages.push(object);
    if (object instanceof protobuf.Enum) enums.push(object);
    if (object instanceof protobuf.Service) services.push(object);
    if (object instanceof protobuf.Namespace) object.nestedArray.forEach(visit);
  };
  visit(root);
  const wellKnown = referencedWellKnown(messages);
  const kept = messages.filter((type) =>
    !isWellKnown(type) && !isEnumHolder(type) || wellKnown.has(type.fullName)
  );
  const model: Model = {
    messages: kept.map(messageModel).sort(byFullName),
    enums: enums.filter((it) => !isWellKnown(it)).map(enumModel).sort(byFullName),
    services: services.map(serviceModel).sort(byFullName),
  };
  checkDistinct(model);
  return model;
}

/** `fast_cdc_2020_params` as `fastCdc2020Params`, as JSON names are made. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function byFullName(a: { fullName: string }, b: { fullName: string }): number {
  return a.fullName < b.fullName ? -1 : a.fullName > b.fullName ? 1 : 0;
}

function isWellKnown(object: protobuf.ReflectionObject): boolean {
  return object.fullName.startsWith(".google.protobuf.");
}

/** Well-known types that some field or method names. The others of their files are not wanted. */
function referencedWellKnown(messages: readonly protobuf.Type[]): Set<string> {
  const names = new Set<string>([".google.protobuf.Empty"]);
  for (const type of messages) {
    if (isWellKnown(type)) continue;
    for (const field of type.fieldsArray) {
      if (field.resolvedType && isWellKnown(field.resolvedType)) names.add(field.resolvedType.fullName);
    }
  }
  return names;
}

/** A message without fields that gives the enum in it a name. */
function isEnumHolder(type: protobuf.NamespaceBase): boolean {
  if (!(type instanceof protobuf.Type)) return false;
  const nested = type.nestedArray;
  return type.fieldsArray.length === 0 && nested.length === 1 && nested[0] instanceof protobuf.Enum &&
    nested[0].name === "Value";
}

function flatName(object: protobuf.ReflectionObject): string {
  const parent = object.parent;
  if (parent && object instanceof protobuf.Enum && isEnumHolder(parent)) return flatName(parent);
  return parent instanceof protobuf.Type ? `${flatName(parent)}_${object.name}` : object.name;
}

function commentOf(object: protobuf.ReflectionObject): string {
  return (object.comment ?? "").trim();
}

function messageModel(type: protobuf.Type): MessageModel {
  const fields = [...type.fieldsArray].sort((a, b) => a.id - b.id);
  return {
    name: flatName(type),
    fullName: type.fullName.slice(1),
    fields: fields.map(fieldModel),
    comment: commentOf(type),
  };
}

function fieldModel(field: protobuf.Field): FieldModel {
  const resolved = field.resolvedType;
  const type: FieldType = resolved === null
    ? { kind: "scalar", name: field.type }
    : { kind: resolved instanceof protobuf.Enum ? "enum" : "message", name: flatName(resolved) };
  if (field.map && (field as unknown as protobuf.MapField).keyType !== "string") {
    throw new Error(`Map ${field.fullName} has keys that are not strings; teach the generator about them`);
  }
  const synthetic = field.partOf !== null && field.partOf.name.startsWith("_");
  return {
    name: camelCase(field.name),
    id: field.id,
    type,
    label: field.map ? "map" : field.repeated ? "repeated" : synthetic ? "optional" : "plain",
    oneof: field.partOf !== null && !synthetic ? camelCase(field.partOf.name) : undefined,
    comment: commentOf(field),
  };
}

function enumModel(it: protobuf.Enum): EnumModel {
  const values = Object.entries(it.values).map(([name, id]) => ({
    name,
    id,
    comment: (it.comments[name] ?? "").trim(),
  }));
  return { name: flatName(it), fullName: it.fullName.slice(1), values, comment: commentOf(it) };
}

function serviceModel(service: protobuf.Service): ServiceModel {
  const methods = service.methodsArray.map((method): MethodModel => {
    method.resolve();
    if (!method.resolvedRequestType || !method.resolvedResponseType) {
      throw new Error(`Method ${method.fullName} names a message that is not known`);
    }
    return {
      name: method.name,
      request: flatName(method.resolvedRequestType),
      response: flatName(method.resolvedResponseType),
      kind: method.requestStream
        ? (method.responseStream ? "bidi" : "clientStream")
        : (method.responseStream ? "serverStream" : "unary"),
      comment: commentOf(method),
    };
  });
  return { name: service.name, fullName: service.fullName.slice(1), methods, comment: commentOf(service) };
}

function checkDistinct(model: Model): void {
  const seen = new Map<string, string>();
  for (const { name, fullName } of [...model.messages, ...model.enums]) {
    const other = seen.get(name);
    if (other !== undefined) throw new Error(`${fullName} and ${other} would both be called ${name}`);
    seen.set(name, fullName);
  }
}

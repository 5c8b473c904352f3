import { assertEquals } from "@std/assert";
import * as proto from "./mod.ts";
import { loadRoot } from "./_generate/model.ts";
import type protobuf from "protobufjs";

const SERVICES = {
  Execution: proto.Execution,
  ActionCache: proto.ActionCache,
  ContentAddressableStorage: proto.ContentAddressableStorage,
  Capabilities: proto.Capabilities,
  ByteStream: proto.ByteStream,
  Operations: proto.Operations,
  Workers: proto.Workers,
  Admin: proto.Admin,
  Health: proto.HealthService,
};

const root = loadRoot(import.meta.dirname + "/");

function kindOf(method: protobuf.Method): string {
  if (method.requestStream) return method.responseStream ? "bidi" : "clientStream";
  return method.responseStream ? "serverStream" : "unary";
}

Deno.test("every service has every method, with its path and kind", () => {
  for (const [name, service] of Object.entries(SERVICES)) {
    const source = root.lookupService(name);
    assertEquals(Object.keys(service).length, source.methodsArray.length, name);
    for (const method of source.methodsArray) {
      const key = method.name.charAt(0).toLowerCase() + method.name.slice(1);
      const actual = (service as Record<string, proto.Method<unknown, unknown>>)[key];
      const fullName = source.fullName.slice(1);
      assertEquals(
        { path: actual.path, service: actual.service, name: actual.name, kind: actual.kind },
        { path: `/${fullName}/${method.name}`, service: fullName, name: method.name, kind: kindOf(method) },
      );
    }
  }
});

Deno.test("raw methods have the paths and kinds of the generated ones", () => {
  const pairs = [
    [proto.RawCas.findMissingBlobs, proto.ContentAddressableStorage.findMissingBlobs],
    [proto.RawCas.batchUpdateBlobs, proto.ContentAddressableStorage.batchUpdateBlobs],
    [proto.RawCas.batchReadBlobs, proto.ContentAddressableStorage.batchReadBlobs],
    [proto.RawByteStream.read, proto.ByteStream.read],
    [proto.RawByteStream.readEncoded, proto.ByteStream.read],
    [proto.RawByteStream.write, proto.ByteStream.write],
    [proto.RawActionCache.getActionResult, proto.ActionCache.getActionResult],
  ] as const;
  for (const [raw, generated] of pairs) {
    assertEquals([raw.path, raw.name, raw.service, raw.kind], [
      generated.path,
      generated.name,
      generated.service,
      generated.kind,
    ]);
  }
});

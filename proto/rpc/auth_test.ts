import { assertEquals, assertThrows } from "@std/assert";
import { type Access, ANONYMOUS, BrokkrError, INTERNAL, type Principal } from "@brokkr/common";
import { checkInstanceName, defaultAuthenticate, defaultPolicy } from "./auth.ts";

const ALL: Access[] = ["public", "read", "write", "execute", "admin", "worker"];

Deno.test("defaultPolicy denies what nothing grants", () => {
  const cert = (name: string): Principal => ({ kind: "certificate", name: `cert:${name}` });
  const policy = defaultPolicy({
    anonymousAccess: ["public"],
    certificateAccess: { "*": ["read"], "worker-*": ["worker", "write"], "root": ["admin"] },
  });
  const granted = (principal: Principal) => ALL.filter((access) => policy(principal, access, "/a.B/C"));
  assertEquals(granted(ANONYMOUS), ["public"]);
  assertEquals(granted(cert("ci")), ["public", "read"]);
  assertEquals(granted(cert("worker-1")), ["public", "read", "write", "worker"]);
  assertEquals(granted(cert("root")), ["public", "read", "admin"]);
  assertEquals(granted(cert("rooty")), ["public", "read"]);
  assertEquals(granted({ kind: "anonymous", name: "cert:root" }), ["public"]);
  assertEquals(granted(INTERNAL), ALL);
  assertEquals(ALL.filter((access) => defaultPolicy({ anonymousAccess: [] })(ANONYMOUS, access, "/x")), []);
});

Deno.test("defaultAuthenticate names a certificate and calls all others anonymous", () => {
  assertEquals(defaultAuthenticate({ address: "a", encrypted: true }), ANONYMOUS);
  assertEquals(defaultAuthenticate({ address: "a", encrypted: true, certificateName: "w1" }), {
    kind: "certificate",
    name: "cert:w1",
  });
});

Deno.test("checkInstanceName takes names of segments and nothing else", () => {
  for (const name of ["", "main", "a/b/c", "default_instance", "füße", "a.b"]) {
    assertEquals(checkInstanceName(name), name);
  }
  const bad = [
    "/",
    "a//b",
    "/a",
    "a/",
    ".",
    "a/../b",
    "blobs",
    "x/uploads/y",
    "a\nb",
    "\ud800",
    "x".repeat(257),
  ];
  for (const name of bad) assertThrows(() => checkInstanceName(name), BrokkrError, "nstance name");
});

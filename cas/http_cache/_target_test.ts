import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { HttpError } from "./_http_error.ts";
import { parseTarget } from "./_target.ts";

const KEY = "0123456789abcdef".repeat(4);

const GOOD: readonly [url: string, instance: string, kind: "ac" | "cas"][] = [
  [`/ac/${KEY}`, "", "ac"],
  [`/cas/${KEY}`, "", "cas"],
  [`/main/cas/${KEY}`, "main", "cas"],
  [`/team/a/b/ac/${KEY}`, "team/a/b", "ac"],
  [`/ac/ac/${KEY}`, "ac", "ac"],
  [`/cas/ac/cas/${KEY}`, "cas/ac", "cas"],
  [`/a%20b/%C3%A4/cas/${KEY}`, "a b/ä", "cas"],
  [`/%63as/${KEY}`, "", "cas"],
  [`/cas/${KEY}?whatever=1`, "", "cas"],
  [`http://cache.example:80/main/ac/${KEY}`, "main", "ac"],
];

Deno.test("parseTarget reads instance, cache and key", () => {
  for (const [url, instance, kind] of GOOD) {
    assertEquals(parseTarget(url), { kind, instance, hash: KEY }, url);
  }
  for (const url of ["/", "", "/?x", "http://cache.example", "http://cache.example/"]) {
    assertEquals(parseTarget(url), { kind: "status" }, url);
  }
});

const BAD: readonly [url: string, status: number, says: RegExp][] = [
  ["/x", 404, /No such path/],
  ["/cas", 404, /No such path/],
  ["/cas/", 400, /"" is no key/],
  ["/metrics", 404, /No such path/],
  [`/blobs/${KEY}`, 404, /No such path/],
  [`/cas/${KEY}/`, 404, /No such path/],
  [`cas/${KEY}`, 404, /No such path/],
  ["*", 404, /No such path/],
  [`//cas/${KEY}`, 400, /two slashes/],
  [`/a//cas/${KEY}`, 400, /empty/],
  [`/../cas/${KEY}`, 400, /dotted segment/],
  [`/./cas/${KEY}`, 400, /dotted segment/],
  [`/%2e%2e/cas/${KEY}`, 400, /dotted segment/],
  [`/..%2f..%2fetc/cas/${KEY}`, 400, /hides a slash/],
  [`/cas%2f${KEY}`, 400, /hides a slash/],
  [`/a%00b/cas/${KEY}`, 400, /control character/],
  [`/a%0d%0ab/cas/${KEY}`, 400, /control character/],
  [`/%ff/cas/${KEY}`, 400, /percent-encoded/],
  [`/%/cas/${KEY}`, 400, /percent-encoded/],
  [`/blobs/cas/${KEY}`, 400, /blobs/],
  [`/a/uploads/ac/${KEY}`, 400, /uploads/],
  [`/cas/${KEY.slice(1)}`, 400, /is no key/],
  [`/cas/${KEY}0`, 400, /is no key/],
  [`/cas/${KEY.toUpperCase()}`, 400, /is no key/],
  [`/cas/${KEY.slice(1)}g`, 400, /is no key/],
  ["/cas/../../etc/passwd", 404, /No such path/],
  [`/${"a".repeat(3000)}/cas/${KEY}`, 414, /at most/],
  [`/${"a".repeat(300)}/cas/${KEY}`, 400, /longer than/],
];

Deno.test("parseTarget says what is wrong with a path", () => {
  for (const [url, status, says] of BAD) {
    const error = assertThrows(() => parseTarget(url), HttpError, "", url);
    assertEquals(error.status, status, `${url}: ${error.message}`);
    assert(says.test(error.message), `${url}: ${error.message}`);
    assert(error.message.length < 500);
  }
});

Deno.test("parseTarget takes any path, and gives only names that are sound", () => {
  const part = fc.oneof(
    fc.string(),
    fc.constantFrom("ac", "cas", "..", ".", "", "%2f", "%2e%2e", "blobs", KEY, "a"),
  );
  fc.assert(fc.property(fc.array(part, { maxLength: 6 }), fc.boolean(), (parts, keyed) => {
    const url = "/" + [...parts, ...(keyed ? ["cas", KEY] : [])].join("/");
    let target: ReturnType<typeof parseTarget>;
    try {
      target = parseTarget(url);
    } catch (error) {
      assert(error instanceof HttpError, `${url}: ${error}`);
      return;
    }
    if (target.kind === "status") return;
    assert(/^[0-9a-f]{64}$/.test(target.hash));
    const segments = target.instance.split("/");
    assert(target.instance === "" || segments.every((each) => !["", ".", "..", "blobs"].includes(each)), url);
  }));
});

import { assertEquals } from "@std/assert";
import {
  formatDuration,
  formatHostPort,
  formatSize,
  humanDuration,
  humanSize,
  parseDuration,
  parseEndpoint,
  parseHostPort,
  parseSize,
} from "@brokkr/common/units";
import fc from "fast-check";

Deno.test("parseSize reads back whatever formatSize writes", () => {
  fc.assert(fc.property(fc.nat(2 ** 52), (bytes) => {
    assertEquals(parseSize(formatSize(bytes)), { value: bytes });
  }));
  fc.assert(fc.property(fc.nat(4096), fc.constantFrom(10, 20, 30, 40), (count, shift) => {
    assertEquals(parseSize(formatSize(count * 2 ** shift)), { value: count * 2 ** shift });
  }));
});

Deno.test("parseDuration reads back whatever formatDuration writes", () => {
  fc.assert(fc.property(fc.nat(2 ** 45), (ms) => {
    assertEquals(parseDuration(formatDuration(ms)), { value: ms });
  }));
});

Deno.test("parsers of units never throw and never give anything but safe numbers", () => {
  fc.assert(fc.property(fc.string({ maxLength: 40, unit: "binary" }), (text) => {
    for (const parse of [parseSize, parseDuration]) {
      const { value, error } = parse(text);
      assertEquals(error === undefined, Number.isSafeInteger(value) && (value ?? -1) >= 0);
    }
    parseEndpoint(text);
    parseHostPort(text);
  }));
});

for (
  const [text, bytes] of [
    ["0", 0],
    ["1024", 1024],
    ["1B", 1],
    ["1.5KiB", 1536],
    ["4GiB", 4 * 2 ** 30],
    ["10MB", 10_000_000],
    ["2 TiB", 2 * 2 ** 40],
  ] as const
) {
  Deno.test(`parseSize reads ${text}`, () => assertEquals(parseSize(text), { value: bytes }));
}

Deno.test("parseSize refuses what is not a size", () => {
  for (
    const text of ["", "GiB", "-1", "1e3", "1XB", "1 2", "0x10", "1.GiB", "1gib", "constructor", "1toString"]
  ) {
    assertEquals(parseSize(text).error, "is not a size, such as 512KiB, 64MiB or 4GiB", text);
  }
  assertEquals(parseSize("9999999999TiB").error, "is larger than any size can be");
});

for (
  const [text, ms] of [
    ["0s", 0],
    ["250ms", 250],
    ["1.5s", 1500],
    ["1h30m", 5_400_000],
    ["2d1ms", 172_800_001],
  ] as const
) {
  Deno.test(`parseDuration reads ${text}`, () => assertEquals(parseDuration(text), { value: ms }));
}

Deno.test("parseDuration refuses what is not a duration", () => {
  for (const text of ["", "0", "30", "s", "1m1h", "1s1s", "-1s", "1 s", "1S", "1.5ms"]) {
    assertEquals(parseDuration(text).error, "is not a duration, such as 500ms, 30s or 1h30m", text);
  }
});

Deno.test("parseHostPort and formatHostPort keep IPv6 addresses in brackets", () => {
  for (const text of ["127.0.0.1:8980", "[::1]:0", "build.example:443", "[fe80::1%eth0]:65535"]) {
    const { value } = parseHostPort(text);
    assertEquals(value === undefined ? undefined : formatHostPort(value), text);
  }
  for (const text of ["", "foo", ":1", "::1:80", "[::1]", "a b:1", "h:123456"]) {
    assertEquals(parseHostPort(text).error, "is not host:port, such as 127.0.0.1:8980", text);
  }
});

Deno.test("parseEndpoint adds the scheme and refuses others", () => {
  assertEquals(parseEndpoint("grpcs://build.example:443/").value, "grpcs://build.example:443");
  assertEquals(parseEndpoint("[::1]:80").value, "grpc://[::1]:80");
  const message = "is not an endpoint, such as grpc://127.0.0.1:8980 or grpcs://build.example:443";
  for (const text of ["", "grpc://", "http://h:1", "grpc://h", "grpc://h:0", "grpc://h:1/x"]) {
    assertEquals(parseEndpoint(text).error, message, text);
  }
  assertEquals(parseEndpoint("grpc://h:65536").error, "has port 65536; ports go up to 65535");
});

Deno.test("humanSize and humanDuration round for people", () => {
  assertEquals([0, 1023, 1536, 150 * 2 ** 20].map(humanSize), ["0 B", "1023 B", "1.5 KiB", "150 MiB"]);
  assertEquals(
    [0.5, 12.34, 250, 4560, 125_000, 11_220_000].map(humanDuration),
    ["500 µs", "12.3 ms", "250 ms", "4.56 s", "2m05s", "3h07m"],
  );
});

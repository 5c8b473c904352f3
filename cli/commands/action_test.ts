import { assertEquals, assertStringIncludes } from "@std/assert";
import { ActionRecordCodec, type Init, type ResourceUsage } from "@brokkr/proto";
import { recordText } from "./action.ts";

/** The lines about an action's usage, as a person sees them. */
function told(usage: Init<ResourceUsage>): string {
  const text = recordText(ActionRecordCodec.decode(ActionRecordCodec.encode({ usage })));
  return text.split("\n").filter((line) => /^(used|sandbox) /.test(line)).join("\n");
}

const BASIC: Init<ResourceUsage> = {
  cpuUser: { seconds: 1, nanos: 0 },
  cpuSystem: { seconds: 0, nanos: 500_000_000 },
  maxRssBytes: 2 ** 20,
  isolation: "none",
};

Deno.test("action show tells nothing of what was not counted", () => {
  assertEquals(
    told(BASIC).replace(/ +/g, " "),
    "used 1.00 s user, 500 ms system, 1.0 MiB memory, 0 B of inputs fetched, isolation none",
  );
});

Deno.test("action show tells what control groups counted, zeros too", () => {
  const text = told({
    ...BASIC,
    memoryPeakBytes: 2 ** 30,
    pidsPeak: 1,
    pidsRefused: 3,
    ioReadBytes: 0,
    ioWriteBytes: 4096,
    cpuThrottled: { seconds: 2, nanos: 0 },
    outOfMemory: true,
    isolation: "sandbox",
  });
  const parts = [
    "1.0 GiB memory",
    "1 process,",
    "3 more refused",
    "0 B read",
    "4.0 KiB written",
    "held back for",
  ];
  for (const part of [...parts, "out of memory", "isolation sandbox"]) assertStringIncludes(text, part);
});

Deno.test("action show tells what an action ran under, and no limit that did not apply", () => {
  const terms = {
    network: "none",
    writableLayer: "memory",
    writableLayerBytes: 2 ** 30,
    writableLayerInodes: 100,
  };
  assertStringIncludes(
    told({ ...BASIC, sandbox: terms }),
    "network none, up to 1.0 GiB and 100 files written to memory",
  );
  const text = told({
    ...BASIC,
    sandbox: {
      ...terms,
      writableLayerExceeded: true,
      memoryLimitBytes: 2 ** 31,
      pidsLimit: 64,
      cpuLimitMillis: 1500,
      aslrOff: true,
    },
  });
  const parts = ["at most 2.0 GiB memory", "64 processes", "1.5 processors", "addresses not randomized"];
  for (const part of [...parts, "more written than its writable layer may hold"]) {
    assertStringIncludes(text, part);
  }
});

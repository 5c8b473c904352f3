import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "./mod.ts";
import { keepMemory, type MemoryHost, thisProcess } from "./memory_keeper.ts";

const MIB = 2 ** 20;

/** A process as the test wants it. */
class FakeProcess implements MemoryHost {
  resident = 100 * MIB;
  cpu = 0;
  trims = 0;
  afterTrim = 90 * MIB;
  residentBytes(): number {
    return this.resident;
  }
  cpuMs(): number {
    return this.cpu;
  }
  trim(): void {
    this.trims++;
    this.resident = this.afterTrim;
    this.onTrim();
  }
  onTrim(): void {}
}

Deno.test("keepMemory gives memory back when the process has grown and is quiet, and not before", () => {
  const clock = new ManualClock();
  const host = new FakeProcess();
  using _keeper = keepMemory({ clock, host, everyMs: 1000 });
  clock.advance(1000);
  assertEquals(host.trims, 1, "the start itself leaves garbage");
  clock.advance(1000);
  assertEquals(host.trims, 1, "nothing grew");
  host.resident = 110 * MIB;
  clock.advance(1000);
  assertEquals(host.trims, 1, "20 MiB are not worth a pause");
  host.resident = 500 * MIB;
  host.cpu += 500;
  clock.advance(1000);
  assertEquals(host.trims, 1, "half a processor is not quiet");
  clock.advance(1000);
  assertEquals(host.trims, 2);
  host.afterTrim = 400 * MIB;
  host.resident = 500 * MIB;
  clock.advance(1000);
  assertEquals(host.trims, 3);
  clock.advance(10_000);
  assertEquals(host.trims, 3, "what is in use stays, and is not looked for again and again");
  const work = (seconds: number, cpuMs: number) => {
    for (let i = 0; i < seconds; i++) {
      host.cpu += cpuMs;
      clock.advance(1000);
    }
  };
  work(9, 10);
  assertEquals(host.trims, 3, "little work leaves little garbage");
  work(1, 10);
  assertEquals(host.trims, 4, "more of it may have left garbage in what was there before");
  work(19, 10);
  assertEquals(host.trims, 4, "it brought nothing the last time, so that twice the work is asked for");
  work(1, 10);
  assertEquals(host.trims, 5);
  work(1, 101);
  work(1, 10);
  assertEquals(host.trims, 6, "a burst is looked at again");
});

Deno.test("keepMemory does not wait for quiet when the process has grown beyond its limit", () => {
  const clock = new ManualClock();
  const host = new FakeProcess();
  using _keeper = keepMemory({ clock, host, everyMs: 1e9, limitBytes: 200 * MIB });
  const busy = (ms: number) => {
    for (let at = 0; at < ms; at += 100) {
      host.cpu += 100;
      clock.advance(100);
    }
  };
  busy(1000);
  host.resident = 299 * MIB;
  busy(1000);
  assertEquals(host.trims, 0, "it is within its limit");
  host.resident = 301 * MIB;
  busy(200);
  assertEquals(host.trims, 1);
  host.resident = host.afterTrim = 400 * MIB;
  busy(10_000);
  assertEquals(host.trims, 4, "what does not go is tried again after 2, 4, 8 s");
});

/** A clock of which a collection takes some, as it does of a real one. */
class SlowClock extends ManualClock {
  stoodStillMs = 0;
  override monotonicMs(): number {
    return super.monotonicMs() + this.stoodStillMs;
  }
}

for (
  const { what, options, resident, afterTrim, most } of [
    { what: "a little busy", options: { everyMs: 1000 }, resident: 500, afterTrim: 400, most: 0.025 },
    {
      what: "busy and beyond its limit",
      options: { everyMs: 1e9, limitBytes: 300 * MIB },
      resident: 500,
      afterTrim: 400,
      most: 0.11,
    },
    {
      what: "far beyond its limit",
      options: { everyMs: 1e9, limitBytes: 100 * MIB },
      resident: 500,
      afterTrim: 400,
      most: 0.26,
    },
  ]
) {
  Deno.test(`keepMemory lets a process that is ${what} stand still for ${100 * most} % of its time at most`, () => {
    const clock = new SlowClock();
    const host = new FakeProcess();
    host.onTrim = () => {
      clock.stoodStillMs += 800;
      host.cpu += 800;
    };
    using _keeper = keepMemory({ clock, host, ...options });
    clock.advance(1000);
    const startMs = clock.monotonicMs();
    const before = clock.stoodStillMs;
    for (let second = 0; second < 600; second++) {
      host.cpu += 80;
      host.resident = resident * MIB; // a heap in which garbage is found each time
      host.afterTrim = afterTrim * MIB;
      clock.advance(1000);
    }
    const share = (clock.stoodStillMs - before) / (clock.monotonicMs() - startMs);
    assert(share > 0.01 && share < most, `${100 * share} % of the time were collections`);
  });
}

Deno.test("This process does not count what it has mapped from files", async () => {
  const host = thisProcess();
  const status = await Deno.readTextFile("/proc/self/status");
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
  const files = of("RssFile");
  assert(files > 8 * MIB, "the executable itself is mapped");
  assert(host.residentBytes() < of("VmRSS") - files / 2, `${host.residentBytes()} of ${of("VmRSS")}`);
});

Deno.test("keepMemory stops when it is disposed of", () => {
  const clock = new ManualClock();
  const host = new FakeProcess();
  keepMemory({ clock, host, everyMs: 1000 })[Symbol.dispose]();
  clock.advance(10_000);
  assertEquals(host.trims, 0);
});

Deno.test("This process gives back what it no longer uses", () => {
  const host = thisProcess();
  host.trim();
  let blobs: Uint8Array[] = [];
  const before = host.residentBytes();
  for (let i = 0; i < 200; i++) blobs.push(new Uint8Array(MIB).fill(1));
  assert(host.residentBytes() - before > 150 * MIB, "what is used is resident");
  blobs = [];
  host.trim();
  assert(host.residentBytes() - before < 75 * MIB, `${host.residentBytes() - before} bytes are still held`);
  assertEquals(blobs.length, 0);
});

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { cpuQuota, mergeUsage, v1Usage, v1Writes, v2Usage, v2Writes } from "./limit_files.ts";
import type { CgroupLimits, CgroupUsage, Controller } from "./types.ts";

const ALL: ReadonlySet<Controller> = new Set(["cpu", "memory", "pids", "io"]);
const DISKS = [{ major: 8, minor: 0 }, { major: 254, minor: 16 }];
const LIMITS: CgroupLimits = {
  memoryBytes: 67108864,
  pids: 20,
  cpuMillis: 1500,
  ioReadBytesPerSecond: 1000,
  ioWriteBytesPerSecond: 2000,
};

function shown(writes: readonly { readonly file: string; readonly value: string }[]): string[] {
  return writes.map(({ file, value }) => `${file} ${value}`);
}

Deno.test("v2Writes sets all that is limited, swap off", () => {
  assertEquals(shown(v2Writes(ALL, LIMITS, DISKS)), [
    "memory.max 67108864",
    "memory.swap.max 0",
    "memory.oom.group 1",
    "pids.max 20",
    "cpu.max 150000 100000",
    "io.max 8:0 rbps=1000 wbps=2000",
    "io.max 254:16 rbps=1000 wbps=2000",
  ]);
});

Deno.test("v1Writes sets all that is limited, swap off, memory before memory with swap", () => {
  assertEquals(shown(v1Writes(["memory", "pids", "cpu", "cpuacct", "blkio"], LIMITS, DISKS.slice(0, 1))), [
    "memory.limit_in_bytes 67108864",
    "memory.memsw.limit_in_bytes 67108864",
    "pids.max 20",
    "cpu.cfs_period_us 100000",
    "cpu.cfs_quota_us 150000",
    "blkio.throttle.read_bps_device 8:0 1000",
    "blkio.throttle.write_bps_device 8:0 2000",
  ]);
});

Deno.test("nothing is written for controllers that are missing, or for what is not limited", () => {
  assertEquals(v2Writes(new Set(), LIMITS, DISKS), []);
  assertEquals(v2Writes(ALL, {}, DISKS), []);
  assertEquals(v1Writes(["freezer", "cpuacct"], LIMITS, DISKS), []);
  assertEquals(v1Writes(["memory", "pids", "cpu", "blkio"], {}, DISKS), []);
  assertEquals(shown(v2Writes(new Set(["io"]), { ioReadBytesPerSecond: 5 }, DISKS.slice(0, 1))), [
    "io.max 8:0 rbps=5",
  ]);
  assertEquals(v2Writes(new Set(["io"]), { ioReadBytesPerSecond: 5 }, []), []);
});

Deno.test("cpuQuota gives what was asked for, with a quota and a period that the kernel takes", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 1_000_000 }), (cpuMillis) => {
    const { quotaUs, periodUs } = cpuQuota(cpuMillis);
    assertEquals(quotaUs * 1000, cpuMillis * periodUs);
    assertEquals(
      Number.isInteger(quotaUs) && quotaUs >= 1000 && periodUs >= 1000 && periodUs <= 1_000_000,
      true,
    );
  }));
});

const V2_FILES: Record<string, string> = {
  "cpu.stat":
    "usage_usec 3500\nuser_usec 2600\nsystem_usec 900\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7400\n",
  "memory.peak": "1234\n",
  "memory.events": "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 1\n",
  "pids.peak": "5\n",
  "pids.events": "max 3\n",
  "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n",
};
const V1_FILES: Record<string, string> = {
  "cpuacct.usage_user": "2600000\n",
  "cpuacct.usage_sys": "900000\n",
  "cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 7400000\n",
  "memory.max_usage_in_bytes": "1234\n",
  "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
  "pids.peak": "5\n",
  "pids.events": "max 3\n",
  "blkio.throttle.io_service_bytes": "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n",
};
const COUNTED: CgroupUsage = {
  cpuUserMs: 3,
  cpuSystemMs: 1,
  cpuThrottledMs: 7,
  memoryPeakBytes: 1234,
  pidsPeak: 5,
  ioReadBytes: 10,
  ioWriteBytes: 20,
  oomKills: 2,
  pidsRefused: 3,
};

Deno.test("both versions' files tell the same", () => {
  assertEquals(v2Usage(ALL, (file) => V2_FILES[file]), COUNTED);
  assertEquals(v1Usage(["cpu", "cpuacct", "memory", "pids", "blkio"], (file) => V1_FILES[file]), COUNTED);
});

Deno.test("what no controller counted is absent and not 0", () => {
  const nothing = { oomKills: 0, pidsRefused: 0 };
  const without = (usage: CgroupUsage) => JSON.parse(JSON.stringify(usage));
  assertEquals(without(v2Usage(ALL, () => undefined)), nothing);
  assertEquals(without(v1Usage(["memory", "pids", "cpu", "cpuacct", "blkio"], () => undefined)), nothing);
  const asked: string[] = [];
  assertEquals(
    without(v2Usage(new Set(), (file) => {
      asked.push(file);
      return V2_FILES[file];
    })),
    { ...nothing, cpuUserMs: 3, cpuSystemMs: 1, cpuThrottledMs: 7 },
  );
  assertEquals(asked, ["cpu.stat"]);
});

Deno.test("mergeUsage takes each number from the first that has it", () => {
  const merged = mergeUsage([
    { cpuUserMs: 1, oomKills: 0, pidsRefused: 0 },
    { cpuUserMs: 9, memoryPeakBytes: 4, oomKills: 2, pidsRefused: 0 },
    { pidsPeak: 0, oomKills: 0, pidsRefused: 7 },
  ]);
  assertEquals(JSON.parse(JSON.stringify(merged)), {
    cpuUserMs: 1,
    memoryPeakBytes: 4,
    pidsPeak: 0,
    oomKills: 2,
    pidsRefused: 7,
  });
});

import { assertEquals } from "@std/assert";
import type { OperationName, WorkerId } from "@brokkr/common";
import { Scheduler } from "./scheduler.ts";
import { Story } from "./_story.ts";
import type { SchedulerLimits } from "./types.ts";

function story(name: string, script: string, limits: Partial<SchedulerLimits> = {}): void {
  Deno.test(`Scheduler ${name}`, () => new Story(limits).tell(script));
}

story(
  "queues a job, leases it, settles its result and forgets everything in time",
  `
  submit a
  > a queued
  connect w1
  > lease 7.1 a to w1 attempt 1
  stage w1 7.1
  > a executing on w1
  stage w1 7.1
  result w1 7.1 completed
  > settle 7.1 completed
  settled 7.1 done
  > accept 7.1 of w1
  > finish a: done
  wait 599
  > close w1#1: DEADLINE_EXCEEDED
  > forget w1
  wait 1
  > forget a
`,
);

story(
  "serves lower priorities first and equals in order",
  `
  submit late priority=5
  > late queued
  submit first priority=-1
  > first queued
  submit second priority=-1
  > second queued
  connect w1
  > lease 7.1 first to w1 attempt 1
  result w1 7.1 failed
  > settle 7.1 failed
  > lease 7.2 second to w1 attempt 1
  result w1 7.2 completed
  > settle 7.2 completed
  > lease 7.3 late to w1 attempt 1
`,
);

story(
  "gives each job to a worker that offers its platform and keeps the others waiting",
  `
  connect linux slots=2 offers=OSFamily:linux,ISA:x86-64,ISA:avx2
  submit windows needs=OSFamily:windows
  > windows queued
  submit two needs=ISA:avx2,ISA:x86-64
  > two queued
  > lease 7.1 two to linux attempt 1
  submit three needs=ISA:avx2,ISA:avx512
  > three queued
  connect other offers=OSFamily:windows
  > lease 7.2 windows to other attempt 1
`,
);

story(
  "runs a job only in the environments it may run in",
  `
  connect open in=unsandboxed-1
  submit a in=sandbox-1,sandbox-2
  > a queued
  connect closed in=sandbox-2
  > lease 7.1 a to closed attempt 1
`,
);

story(
  "gives an action to a worker whose sandbox grants what it asks for, and to one that refuses it only where none does",
  `
  connect plain slots=9
  submit a needs=memory:2048
  > a queued
  connect small grants=memory:1024,network:none|loopback slots=9
  > lease 7.1 a to small attempt 1
  connect large grants=memory:4096,network:none|host
  submit b needs=memory:2048,network:host
  > b queued
  > lease 7.2 b to large attempt 1
  submit c needs=network:host
  > c queued
  disconnect large
  submit d needs=network:loopback
  > d queued
  > lease 7.3 d to small attempt 1
  submit e needs=cpu:1
  > e queued
`,
);

story(
  "takes a name that a worker offers as a plain property for that, whatever sandboxes grant",
  `
  connect plain offers=cpu:arm
  connect sandboxed grants=cpu:4000
  submit a needs=cpu:arm
  > a queued
  > lease 7.1 a to plain attempt 1
  submit b needs=cpu:2
  > b queued
  > lease 7.2 b to sandboxed attempt 1
`,
);

story(
  "prefers the worker with the larger share of free slots",
  `
  connect w1 slots=2
  connect w2 slots=4
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  submit b
  > b queued
  > lease 7.2 b to w2 attempt 1
  submit c
  > c queued
  > lease 7.3 c to w2 attempt 1
`,
);

story(
  "merges twins, each with its own stages, until the result is kept",
  `
  connect w1
  submit a key=k action=k
  > a queued
  > lease 7.1 k to w1 attempt 1
  submit b key=k action=k
  > b queued
  stage w1 7.1
  > a executing on w1
  > b executing on w1
  submit c key=k action=k
  > c executing on w1
  cancel a
  > finish a: CANCELLED: Asked to
  result w1 7.1 completed
  > settle 7.1 completed
  submit d key=k action=k
  > d executing on w1
  settled 7.1 done
  > accept 7.1 of w1
  > finish b: done
  > finish c: done
  > finish d: done
  submit e key=k action=k
  > e queued
  > lease 7.2 k to w1 attempt 1
`,
);

story(
  "moves a waiting job forward when a more urgent twin joins it",
  `
  submit a key=a priority=1
  > a queued
  submit b key=b priority=2
  > b queued
  submit b2 key=b priority=0
  > b2 queued
  connect w1
  > lease 7.1 b to w1 attempt 1
`,
);

story(
  "never merges jobs without a key",
  `
  connect w1 slots=2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  submit b
  > b queued
  > lease 7.2 b to w1 attempt 1
`,
);

story(
  "stops the work when the last operation is cancelled, and frees the slot only when the worker let go",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  submit b
  > b queued
  cancel a
  > finish a: CANCELLED: Asked to
  > cancel 7.1 on w1: Asked to
  result w1 7.1 cancelled
  > refuse 7.1 of w1
  > lease 7.2 b to w1 attempt 1
  cancel b
  > finish b: CANCELLED: Asked to
  > cancel 7.2 on w1: Asked to
  cancel b
`,
);

story(
  "cancels what nobody has watched for a minute, and keeps what somebody came back to",
  `
  connect w1 slots=2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  submit b
  > b queued
  > lease 7.2 b to w1 attempt 1
  unwatch a
  unwatch b
  wait 20
  beat w1 7.1 7.2
  wait 20
  beat w1 7.1 7.2
  watch b
  wait 20
  > finish a: CANCELLED: Nobody watched the operation for 60 seconds
  > cancel 7.1 on w1: Nobody watched the operation for 60 seconds
`,
);

story(
  "requeues a job whose worker fell silent, and refuses the late result",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  stage w1 7.1
  > a executing on w1
  disconnect w1
  wait 29
  wait 1
  > lost 7.1
  > a queued
  > forget w1
  connect w2
  > lease 7.2 a to w2 attempt 2
  connect w1 live=7.1
  > cancel 7.1 on w1: Control does not know this lease
  result w1 7.1 completed
  > refuse 7.1 of w1
  result w2 7.2 completed
  > settle 7.2 completed
`,
);

story(
  "closes the stream of a worker that sends nothing",
  `
  connect w1
  wait 29
  beat w1
  wait 29
  wait 1
  > close w1#1: DEADLINE_EXCEEDED
  > forget w1
`,
);

story(
  "lets a worker that reconnects with its leases keep them, replacing the old stream",
  `
  connect w1 slots=2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  submit b
  > b queued
  > lease 7.2 b to w1 attempt 1
  stage w1 7.1
  > a executing on w1
  connect w1 slots=2 live=7.1
  > close w1#1: ABORTED
  > lost 7.2
  > lease 7.3 b to w1 attempt 2
  result w1 7.1 completed session=1
  result w1 7.1 completed
  > settle 7.1 completed
`,
);

story(
  "answers a result again whose acknowledgement was missed",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  result w1 7.1 completed
  > settle 7.1 completed
  disconnect w1
  settled 7.1 done
  > finish a: done
  connect w1 live=7.1
  > accept 7.1 of w1
  result w1 7.1 completed
  > accept 7.1 of w1
`,
);

story(
  "does not settle a result twice that is sent twice",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  result w1 7.1 completed
  > settle 7.1 completed
  result w1 7.1 completed
  connect w1 live=7.1
  > close w1#1: ABORTED
  result w1 7.1 completed
  settled 7.1 done
  > accept 7.1 of w1
  > finish a: done
`,
);

story(
  "takes back a lease that heartbeats leave out, after the grace of a lease under way",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  beat w1
  wait 11
  beat w1
  wait 1
  beat w1
  > cancel 7.1 on w1: Heartbeats left the lease out
  > lost 7.1
  > lease 7.2 a to w1 attempt 2
`,
);

story(
  "fills no slot that an unknown lease holds",
  `
  connect w1 slots=2 live=6.5
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  submit b
  > b queued
  beat w1 6.5 7.1
  > cancel 6.5 on w1: Control does not know this lease
  result w1 6.5 cancelled
  > refuse 6.5 of w1
  > lease 7.2 b to w1 attempt 1
`,
);

story(
  "fails a job that took down three workers, with the story and without inviting a retry",
  `
  submit a
  > a queued
  connect w1
  > lease 7.1 a to w1 attempt 1
  stage w1 7.1
  > a executing on w1
  connect w1
  > close w1#1: ABORTED
  > lost 7.1
  > a queued
  > lease 7.2 a to w1 attempt 2
  stage w1 7.2
  > a executing on w1
  connect w1
  > close w1#2: ABORTED
  > lost 7.2
  > a queued
  > lease 7.3 a to w1 attempt 3
  stage w1 7.3
  > a executing on w1
  connect w1
  > close w1#3: ABORTED
  > lost 7.3
  > finish a: FAILED_PRECONDITION: The action was given up after 3 workers were lost while they ran it: attempt 1: worker w1 came back without it; attempt 2: worker w1 came back without it; attempt 3: worker w1 came back without it
`,
);

story(
  "does not blame the action for leases that never arrived, but bounds the attempts",
  `
  submit a
  > a queued
  connect w1
  > lease 7.1 a to w1 attempt 1
  connect w1
  > close w1#1: ABORTED
  > lost 7.1
  > lease 7.2 a to w1 attempt 2
  connect w1
  > close w1#2: ABORTED
  > lost 7.2
  > finish a: UNAVAILABLE: The action was tried 2 times without an end: attempt 1: worker w1 came back without it; attempt 2: worker w1 came back without it
`,
  { maxAttempts: 2 },
);

story(
  "sends a job to another worker after a fault, and to the same after a wait when there is no other",
  `
  connect w1
  connect w2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  result w1 7.1 fault
  > accept 7.1 of w1
  > lease 7.2 a to w2 attempt 2
  stage w2 7.2
  > a executing on w2
  result w2 7.2 fault
  > accept 7.2 of w2
  > a queued
  wait 1
  wait 1
  > lease 7.3 a to w1 attempt 3
  result w1 7.3 fault
  > accept 7.3 of w1
  > finish a: UNAVAILABLE: No worker could run the action, after 3 faults: attempt 1: worker w1 could not do its part: no room; attempt 2: worker w2 could not do its part: no room; attempt 3: worker w1 could not do its part: no room
`,
);

story(
  "waits for another worker that is busy rather than trouble the one that failed",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  connect w2
  submit b
  > b queued
  > lease 7.2 b to w2 attempt 1
  result w1 7.1 fault
  > accept 7.1 of w1
  result w2 7.2 completed
  > settle 7.2 completed
  > lease 7.3 a to w2 attempt 2
`,
);

story(
  "does not blame a job that its worker declined, and leaves the worker alone for a while",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  result w1 7.1 declined
  > accept 7.1 of w1
  wait 2
  wait 1
  > lease 7.2 a to w1 attempt 2
  connect w2
  result w1 7.2 declined
  > accept 7.2 of w1
  > lease 7.3 a to w2 attempt 3
`,
);

story(
  "pauses a worker that swallows one job after the other",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  result w1 7.1 fault
  > accept 7.1 of w1
  submit b
  > b queued
  > lease 7.2 b to w1 attempt 1
  result w1 7.2 fault
  > accept 7.2 of w1
  submit c
  > c queued
  > lease 7.3 c to w1 attempt 1
  result w1 7.3 fault
  > accept 7.3 of w1
  submit d
  > d queued
  wait 1
  > lease 7.4 a to w1 attempt 2
  result w1 7.4 fault
  > accept 7.4 of w1
  wait 1
  wait 1
  > lease 7.5 a to w1 attempt 3
  result w1 7.5 completed
  > settle 7.5 completed
  > lease 7.6 b to w1 attempt 2
`,
);

story(
  "treats a result that cannot be used as a fault of its worker",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  connect w2
  result w1 7.1 completed
  > settle 7.1 completed
  settled 7.1 fault
  > refuse 7.1 of w1
  > lease 7.2 a to w2 attempt 2
`,
);

story(
  "keeps a result although its last operation was cancelled meanwhile",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  result w1 7.1 completed
  > settle 7.1 completed
  cancel a
  > finish a: CANCELLED: Asked to
  settled 7.1 done
  > accept 7.1 of w1
`,
);

story(
  "takes a job away from a worker that holds it long past its timeout",
  `
  connect w1
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  wait 20
  beat w1 7.1
  wait 20
  beat w1 7.1
  wait 20
  beat w1 7.1
  wait 10
  > cancel 7.1 on w1: The action is long past its timeout
  > lost 7.1
  connect w2
  > lease 7.2 a to w2 attempt 2
`,
  { overrunMs: 10_000 },
);

story(
  "refuses more than its queue holds, but not what merges",
  `
  submit a key=a
  > a queued
  submit b key=b
  > b queued
  submit c key=c
  > refuse c: RESOURCE_EXHAUSTED
  submit b2 key=b
  > b2 queued
`,
  { maxQueued: 2 },
);

for (
  const [what, limits] of [
    ["payload bytes", { maxPayloadBytes: 15 }],
    ["operations", { maxOperations: 1 }],
    ["platforms", { maxPlatforms: 1 }],
  ] as const
) {
  story(
    `refuses submissions beyond its limit of ${what}`,
    `
    submit a needs=x:1
    > a queued
    submit b needs=x:2
    > refuse b: RESOURCE_EXHAUSTED
  `,
    limits,
  );
}

story(
  "refuses workers beyond its limit",
  `
  connect w1
  connect w2
  > close w2#2: RESOURCE_EXHAUSTED
`,
  { maxWorkers: 1 },
);

story(
  "remembers a bounded number of finished operations",
  `
  cached a
  cached b
  cached c
  > forget a
  wait 600
  > forget b
  > forget c
`,
  { maxFinished: 2 },
);

story(
  "gives a drained worker no more work, however often it comes back, until it is resumed",
  `
  connect w1 slots=2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  drain w1
  > drain w1
  drain w1
  drain w1 end
  > drain w1 and end it
  submit b
  > b queued
  result w1 7.1 completed
  > settle 7.1 completed
  settled 7.1 done
  > accept 7.1 of w1
  > finish a: done
  connect w1
  > close w1#1: ABORTED
  > drain w1
  disconnect w1
  wait 31
  > forget w1
  connect w1
  > drain w1
  resume w1
  > end the drain of w1
  > lease 7.2 b to w1 attempt 1
  resume w1
`,
);

story(
  "drains a worker before it comes",
  `
  drain w1
  connect w1
  > drain w1
  submit a
  > a queued
  connect w2
  > lease 7.1 a to w2 attempt 1
`,
);

story(
  "lets a worker that said goodbye finish, gives back what it gives back without blame, and forgets it when it left",
  `
  connect w1 slots=2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  submit b
  > b queued
  > lease 7.2 b to w1 attempt 1
  goodbye w1
  goodbye w1
  submit c
  > c queued
  result w1 7.1 completed
  > settle 7.1 completed
  settled 7.1 done
  > accept 7.1 of w1
  > finish a: done
  result w1 7.2 declined
  > accept 7.2 of w1
  disconnect w1
  > forget w1
  connect w2 slots=2
  > lease 7.3 b to w2 attempt 2
  > lease 7.4 c to w2 attempt 1
`,
);

story(
  "keeps a leaving worker that left with leases, which may come back to hand in results",
  `
  connect w1 slots=2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  goodbye w1
  disconnect w1
  connect w1 leaving slots=2 live=7.1
  submit b
  > b queued
  result w1 7.1 completed
  > settle 7.1 completed
  settled 7.1 done
  > accept 7.1 of w1
  > finish a: done
`,
);

story(
  "has a result of before its start kept once, and cancels what still runs from then",
  `
  connect w1 slots=3 live=6.4,6.5,6.6
  submit a
  > a queued
  result w1 6.4 completed
  > salvage 6.4 of w1
  > lease 7.1 a to w1 attempt 1
  result w1 6.4 completed
  beat w1 6.4 6.5 6.6 7.1
  > cancel 6.5 on w1: Control does not know this lease
  > cancel 6.6 on w1: Control does not know this lease
  salvaged w1 6.4 kept
  > accept 6.4 of w1
  result w1 6.4 completed
  > accept 6.4 of w1
  result w1 6.5 cancelled
  > refuse 6.5 of w1
  result w1 6.6 failed
  > refuse 6.6 of w1
`,
);

story(
  "refuses late results of leases that it took back itself, and more old ones than it can keep at once",
  `
  connect w1 slots=2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  beat w1 7.1
  connect w1 slots=2
  > close w1#1: ABORTED
  > lost 7.1
  > lease 7.2 a to w1 attempt 2
  result w1 7.1 completed
  > refuse 7.1 of w1
  result w1 9.1 completed
  > refuse 9.1 of w1
  result w1 6.1 completed
  > salvage 6.1 of w1
  result w1 6.2 completed
  > refuse 6.2 of w1
  salvaged w1 6.1 no
  > refuse 6.1 of w1
`,
  { maxSalvages: 1 },
);

story(
  "lets running work end on shutdown, fails what waits, and on abort fails the rest",
  `
  connect w1 slots=2
  submit a
  > a queued
  > lease 7.1 a to w1 attempt 1
  submit b
  > b queued
  > lease 7.2 b to w1 attempt 1
  submit c
  > c queued
  shutdown
  > finish c: UNAVAILABLE: The control plane is shutting down; run the action again
  submit d
  > refuse d: UNAVAILABLE
  result w1 7.1 completed
  > settle 7.1 completed
  shutdown abort
  > finish b: UNAVAILABLE: The control plane is shutting down; run the action again
  > cancel 7.2 on w1: Control is shutting down
  settled 7.1 done
  > accept 7.1 of w1
  > finish a: done
`,
);

Deno.test("Scheduler explains what an operation waits for", () => {
  const tale = new Story();
  const why = (name: string) => tale.scheduler.operation(name as OperationName)?.waitingFor;
  tale.tell(`
    submit a needs=OSFamily:windows
    > a queued
  `);
  assertEquals(why("a"), "No worker is connected");
  tale.tell(`
    connect w1 offers=OSFamily:linux
    connect w2 offers=OSFamily:macos
    submit b needs=Pool:gpu
    > b queued
    submit c needs=OSFamily:linux
    > c queued
    > lease 7.1 c to w1 attempt 1
    submit d needs=OSFamily:linux
    > d queued
  `);
  assertEquals(why("a"), "No connected worker offers OSFamily=windows; offered are linux, macos");
  assertEquals(why("b"), "No connected worker offers Pool=gpu; none offers any Pool");
  assertEquals(why("c"), undefined);
  assertEquals(why("d"), "All matching workers are busy");
  assertEquals(tale.scheduler.unmatched().map(({ jobs }) => jobs), [1, 1]);
});

Deno.test("Scheduler makes a job that wants no new run such a one when a twin does", () => {
  const scheduler = new Scheduler<string, string, string>(1);
  const worker = "w" as WorkerId;
  const submit = (operation: string, fresh: boolean) =>
    void scheduler.step({
      type: "submit",
      operation: operation as OperationName,
      twinKey: "key",
      platform: [],
      priority: 0,
      timeoutMs: 1000,
      fresh,
      sizeBytes: 10,
      payload: "",
    }, 0);
  submit("a", false);
  const spec = { id: worker, platform: [], slots: 1, environment: "test-1" };
  scheduler.step({ type: "connect", session: 1, worker: spec, liveLeases: [] }, 0);
  submit("b", true);
  submit("c", false);
  const [leaseId] = scheduler.worker(worker, 0)?.leases ?? [];
  const outcome = "completed";
  const result = { type: "result", session: 1, worker, leaseId, outcome, why: "", result: "" } as const;
  const effects = scheduler.step(result, 0);
  assertEquals(effects.map((effect) => effect.type === "settle" && effect.fresh), [true]);
});

import { assert, assertEquals, assertRejects } from "@std/assert";
import { testUnless } from "../_skip.ts";
import { choosePackage, type KernelOrReason, prepareKernel } from "./kernel.ts";
import { explain, kvmWorks, Machine, machineReason, makeExt4Image } from "./machine.ts";
import { runSuite, type SuiteEntry } from "./suite.ts";

/**
 * What runs in the machine. A new suite is a line here; keep the sum below three minutes. Tests that only make sense
 * in there belong in `guest/`, see `guest/_guest.ts`.
 */
const SUITE: readonly SuiteEntry[] = [
  { files: ["tests/vm/guest"], as: "root" },
  { files: ["tests/vm/guest"], as: "user" },
  // What is pure is tested where it is quick.
  { files: ["sandbox/cgroup/open_test.ts", "sandbox/cgroup/delegated_test.ts"], as: "root" },
  { files: ["sandbox/cgroup/open_test.ts", "sandbox/cgroup/disks_test.ts"], as: "user" },
  { files: ["sandbox/sandbox_test.ts"], as: "root", timeLimitSeconds: 400 },
  { files: ["sandbox/sandbox_test.ts"], as: "user", timeLimitSeconds: 400 },
  // Its workers run as root and as a plain user; of the attacks those that meet control groups.
  { files: ["tests/evil"], as: "root", filter: "No attack succeeds", timeLimitSeconds: 900 },
];

/** A release line such as 6.1 or 6.12; default the newest that apt's sources name. */
const KERNEL = Deno.env.get("BROKKR_TEST_KERNEL");
/** `kvm` tries the processor's own virtualization first; it hangs on some hosts that claim to have it. */
const TRY_KVM = Deno.env.get("BROKKR_TEST_ACCELERATOR") === "kvm";

const hostReason = await machineReason();
const prepared: KernelOrReason = hostReason === undefined
  ? await prepareKernel(KERNEL)
  : { reason: hostReason };
const reason = "reason" in prepared ? prepared.reason : undefined;

function kernel() {
  if ("reason" in prepared) throw new Error(prepared.reason);
  return prepared.kernel;
}

testUnless(reason, "The suite passes on a kernel of its own with every cgroup v2 controller", async (t) => {
  const accelerator = TRY_KVM && await kvmWorks(kernel()) ? "kvm" : "tcg";
  const { entries, end } = await runSuite(kernel(), SUITE, accelerator);
  console.log(`${kernel().version} (${accelerator}), ${(end.wallMs / 1000).toFixed(1)} s in all`);
  for (const { entry, tests, problem, seconds } of entries) {
    const label = `${entry.files.join(" ")} as ${entry.as}`;
    console.log(`${label}: ${tests.length} tests in ${seconds.toFixed(1)} s`);
    for (const { file, name, state, message } of tests) {
      await t.step({
        name: `as ${entry.as}, ${file.replace(/^\.\//, "")}: ${name}`,
        ignore: state === "ignored",
        fn: () => assert(state === "passed", message),
      });
    }
    await t.step(`${label}: all of it ran`, () => assertEquals(problem, undefined, problem));
  }
});

testUnless(
  reason,
  "A machine killed in mid-load leaves an ext4 disk that the next one can read",
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "brokkr_disk_" });
    try {
      const scratchImage = `${directory}/ext4`;
      await makeExt4Image(scratchImage, 256);
      const command = "cd /run/scratch; echo kept >synced; sync; echo ready; while :; do date >>busy; done";
      const common = { kernel: kernel(), scratchImage, memoryMiB: 512, timeLimitMs: 120_000 };
      {
        await using machine = await Machine.start({ ...common, command });
        await machine.waitFor("ready\n");
        const end = await machine.kill();
        assertEquals(end.status, undefined, explain(end));
        assert(!end.timedOut, explain(end));
      }
      await using machine = await Machine.start({ ...common, command: "cat /run/scratch/synced; exit 7" });
      const end = await machine.done;
      assertEquals(end.status, 7, explain(end));
      assertEquals(end.output, "kept\n", explain(end));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

testUnless(reason, "A machine beyond its time limit is killed", async () => {
  await using machine = await Machine.start({
    kernel: kernel(),
    command: "sleep 1000",
    memoryMiB: 512,
    timeLimitMs: 2_000,
  });
  const end = await machine.done;
  assert(end.timedOut && end.status === undefined, explain(end));
  await assertRejects(() => machine.waitFor("anything"), Error, "killed by its time limit");
});

Deno.test("explain says how a machine ended, and what it and its console wrote last", () => {
  const lines = Array.from({ length: 100 }, (_, i) => `line ${i}`).join("\n");
  const end = { status: undefined, output: "written\n", console: lines, timedOut: true, wallMs: 1234 };
  const message = explain(end);
  assert(message.startsWith("The machine was killed by its time limit after 1.2 s\n"), message);
  assert(
    message.includes("written") && message.endsWith("line 99") && !message.includes("line 9\n"),
    message,
  );
  assert(explain({ ...end, timedOut: false }).startsWith("The machine ended before its command did"));
  assert(explain({ ...end, timedOut: false, status: 3 }).startsWith("The machine's command ended with 3"));
});

Deno.test("choosePackage takes the newest kernel, or the one of a release line", () => {
  const madison =
    " linux-image-amd64 | 6.12.9-1~bpo12+1 | http://mirror bookworm-backports/main amd64 Packages\n" +
    " linux-image-amd64 | 6.1.192-2 | http://mirror bookworm-security/main amd64 Packages\n";
  const show = "Package: linux-image-amd64\nVersion: 6.1.192-2\n" +
    "Depends: linux-image-6.1.0-56-amd64 (= 6.1.192-2)\n\n" +
    "Package: linux-image-amd64\nVersion: 6.12.9-1~bpo12+1\n" +
    "Depends: linux-image-6.12.9+bpo-amd64 (= 6.12.9-1~bpo12+1)\n";
  const old = { name: "linux-image-6.1.0-56-amd64", version: "6.1.192-2" };
  const young = { name: "linux-image-6.12.9+bpo-amd64", version: "6.12.9-1~bpo12+1" };
  assertEquals(choosePackage(madison, show, undefined), young);
  assertEquals(choosePackage(madison, show, "6.1"), old);
  assertEquals(choosePackage(madison, show, "6.12"), young);
  assertEquals(choosePackage(madison, show, "5.10"), undefined);
  assertEquals(choosePackage("", "", undefined), undefined);
});

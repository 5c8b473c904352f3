import { assert, assertEquals, assertMatch } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { checkCgroups } from "./_host_cgroups.ts";
import { checkArchitecture, checkKernel, kernelAtLeast } from "./_host_kernel.ts";
import { attempt } from "./_host_probe.ts";
import { checkClock, checkIds, missingCapabilities } from "./_host_resources.ts";
import { mountOf } from "./_host_storage.ts";
import { exists, TestDir } from "./_testing.ts";
import type { Cgroups } from "./cgroup/mod.ts";
import { checkHost } from "./host_check.ts";
import { type Finding, hostReport, isFunctional } from "./host_finding.ts";

for (
  const [release, needs, good] of [
    ["6.1.0-18-amd64", "5.12", true],
    ["5.12.0", "5.12", true],
    ["5.4.0-150-generic", "5.12", false],
    ["5.100", "5.12", true],
    ["4.19.0", "5.12", false],
    ["10.0", "9.9", true],
    ["nonsense", "5.12", false],
  ] as const
) {
  Deno.test(`Linux ${release} is ${good ? "" : "not "}at least ${needs}`, () => {
    assertEquals(kernelAtLeast(release, needs), good);
  });
}

Deno.test("A worker that is root needs a newer kernel, and is told of the way around that", () => {
  assertEquals(checkKernel("5.15.0", false).level, "OK");
  const asRoot = checkKernel("5.15.0", true);
  assertEquals([asRoot.level, asRoot.kernel], ["FAIL", "5.19"]);
  assertMatch(asRoot.remedy ?? "", /ordinary user/);
  assertEquals(checkKernel("5.4.0", false).level, "FAIL");
  assertEquals(checkKernel("5.19.0", true).level, "OK");
});

Deno.test("Machines for which there are no programs fail", () => {
  assertEquals(checkArchitecture("linux", "aarch64").level, "OK");
  assertEquals(checkArchitecture("linux", "riscv64").level, "FAIL");
  assertEquals(checkArchitecture("darwin", "aarch64").level, "FAIL");
});

Deno.test("Capabilities that are missing are named", () => {
  assertEquals(missingCapabilities("000001ffffffffff"), []);
  // What a container's root has.
  assertEquals(missingCapabilities("00000000a80425fb"), ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"]);
});

const ALL = "         0          0 4294967295";

for (
  const [what, uidMap, passwd, level] of [
    ["ids that nobody has", ALL, "root:x:0:0::/root:/bin/sh\n", "OK"],
    ["ids of a user", ALL, "smith:x:1900000001:1::/:/bin/sh\n", "WARN"],
    ["the id after the last", ALL, "smith:x:1900000002:1::/:/bin/sh\n", "OK"],
    ["ids that a container has not", "0 100000 65536", "", "WARN"],
    ["half of the ids", "0 0 1\n5 1900000000 1\n1900000000 7 1", "", "WARN"],
    ["a range of its own", "0 0 1\n1900000000 7 2", "", "OK"],
  ] as const
) {
  Deno.test(`Slots with ${what} are ${level}`, () => {
    assertEquals(checkIds({ uidMap, passwd }, 1_900_000_000, 2).finding.level, level);
  });
}

Deno.test("A path belongs to the innermost mount, and of two to the one on top", () => {
  const info = [
    "1 0 8:1 / / rw,relatime - ext4 /dev/sda rw",
    "2 1 8:2 / /var/lib rw,noexec - xfs /dev/sdb rw",
    "3 1 8:3 / /var/lib rw shared:1 master:2 - btrfs /dev/sdc rw",
    "4 1 8:3 / /with\\040space rw - tmpfs none rw",
    "",
  ].join("\n");
  assertEquals(mountOf("/var/lib/brokkr", info), { path: "/var/lib", type: "btrfs", options: ["rw"] });
  assertEquals(mountOf("/var/library", info)?.type, "ext4");
  assertEquals(mountOf("/with space/x", info)?.type, "tmpfs");
  assertEquals(mountOf("/x", ""), undefined);
});

Deno.test("A clock that was never set is noticed", () => {
  assertEquals(checkClock(0).level, "WARN");
  assertEquals(checkClock(Date.UTC(2030, 0)).level, "OK");
});

Deno.test("A missing controller warns with its consequence and remedy; without groups there is one warning", () => {
  const cgroups: Cgroups = {
    version: "v2",
    controllers: new Set(["memory", "pids", "cpu"]),
    missing: [{ controller: "io", consequence: "Disks are shared", remedy: "Delegate=io" }],
    create: () => {
      throw new Error("not asked for");
    },
    [Symbol.dispose]() {},
  };
  const findings = checkCgroups(() => cgroups, true);
  assertEquals(findings.map(({ id, level }) => `${id} ${level}`), [
    "cgroups OK",
    "cgroup-memory OK",
    "cgroup-pids OK",
    "cgroup-cpu OK",
    "cgroup-io WARN",
  ]);
  assertEquals(findings[4].remedy, "Delegate=io");
  const none = checkCgroups(() => {
    throw new BrokkrError(Code.FAILED_PRECONDITION, "No group can be made");
  }, false);
  assertEquals(none.map(({ level, found }) => [level, found]), [["WARN", "No group can be made"]]);
});

Deno.test("An attempt names the step that failed, in a child too", async () => {
  assertEquals(await attempt(() => {}), undefined);
  const wrong = { step: "chdir /nowhere/at/all", reason: "ENOENT" };
  const fail = (steps: Parameters<Parameters<typeof attempt>[0]>[0]) =>
    steps.builder.call("chdir", [steps.builder.string("/nowhere/at/all")], { name: "chdir /nowhere/at/all" });
  assertEquals(await attempt(fail), wrong);
  assertEquals(
    await attempt((steps) => {
      steps.inChild();
      fail(steps);
    }),
    wrong,
  );
});

Deno.test("A report shows control characters of the host's files and never obeys them", () => {
  const finding: Finding = { id: "x", requirement: "X", level: "OK", found: "a\x1b[2Jb" };
  assertEquals(hostReport([finding]).split("\n")[0], "OK    X  a\\u001b[2Jb");
  assert(hostReport([finding], { colour: true }).startsWith("\x1b[32mOK  \x1b[0m  X"));
});

Deno.test("Checking this host leaves nothing in the data directory, and makes none", async () => {
  using dir = new TestDir();
  const missing = dir.file("not/there/yet");
  const findings = await checkHost({ dataDir: missing });
  assertEquals(exists(dir.file("not")), false);
  assertEquals([...Deno.readDirSync(dir.path)], []);
  const ids = findings.map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length);
  for (const { level, meaning, remedy, requirement } of findings) {
    assertEquals([meaning === undefined, remedy === undefined], Array(2).fill(level === "OK"), requirement);
  }
});

Deno.test("A data directory that cannot be written fails", async () => {
  const findings = await checkHost({ dataDir: "/proc/nothing/can/be/here" });
  const found = findings.find(({ id }) => id === "data-directory");
  assertEquals(found?.level, "FAIL");
  assert(!isFunctional(findings));
});

/** Checks the host from within namespaces made by unshare(1), after `before` was done there. */
async function checkedWithin(before: string): Promise<Map<string, Finding>> {
  using dir = new TestDir();
  const script = `import { checkHost } from ${JSON.stringify(import.meta.resolve("./host_check.ts"))};
    console.log(JSON.stringify(await checkHost({ dataDir: ${JSON.stringify(dir.path)} })));`;
  Deno.writeTextFileSync(dir.file("check.ts"), script);
  const config = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);
  const run = ["run", "-A", "--quiet", "--no-check", "--no-lock", `--config=${config}`, dir.file("check.ts")];
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["-Urmpf", "sh", "-ec", `${before}\nexec "$0" "$@"`, Deno.execPath(), ...run],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const findings: Finding[] = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(isFunctional(findings), false);
  return new Map(findings.map((finding) => [finding.id, finding]));
}

const unshareWorks = await new Deno.Command("unshare", { args: ["-Urmpf", "true"], stderr: "null" }).output()
  .then(({ success }) => success, () => false);

for (
  const [what, before, id, remedy] of [
    [
      "no user namespaces",
      "echo 0 > /proc/sys/user/max_user_namespaces",
      "user-namespaces",
      "sysctl -w user.max_user_namespaces=15000",
    ],
    [
      "no network namespaces",
      "echo 0 > /proc/sys/user/max_net_namespaces",
      "network-namespaces",
      "sysctl -w user.max_net_namespaces=15000",
    ],
    [
      "parts of /proc hidden",
      "mount -t proc proc /proc; mount -t tmpfs none /proc/irq",
      "proc",
      "docker run --security-opt systempaths=unconfined, or podman run --security-opt unmask=ALL; in a systemd unit: no " +
      "ProtectKernelTunables, ProtectKernelLogs or ProcSubset",
    ],
  ] as const
) {
  Deno.test({
    name: `A host with ${what} fails, and is told what mends that (unshare(1) is needed)`,
    ignore: !unshareWorks,
    fn: async () => {
      const found = (await checkedWithin(before)).get(id);
      assertEquals([found?.level, found?.remedy], ["FAIL", remedy]);
    },
  });
}

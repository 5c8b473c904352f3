import { assert, assertEquals, assertThrows } from "@std/assert";
import { asRoot, guestTest, machine, sh } from "./_guest.ts";

/** The cgroup this test runs in, which is its to divide. */
function ownCgroup(): string {
  const path = /^0::(.*)$/m.exec(Deno.readTextFileSync("/proc/self/cgroup"))?.[1];
  return `/sys/fs/cgroup${path}`;
}

function words(path: string): string[] {
  return Deno.readTextFileSync(path).trim().split(" ");
}

guestTest("The kernel is the one that was asked for", () => {
  const release = Deno.osRelease();
  console.log(`Linux ${release}, ${machine}`);
  assertEquals(machine?.startsWith(`linux-image-${release}_`), true, release);
});

guestTest("Root is root, and the account without privileges has none", async () => {
  assertEquals(Deno.uid(), asRoot ? 0 : 4242);
  const { text } = await sh("grep -E '^Cap(Eff|Prm|Amb)' /proc/self/status | cut -f 2 | sort -u; id -G");
  if (asRoot) assert(text.startsWith("0000000000000000\n000001ff"), text);
  else assertEquals(text, "0000000000000000\n4242");
});

guestTest("cgroup v2 has every controller here, and namespaces delegate", () => {
  const controllers = words(`${ownCgroup()}/cgroup.controllers`);
  for (const controller of ["cpu", "cpuset", "io", "memory", "pids"]) {
    assert(controllers.includes(controller), controllers.join());
  }
  assert(/^cgroup2 \/sys\/fs\/cgroup cgroup2 .*\bnsdelegate\b/m.test(Deno.readTextFileSync("/proc/mounts")));
});

guestTest("The cgroup is delegated: groups below it can be made, limited and joined", async () => {
  const own = ownCgroup();
  assert(own.startsWith("/sys/fs/cgroup/system.slice/"), own);
  assertEquals(words(`${own}/cgroup.procs`), [String(Deno.pid)], "somebody else is in the group");
  const script =
    `cd ${own}; mkdir leaf work; for pid in $(cat cgroup.procs); do echo $pid >leaf/cgroup.procs || true; done
    echo '+cpu +memory +pids +io' >cgroup.subtree_control
    echo 64M >work/memory.max; echo 50 >work/pids.max; echo '50000 100000' >work/cpu.max
    echo 0 >work/cgroup.procs; cat /proc/self/cgroup; echo $$ >leaf/cgroup.procs
    cat work/memory.max work/pids.max work/cpu.max; rmdir work`;
  const { code, text } = await sh(script);
  assertEquals(code, 0, text);
  assertEquals(text.split("\n").slice(-3), [String(64 << 20), "50", "50000 100000"]);
  // Back as it was, for the next test.
  const back = `cd ${own}; echo '-cpu -memory -pids -io' >cgroup.subtree_control
    for pid in $(cat leaf/cgroup.procs); do echo $pid >cgroup.procs || true; done; rmdir leaf`;
  const restored = await sh(back);
  assertEquals(restored.code, 0, restored.text);
  if (!asRoot) {
    assertThrows(() => Deno.writeTextFileSync(`${own}/memory.max`, "max"), Deno.errors.PermissionDenied);
    assertThrows(() => Deno.mkdirSync("/sys/fs/cgroup/mine"), Deno.errors.PermissionDenied);
  }
});

guestTest("A memory limit is enforced", async () => {
  const own = ownCgroup();
  const script =
    `cd ${own}; mkdir leaf work; for pid in $(cat cgroup.procs); do echo $pid >leaf/cgroup.procs || true; done
    echo +memory >cgroup.subtree_control; echo 16M >work/memory.max; echo 0 >work/memory.swap.max
    head -c 48M /dev/urandom | sh -c 'echo 0 >work/cgroup.procs; exec tail -c 40M' >/dev/null || echo status $?
    grep '^oom_kill ' work/memory.events; rmdir work
    echo -memory >cgroup.subtree_control
    for pid in $(cat leaf/cgroup.procs); do echo $pid >cgroup.procs || true; done; rmdir leaf`;
  const { code, text } = await sh(script);
  assertEquals(code, 0, text);
  assertEquals(text, "status 137\noom_kill 1");
});

guestTest("Namespaces of every kind can be made by anybody who makes a user namespace first", async () => {
  const { code, text } = await sh(
    "unshare --user --map-root-user --mount --pid --fork --net --ipc --uts --cgroup --time --mount-proc " +
      "sh -c 'id -u; echo $$; mount -t tmpfs tmpfs /mnt; hostname inside; hostname'",
  );
  assertEquals(code, 0, text);
  assertEquals(text, "0\n1\ninside");
});

guestTest("An overlay can be mounted in a user namespace, with its upper layer on tmpfs", async () => {
  const { code, text } = await sh(
    "unshare --user --map-root-user --mount sh -euc 'mount -t tmpfs tmpfs /mnt; cd /mnt; mkdir lower upper work merged; " +
      "echo below >lower/file; mount -t overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work overlay merged; " +
      "cat merged/file; echo above >merged/file; cat lower/file upper/file'",
  );
  assertEquals(code, 0, text);
  assertEquals(text, "below\nbelow\nabove");
});

guestTest(
  "The scratch disk is ext4, written by anybody, and its device is known to the io controller",
  async () => {
    assert(/^\/dev\/vda \/run\/scratch ext4 rw/m.test(Deno.readTextFileSync("/proc/mounts")));
    const directory = Deno.makeTempDirSync({ dir: "/run/scratch" });
    Deno.writeTextFileSync(`${directory}/file`, "written");
    assertEquals(Deno.readTextFileSync(`${directory}/file`), "written");
    Deno.removeSync(directory, { recursive: true });
    assertEquals(
      (await sh("cat /sys/block/vda/dev; swapon --show=NAME --noheadings")).text,
      "254:0\n/dev/vdb",
    );
  },
);

guestTest("seccomp filters, FUSE and loopback are there", async () => {
  assert(words("/proc/sys/kernel/seccomp/actions_avail").includes("kill_process"));
  using _ = Deno.openSync("/dev/fuse", { read: true, write: true });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  using server = await listener.accept();
  await server.write(new Uint8Array([7]));
  const got = new Uint8Array(1);
  await client.read(got);
  assertEquals(got[0], 7);
});

guestTest("The host's files cannot be changed", async () => {
  const here = import.meta.filename;
  assertThrows(() => Deno.writeTextFileSync(`/run/host${here}`, "", { append: true }));
  if (asRoot) Deno.writeTextFileSync("/etc/brokkr-was-here", "only in the overlay");
  assertEquals((await sh("test ! -e /run/host/etc/brokkr-was-here")).code, 0);
});

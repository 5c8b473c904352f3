import { assert, assertEquals } from "@std/assert";
import { diskOf, mountSource } from "./disks.ts";

const MOUNTINFO = "21 1 0:20 / / rw shared:1 - btrfs /dev/nvme0n1p2 rw,subvol=/root\n" +
  "22 21 0:21 / /tmp rw - tmpfs tmpfs rw\n" +
  "23 21 8:17 / /data rw - ext4 /dev/sdb1 rw\n" +
  "24 21 8:33 / /data rw - ext4 /dev/sdc1 rw\n";

Deno.test("mountSource finds what is mounted deepest, and last, above a path", () => {
  const cases = [
    ["/home/x", "/dev/nvme0n1p2"],
    ["/", "/dev/nvme0n1p2"],
    ["/tmp/a", "tmpfs"],
    ["/tmpx", "/dev/nvme0n1p2"],
    ["/data", "/dev/sdc1"],
    ["/data/a/b", "/dev/sdc1"],
  ];
  for (const [path, source] of cases) assertEquals(mountSource(path, MOUNTINFO), source, path);
  assertEquals(mountSource("/x", ""), undefined);
});

Deno.test("diskOf finds no disk under /proc, and a whole one where it finds any", async () => {
  assertEquals(diskOf("/proc"), undefined);
  const disk = diskOf(new URL(".", import.meta.url).pathname);
  if (disk === undefined) return;
  const place = `/sys/dev/block/${disk.major}:${disk.minor}`;
  const names = (await Array.fromAsync(Deno.readDir(`${place}/`))).map(({ name }) => name);
  assert(names.includes("size") && !names.includes("partition"), `${place} has ${names}`);
});

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { findPlaces, parseCgroupMounts, parseMemberships } from "./proc_files.ts";

const HYBRID = {
  memberships:
    "9:name=systemd:/\n8:pids:/\n7:blkio:/\n6:freezer:/\n5:devices:/\n4:memory:/tool/4781\n3:cpuset:/\n" +
    "2:cpuacct:/\n1:cpu:/\n0::/\n",
  mountinfo: "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n" +
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n" +
    "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n" +
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" +
    "37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n" +
    "38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n" +
    "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n" +
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n" +
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
};

function shown(memberships: string, mountinfo: string): { places: string[]; problems: readonly string[] } {
  const { places, problems } = findPlaces(parseMemberships(memberships), parseCgroupMounts(mountinfo));
  return {
    places: places.map(({ version, controllers, mountPoint, ownPath }) =>
      `${version} ${controllers.join(",")} ${mountPoint} ${ownPath}`
    ),
    problems,
  };
}

const CASES = [
  {
    name: "a hybrid machine has both versions, the second first",
    ...HYBRID,
    places: [
      "v2  /sys/fs/cgroup/unified /",
      "v1 pids /sys/fs/cgroup/pids /",
      "v1 blkio /sys/fs/cgroup/blkio /",
      "v1 freezer /sys/fs/cgroup/freezer /",
      "v1 memory /sys/fs/cgroup/memory /tool/4781",
      "v1 cpuacct /sys/fs/cgroup/cpuacct /",
      "v1 cpu /sys/fs/cgroup/cpu /",
    ],
  },
  {
    name: "a machine of version 2 with a user's session",
    memberships: "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-u3.scope\n",
    mountinfo:
      "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    places: ["v2  /sys/fs/cgroup /user.slice/user-1000.slice/user@1000.service/app.slice/run-u3.scope"],
  },
  {
    name: "controllers that are mounted together are one hierarchy, wherever links point",
    memberships:
      "4:cpu,cpuacct:/system.slice/b.service\n3:memory:/system.slice/b.service\n0::/system.slice/b.service\n",
    mountinfo: "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n" +
      "31 25 0:27 / /sys/fs/cgroup/memory rw shared:6 master:1 - cgroup cgroup rw,memory\n",
    places: [
      "v1 cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct /system.slice/b.service",
      "v1 memory /sys/fs/cgroup/memory /system.slice/b.service",
    ],
  },
  {
    name: "a container that has only its own group mounted",
    memberships: "0::/docker/abc/inner\n",
    mountinfo: "900 890 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
    places: ["v2  /sys/fs/cgroup /inner"],
  },
  {
    name: "a group that is what is mounted is the top",
    memberships: "0::/docker/abc\n",
    mountinfo: "900 890 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
    places: ["v2  /sys/fs/cgroup /"],
  },
  {
    name: "a group with a similar name is another one",
    memberships: "0::/docker/abcd\n",
    mountinfo: "900 890 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
    places: [],
    problems: [
      "This process's group /docker/abcd (version 2) is not beneath what is mounted at /sys/fs/cgroup",
    ],
  },
  {
    name: "a group outside of the namespace cannot be reached",
    memberships: "0::/../other\n",
    mountinfo: "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    places: [],
    problems: ["This process's group /../other (version 2) is not beneath what is mounted at /sys/fs/cgroup"],
  },
  {
    name: "of two mounts the one that shows more is taken",
    memberships: "0::/a/b\n",
    mountinfo: "1 0 0:30 /a /part rw - cgroup2 cgroup2 rw\n2 0 0:30 / /whole rw - cgroup2 cgroup2 rw\n",
    places: ["v2  /whole /a/b"],
  },
  {
    name: "colons in paths, and blanks in mount points",
    memberships: "4:memory:/a:b:c\n",
    mountinfo: "1 0 0:30 / /my\\040groups rw - cgroup cgroup rw,memory\n",
    places: ["v1 memory /my groups /a:b:c"],
  },
  {
    name: "what is not mounted is said",
    memberships: "4:memory:/\n3:cpuset:/\n",
    mountinfo: "",
    places: [],
    problems: ["The control group hierarchy memory is not mounted"],
  },
];

for (const { name, memberships, mountinfo, places, problems = [] } of CASES) {
  Deno.test(`findPlaces: ${name}`, () => {
    assertEquals(shown(memberships, mountinfo), { places, problems });
  });
}

Deno.test("findPlaces never throws and never leaves the mount, whatever /proc says", () => {
  const line = fc.array(
    fc.constantFrom("0", "4", ":", "/", "..", "memory", "cpu,cpuacct", " ", "-", "cgroup2", "x"),
  );
  const text = fc.array(line.map((parts) => parts.join("")), { maxLength: 8 }).map((lines) =>
    lines.join("\n")
  );
  fc.assert(fc.property(text, text, (memberships, mountinfo) => {
    const all = `${mountinfo}\n35 24 0:30 / /m rw - cgroup2 c rw\n36 24 0:31 / /n rw - cgroup c rw,memory\n`;
    for (const { ownPath } of findPlaces(parseMemberships(memberships), parseCgroupMounts(all)).places) {
      assertEquals(ownPath.startsWith("/") && !ownPath.split("/").includes(".."), true);
    }
  }));
});

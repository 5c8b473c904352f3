import { assertEquals } from "@std/assert";
import { chooseV2Ground, leafBase } from "./v2_home.ts";

const CASES = [
  // A user's scope or service: what was delegated to it.
  { own: "/u/run.scope", root: false, delegated: true, trueRoot: true, base: "/m/u/run.scope", leaf: true },
  // Not said to be delegated, but perhaps it is: trying tells.
  {
    own: "/u/term.scope",
    root: false,
    delegated: false,
    trueRoot: true,
    base: "/m/u/term.scope",
    leaf: true,
  },
  // Root's unit with Delegate=yes.
  {
    own: "/system.slice/w.service",
    root: true,
    delegated: true,
    trueRoot: true,
    base: "/m/system.slice/w.service",
    leaf: true,
  },
  // Root's login: a group of our own at the top, and systemd's are left alone.
  {
    own: "/user.slice/session-3.scope",
    root: true,
    delegated: false,
    trueRoot: true,
    base: "/m",
    leaf: false,
  },
  // No systemd at all.
  { own: "/", root: true, delegated: false, trueRoot: true, base: "/m", leaf: false },
  // A container with a namespace: its top is no real one, and must be empty to hand controllers on.
  { own: "/", root: true, delegated: false, trueRoot: false, base: "/m", leaf: true },
  { own: "/init", root: true, delegated: false, trueRoot: false, base: "/m/init", leaf: true },
  // Started by a process of ours that has stepped aside.
  {
    own: "/u/run.scope/brokkr-up/worker",
    root: false,
    delegated: false,
    trueRoot: true,
    base: "/m/u/run.scope",
    leaf: false,
  },
  { own: "/brokkr-up/worker", root: false, delegated: false, trueRoot: false, base: "/m", leaf: false },
];

for (const { own, root, delegated, trueRoot, base, leaf } of CASES) {
  const who = `${root ? "root" : "a user"} in ${own}${delegated ? ", delegated" : ""}`;
  Deno.test(`chooseV2Ground: ${who}, below a ${trueRoot ? "real" : "namespace's"} top`, () => {
    const place = { version: "v2", controllers: [], mountPoint: "/m", ownPath: own } as const;
    const ground = chooseV2Ground({ place, root, delegated, trueRoot });
    assertEquals([ground.basePath, ground.leaf], [base, leaf]);
  });
}

Deno.test("leafBase takes only leaves of workers for such", () => {
  assertEquals(leafBase("/a/brokkr-x.1/worker"), "/a");
  assertEquals(leafBase("/brokkr-x/worker"), "/");
  for (
    const other of [
      "/a/worker",
      "/a/b/worker",
      "/brokkr-x/action-1",
      "/worker",
      "/",
      "/brokkr-x/worker/deeper",
    ]
  ) {
    assertEquals(leafBase(other), undefined, other);
  }
});

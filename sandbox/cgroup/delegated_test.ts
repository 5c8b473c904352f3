import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { AT_FDCWD } from "../linux.ts";
import { destroyGroup } from "./group_tree.ts";
import { lookAtMachine } from "./_testing.ts";
import { findPlaces, parseCgroupMounts, parseMemberships, pathAt } from "./proc_files.ts";

const USER = 54321;
const machine = lookAtMachine();
const skip = machine.unavailable ??
  (machine.version !== "v2" ? "the controllers here are of version 1" : undefined) ??
  (Deno.uid() !== 0 ? "only root can delegate to another user" : undefined);

/** That user's copy of deno and of the code. */
class Home implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "brokkr_delegated_" });

  async furnish(): Promise<this> {
    await Deno.copyFile(Deno.execPath(), `${this.path}/deno`);
    await Deno.chmod(`${this.path}/deno`, 0o755);
    const config = { imports: { "@brokkr/common": "./common/mod.ts" } };
    await Deno.writeTextFile(`${this.path}/deno.json`, JSON.stringify(config));
    for (const folder of ["common", "sandbox", "sandbox/cgroup", "sandbox/cgroup/testdata"]) {
      await Deno.mkdir(`${this.path}/${folder}`);
      for await (const { name } of Deno.readDir(new URL(`../../${folder}`, import.meta.url))) {
        if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
        await Deno.copyFile(
          new URL(`../../${folder}/${name}`, import.meta.url),
          `${this.path}/${folder}/${name}`,
        );
      }
    }
    await Deno.chown(this.path, USER, USER);
    return this;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** A group that is delegated to another user as systemd does it. */
class Delegated implements Disposable {
  readonly path: string;
  readonly #home: Home;
  readonly #top: string;
  readonly #name = `test-delegated-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;

  constructor(home: Home, controllers: readonly string[], handOver = true) {
    this.#home = home;
    const read = (name: string) => Deno.readTextFileSync(`/proc/self/${name}`);
    const { places } = findPlaces(parseMemberships(read("cgroup")), parseCgroupMounts(read("mountinfo")));
    const place = places.find(({ version }) => version === "v2");
    assert(place !== undefined);
    this.#top = pathAt(place, "/");
    this.path = `${this.#top}/${this.#name}`;
    for (const name of ["cpu", "memory", "pids", "io"]) {
      Deno.writeTextFileSync(`${this.#top}/cgroup.subtree_control`, `+${name}`);
    }
    Deno.mkdirSync(this.path);
    for (const name of controllers) Deno.writeTextFileSync(`${this.path}/cgroup.subtree_control`, `+${name}`);
    // As a user's manager does for a scope of its own below what it was given.
    this.path += "/scope";
    Deno.mkdirSync(this.path);
    if (!handOver) return;
    for (const file of ["", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"]) {
      Deno.chownSync(`${this.path}${file}`, USER, USER);
    }
  }

  /** Runs testdata/delegated.ts there as that user, beside what `beside` starts. */
  async run(args: readonly string[] = [], beside = ""): Promise<Record<string, unknown>> {
    const deno =
      `${this.#home.path}/deno run -A --no-check --no-lock --config=${this.#home.path}/deno.json ` +
      `${this.#home.path}/sandbox/cgroup/testdata/delegated.ts ${args.join(" ")}`;
    const script = `echo $$ > ${this.path}/cgroup.procs; ${beside} ` +
      `exec setpriv --reuid=${USER} --regid=${USER} --clear-groups ${deno}`;
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-c", script],
      clearEnv: true,
      env: {
        DENO_DIR: `${this.#home.path}/cache`,
        TMPDIR: this.#home.path,
        HOME: this.#home.path,
        PATH: "/usr/bin:/bin:/usr/sbin",
      },
      cwd: this.#home.path,
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  }

  /** Groups that are left below. */
  left(): string[] {
    return [...Deno.readDirSync(this.path)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  }

  [Symbol.dispose](): void {
    destroyGroup(AT_FDCWD, `${this.#top}/${this.#name}`, "v2");
  }
}

const STEPS: { readonly name: string; readonly fn: (home: Home) => Promise<void> }[] = [];

function step(name: string, fn: (home: Home) => Promise<void>): void {
  STEPS.push({ name, fn });
}

const GOOD = { code: 137, inside: true, cpuCounted: true, killed: 137 };

step("a user to whom a group was delegated has all controllers, and leaves nothing", async (home) => {
  using delegated = new Delegated(home, ["cpu", "memory", "pids", "io"]);
  const { during, oomKills, missing, ...found } = await delegated.run();
  const all = ["cpu", "io", "memory", "pids"];
  assertEquals(found, { ...GOOD, controllers: all, second: all, backAgain: true });
  assertMatch(String(during), /^\/brokkr-test-delegated-[\w-]+\/worker$/);
  assert(Number(oomKills) > 0);
  assertEquals(missing, []);
  assertEquals(delegated.left(), []);
});

step("controllers that were not delegated are named with what mends it", async (home) => {
  using delegated = new Delegated(home, ["memory", "pids"]);
  const { missing, controllers, ...found } = await delegated.run();
  assertEquals(controllers, ["memory", "pids"]);
  assertEquals(found.code, 137);
  const [cpu, io] = missing as string[];
  assertStringIncludes(cpu, "cpu: The control group");
  assertStringIncludes(cpu, "was not given the cpu controller");
  assertStringIncludes(io, "user@.service");
});

step("beside other processes only time is counted, and it is said who is in the way", async (home) => {
  using delegated = new Delegated(home, ["cpu", "memory", "pids", "io"]);
  const { missing, controllers, code, ...found } = await delegated.run([], "sleep 1000 >/dev/null 2>&1 &");
  assertEquals(controllers, []);
  assertEquals((missing as string[]).length, 4);
  for (const text of missing as string[]) {
    assertMatch(text, /has other processes in it \(sleep \d+\)/);
    assertStringIncludes(text, "systemd-run --user --scope -p Delegate=yes");
  }
  // Nothing limits it, and it is counted and killed all the same.
  assertEquals([code, found.inside, found.cpuCounted, found.killed], [0, true, true, 137]);
});

step("below a process that has stepped aside workers have all controllers", async (home) => {
  using delegated = new Delegated(home, ["cpu", "memory", "pids", "io"]);
  const { controllers, second, during } = await delegated.run(["step-aside"]);
  assertEquals([controllers, second], [["cpu", "io", "memory", "pids"], ["cpu", "io", "memory", "pids"]]);
  assertEquals(during, "");
});

step("a user to whom nothing was delegated is told so", async (home) => {
  using delegated = new Delegated(home, ["cpu", "memory", "pids", "io"], false);
  const { unavailable } = await delegated.run();
  assertMatch(
    String(unavailable),
    /^No control groups can be used here: The worker may not make control groups in .*EACCES/,
  );
  assertStringIncludes(String(unavailable), "systemd-run --user --scope -p Delegate=yes");
});

Deno.test({
  name: "control groups for a user without privileges" + (skip === undefined ? "" : ` (skipped: ${skip})`),
  ignore: skip !== undefined,
  fn: async (t) => {
    await using home = await new Home().furnish();
    for (const { name, fn } of STEPS) await t.step(name, () => fn(home));
  },
});

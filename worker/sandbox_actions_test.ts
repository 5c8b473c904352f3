import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import { type ActionResult, type Init, type ResourceUsage, ResourceUsageCodec } from "@brokkr/proto";
import { type Case, COMPLETED, failsWith, PATH, printsAndExits } from "./_action_cases.ts";
import { leftovers, sh, startTestWorker, TestGrid, until, whyNoSandbox } from "./_test_grid.ts";

const MIB = 2 ** 20;

function usageOf(action: ActionResult): ResourceUsage {
  const [{ value }] = action.executionMetadata?.auxiliaryMetadata ?? [];
  return ResourceUsageCodec.decode(value);
}

function platform(properties: Record<string, string>): Init<NonNullable<Parameters<typeof sh>[1]>> {
  return { platform: { properties: Object.entries(properties).map(([name, value]) => ({ name, value })) } };
}

const SECRET = `brokkr-secret-${Deno.pid}`;

const CASES: readonly (Case & { readonly needs?: "memory" })[] = [
  {
    name: "a user, a machine and paths that are the same everywhere",
    command: sh("id -u; id -g; id -un; hostname; pwd; umask; test ! -e $HOME/x && echo ${HOME-unset}"),
    check: printsAndExits("1000\n1000\nbrokkr\nbrokkr\n/work\n0022\nunset\n"),
  },
  {
    name:
      "inputs that can neither be written nor made writable for others, whatever it does to its own view of them",
    command: sh(
      "chmod 666 f x 2>&1; chmod 777 d; echo changed > f; echo changed > x; rm -f d/g; echo more > d/h; ls -l d; cat f x",
      { outputPaths: ["f", "d"] },
    ),
    files: { f: "input", x: { executable: "tool" }, "d/g": "g" },
    check: async ({ result, action }, grid, worker) => {
      assertEquals(result.outcome, COMPLETED, result.status?.message);
      const again = await grid.run(sh("cat f x d/g; ls d; stat -c %a f x d"), {
        f: "input",
        x: { executable: "tool" },
        "d/g": "g",
      });
      assertEquals(await grid.text(again.action.stdoutDigest), "inputtoolgg\n444\n555\n755\n");
      assertEquals(usageOf(again.action).inputFetchedBlobs, 0);
      assert(action.outputFiles.length + action.outputDirectories.length > 0);
      assertEquals(leftovers(worker.dataDir), []);
    },
  },
  {
    name: "the outputs of what it deleted, replaced and left of its inputs",
    command: sh("rm d/gone; rm -r d/dir; echo new > d/dir; mkdir d/gone; mv d/kept d/moved", {
      outputPaths: ["d"],
    }),
    files: { "d/gone": "1", "d/dir/x": "2", "d/kept": "3", "d/same": "4" },
    check: async ({ result, action }, grid) => {
      assertEquals([result.outcome, action.exitCode], [COMPLETED, 0], result.status?.message);
      const [{ rootDirectoryDigest }] = action.outputDirectories;
      assertEquals(rootDirectoryDigest, undefined);
      const { listTree } = await import("./_action_cases.ts");
      assertEquals(await listTree(grid, action.outputDirectories[0].treeDigest), [
        "dir=new\n",
        "gone/",
        "moved=3",
        "same=4",
      ]);
    },
  },
  {
    name: "nothing of the host's files",
    command: sh(
      `ls /root /home /var 2>/dev/null; cat /etc/shadow 2>/dev/null; ls /tmp; find / -name ${SECRET} 2>/dev/null; true`,
    ),
    check: printsAndExits(""),
  },
  {
    name: "a refusal that names a program which only the worker has, and the operator's key",
    command: { arguments: [Deno.execPath()] },
    check: Deno.execPath().startsWith("/usr/")
      ? () => {}
      : failsWith(Code.INVALID_ARGUMENT, Deno.execPath(), "worker.sandbox_binds"),
  },
  {
    name: "a refusal that tells nothing of files which are no programs",
    command: { arguments: ["/etc/shadow"] },
    check: failsWith(Code.INVALID_ARGUMENT, '"/etc/shadow" does not exist'),
  },
  {
    name: "a program further along PATH, past directories that are files or not there",
    command: {
      arguments: ["tool"],
      environmentVariables: [{ name: "PATH", value: "/nowhere:f::/usr/bin" }],
    },
    files: { f: "a file", tool: { executable: "#!/bin/sh\necho here\n" } },
    check: printsAndExits("here\n"),
  },
  {
    name: "a refusal of LD_PRELOAD",
    command: sh("true", { environmentVariables: [...PATH, { name: "LD_PRELOAD", value: "/work/x.so" }] }),
    check: failsWith(Code.INVALID_ARGUMENT, "LD_PRELOAD", "worker.sandbox_allow_preload"),
  },
  {
    name: "a refusal of the host's network, before anything is fetched",
    command: sh("true", platform({ network: "host" })),
    check: failsWith(Code.FAILED_PRECONDITION, "network=host", "worker.sandbox_networks"),
  },
  {
    name: "a refusal when it filled its writable layer and says that it succeeded, with what it printed",
    command: sh("echo begun; head -c 200000000 /dev/zero > big; exit 0", platform({ memory: "128MiB" })),
    check: async (finished, grid, worker) => {
      failsWith(Code.FAILED_PRECONDITION, "writable layer of 64.0 MiB in memory", "writable-layer=disk")(
        finished,
        grid,
        worker,
      );
      assertEquals(await grid.text(finished.action.stdoutDigest), "begun\n");
    },
  },
  {
    name: "its own story when it filled its writable layer and failed",
    command: sh("head -c 200000000 /dev/zero > big && exit 0; exit 3", platform({ memory: "128MiB" })),
    check: ({ result, action }) => assertEquals([result.outcome, action.exitCode], [COMPLETED, 3]),
  },
  {
    name: "a layer on disk when it asks for it, of which nothing stays",
    command: sh("head -c 200000000 /dev/zero > big; wc -c < big; rm big; echo 1 > out", {
      ...platform({ "writable-layer": "disk", memory: "128MiB" }),
      outputPaths: ["out", "sub/none"],
    }),
    check: async (finished, grid, worker) => {
      await printsAndExits("200000000\n")(finished, grid, worker);
      assertEquals(finished.action.outputFiles.map(({ path }) => path), ["out"]);
      assertEquals(usageOf(finished.action).sandbox?.writableLayer, "disk");
      await until("it is removed", () => leftovers(worker.dataDir).length === 0);
    },
  },
  {
    name: "no success when it wrote more to its layer on disk than it may, however fast",
    command: sh(
      "for i in 1 2 3; do head -c 5000000 /dev/zero > $i; done; exit 0",
      platform({ disk: "8MiB", memory: "128MiB" }),
    ),
    check: (finished, grid, worker) => {
      const { result, action } = finished;
      assertEquals(usageOf(action).sandbox?.writableLayerExceeded, true);
      const message = "hat it wrote outgrew its writable layer of 8.0 MiB";
      if (result.outcome === COMPLETED) {
        assertEquals(action.exitCode, 137);
        assertStringIncludes(result.message, `Killed: W${message}`);
      } else failsWith(Code.FAILED_PRECONDITION, message)(finished, grid, worker);
    },
  },
  {
    name: "an exit code of 137, a message and a flag when it takes too much memory",
    needs: "memory",
    command: {
      arguments: ["perl", "-e", `$x = "a" x ${256 * MIB}; print "survived"`],
      environmentVariables: PATH,
      ...platform({ memory: "64MiB" }),
    },
    check: ({ result, action }) => {
      assertEquals([result.outcome, action.exitCode], [COMPLETED, 137], result.status?.message);
      assertMatch(result.message, /^Out of memory: .* 64\.0 MiB.*worker\.sandbox_max_memory/);
      const usage = usageOf(action);
      assertEquals([usage.outOfMemory, usage.sandbox?.memoryLimitBytes], [true, 64 * MIB]);
    },
  },
  {
    name: "what it used and what it ran under",
    needs: "memory",
    command: sh("head -c 20000000 /dev/zero > f; (sleep 0.01 & sleep 0.01 & wait)"),
    check: ({ action }) => {
      const { isolation, memoryPeakBytes, pidsPeak, sandbox, cpuUser, cpuSystem } = usageOf(action);
      assertEquals([isolation, sandbox?.network, sandbox?.writableLayer], ["sandbox", "none", "memory"]);
      assert((memoryPeakBytes ?? 0) >= 20_000_000, `${memoryPeakBytes}`);
      if (sandbox?.pidsLimit !== undefined) assert((pidsPeak ?? 0) >= 3, `${pidsPeak}`);
      assert((cpuUser?.nanos ?? 0) + (cpuSystem?.nanos ?? 0) > 0);
    },
  },
];

Deno.test("Worker gives an action in its sandbox", async (t) => {
  const reason = await whyNoSandbox();
  if (reason !== undefined) {
    await t.step({ name: `not on this machine: ${reason}`, ignore: true, fn: () => {} });
    return;
  }
  const lines: string[] = [];
  const secret = await Deno.makeTempDir({ suffix: SECRET });
  await Deno.writeTextFile(`${secret}/${SECRET}`, SECRET);
  await using grid = await TestGrid.start();
  await using worker = await startTestWorker(grid, { outputLimitBytes: 65536, sandbox: {} });
  assertEquals(grid.hellos[0].environment, "sandbox-1");
  assert(grid.hellos[0].sandboxGrants.some(({ name }) => name === "network"), lines.join("\n"));
  const limits = (await grid.run(sh("true"))).action;
  const controlled = usageOf(limits).sandbox?.memoryLimitBytes !== undefined;
  for (const { name, command, files, check, needs } of CASES) {
    await t.step({
      name: needs === "memory" && !controlled ? `${name} (no controller for memory here)` : name,
      ignore: needs === "memory" && !controlled,
      fn: async () => await check(await grid.run(command, files ?? {}), grid, worker),
    });
  }
  await Deno.remove(secret, { recursive: true });
  assertStringIncludes(worker.dataDir, "brokkr-worker-");
});

import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "@brokkr/common";
import { digestOf, SHA256 } from "../digest.ts";
import { Machine, Stopped } from "./_crash_machine.ts";
import { CrashLife } from "./_crash_simulation.ts";
import { Violation } from "./_crash_model.ts";
import { type Blob, blob, MIB, missing, put, SCOPE } from "./_disk_testing.ts";
import { simulatedIndex } from "./_simulated_index.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import type { FileLayer } from "./file_layer.ts";

/** Seeds of each kind of life; the soak sets more, and from where. */
const SEEDS = Number(Deno.env.get("BROKKR_CRASH_SEEDS") ?? 120);
const FROM = Number(Deno.env.get("BROKKR_CRASH_FROM") ?? 1);

async function live(seed: number, evicts: boolean): Promise<CrashLife> {
  const life = new CrashLife({ seed, evicts });
  try {
    await life.run();
  } catch (error) {
    console.log(life.history.slice(-Number(Deno.env.get("BROKKR_CRASH_LINES") ?? 200)).join("\n"));
    throw new Error(
      `Seed ${seed} (run just it: BROKKR_CRASH_FROM=${seed} BROKKR_CRASH_SEEDS=1): ` +
        (error instanceof Error ? error.message : String(error)),
      { cause: error },
    );
  }
  return life;
}

for (const evicts of [false, true]) {
  Deno.test(
    `a store ${
      evicts ? "that evicts " : ""
    }keeps its promises through faults, kills and power cuts, seeds ${FROM} and on`,
    async () => {
      const from = FROM === 0 ? Math.floor(Math.random() * 2 ** 31) : FROM;
      const counts: Record<string, number> = {};
      for (let seed = from; seed < from + SEEDS; seed++) {
        const life = await live(seed, evicts);
        for (const [what, times] of Object.entries(life.counts)) counts[what] = (counts[what] ?? 0) + times;
      }
      if (SEEDS < 20) return;
      // A simulation in which these never happen shows nothing.
      for (
        const what of [
          "put",
          "read",
          "deleted",
          "uploaded",
          "spliced, kept",
          "split",
          "killed",
          "cut, mixed",
          "stopped",
        ]
      ) {
        assert((counts[what] ?? 0) > 0, `Nothing of this happened: ${what}; ${JSON.stringify(counts)}`);
      }
    },
  );
}

Deno.test("a life is the same for the same seed", async () => {
  // Without the lines of the log, which begin with the time of day.
  const historyOf = async (seed: number) =>
    (await live(seed, seed % 2 === 0)).history.filter((line) => !line.startsWith("  log:"));
  for (const seed of [4242, 4243]) assertEquals(await historyOf(seed), await historyOf(seed));
});

const DIR = "/data/cas";
const TEXT = new TextEncoder().encode("anvil and hammer ".repeat(4000));
const BLOBS: readonly Blob[] = [
  blob(1000, 1),
  blob(100, 2),
  blob(MIB + 500, 3),
  blob(50_000, 4),
  blob(7, 5),
  { data: TEXT, digest: digestOf(SHA256, TEXT) },
];

/** One short working day of a store, always the same; which blobs were acknowledged, and which deleted. */
async function day(machine: Machine, known: { readonly stored: Set<Blob>; readonly deleted: Set<Blob> }) {
  const store = await openDiskBlobStore(DIR, optionsOf(machine));
  for (const one of BLOBS) {
    await put(store, one);
    known.stored.add(one);
  }
  for (const one of [BLOBS[1], BLOBS[2]]) {
    known.stored.delete(one);
    await store.delete(SCOPE, one.digest);
    known.deleted.add(one);
  }
  // From here on it may be there or not.
  known.deleted.delete(BLOBS[2]);
  await put(store, BLOBS[2]);
  known.stored.add(BLOBS[2]);
  await store[Symbol.asyncDispose]();
}

function optionsOf(machine: Machine) {
  return {
    clock: machine.clock,
    random: seededRandom(7),
    files: machine.disk,
    openIndex: simulatedIndex({
      disk: machine.disk,
      execute: machine.execute,
      fault: (operation, path) => machine.decide(operation, path),
    }),
    segmentBytes: 40_000,
    cacheBytes: 0,
    headroomBytes: 0,
  };
}

Deno.test("whatever operation the power goes at, what was acknowledged is there and the rest whole or not", async () => {
  let operations = Infinity;
  for (let at = 0; at < operations; at++) {
    for (const survival of ["lost", "mixed"] as const) {
      const machine = new Machine({ random: seededRandom(at * 2 + 1), inOrder: true });
      machine.stopAt = at;
      const known = { stored: new Set<Blob>(), deleted: new Set<Blob>() };
      let cut = false;
      try {
        await machine.drive(day(machine, known));
      } catch (error) {
        if (!(error instanceof Stopped)) throw error;
        cut = true;
      }
      if (!cut) operations = machine.operations;
      const after = machine.afterCut(survival);
      const store = await after.drive(openDiskBlobStore(DIR, optionsOf(after)));
      const where = `after operation ${at}, unsynced ${survival}`;
      const gone = new Set((await after.drive(missing(store, BLOBS))).map((i) => BLOBS[i]));
      for (const one of BLOBS) {
        if (known.stored.has(one)) assert(!gone.has(one), `${one.digest.sizeBytes} bytes are gone ${where}`);
        if (known.deleted.has(one)) assert(gone.has(one), `${one.digest.sizeBytes} bytes are back ${where}`);
        if (!gone.has(one)) assertEquals(await after.drive(store.get(SCOPE, one.digest)), one.data, where);
      }
      const more = blob(3000, 99);
      await after.drive(put(store, more));
      assertEquals(await after.drive(store.get(SCOPE, more.digest)), more.data);
      await after.drive(Promise.resolve(store[Symbol.asyncDispose]()));
    }
  }
  assert(operations > 60 && operations < Infinity, `${operations} operations`);
});

const LIARS: readonly { readonly name: string; readonly layer: (files: FileLayer) => FileLayer }[] = [{
  name: "says that files are synced and does nothing",
  layer: (files) => ({
    ...facesOf(files),
    open: async (path, mode) => ({
      ...facesOfFile(await files.open(path, mode)),
      syncData: () => Promise.resolve(),
    }),
  }),
}, {
  name: "says that directories are synced and does nothing",
  layer: (files) => ({ ...facesOf(files), syncDirectory: () => Promise.resolve() }),
}];

for (const { name, layer } of LIARS) {
  Deno.test(`the simulation finds out a disk that ${name}`, async () => {
    for (let seed = 1; seed <= 60; seed++) {
      try {
        await new CrashLife({ seed, layer }).run();
      } catch (error) {
        assert(error instanceof Violation, String(error));
        return;
      }
    }
    throw new Error("Sixty lives on a disk that lies, and nothing was lost");
  });
}

/** The methods of a layer as an object's own, so that some can be replaced. */
function facesOf(files: FileLayer): FileLayer {
  return {
    open: (path, mode) => files.open(path, mode),
    makeDirectory: (path) => files.makeDirectory(path),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    removeTree: (path) => files.removeTree(path),
    list: (path) => files.list(path),
    size: (path) => files.size(path),
    modifiedMs: (path) => files.modifiedMs(path),
    touch: (path, wallMs) => files.touch(path, wallMs),
    syncDirectory: (path) => files.syncDirectory(path),
    freeBytes: (path) => files.freeBytes(path),
  };
}

function facesOfFile(file: Awaited<ReturnType<FileLayer["open"]>>): Awaited<ReturnType<FileLayer["open"]>> {
  return {
    readSync: (buffer, position) => file.readSync(buffer, position),
    read: (buffer, position) => file.read(buffer, position),
    write: (buffer, position) => file.write(buffer, position),
    syncData: () => file.syncData(),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    size: () => file.size(),
    close: () => file.close(),
  };
}

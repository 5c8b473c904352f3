import { assertGreater } from "@std/assert";
import { connect } from "@brokkr/proto/rpc/client";
import { floodGrid } from "../e2e/_flooded.ts";
import { buildAgainAndAgain, type Builds } from "./_flood_builds.ts";
import { openGrid, testWithBazels } from "./_grid.ts";

const MIB = 1 << 20;

function setting(name: string, otherwise: number): number {
  const value = Deno.env.get(`BROKKR_FLOOD_${name}`);
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!(number > 0)) {
    throw new Error(`BROKKR_FLOOD_${name} is ${JSON.stringify(value)}, not a positive number`);
  }
  return number;
}

const LIMIT_BYTES = setting("LIMIT_MIB", 64) * MIB;
const TIMES = setting("TIMES", 10);
const BYTES_PER_SECOND = setting("MIB_PER_SECOND", 32) * MIB;
const PROMISE_MS = setting("PROMISE_SECONDS", 120) * 1000;

testWithBazels("build while ten times what the store may hold is uploaded beside them", async (clients) => {
  const seed = setting("SEED", crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`BROKKR_FLOOD_SEED=${seed}`);
  await using grid = await openGrid({
    slots: 2,
    controlFlags: [`--cas-max-size=${LIMIT_BYTES}B`, `--cas-promise-time=${PROMISE_MS}ms`],
  });
  await using channel = connect(grid.endpoint);
  const builds = clients.map((client) => ({ client, counts: { cold: 0, warm: 0, minimal: 0 } as Builds }));
  const flooded = await floodGrid({
    grid: grid.grid,
    channel,
    instance: "main",
    limitBytes: LIMIT_BYTES,
    totalBytes: TIMES * LIMIT_BYTES,
    bytesPerSecond: BYTES_PER_SECOND,
    promiseMs: PROMISE_MS,
    seed,
    others: (signal) =>
      builds.map(({ client, counts }) => buildAgainAndAgain(client, grid.endpoint, signal, counts)),
  });
  const told = builds.map(({ client, counts }) => `${client.name}: ${JSON.stringify(counts)}`);
  console.log(`${flooded.text()}\nbuilds of ${told.join(", ")}`);
  flooded.check();
  for (const { counts } of builds) assertGreater(counts.minimal, 0);
});

// A grid of real processes under damaged calls of every method, on few connections with many calls in flight.

import { assert, assertEquals } from "@std/assert";
import * as proto from "@brokkr/proto";
import { Admin } from "@brokkr/proto";
import { type Reply, STATUS_NAMES, statusOf, Wire } from "../conformance/wire.ts";
import { digest, sh, TestGrid } from "../e2e/_grid.ts";
import { BLOBS, CALLS, type Case, COMMAND, INSTANCE, KEPT, RESULT } from "./_corpus.ts";
import { fuzzPlan, hexOf, minimised, Mutator } from "./_mutator.ts";

/** Calls that `deno task test` makes. */
const COUNT = 100_000;
const CONNECTIONS = 4;
const IN_FLIGHT = 96;
/** What a call may take of the time that a slow machine has; more is a hang. */
const ANSWER_MS = 60_000;
/** Calls that stay open by their nature are left after this. */
const LINGER_MS = 300;
/** Health answers within this also on a machine that does other things too; the figure itself is printed. */
const HEALTH_MS = 5000;

/** Codes that no damaged message may get: they blame the server, or say nothing. */
const NEVER: ReadonlySet<string> = new Set<string>(["UNKNOWN", "INTERNAL", "DATA_LOSS", "UNIMPLEMENTED"]);
/** Methods that are refused whatever is sent. */
const REFUSED: ReadonlySet<string> = new Set(["/google.longrunning.Operations/DeleteOperation"]);
/** Streams that end when the caller goes. */
const LASTING = /\/(Execute|WaitExecution|Watch|Connect)$/;

const BASES = [...CALLS.flatMap(({ messages }) => messages), ...BLOBS, RESULT];

/** What was sent and what came. */
interface Sent {
  readonly path: string;
  readonly messages: readonly Uint8Array[];
  readonly reply: Reply;
  readonly left: boolean;
}

/** Sends messages and takes what comes; a stream that lasts is left after its first answer, or a while. */
async function send(wire: Wire, { method: { path } }: Case, messages: readonly Uint8Array[]): Promise<Sent> {
  const call = wire.open(path, { timeoutMs: ANSWER_MS });
  for (const message of messages) await call.send(message);
  let left = false;
  if (LASTING.test(path)) {
    const timer = setTimeout(() => {
      left = true;
      call.cancel();
    }, LINGER_MS);
    await call.reply;
    clearTimeout(timer);
  } else call.end();
  return { path, messages, reply: await call.reply, left };
}

/** What is wrong with an answer, if anything. */
function problemOf({ path, reply, left }: Sent): string | undefined {
  if (reply.code === undefined) return left ? undefined : statusOf(reply);
  const name = statusOf(reply).split(":")[0];
  if (REFUSED.has(path) && name === "UNIMPLEMENTED") return undefined;
  if (NEVER.has(name) || name.startsWith("status ")) return statusOf(reply);
  return reply.code !== 0 && reply.message === "" ? `${name} without words` : undefined;
}

/** A call with its messages damaged: one of them, or all, or their order. */
function damaged(mutator: Mutator, { messages }: Case): Uint8Array[] {
  const sent = messages.map((message) =>
    mutator.chance(messages.length === 1 ? 1 : 0.4) ? mutator.message(message, BASES) : message
  );
  if (sent.length > 1 && mutator.chance(0.3)) sent.splice(mutator.below(sent.length), 1);
  if (mutator.chance(0.05)) sent.push(mutator.pick(BASES));
  if (sent.length > 1 && mutator.chance(0.2)) sent.reverse();
  return sent;
}

/** Damaged Actions, Commands and Directories, stored under their own digests and executed. */
async function execution(wire: Wire, mutator: Mutator): Promise<Sent> {
  const command = mutator.chance(0.5) ? mutator.message(COMMAND, BASES) : COMMAND;
  const tree = mutator.message(mutator.pick(BLOBS), BASES);
  const plain = proto.ActionCodec.encode({
    commandDigest: digest(command),
    inputRootDigest: digest(mutator.chance(0.5) ? tree : new Uint8Array()),
    timeout: { seconds: 2 },
    platform: { properties: [{ name: "pool", value: "fuzz" }] },
    salt: mutator.bytes(8),
  });
  const action = mutator.chance(0.5) ? mutator.message(plain, BASES) : plain;
  const blobs = [command, tree, action].map((data) => ({ digest: digest(data), data }));
  await wire.unary(
    "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs",
    proto.BatchUpdateBlobsRequestCodec.encode({ instanceName: INSTANCE, requests: blobs }),
    { timeoutMs: ANSWER_MS },
  );
  const request = proto.ExecuteRequestCodec.encode({ instanceName: INSTANCE, actionDigest: digest(action) });
  const sent = await send(wire, executeCase, [request]);
  for (const message of sent.reply.messages) {
    const { response } = proto.OperationCodec.decode(message);
    if (response === undefined) continue;
    const { code = 0, message: words = "" } = proto.ExecuteResponseCodec.decode(response.value).status ?? {};
    if (!NEVER.has(STATUS_NAMES[code])) continue;
    return {
      ...sent,
      messages: blobs.map(({ data }) => data),
      reply: { ...sent.reply, code, message: words },
    };
  }
  return sent;
}

const executeCase = CALLS.find(({ method }) => method.path.endsWith("/Execute")) ?? CALLS[0];

async function residentMib(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** Asks for health all the while, on a connection and a page of its own. */
async function watchHealth(grid: TestGrid, going: () => boolean): Promise<number> {
  let worstMs = 0;
  while (going()) {
    const startMs = performance.now();
    const live = await fetch(`${grid.grid.httpUrl}/livez`);
    await live.body?.cancel();
    assertEquals(live.status, 200);
    await grid.channel.unary(Admin.getStatus, {}, { retries: 0 });
    worstMs = Math.max(worstMs, performance.now() - startMs);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return worstMs;
}

/** The smallest number of messages, and of bytes in them, that still gets an answer it must not. */
async function leastOf(wire: Wire, { path, messages }: Sent, target: Case): Promise<readonly Uint8Array[]> {
  const fails = async (tried: readonly Uint8Array[]) =>
    problemOf(await send(wire, { ...target, method: { ...target.method, path } }, tried)) !== undefined;
  let best = [...messages];
  if (!await fails(best)) return best;
  for (let i = best.length - 1; i >= 0; i--) {
    const fewer = best.toSpliced(i, 1);
    if (fewer.length > 0 && await fails(fewer)) best = fewer;
  }
  for (let i = 0; i < best.length; i++) {
    best[i] = await minimised(best[i], (bytes) => fails(best.with(i, bytes)), 300);
  }
  return best;
}

Deno.test("A grid answers damaged calls of every method, and goes on as if nothing had been", async (t) => {
  const { seed, count } = fuzzPlan(COUNT);
  console.log(`BROKKR_FUZZ_SEED=${seed} BROKKR_FUZZ_COUNT=${count}`);
  await using grid = await TestGrid.start({
    slots: 4,
    workerFlags: ["--platform=pool=good", "--platform=pool=fuzz"],
    controlFlags: ["--lease-ttl=6s", "--heartbeat-interval=1s"],
  });
  const at = new URL(grid.grid.endpoint.replace(/^grpc/, "http"));
  const wires = Array.from(
    { length: CONNECTIONS },
    () => new Wire({ host: at.hostname, port: Number(at.port), timeoutMs: ANSWER_MS }),
  );
  const pids = [...grid.grid.pids];
  const [controlPid] = pids;
  const kept = await grid.put(KEPT);
  await grid.putAll(BLOBS);
  const good = async (word: string) => {
    const platform = { properties: [{ name: "pool", value: "good" }] };
    const { result, status } = await grid.run(sh(`echo ${word}`, { platform }), { platform });
    assertEquals([status?.code ?? 0, status?.message ?? "", result?.exitCode], [0, "", 0]);
    assertEquals(await grid.text(result?.stdoutDigest), `${word}\n`);
  };
  await good("before");

  await t.step("what is sound is not refused for its form", async () => {
    for (const each of CALLS) {
      const sent = await send(wires[0], each, each.messages);
      assertEquals(problemOf(sent), undefined, each.method.path);
      assert(
        statusOf(sent.reply).split(":")[0] !== "INVALID_ARGUMENT",
        `${each.method.path} ${statusOf(sent.reply)}`,
      );
    }
  });

  const statuses = new Map<string, number>();
  await t.step(`${count} damaged calls from seed ${seed}`, async () => {
    let going = true;
    const health = watchHealth(grid, () => going);
    let next = 0;
    const findings: { readonly index: number; readonly sent: Sent; readonly target: Case }[] = [];
    const caller = async (wire: Wire) => {
      while (next < count && findings.length < 5) {
        const index = next++;
        const mutator = new Mutator(seed, index);
        // What lasts takes a place for a while; one in fifty keeps the rest going.
        const lasting = mutator.chance(0.02);
        const target = mutator.pick(CALLS.filter(({ method }) => LASTING.test(method.path) === lasting));
        const sent = lasting && mutator.chance(0.4)
          ? await execution(wire, mutator)
          : await send(wire, target, damaged(mutator, target));
        const name = sent.left ? "left" : statusOf(sent.reply).split(":")[0];
        statuses.set(name, (statuses.get(name) ?? 0) + 1);
        if (problemOf(sent) !== undefined) findings.push({ index, sent, target });
      }
    };
    const startMs = performance.now();
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, (_, i) => caller(wires[i % CONNECTIONS])),
    );
    going = false;
    const worstMs = await health;
    const seconds = (performance.now() - startMs) / 1000;
    console.log(
      `${count} calls in ${seconds.toFixed(1)} s; slowest health ${worstMs.toFixed(0)} ms; ` +
        JSON.stringify(Object.fromEntries(statuses)),
    );
    for (const { index, sent, target } of findings) {
      const least = sent.path === executeCase.method.path
        ? sent.messages
        : await leastOf(wires[0], sent, target);
      console.error(
        `seed ${seed}, case ${index}: ${sent.path}: ${problemOf(sent)}\n` +
          `sent: ${sent.messages.map((each) => hexOf(each)).join(" | ")}\n` +
          `least: ${least.map((each) => hexOf(each)).join(" | ")}`,
      );
    }
    assertEquals(
      findings.map(({ index, sent }) => `${index} ${sent.path}: ${problemOf(sent)}`),
      [],
      grid.lines.slice(-20).join("\n"),
    );
    assert(worstMs < HEALTH_MS, `Health took ${worstMs} ms`);
    assert((statuses.get("INVALID_ARGUMENT") ?? 0) > count / 10, "Damage is noticed");
    assert((statuses.get("OK") ?? 0) > count / 100, "Not all of it does harm");
  });

  await t.step("afterwards the same processes do the same work", async () => {
    assertEquals(grid.grid.pids, pids);
    await good("after");
    assertEquals(await grid.read(kept), KEPT);
    assertEquals(await grid.missing([kept]), []);
    const log = grid.lines.filter((line) => /INTERNAL|panic|Uncaught|contradicts/.test(line));
    assertEquals(log, []);
    console.log(`control has ${(await residentMib(controlPid)).toFixed(0)} MiB`);
    assert(await residentMib(controlPid) < 1200, "Memory came back");
  });
  for (const wire of wires) await wire[Symbol.asyncDispose]();
});

/**
 * Finds out what a server has, and holds it to the rules.
 *
 * @module
 */

import { gzipSync } from "node:zlib";
import { attempt, outcome, sh } from "./actions.ts";
import { type Capabilities, Context, type ContextOptions, METHOD, readCapabilities } from "./context.ts";
import { msg, ParseError } from "./protobuf.ts";
import { Broken, type Need, type Rule, Skip } from "./rule.ts";
import { framed, statusOf, Wire, type WireOptions } from "./wire.ts";

/** What a run is given. */
export interface TargetOptions {
  readonly wire: WireOptions;
  readonly instance: string;
  /** Properties that actions need to be run there. */
  readonly platform?: readonly (readonly [string, string])[];
  /** Longest that one action may take, queueing included; 60 s by default. */
  readonly actionTimeoutMs?: number;
  /** How long something may take that is to happen at once; 15 s by default. */
  readonly patienceMs?: number;
}

/** How a rule fared. */
export interface Verdict {
  readonly rule: Rule;
  readonly result: "pass" | "fail" | "skip";
  /** Why, unless it passed. */
  readonly reason: string;
  readonly ms: number;
}

/** Longest that one rule may take: several actions, one after the other. */
const RULE_TIMEOUT_MS = 180_000;

function probeOptions(wire: Wire, options: TargetOptions, caps: Capabilities): ContextOptions {
  return {
    wire,
    instance: options.instance,
    caps,
    platform: options.platform ?? [],
    actionTimeoutMs: options.actionTimeoutMs ?? 60_000,
    patienceMs: options.patienceMs ?? 15_000,
  };
}

/** A server under test. */
export class Target implements AsyncDisposable {
  readonly #options: ContextOptions;
  /** Why rules with a need are skipped; a need that is not here is met. */
  readonly #lacks: ReadonlyMap<Need, string>;

  private constructor(options: ContextOptions, lacks: ReadonlyMap<Need, string>) {
    this.#options = options;
    this.#lacks = lacks;
  }

  /**
   * Connects, and finds out what the server has.
   *
   * @throws {Broken} when it does not answer GetCapabilities
   */
  static async connect(options: TargetOptions): Promise<Target> {
    const wire = new Wire(options.wire);
    try {
      const reply = await wire.unary(METHOD.capabilities, msg({ 1: options.instance }));
      if (reply.code !== 0 || reply.messages.length !== 1) {
        throw new Broken(`GetCapabilities, which everything else depends on: ${statusOf(reply)}`);
      }
      const all = probeOptions(wire, options, readCapabilities(reply.messages[0]));
      return new Target(all, await probe(all));
    } catch (error) {
      await wire[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the server advertises. */
  get caps(): Capabilities {
    return this.#options.caps;
  }

  /** Holds the server to one rule. Never throws because of the server. */
  async judge(rule: Rule): Promise<Verdict> {
    const start = performance.now();
    const verdict = (result: Verdict["result"], reason = "") => {
      return { rule, result, reason, ms: performance.now() - start };
    };
    for (const need of rule.needs ?? []) {
      const lack = this.#lacks.get(need);
      if (lack !== undefined) return verdict("skip", lack);
    }
    await using ctx = new Context(this.#options);
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const timeout = new Promise<never>((_, reject) => {
        const late = () => reject(new Broken(`The rule was not through after ${RULE_TIMEOUT_MS / 1000} s`));
        timer = setTimeout(late, RULE_TIMEOUT_MS);
      });
      await Promise.race([rule.run(ctx), timeout]);
      return verdict("pass");
    } catch (error) {
      if (error instanceof Skip) return verdict("skip", error.message);
      if (error instanceof Broken) return verdict("fail", error.message);
      if (error instanceof ParseError) return verdict("fail", `An answer is garbled: ${error.message}`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Holds the server to many rules, some at the same time; gives a promise for each, in their order. Those that look at
   * all operations of the server are judged by themselves, after the others.
   */
  judgeAll(rules: readonly Rule[], atOnce: number): Promise<Verdict>[] {
    const slots = rules.map((rule) => ({ rule, ...Promise.withResolvers<Verdict>() }));
    const alone = (rule: Rule) => rule.needs?.includes("operations") === true;
    const work = async (queue: typeof slots) => {
      for (let slot = queue.shift(); slot !== undefined; slot = queue.shift()) {
        await this.judge(slot.rule).then(slot.resolve, slot.reject);
      }
    };
    const [together, after] = [
      slots.filter(({ rule }) => !alone(rule)),
      slots.filter(({ rule }) => alone(rule)),
    ];
    // Nothing is lost: each outcome is in the promise of its rule.
    void Promise.all(Array.from({ length: atOnce }, () => work(together))).then(() => work(after));
    return slots.map(({ promise }) => promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.wire[Symbol.asyncDispose]();
  }
}

/** What a server lacks, with words for the report. */
async function probe(options: ContextOptions): Promise<Map<Need, string>> {
  const { caps } = options;
  const lacks = new Map<Need, string>();
  const need = (name: Need, met: boolean, otherwise: string) => {
    if (!met) lacks.set(name, otherwise);
  };
  await using ctx = new Context(options);
  need("cache", caps.cache, "cache_capabilities is not set");
  need("update", caps.updateEnabled, "update_enabled is false");
  for (const [name, value] of [["zstd", 1], ["brotli", 3], ["deflate", 2]] as const) {
    const listed = name.toUpperCase();
    need(name, caps.compressors.includes(value), `supported_compressors does not list ${listed}`);
    need(
      `${name}-batch`,
      caps.batchCompressors.includes(value),
      `supported_batch_update_compressors does not list ${listed}`,
    );
  }
  need("split", caps.split, "split_blob_support is false");
  need("splice", caps.splice, "splice_blob_support is false");
  const operation = await ctx.call(METHOD.getOperation, { 1: "operations/none" });
  need("operations", operation.code !== 12, "Operations, which is optional, is UNIMPLEMENTED");
  const gzip = ctx.open(METHOD.capabilities, { headers: { "grpc-encoding": "gzip" } });
  await gzip.raw(framed(new Uint8Array(gzipSync(msg({ 1: ctx.instance }))), 1));
  gzip.end();
  need("grpc-gzip", (await gzip.reply).code !== 12, "gRPC messages in gzip are UNIMPLEMENTED");
  const noExec = caps.execEnabled ? await execProblem(ctx) : "exec_enabled is false";
  if (noExec !== undefined) lacks.set("exec", noExec);
  return lacks;
}

/** Why no rule about actions can be checked: nobody takes one. */
async function execProblem(ctx: Context): Promise<string | undefined> {
  try {
    const execution = await attempt(ctx, sh(ctx, "exit 0"), { doNotCache: true });
    if (execution.operations.length > 0) return undefined;
    return `an action that does nothing was refused: ${outcome(execution)}`;
  } catch (error) {
    if (error instanceof Broken || error instanceof ParseError) {
      return `no action could be run: ${error.message}`;
    }
    throw error;
  }
}

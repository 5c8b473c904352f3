/**
 * Rules of Capabilities.
 *
 * @module
 */

import { METHOD } from "../context.ts";
import { Fields } from "../protobuf.ts";
import type { Context } from "../context.ts";
import { check, one, type Rule, Skip, SOURCE } from "../rule.ts";

async function capabilities(ctx: Context): Promise<Fields> {
  return Fields.parse(one(await ctx.call(METHOD.capabilities, { 1: ctx.instance }), "GetCapabilities"));
}

function part(all: Fields, number: 1 | 2): Fields {
  const found = all.message(number);
  if (found === undefined) throw new Skip(`no ${number === 1 ? "cache" : "execution"}_capabilities`);
  return found;
}

function version(all: Fields, number: number): readonly number[] | undefined {
  const semver = all.message(number);
  return semver === undefined ? undefined : [semver.int(1), semver.int(2), semver.int(3)];
}

function notAbove(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at === -1 || a[at] < b[at];
}

function checkPriorities(holder: Fields, field: number): void {
  for (const range of holder.message(field)?.messages(1) ?? []) {
    const [low, high] = [range.int(1), range.int(2)];
    check(low <= high, `A priority range goes from ${low} to ${high}`);
  }
}

const MIB = 1024 * 1024;

/** Rules of Capabilities. */
export const CAPABILITIES_RULES: readonly Rule[] = [
  {
    id: "CAP-01",
    title: "GetCapabilities tells of a cache, an execution service, or both",
    source: SOURCE.reapi("Capabilities.GetCapabilities"),
    level: "must",
    run: async (ctx) => {
      const all = await capabilities(ctx);
      check(all.has(1) || all.has(2), "Neither cache_capabilities nor execution_capabilities is set");
    },
  },
  {
    id: "CAP-02",
    title: "The range of versions is set, holds 2.x, and does not run backwards",
    source: SOURCE.reapi("ServerCapabilities.low_api_version, high_api_version"),
    level: "must",
    run: async (ctx) => {
      const all = await capabilities(ctx);
      const [low, high] = [version(all, 4), version(all, 5)];
      check(low !== undefined && high !== undefined, "low_api_version or high_api_version is not set");
      check(
        notAbove(low, high),
        `low_api_version ${low.join(".")} is above high_api_version ${high.join(".")}`,
      );
      check(low[0] <= 2 && high[0] >= 2, `Versions ${low.join(".")} to ${high.join(".")} leave out 2.x`);
    },
  },
  {
    id: "CAP-03",
    title: "deprecated_api_version is not above low_api_version",
    source: SOURCE.reapi("ServerCapabilities.deprecated_api_version"),
    level: "must",
    run: async (ctx) => {
      const all = await capabilities(ctx);
      const [deprecated, low] = [version(all, 3), version(all, 4)];
      if (deprecated === undefined || low === undefined) return;
      check(notAbove(deprecated, low), `${deprecated.join(".")} is above ${low.join(".")}`);
    },
  },
  {
    id: "CAP-04",
    title: "The cache names its digest functions, and UNKNOWN is not among them",
    source: SOURCE.reapi("DigestFunction.UNKNOWN, CacheCapabilities.digest_functions"),
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      const functions = part(await capabilities(ctx), 1).ints(1);
      check(functions.length > 0, "digest_functions is empty");
      check(!functions.includes(0), "digest_functions holds UNKNOWN");
    },
  },
  {
    id: "CAP-05",
    title: "The singular digest_function of execution is set",
    source: SOURCE.reapi("ExecutionCapabilities.digest_function"),
    level: "must",
    run: async (ctx) => {
      check(
        part(await capabilities(ctx), 2).int(1) !== 0,
        "digest_function is UNKNOWN; older clients read it",
      );
    },
  },
  {
    id: "CAP-06",
    title: "digest_functions of execution, when set, holds the singular digest_function and not UNKNOWN",
    source: SOURCE.reapi("ExecutionCapabilities.digest_functions"),
    level: "must",
    run: async (ctx) => {
      const exec = part(await capabilities(ctx), 2);
      const functions = exec.ints(5);
      if (functions.length === 0) return;
      check(functions.includes(exec.int(1)), `${functions.join()} does not hold ${exec.int(1)}`);
      check(!functions.includes(0), "digest_functions holds UNKNOWN");
    },
  },
  {
    id: "CAP-07",
    title: "Limits of batches and blobs are not negative",
    source: SOURCE.reapi("CacheCapabilities.max_batch_total_size_bytes, max_cas_blob_size_bytes"),
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      const cache = part(await capabilities(ctx), 1);
      check(cache.int(4) >= 0, `max_batch_total_size_bytes is ${cache.int(4)}`);
      check(cache.int(8) >= 0, `max_cas_blob_size_bytes is ${cache.int(8)}`);
    },
  },
  {
    id: "CAP-08",
    title: "A batch fits into a message of the size that gRPC libraries take by default (4 MiB)",
    source: "gRPC libraries' default of 4 MiB for messages received",
    level: "should",
    needs: ["cache"],
    run: async (ctx) => {
      const max = part(await capabilities(ctx), 1).int(4);
      check(max > 0 && max <= 4 * MIB, `max_batch_total_size_bytes is ${max}`);
    },
  },
  {
    id: "CAP-09",
    title: "symlink_absolute_path_strategy is set",
    source: SOURCE.reapi("SymlinkAbsolutePathStrategy.UNKNOWN"),
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      check(part(await capabilities(ctx), 1).int(5) !== 0, "symlink_absolute_path_strategy is UNKNOWN");
    },
  },
  {
    id: "CAP-10",
    title: "Priority ranges do not run backwards",
    source: SOURCE.reapi("PriorityCapabilities.PriorityRange"),
    level: "must",
    run: async (ctx) => {
      const all = await capabilities(ctx);
      const [cache, exec] = [all.message(1), all.message(2)];
      if (cache !== undefined) checkPriorities(cache, 3);
      if (exec !== undefined) checkPriorities(exec, 3);
    },
  },
  {
    id: "CAP-11",
    title: "Parameters of FastCDC are in their range",
    source: SOURCE.reapi("FastCdc2020Params.avg_chunk_size_bytes"),
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      const params = part(await capabilities(ctx), 1).message(11);
      if (params === undefined) throw new Skip("fast_cdc_2020_params is not set");
      check(params.int(1) >= 1024 && params.int(1) <= MIB, `avg_chunk_size_bytes is ${params.int(1)}`);
    },
  },
  {
    id: "CAP-12",
    title: "Parameters of RepMaxCDC are in their range",
    source: SOURCE.reapi("RepMaxCdcParams.min_chunk_size_bytes"),
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      const params = part(await capabilities(ctx), 1).message(12);
      if (params === undefined) throw new Skip("rep_max_cdc_params is not set");
      check(params.int(1) >= 64, `min_chunk_size_bytes is ${params.int(1)}`);
    },
  },
  {
    id: "CAP-13",
    title: "Versions from 2.0 on are in good standing, so that strict clients stay",
    source: "Please refuses a server whose low_api_version is above 2.0",
    level: "should",
    run: async (ctx) => {
      const low = version(await capabilities(ctx), 4) ?? [0, 0, 0];
      check(notAbove(low, [2, 0, 0]), `low_api_version is ${low.join(".")}`);
    },
  },
];

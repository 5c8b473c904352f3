/**
 * The filter of ListOperations: conditions that must all hold, such as
 * `invocation_id=4f1c AND stage!=completed`.
 *
 * A condition is a field, `=` or `!=`, and a value, in double quotes if it holds spaces, quotes or `&`. Conditions are
 * joined by `AND` or `&`.
 *
 * @module
 */

import { digestKey } from "@brokkr/cas";
import { Code, invalidArgument } from "@brokkr/common";
import { ExecutionStage } from "@brokkr/proto";
import type { OperationRecord } from "./operation_record.ts";

/** What of an operation is looked at. */
export type FilteredRecord = Pick<OperationRecord, "init" | "stage" | "worker" | "end" | "name">;

/** Longest filter, in characters, and most conditions. */
const MAX_FILTER_LENGTH = 10_000;
const MAX_CONDITIONS = 20;

const STAGES = new Map<number, string>(
  Object.entries(ExecutionStage).map(([name, value]) => [value, name.toLowerCase()]),
);
const CODES = new Map<number, string>(Object.entries(Code).map(([name, value]) => [value, name]));
const BOOLEANS = ["true", "false"];

interface Field {
  /** Values there can be; any without. */
  readonly values?: readonly string[];
  /** The values of an operation: a condition holds for one if any of them is meant. */
  readonly of: (record: FilteredRecord) => readonly string[];
}

const FIELDS: Readonly<Record<string, Field>> = {
  action: {
    of: ({ init: { digest } }) => [
      digest.hash,
      `${digest.hash}/${digest.sizeBytes}`,
      `${digest.fn.segment}:${digest.hash}/${digest.sizeBytes}`,
      digestKey(digest),
    ],
  },
  action_mnemonic: { of: ({ init }) => [init.client?.actionMnemonic ?? ""] },
  cached: { values: BOOLEANS, of: ({ end }) => [String(end?.cached ?? false)] },
  correlated_invocations_id: { of: ({ init }) => [init.client?.correlatedInvocationsId ?? ""] },
  done: { values: BOOLEANS, of: ({ end }) => [String(end !== undefined)] },
  instance: { of: ({ init }) => [init.scope.instance] },
  invocation_id: { of: ({ init }) => [init.client?.toolInvocationId ?? ""] },
  name: { of: ({ name }) => [name] },
  stage: { values: [...STAGES.values()], of: ({ stage }) => [STAGES.get(stage) ?? ""] },
  status: {
    values: [...CODES.values()],
    of: ({ end }) => end === undefined ? [] : [CODES.get(end.code) ?? ""],
  },
  target_id: { of: ({ init }) => [init.client?.targetId ?? ""] },
  tool: { of: ({ init }) => [init.client?.toolName ?? ""] },
  worker: { of: ({ worker }) => [worker] },
};

interface Condition {
  readonly field: Field;
  readonly negated: boolean;
  readonly value: string;
}

/**
 * A condition and what follows it: a joint, or the end. Every run of spaces can be read in one way only, lest a filter
 * of thousands of spaces take seconds.
 */
const TOKEN =
  /\s*([a-z_]+)\s*(!?=)(?:\s*(?!\s)("(?:[^"\\]|\\.)*"|[^\s&"]+)|)(?:\s*(&)|\s+(AND)(?=\s)|\s*$)/iy;

/**
 * A predicate for what `filter` says; the empty filter lets all through.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT saying what is wrong and which fields there are.
 */
export function parseFilter(filter: string): (record: FilteredRecord) => boolean {
  const conditions = conditionsOf(filter);
  return (record) =>
    conditions.every(({ field, negated, value }) => field.of(record).includes(value) !== negated);
}

function conditionsOf(filter: string): Condition[] {
  if (filter.length > MAX_FILTER_LENGTH) {
    throw invalidArgument("filter", `A filter may have at most ${MAX_FILTER_LENGTH} characters`);
  }
  const conditions: Condition[] = [];
  const text = filter.trim();
  for (let at = 0; at < text.length;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    const joined = match?.[4] ?? match?.[5];
    if (match === null || (joined !== undefined && TOKEN.lastIndex >= text.length)) {
      throw invalidArgument(
        "filter",
        `Filter ${JSON.stringify(text.slice(at, at + 100))} cannot be read; write FIELD=VALUE or ` +
          "FIELD!=VALUE, joined by AND",
      );
    }
    conditions.push(condition(match[1].toLowerCase(), match[2], match[3] ?? ""));
    if (conditions.length > MAX_CONDITIONS) {
      throw invalidArgument("filter", `A filter may have at most ${MAX_CONDITIONS} conditions`);
    }
    at = TOKEN.lastIndex;
  }
  return conditions;
}

function condition(name: string, operator: string, raw: string): Condition {
  const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
  if (field === undefined) {
    throw invalidArgument(
      "filter",
      `Field ${JSON.stringify(name.slice(0, 100))} cannot be filtered by; fields are ${
        Object.keys(FIELDS).join(", ")
      }`,
    );
  }
  const text = raw.startsWith('"') ? raw.slice(1, -1).replaceAll(/\\(.)/gs, "$1") : raw;
  const value = field.values?.find((each) => each.toLowerCase() === text.toLowerCase()) ?? text;
  if (field.values !== undefined && !field.values.includes(value)) {
    throw invalidArgument(
      "filter",
      `${JSON.stringify(text.slice(0, 100))} is no value of ${name}; values are ${field.values.join(", ")}`,
    );
  }
  return { field, negated: operator === "!=", value };
}

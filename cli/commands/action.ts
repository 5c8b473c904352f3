/**
 * `brokk action show`: what became of an action, and where its time went.
 *
 * @module
 */

import { humanDuration, humanSize } from "@brokkr/common/units";
import { type ActionRecord, ExecutionStage, type GetActionResponse, type ResourceUsage } from "@brokkr/proto";
import { Command } from "commander";
import type { ConnectionFlags } from "../_connection.ts";
import { bar, plainText, table, writeJson, writeOut } from "../_terminal.ts";
import { digestText, isDigestText } from "../_digest_text.ts";
import { durationMs, timestampMs, withClient, withConnection, withJson } from "./_shared.ts";

interface ActionFlags extends ConnectionFlags {
  readonly json?: boolean;
}

const STAGES: Readonly<Record<number, string>> = {
  [ExecutionStage.CACHE_CHECK]: "looking into the cache",
  [ExecutionStage.QUEUED]: "waiting for a worker",
  [ExecutionStage.EXECUTING]: "running",
  [ExecutionStage.COMPLETED]: "completed",
};

/** The definition of the command and the one below it. */
export function command(): Command {
  const show = new Command("show")
    .description("Shows what the grid remembers of an action: how it ended, who ran it, where its time went.")
    .argument(
      "<action>",
      "action digest (HASH/SIZE), its hash or the first 8 digits of it, or an operation's name",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  brokk action show HASH/142\n  brokk action show operations/NAME\n" +
        '  brokk action show "$(brokk run --json -- /bin/true | jq -r .actionDigest)"\n',
    )
    .action(showCommand);
  return new Command("action").summary("look at what became of an action").description("Looks at actions.")
    .addCommand(withConnection(withJson(show)))
    .addHelpText("after", "\nExample:\n  brokk action show HASH/142\n");
}

async function showCommand(reference: string, flags: ActionFlags): Promise<void> {
  const [found, named] = await withClient(flags, async (client) => {
    const digest = isDigestText(reference) ? client.digest(reference) : undefined;
    return [await client.actionShow(reference), digest] as const;
  });
  const functionValue = found.records[0]?.digestFunction ?? named?.fn.value ?? 0;
  if (flags.json) return await writeJson(actionJson(found, functionValue));
  const { records, cachedResult } = found;
  await writeOut(records.map(recordText).join("\n"));
  const lead = records.length > 0 ? "\n" : "";
  if (cachedResult !== undefined) {
    const worker = cachedResult.executionMetadata?.worker ?? "";
    const by = worker === "" ? "" : `, made by ${plainText(worker)}`;
    await writeOut(`${lead}The cache holds a result for it: exit ${cachedResult.exitCode}${by}\n`);
  } else await writeOut(`${lead}The cache holds no result for it\n`);
}

/** One operation as text. */
export function recordText(record: ActionRecord): string {
  const rows = [
    ["operation", plainText(record.operationName)],
    ["action", digestText(record.actionDigest, record.digestFunction)],
    ["command", record.arguments.map(shellWord).join(" ")],
    ["instance", record.instanceName === "" ? "(default)" : plainText(record.instanceName)],
    ["result", resultText(record)],
    ["created", record.created === undefined ? "" : new Date(timestampMs(record.created)).toISOString()],
    ["client", clientText(record)],
    ["invocation", plainText(record.requestMetadata?.toolInvocationId ?? "")],
    ["correlated", plainText(record.requestMetadata?.correlatedInvocationsId ?? "")],
    ["trace", plainText(record.traceId)],
    ["used", usageText(record.usage)],
    ["sandbox", record.usage === undefined ? "" : sandboxText(record.usage)],
  ];
  return table(rows.filter(([, value]) => value !== "")) + phasesText(record);
}

function shellWord(word: string): string {
  const plain = plainText(word);
  return /^[\w@%+=:,./-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", "'\\''")}'`;
}

function resultText(record: ActionRecord): string {
  const worker = record.workerId === "" ? "" : `, on ${plainText(record.workerId)}`;
  const attempts = record.attempts > 1 ? `, attempt ${record.attempts}` : "";
  if (record.stage !== ExecutionStage.COMPLETED) {
    return `${STAGES[record.stage] ?? "unknown"}${worker}${attempts}`;
  }
  if (record.status !== undefined && record.status.code !== 0) {
    return `failed: ${plainText(record.status.message)}${worker}${attempts}`;
  }
  return `exit ${record.exitCode}, ${record.cached ? "from the cache" : "run"}${worker}${attempts}`;
}

function clientText({ requestMetadata }: ActionRecord): string {
  if (requestMetadata === undefined) return "";
  const { toolDetails, actionMnemonic, targetId } = requestMetadata;
  const tool = toolDetails === undefined ? "" : `${toolDetails.toolName} ${toolDetails.toolVersion}`.trim();
  return plainText([tool, actionMnemonic, targetId].filter((part) => part !== "").join(", "));
}

function clientJson({ requestMetadata }: ActionRecord): unknown {
  if (requestMetadata === undefined) return undefined;
  const { toolDetails, toolInvocationId, correlatedInvocationsId, actionMnemonic, targetId } =
    requestMetadata;
  return {
    tool: toolDetails?.toolName ?? "",
    toolVersion: toolDetails?.toolVersion ?? "",
    invocationId: toolInvocationId,
    correlatedInvocationsId,
    mnemonic: actionMnemonic,
    target: targetId,
  };
}

function usageText(usage: ResourceUsage | undefined): string {
  if (usage === undefined) return "";
  const parts = [
    `${humanDuration(durationMs(usage.cpuUser))} user`,
    `${humanDuration(durationMs(usage.cpuSystem))} system`,
    // All of its processes together, where that was counted.
    `${humanSize(usage.memoryPeakBytes ?? usage.maxRssBytes)} memory`,
    ...countedText(usage),
    `${humanSize(usage.inputFetchedBytes)} of inputs fetched`,
  ];
  if (usage.outOfMemory) parts.push("out of memory");
  if (usage.sandbox?.writableLayerExceeded) parts.push("more written than its writable layer may hold");
  if (usage.isolation !== "") parts.push(`isolation ${plainText(usage.isolation)}`);
  return parts.join(", ");
}

/** What control groups counted, as far as they did. */
function countedText(usage: ResourceUsage): string[] {
  const { pidsPeak, pidsRefused = 0, ioReadBytes, ioWriteBytes, cpuThrottled } = usage;
  const throttledMs = durationMs(cpuThrottled);
  return [
    ...(pidsPeak === undefined ? [] : [`${pidsPeak} ${pidsPeak === 1 ? "process" : "processes"}`]),
    ...(pidsRefused === 0 ? [] : [`${pidsRefused} more refused`]),
    ...(ioReadBytes === undefined ? [] : [`${humanSize(ioReadBytes)} read`]),
    ...(ioWriteBytes === undefined ? [] : [`${humanSize(ioWriteBytes)} written`]),
    ...(throttledMs === 0 ? [] : [`held back for ${humanDuration(throttledMs)}`]),
  ];
}

/** What the action ran under. */
function sandboxText({ sandbox }: ResourceUsage): string {
  if (sandbox === undefined) return "";
  const { memoryLimitBytes, pidsLimit, cpuLimitMillis, ioReadLimitBytes, ioWriteLimitBytes } = sandbox;
  const inodes = sandbox.writableLayerInodes === 0 ? "" : ` and ${sandbox.writableLayerInodes} files`;
  const layer = `up to ${humanSize(sandbox.writableLayerBytes)}${inodes} written to`;
  return plainText([
    `network ${sandbox.network}`,
    `${layer} ${sandbox.writableLayer}`,
    ...(memoryLimitBytes === undefined ? [] : [`at most ${humanSize(memoryLimitBytes)} memory`]),
    ...(pidsLimit === undefined ? [] : [`${pidsLimit} processes`]),
    ...(cpuLimitMillis === undefined ? [] : [`${cpuLimitMillis / 1000} processors`]),
    ...(ioReadLimitBytes === undefined ? [] : [`${humanSize(ioReadLimitBytes)}/s read`]),
    ...(ioWriteLimitBytes === undefined ? [] : [`${humanSize(ioWriteLimitBytes)}/s written`]),
    ...(sandbox.aslrOff ? ["addresses not randomized"] : []),
    ...(sandbox.rdtscOff ? ["no rdtsc"] : []),
  ].join(", "));
}

function phasesText(record: ActionRecord): string {
  if (record.phases.length === 0) return "";
  const phases = record.phases.map((phase) => ({
    name: plainText(phase.name),
    startMs: durationMs(phase.start),
    durationMs: durationMs(phase.duration),
  }));
  const totalMs = Math.max(...phases.map((phase) => phase.startMs + phase.durationMs), 0);
  const rows = phases.map(({ name, startMs, durationMs }) => [
    `  ${name}`,
    humanDuration(durationMs).padStart(9),
    totalMs === 0 || name === "total" ? "" : " ".repeat(Math.round(startMs / totalMs * 40)) +
      bar(1, Math.max(1, Math.round(durationMs / totalMs * 40))),
  ]);
  return `phases\n${table(rows)}`; // the grid's own total is the last of them
}

/** What was not counted is absent. */
function usageJson(usage: ResourceUsage): unknown {
  const { cpuUser, cpuSystem, cpuThrottled, ...rest } = usage;
  return {
    ...rest,
    cpuUserMs: durationMs(cpuUser),
    cpuSystemMs: durationMs(cpuSystem),
    ...(cpuThrottled === undefined ? {} : { cpuThrottledMs: durationMs(cpuThrottled) }),
  };
}

/** `functionValue` is REAPI's number of the function of all digests of the action. */
function actionJson({ records, cachedResult }: GetActionResponse, functionValue: number): unknown {
  return {
    records: records.map((record) => ({
      operationName: record.operationName,
      instanceName: record.instanceName,
      actionDigest: digestText(record.actionDigest, record.digestFunction),
      stage: STAGES[record.stage] ?? "unknown",
      cached: record.cached,
      status: record.status === undefined
        ? undefined
        : { code: record.status.code, message: record.status.message },
      exitCode: record.exitCode,
      worker: record.workerId,
      attempts: record.attempts,
      created: record.created === undefined ? undefined : new Date(timestampMs(record.created)).toISOString(),
      arguments: record.arguments,
      traceId: record.traceId,
      client: clientJson(record),
      phases: record.phases.map(({ name, start, duration }) => ({
        name,
        startMs: durationMs(start),
        durationMs: durationMs(duration),
      })),
      usage: record.usage === undefined ? undefined : usageJson(record.usage),
    })),
    cachedResult: cachedResult === undefined ? undefined : {
      exitCode: cachedResult.exitCode,
      worker: cachedResult.executionMetadata?.worker ?? "",
      outputFiles: cachedResult.outputFiles.map(({ path, digest }) => ({
        path,
        digest: digestText(digest, functionValue),
      })),
      outputDirectories: cachedResult.outputDirectories.map(({ path, treeDigest }) => ({
        path,
        treeDigest: digestText(treeDigest, functionValue),
      })),
    },
  };
}

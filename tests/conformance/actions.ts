/**
 * Actions on the bare wire: their messages, and the stream of operations that tells how they fare.
 *
 * @module
 */

import {
  type Context,
  type Digest,
  digestMsg,
  digestOf,
  EMPTY,
  METHOD,
  readDigest,
  text,
} from "./context.ts";
import { concat, Fields, type FieldValue, msg } from "./protobuf.ts";
import { Broken, check, equal, status } from "./rule.ts";
import { type Call, type Reply, richStatus, STATUS_NAMES, statusOf } from "./wire.ts";

/** Stages of an execution. */
export const STAGE = { UNKNOWN: 0, CACHE_CHECK: 1, QUEUED: 2, EXECUTING: 3, COMPLETED: 4 } as const;

/** A Command, by names. */
export interface Command {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly outputFiles?: readonly string[];
  readonly outputDirectories?: readonly string[];
  readonly outputPaths?: readonly string[];
  readonly platform?: readonly (readonly [string, string])[];
  readonly workingDirectory?: string;
  readonly nodeProperties?: readonly string[];
  readonly directoryFormat?: number;
}

/** An Action, by names. */
export interface Action {
  readonly inputRoot?: Digest;
  /** Milliseconds. */
  readonly timeoutMs?: number;
  readonly doNotCache?: boolean;
  readonly salt?: Uint8Array;
  readonly platform?: readonly (readonly [string, string])[];
}

/** An ExecuteRequest, by names. */
export interface Request {
  readonly skipCache?: boolean;
  readonly inlineStdout?: boolean;
  readonly inlineStderr?: boolean;
  readonly inlineFiles?: readonly string[];
  readonly digestFunction?: number;
}

function platformMsg(properties: readonly (readonly [string, string])[]): Uint8Array | undefined {
  if (properties.length === 0) return undefined;
  const sorted = [...properties].sort((a, b) => a.join("\0") < b.join("\0") ? -1 : 1);
  return msg({ 1: sorted.map(([name, value]) => msg({ 1: name, 2: value })) });
}

/** Encodes a Command. */
export function commandMsg(command: Command): Uint8Array {
  const env = Object.entries(command.env ?? { PATH: "/usr/bin:/bin" }).sort(([a], [b]) => a < b ? -1 : 1);
  return msg({
    1: command.args,
    2: env.map(([name, value]) => msg({ 1: name, 2: value })),
    3: command.outputFiles,
    4: command.outputDirectories,
    5: platformMsg(command.platform ?? []),
    6: command.workingDirectory,
    7: command.outputPaths,
    8: command.nodeProperties,
    9: command.directoryFormat,
  });
}

/** Encodes an Action. */
export function actionMsg(command: Digest, action: Action = {}): Uint8Array {
  const ms = action.timeoutMs;
  return msg({
    1: digestMsg(command),
    2: digestMsg(action.inputRoot ?? EMPTY),
    6: ms === undefined ? undefined : msg({ 1: Math.trunc(ms / 1000), 2: Math.trunc(ms % 1000) * 1e6 }),
    7: action.doNotCache ?? false,
    9: action.salt,
    10: platformMsg(action.platform ?? []),
  });
}

/** A shell script as a Command; a comment makes it like no other. */
export function sh(ctx: Context, script: string, more: Omit<Command, "args"> = {}): Command {
  return { args: ["/bin/sh", "-c", `# ${ctx.freshText()}\n${script}`], ...more };
}

/** An Operation with its metadata and response taken apart. */
export interface Operation {
  readonly name: string;
  readonly done: boolean;
  readonly hasError: boolean;
  readonly metadataType: string;
  readonly stage: number;
  readonly actionDigest: Digest;
  readonly responseType: string;
  readonly response: Fields | undefined;
}

/** Takes an Operation apart. */
export function readOperation(bytes: Uint8Array): Operation {
  const operation = Fields.parse(bytes);
  const [metadata, response] = [operation.message(2), operation.message(5)];
  const inner = metadata === undefined ? undefined : Fields.parse(metadata.bytesOf(2));
  return {
    name: operation.str(1),
    done: operation.bool(3),
    hasError: operation.has(4),
    metadataType: metadata?.str(1) ?? "",
    stage: inner?.int(1) ?? 0,
    actionDigest: readDigest(inner?.message(2)),
    responseType: response?.str(1) ?? "",
    response: response === undefined ? undefined : Fields.parse(response.bytesOf(2)),
  };
}

/** How an execution went. */
export interface Execution {
  readonly reply: Reply;
  readonly operations: readonly Operation[];
  /** The ExecuteResponse, if there was one. */
  readonly response: Fields | undefined;
  /** Status of the call, or else that inside of the response. */
  readonly code: number;
  /** Words of that status. */
  readonly message: string;
  /** The google.rpc.Status, if one came. */
  readonly rich: Fields | undefined;
}

/** Takes a stream of operations apart. */
export function readExecution(reply: Reply): Execution {
  check(reply.code !== undefined, () => `Execute: ${statusOf(reply)}`);
  const operations = reply.messages.map(readOperation);
  const response = operations.at(-1)?.response;
  const inner = response?.message(3);
  if (reply.code !== 0) {
    return { reply, operations, response, code: reply.code, message: reply.message, rich: richStatus(reply) };
  }
  return { reply, operations, response, code: inner?.int(1) ?? 0, message: inner?.str(2) ?? "", rich: inner };
}

/** Stores Command and Action, and gives the action's digest. */
export async function store(ctx: Context, command: Command, action: Action = {}): Promise<Digest> {
  const { platform } = ctx.options;
  const bytes = commandMsg({ ...command, platform: command.platform ?? platform });
  const encoded = actionMsg(digestOf(bytes), { ...action, platform: action.platform ?? platform });
  return (await ctx.putAll([bytes, encoded]))[1];
}

function requestMsg(ctx: Context, action: Digest, more: Request): Uint8Array {
  const fields: Record<number, FieldValue> = {
    1: ctx.instance,
    3: more.skipCache ?? false,
    6: digestMsg(action),
    9: more.digestFunction ?? 0,
    10: more.inlineStdout ?? false,
    11: more.inlineStderr ?? false,
    12: more.inlineFiles,
  };
  return msg(fields);
}

/** Begins an execution. */
export async function begin(ctx: Context, action: Digest, more: Request = {}): Promise<Call> {
  const call = ctx.open(METHOD.execute, { timeoutMs: ctx.options.actionTimeoutMs });
  await call.send(requestMsg(ctx, action, more));
  call.end();
  return call;
}

/** Begins to wait for an operation. */
export async function beginWait(ctx: Context, name: string): Promise<Call> {
  const call = ctx.open(METHOD.wait, { timeoutMs: ctx.options.actionTimeoutMs });
  await call.send(msg({ 1: name }));
  call.end();
  return call;
}

/** Runs an action that is stored, to its end. */
export async function execute(ctx: Context, action: Digest, more: Request = {}): Promise<Execution> {
  return readExecution(await (await begin(ctx, action, more)).reply);
}

/** Stores and runs a command, to its end, however that is. */
export async function attempt(
  ctx: Context,
  command: Command,
  action: Action = {},
  more: Request = {},
): Promise<Execution> {
  return await execute(ctx, await store(ctx, command, action), more);
}

/** The name of an execution's status. */
export function outcome({ code, message }: Execution): string {
  return `${STATUS_NAMES[code] ?? code}${message === "" ? "" : `: ${message.slice(0, 300)}`}`;
}

/** Asserts the status of an execution, wherever it stands. */
export function ended(execution: Execution, allowed: readonly string[], what: string): void {
  const name = STATUS_NAMES[execution.code] ?? "";
  check(
    allowed.includes(name),
    () => `${what}: ${outcome(execution)}, where ${allowed.join(" or ")} is right`,
  );
}

/** The ActionResult of an execution that ended with OK. */
export function resultOf(execution: Execution): Fields {
  status(execution.reply, "OK", "Execute");
  ended(execution, ["OK"], "ExecuteResponse.status");
  const result = execution.response?.message(1);
  if (result === undefined) throw new Broken("ExecuteResponse.result is not set");
  return result;
}

/** Stores and runs a command that must end with OK and exit code 0, and gives its ActionResult. */
export async function run(
  ctx: Context,
  command: Command,
  action: Action = {},
  more: Request = {},
): Promise<Fields> {
  const result = resultOf(await attempt(ctx, command, action, more));
  const { 0: out, 1: err } = await Promise.all([stdout(ctx, result), stdout(ctx, result, 7)]);
  check(result.int(4) === 0, `The command ended with exit code ${result.int(4)}; it said: ${out} ${err}`);
  return result;
}

/** Standard output (5) or standard error (7) of a result, inlined or not. */
export async function stdout(ctx: Context, result: Fields, field: 5 | 7 = 5): Promise<string> {
  const raw = result.bytesOf(field);
  if (raw.length > 0) return text(raw);
  const digest = readDigest(result.message(field + 1));
  return digest.hash === "" ? "" : text(await ctx.get(digest));
}

/** Output files by path. */
export function files(result: Fields): Map<string, Fields> {
  return new Map(result.messages(2).map((file) => [file.str(1), file]));
}

/** The content of an output file. */
export async function fileText(ctx: Context, result: Fields, path: string): Promise<string> {
  const file = files(result).get(path);
  check(
    file !== undefined,
    () => `There is no output file ${path}, only: ${[...files(result).keys()].join(", ")}`,
  );
  return text(await ctx.get(readDigest(file.message(2))));
}

/** Symlinks among the outputs, in whichever field: path and target. */
export function symlinks(result: Fields, numbers: readonly number[] = [10, 11, 12]): Map<string, string> {
  return new Map(
    numbers.flatMap((number) => result.messages(number)).map((link) => [link.str(1), link.str(2)]),
  );
}

/** One output directory by path. */
export function directory(result: Fields, path: string): Fields {
  const found = result.messages(3).find((one) => one.str(1) === path);
  check(found !== undefined, () => `There is no output directory ${JSON.stringify(path)}`);
  return found;
}

/** The Tree of an output directory: the root, and each Directory by its hash. */
export async function treeOf(
  ctx: Context,
  output: Fields,
): Promise<{ readonly root: Uint8Array; readonly children: readonly Uint8Array[] }> {
  const digest = readDigest(output.message(3));
  check(digest.hash !== "", "tree_digest is not set");
  const tree = Fields.parse(await ctx.get(digest));
  return { root: tree.bytesOf(1), children: tree.bytesAll(2) };
}

/** Paths below a tree with what is there: `file`, `exec`, `dir`, or `-> target`. */
export function listing(
  root: Uint8Array,
  children: readonly Uint8Array[],
  prefix = "",
): Record<string, string> {
  const byHash = new Map(children.map((bytes) => [digestOf(bytes).hash, bytes]));
  const out: Record<string, string> = {};
  const walk = (bytes: Uint8Array, at: string, depth: number) => {
    if (depth > 50) throw new Broken("A Tree is deeper than 50 directories");
    const one = Fields.parse(bytes);
    for (const file of one.messages(1)) out[at + file.str(1)] = file.bool(4) ? "exec" : "file";
    for (const link of one.messages(3)) out[at + link.str(1)] = `-> ${link.str(2)}`;
    for (const node of one.messages(2)) {
      out[at + node.str(1)] = "dir";
      const { hash } = readDigest(node.message(2));
      const child = hash === EMPTY.hash ? new Uint8Array() : byHash.get(hash);
      if (child === undefined) throw new Broken(`The Directory of ${at}${node.str(1)} is not in the Tree`);
      walk(child, `${at}${node.str(1)}/`, depth + 1);
    }
  };
  walk(root, prefix, 0);
  return Object.fromEntries(Object.entries(out).sort(([a], [b]) => a < b ? -1 : 1));
}

/** Subjects of the violations of type MISSING in a status, sorted. */
export function missingSubjects(rich: Fields | undefined): string[] {
  const details = rich?.messages(3) ?? [];
  const failure = details.find((any) => any.str(1).endsWith("/google.rpc.PreconditionFailure"));
  if (failure === undefined) return [];
  const violations = Fields.parse(failure.bytesOf(2)).messages(1);
  return violations.filter((one) => one.str(1) === "MISSING").map((one) => one.str(2)).sort();
}

/** Files of an input tree: content, `-> target` in a string, or a subtree. */
export interface Inputs {
  readonly [name: string]: string | Uint8Array | Inputs;
}

/** Stores an input tree and gives its root. A name that ends with `*` is executable. */
export async function inputs(ctx: Context, tree: Inputs): Promise<Digest> {
  const blobs: Uint8Array[] = [];
  const build = (level: Inputs): Digest => {
    const [fileNodes, dirNodes, linkNodes]: Uint8Array[][] = [[], [], []];
    for (const [key, value] of Object.entries(level).sort(([a], [b]) => a < b ? -1 : 1)) {
      const name = key.replace(/\*$/, "");
      if (typeof value === "string" && value.startsWith("-> ")) {
        linkNodes.push(msg({ 1: name, 2: value.slice(3) }));
      } else if (typeof value === "string" || value instanceof Uint8Array) {
        const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
        blobs.push(bytes);
        fileNodes.push(msg({ 1: name, 2: digestMsg(digestOf(bytes)), 4: key.endsWith("*") }));
      } else dirNodes.push(msg({ 1: name, 2: digestMsg(build(value)) }));
    }
    const bytes = concat([msg({ 1: fileNodes, 2: dirNodes, 3: linkNodes })]);
    blobs.push(bytes);
    return digestOf(bytes);
  };
  const root = build(tree);
  await ctx.putAll(blobs);
  return root;
}

/** Asserts that all operations of a stream have one name, and gives it. */
export function nameOf(execution: Execution): string {
  const names = [...new Set(execution.operations.map(({ name }) => name))];
  equal(names.length, 1, "Number of different names in a stream of operations");
  check(names[0] !== "", "The operation has no name");
  return names[0];
}

/**
 * Command and Action messages, canonical: the same request always has the same digest.
 *
 * @module
 */

import { compareUtf8, type Digest, type DigestFunction, digestOf, splitPath } from "@brokkr/cas/client";
import { invalidArgument } from "@brokkr/common";
import { ActionCodec, CommandCodec, type Init, type Platform } from "@brokkr/proto";
import type { BlobSet } from "./_local_tree.ts";

/** What identifies an action. */
export interface ActionSpec {
  /** Program and arguments. A program without a slash is looked up in `env.PATH`. */
  readonly argv: readonly string[];
  /** The whole environment; nothing is inherited from anywhere. */
  readonly env?: Readonly<Record<string, string>>;
  /** What to collect: files, directories or links, relative to the working directory. */
  readonly outputs?: readonly string[];
  /** What the worker must offer. */
  readonly platform?: Readonly<Record<string, string | readonly string[]>>;
  /** How long the command may run, in milliseconds; the grid's default without it. */
  readonly timeoutMs?: number;
  /** Runs it in any case, and keeps its result from answering others. */
  readonly noCache?: boolean;
  /** Directory below the root of the inputs where the command starts. */
  readonly workingDirectory?: string;
}

/** A path below `base` as REAPI wants it: `""` for `base` itself, no `.` and no slash too many. */
function relativePath(what: string, base: string, path: string): string {
  const names = path.split("/").filter((name, index) => name !== "." && (name !== "" || index === 0));
  const clean = names.join("/");
  try {
    splitPath(clean);
  } catch (error) {
    throw invalidArgument(
      "",
      `${what} ${JSON.stringify(path)} must be a path below ${base}`,
      error,
    );
  }
  return clean;
}

function checkText(what: string, text: string): string {
  if (!text.isWellFormed()) {
    throw invalidArgument("", `The ${what} ${JSON.stringify(text)} is not valid Unicode`);
  }
  if (text.includes("\0")) throw invalidArgument("", `The ${what} ${JSON.stringify(text)} holds a NUL`);
  return text;
}

function environment(env: Readonly<Record<string, string>>): { name: string; value: string }[] {
  return Object.keys(env).sort(compareUtf8).map((name) => {
    if (name === "" || name.includes("=")) {
      throw invalidArgument("", `${JSON.stringify(name)} cannot name an environment variable`);
    }
    return { name: checkText("variable", name), value: checkText("value", env[name]) };
  });
}

function platformOf(platform: NonNullable<ActionSpec["platform"]>): Init<Platform> | undefined {
  const properties: { name: string; value: string }[] = [];
  for (const [name, values] of Object.entries(platform)) {
    if (name === "") throw invalidArgument("", "A platform property needs a name");
    for (const value of typeof values === "string" ? [values] : values) {
      properties.push({ name: checkText("property", name), value: checkText("value", value) });
    }
  }
  if (properties.length === 0) return undefined;
  properties.sort((a, b) => compareUtf8(a.name, b.name) || compareUtf8(a.value, b.value));
  return { properties };
}

/**
 * Encodes an action into `blobs` and gives its digest.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT for what no action can have.
 */
export function buildAction(
  spec: ActionSpec,
  inputRootDigest: Digest,
  fn: DigestFunction,
  blobs: BlobSet,
): { readonly actionDigest: Digest; readonly commandDigest: Digest } {
  if (spec.argv.length === 0 || spec.argv[0] === "") {
    throw invalidArgument("", "A command is missing: argv needs at least a program");
  }
  const { timeoutMs } = spec;
  if (timeoutMs !== undefined && !(Number.isSafeInteger(timeoutMs) && timeoutMs > 0)) {
    throw invalidArgument("", `A timeout must be a positive whole number of ms, not ${timeoutMs}`);
  }
  const platform = platformOf(spec.platform ?? {});
  const outputs = (spec.outputs ?? []).map((path) => relativePath("Output", "the working directory", path));
  const workingDirectory = relativePath(
    "Working directory",
    "the root of the inputs",
    spec.workingDirectory ?? "",
  );
  const command = CommandCodec.encode({
    arguments: spec.argv.map((argument) => checkText("argument", argument)),
    environmentVariables: environment(spec.env ?? {}),
    outputPaths: [...new Set(outputs)].sort(compareUtf8),
    workingDirectory,
    // Old servers look for it here, new ones in the action.
    platform,
  });
  const commandDigest = blobs.addBytes(fn, command);
  const action = ActionCodec.encode({
    commandDigest,
    inputRootDigest,
    timeout: timeoutMs === undefined
      ? undefined
      : { seconds: Math.floor(timeoutMs / 1000), nanos: (timeoutMs % 1000) * 1_000_000 },
    doNotCache: spec.noCache ?? false,
    platform,
  });
  const actionDigest = digestOf(fn, action);
  blobs.add({ digest: actionDigest, data: action });
  return { actionDigest, commandDigest };
}

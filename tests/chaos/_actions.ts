/**
 * The actions that clients run while processes are struck. Most of them make a random token: whoever runs one twice is
 * found out, since the second result differs from the first.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Code } from "@brokkr/common";
import {
  type ActionResult,
  type Directory,
  DirectoryCodec,
  type ExecuteResponse,
  type Init,
} from "@brokkr/proto";
import { ActionCodec, type Command, CommandCodec } from "@brokkr/proto";
import { digest, sh, utf8, type WireDigest } from "../e2e/_grid.ts";

/** Reads a blob whole. */
export type Reader = (blob: WireDigest | undefined) => Promise<Uint8Array>;

/** An action with all that it needs, and what must come out of it. */
export interface ChaosAction {
  readonly digest: WireDigest;
  /** Action, Command and input tree. */
  readonly blobs: readonly Uint8Array[];
  /** Whether its result goes into the action cache. */
  readonly cached: boolean;
  /** Throws when a result is not one that this action can have. */
  check(result: ActionResult, read: Reader): Promise<void>;
}

const TOKEN = "token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')";

interface Kind {
  readonly script: string;
  readonly command?: Init<Command>;
  readonly cached?: boolean;
  check(result: ActionResult, read: Reader, word: string): Promise<void>;
}

async function text(read: Reader, blob: WireDigest | undefined): Promise<string> {
  return new TextDecoder().decode(await read(blob));
}

/** The one output file's digest. */
function outputFile(result: ActionResult, path: string): WireDigest | undefined {
  return result.outputFiles.find((file) => file.path === path)?.digest;
}

const KINDS: Readonly<Record<string, Kind>> = {
  /** Copies its inputs: always the same. */
  copy: {
    script: "cat in/a in/deep/b > out; mkdir -p tree/x; cp in/a tree/x/a; ln -s x/a tree/link; cat in/a",
    command: { outputPaths: ["out", "tree"] },
    async check(result, read, word) {
      assertEquals(await text(read, outputFile(result, "out")), `a of ${word}\nb of ${word}\n`);
      assertEquals(await text(read, result.stdoutDigest), `a of ${word}\n`);
      assertEquals(result.outputDirectories.map(({ path }) => path), ["tree"]);
    },
  },
  /** Says a random word by every way out. */
  token: {
    script:
      `${TOKEN}; sleep 0.$((0x$(od -An -N1 -tx1 /dev/urandom | tr -d ' ') % 8)); echo $token > out; echo $token`,
    command: { outputPaths: ["out"] },
    async check(result, read) {
      const token = await text(read, outputFile(result, "out"));
      assertMatch(token, /^[0-9a-f]{32}\n$/);
      assertEquals(await text(read, result.stdoutDigest), token);
    },
  },
  /** Takes longer than a lease, and leaves processes that would outlive it. */
  slow: {
    script:
      `${TOKEN}; sleep 1000 & (setsid sleep 1000 > /dev/null 2>&1 &); sleep 2.5; echo $token > out; echo $token`,
    command: { outputPaths: ["out"] },
    async check(result, read) {
      const token = await text(read, outputFile(result, "out"));
      assertMatch(token, /^[0-9a-f]{32}\n$/);
      assertEquals(await text(read, result.stdoutDigest), token);
    },
  },
  /** Makes a file too large for a segment, and its hash. */
  large: {
    script: "head -c 3000000 /dev/urandom > out; sha256sum < out",
    command: { outputPaths: ["out"] },
    async check(result, read) {
      const out = outputFile(result, "out");
      assertEquals(out?.sizeBytes, 3_000_000);
      assertEquals(await text(read, result.stdoutDigest), `${out?.hash}  -\n`);
      await read(out);
    },
  },
  /** Fails, which is never cached. */
  failing: {
    script: "echo partial > out; echo no >&2; exit 3",
    command: { outputPaths: ["out"] },
    cached: false,
    async check(result, read) {
      assertEquals(result.exitCode, 3);
      assertEquals(await text(read, result.stderrDigest), "no\n");
      assertEquals(await text(read, outputFile(result, "out")), "partial\n");
    },
  },
};

/** Kinds in the order in which actions take turns. */
const TURNS = ["token", "copy", "token", "slow", "token", "large", "copy", "token", "failing"] as const;

/** Action number `index` of a round; `mark` is in the environment of its processes. */
export function chaosAction(mark: string, index: number): ChaosAction {
  const word = `${mark} ${index}`;
  const kind = KINDS[TURNS[index % TURNS.length]];
  const files = [utf8(`a of ${word}\n`), utf8(`b of ${word}\n`)];
  const deep: Init<Directory> = { files: [{ name: "b", digest: digest(files[1]) }] };
  const deepBytes = DirectoryCodec.encode(deep);
  const inBytes = DirectoryCodec.encode({
    files: [{ name: "a", digest: digest(files[0]) }],
    directories: [{ name: "deep", digest: digest(deepBytes) }],
  });
  const root = DirectoryCodec.encode({ directories: [{ name: "in", digest: digest(inBytes) }] });
  const plain = sh(kind.script, kind.command);
  const command = CommandCodec.encode({
    ...plain,
    environmentVariables: [{ name: "MARK", value: word }, ...(plain.environmentVariables ?? [])],
  });
  const action = ActionCodec.encode({ commandDigest: digest(command), inputRootDigest: digest(root) });
  return {
    digest: digest(action),
    blobs: [...files, deepBytes, inBytes, root, command, action],
    cached: kind.cached ?? true,
    async check(result, read) {
      if (kind.cached ?? true) assertEquals(result.exitCode, 0);
      await kind.check(result, read, word);
    },
  };
}

/** Whether a response says that the action took down as many workers as one may. */
export function lostWorkers({ status }: ExecuteResponse): boolean {
  return status?.code === Code.FAILED_PRECONDITION && status.message.includes("workers were lost");
}

/**
 * A grid of real processes, and a client that speaks the bare API to it: it can also say what no decent client says.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { BrokkrError, Code, codeName } from "@brokkr/common";
import { digestOf, SHA256 } from "@brokkr/cas/client";
import { type Grid, startGrid, type StartGridOptions } from "@brokkr/cli/up";
import {
  type Action,
  ActionCodec,
  ByteStream,
  type Command,
  CommandCodec,
  ContentAddressableStorage,
  type ExecuteRequest,
  type ExecuteResponse,
  Execution,
  type Init,
} from "@brokkr/proto";
import { type Channel, connect } from "@brokkr/proto/rpc/client";
import { Followed } from "./_followed.ts";

/** A digest as messages carry it. */
export interface WireDigest {
  readonly hash: string;
  readonly sizeBytes: number;
}

/** Bytes of a text. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Text of bytes. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Digest of bytes. */
export function digest(bytes: Uint8Array): WireDigest {
  const { hash, sizeBytes } = digestOf(SHA256, bytes);
  return { hash, sizeBytes };
}

/** Digest of a blob that nobody has: each call another one. */
export function absentDigest(sizeBytes = 16): WireDigest {
  return { hash: digest(crypto.getRandomValues(new Uint8Array(32))).hash, sizeBytes };
}

/** The empty blob, and the empty Directory. */
export const EMPTY: WireDigest = digest(new Uint8Array());

/** Runs a script; PATH is set. */
export function sh(script: string, more: Init<Command> = {}): Init<Command> {
  return {
    arguments: ["/bin/sh", "-c", script],
    environmentVariables: [{ name: "PATH", value: "/usr/bin:/bin" }],
    ...more,
  };
}

/** The error that `call` fails with. */
export async function failure(call: () => Promise<unknown>): Promise<BrokkrError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof BrokkrError) return error;
    throw error;
  }
  throw new Error("The call succeeded");
}

/** Asserts that an error has a code and says each of some words, and that it is not the server's own fault. */
export function assertFailure(
  error: { readonly code: number; readonly message: string } | undefined,
  code: number,
  ...words: readonly string[]
): void {
  const told = error === undefined ? "no error" : `${codeName(error.code)}: ${error.message}`;
  assertEquals(error === undefined ? "OK" : codeName(error.code), codeName(code), told);
  for (const word of words) {
    if (!told.includes(word)) throw new Error(`${JSON.stringify(word)} is not in: ${told}`);
  }
}

let unique = 0;

/** A grid under test. Disposing of it checks that its processes lived to the end and exit with 0. */
export class TestGrid implements AsyncDisposable {
  readonly grid: Grid;
  readonly channel: Channel;
  readonly instance = "e2e";
  /** What the supervisor said of deaths. */
  readonly deaths: string[];
  /** What the processes logged. */
  readonly lines: string[];
  /** Deaths that the test brought about. */
  expectedDeaths = 0;

  private constructor(grid: Grid, deaths: string[], lines: string[]) {
    this.grid = grid;
    this.channel = connect(grid.endpoint);
    this.deaths = deaths;
    this.lines = lines;
  }

  static async start(options: StartGridOptions = {}): Promise<TestGrid> {
    const deaths: string[] = [];
    const lines: string[] = [];
    const grid = await startGrid({
      slots: 2,
      onDeath: (message) => deaths.push(message),
      onLog: (process, line) => lines.push(`${process}: ${line}`),
      ...options,
    });
    return new TestGrid(grid, deaths, lines);
  }

  /** Starts one whose actions reach this machine: they leave notes for the test, or wait for it. */
  static startOnHost(options: StartGridOptions = {}): Promise<TestGrid> {
    const { workerFlags = [] } = options;
    const flagsOf = typeof workerFlags === "function" ? workerFlags : () => workerFlags;
    return TestGrid.start({ ...options, workerFlags: (worker) => ["--no-sandbox", ...flagsOf(worker)] });
  }

  /** Uploads blobs and gives their digests. */
  async putAll(blobs: readonly Uint8Array[]): Promise<WireDigest[]> {
    const digests = blobs.map(digest);
    const { responses } = await this.channel.unary(ContentAddressableStorage.batchUpdateBlobs, {
      instanceName: this.instance,
      requests: blobs.map((data, i) => ({ digest: digests[i], data })),
    });
    for (const { status } of responses) {
      if ((status?.code ?? 0) !== 0) throw new Error(`An upload failed: ${status?.message}`);
    }
    return digests;
  }

  /** Uploads a blob and gives its digest. */
  async put(bytes: Uint8Array): Promise<WireDigest> {
    return (await this.putAll([bytes]))[0];
  }

  /** Uploads Command and Action and gives the action's digest. */
  async action(command: Init<Command>, action: Init<Action> = {}): Promise<WireDigest> {
    const bytes = CommandCodec.encode(command);
    const encoded = ActionCodec.encode({ commandDigest: digest(bytes), inputRootDigest: EMPTY, ...action });
    return (await this.putAll([bytes, encoded]))[1];
  }

  /** Begins an execution. */
  execute(actionDigest: Init<WireDigest> | undefined, more: Init<ExecuteRequest> = {}): Followed {
    const abort = new AbortController();
    const stream = this.channel.serverStream(Execution.execute, {
      instanceName: this.instance,
      actionDigest,
      ...more,
    }, { signal: abort.signal });
    return new Followed(stream, abort);
  }

  /** Waits for an execution by name. */
  wait(name: string): Followed {
    const abort = new AbortController();
    return new Followed(
      this.channel.serverStream(Execution.waitExecution, { name }, { signal: abort.signal }),
      abort,
    );
  }

  /** Runs a command to its end. */
  async run(
    command: Init<Command>,
    action: Init<Action> = {},
    request: Init<ExecuteRequest> = {},
  ): Promise<ExecuteResponse> {
    return await this.execute(await this.action(command, action), request).response();
  }

  /** A blob's bytes, by ByteStream. */
  async read(blob: WireDigest | undefined): Promise<Uint8Array> {
    if (blob === undefined || blob.sizeBytes === 0) return new Uint8Array();
    const chunks: Uint8Array[] = [];
    const resourceName = `${this.instance}/blobs/${blob.hash}/${blob.sizeBytes}`;
    for await (const { data } of this.channel.serverStream(ByteStream.read, { resourceName })) {
      chunks.push(data);
    }
    const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  /** A blob as text. */
  async text(blob: WireDigest | undefined): Promise<string> {
    return text(await this.read(blob));
  }

  /** Which of these the store lacks. */
  async missing(digests: readonly WireDigest[]): Promise<readonly WireDigest[]> {
    const { missingBlobDigests } = await this.channel.unary(ContentAddressableStorage.findMissingBlobs, {
      instanceName: this.instance,
      blobDigests: digests,
    });
    return missingBlobDigests.map(({ hash, sizeBytes }) => ({ hash, sizeBytes }));
  }

  /** Asserts that the grid still does what it is for: an action never seen before, with an input and an output. */
  async assertGood(): Promise<void> {
    const word = `good-${Deno.pid}-${++unique}`;
    const response = await this.run(sh(`echo ${word} > out; echo ${word}`, { outputPaths: ["out"] }));
    assertEquals([response.status?.code ?? 0, response.status?.message ?? ""], [Code.OK, ""]);
    assertEquals(response.result?.exitCode, 0);
    assertEquals(await this.text(response.result?.outputFiles[0]?.digest), `${word}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close();
    const ends = await this.grid.stop();
    const log = this.lines.slice(-60).join("\n");
    assertEquals(this.deaths.length, this.expectedDeaths, `${this.deaths.join("\n")}\n${log}`);
    assertEquals(ends.filter(({ code }) => code !== 0), [], log);
  }
}

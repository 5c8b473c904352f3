/**
 * The files of a stopped store: large blobs, and what lies about.
 *
 * @module
 */

import {
  type Digest,
  type DigestFunction,
  digestFunctionBySegment,
  formatDigest,
  type HashHex,
} from "../digest.ts";
import type { FsckContext } from "./_fsck_report.ts";
import { lookAtFile } from "./_look.ts";
import { MAX_RECORD_DATA } from "./_record.ts";
import { FILE_SEGMENT } from "./membership_table.ts";

/** Files under a wrong name that are remembered. */
const MAX_MISNAMED = 10_000;

/** Names in the store's directory. */
const KNOWN = new Set([
  "FORMAT",
  "CLEAN",
  "LOADING",
  "SCRUB",
  "FSCK",
  "LOCK",
  "segments",
  "blobs",
  "tmp",
  "uploads",
  "index",
  "quarantine",
  "evicted",
]);

interface Misnamed {
  readonly digest: Digest;
  /** Where it was set aside. */
  readonly path: string;
}

/** Looks at every file beneath `blobs/`. */
export class FileCheck {
  readonly #context: FsckContext;
  readonly #misnamed: Misnamed[] = [];
  #readBytes = 0;

  constructor(context: FsckContext) {
    this.#context = context;
  }

  /** Reads all files. */
  async read(): Promise<void> {
    const { files, dir } = this.#context;
    for (const top of await files.list(`${dir}/blobs`)) {
      const fn = top.isDirectory ? digestFunctionBySegment(top.name) : undefined;
      if (fn === undefined) {
        await this.#stray(`blobs/${top.name}`, top.isDirectory);
        continue;
      }
      for (const fan of await files.list(`${dir}/blobs/${top.name}`)) {
        const at = `blobs/${top.name}/${fan.name}`;
        if (!fan.isDirectory || !/^[0-9a-f]{2}$/.test(fan.name)) await this.#stray(at, fan.isDirectory);
        else await this.#fan(fn, fan.name, at);
      }
    }
    await this.#rename();
  }

  async #fan(fn: DigestFunction, fan: string, at: string): Promise<void> {
    const { files, dir } = this.#context;
    for (const { name, isDirectory } of await files.list(`${dir}/${at}`)) {
      const isHash = name.length === 2 * fn.hashBytes && /^[0-9a-f]+$/.test(name) && name.startsWith(fan);
      if (isDirectory || !isHash) await this.#stray(`${at}/${name}`, isDirectory);
      else await this.#file(fn, name as HashHex, `${at}/${name}`);
    }
  }

  async #file(fn: DigestFunction, hash: HashHex, where: string): Promise<void> {
    const { files, dir, found, index, clean, repair, onProgress, signal } = this.#context;
    const size = await files.size(`${dir}/${where}`) ?? 0;
    const entry = index?.find(fn.value, Uint8Array.fromHex(hash));
    const digest = { fn, hash, sizeBytes: size };
    const look = await lookAtFile({
      files,
      path: `${dir}/${where}`,
      digest,
      wholly: true,
      onPiece: (bytes) => {
        this.#readBytes += bytes;
        onProgress({ area: "files", done: this.#readBytes, total: undefined, unit: "bytes" });
        return Promise.resolve();
      },
      ...(signal === undefined ? {} : { signal }),
    });
    if (look.fault !== undefined) return await this.#wrong(digest, where, look.fault.problem, look.hash);
    found.counts.files++;
    found.counts.fileBytes += size;
    if (index === undefined || entry !== undefined) {
      if (entry !== undefined && entry.segment !== FILE_SEGMENT) {
        const problem = "its blob lies in a segment, too";
        found.add({ area: "files", level: "note", where, problem, digest: formatDigest(digest) });
      }
      return;
    }
    if (clean) found.rebuild = true;
    found.add({
      area: "files",
      level: clean ? "problem" : "note",
      where,
      problem: "the index does not know it",
      digest: formatDigest(digest),
      ...(clean && repair ? { repaired: "the index was made anew" } : {}),
    });
  }

  async #wrong(digest: Digest, where: string, problem: string, actual: string | undefined): Promise<void> {
    const { dir, found, repair, quarantine } = this.#context;
    found.lose(digest.fn.value, digest.hash);
    found.rebuild = true;
    let repaired: string | undefined;
    if (repair) {
      const note = {
        digest: formatDigest(digest),
        where,
        expected: `${digest.fn.name} ${digest.hash}`,
        found: problem,
      };
      const path = await quarantine.keepFile(note, `${dir}/${where}`);
      repaired = path === undefined ? "removed" : "set aside";
      if (path !== undefined && actual !== undefined && this.#misnamed.length < MAX_MISNAMED) {
        this.#misnamed.push({ path, digest: { ...digest, hash: actual as HashHex } });
      }
    }
    found.add({
      area: "files",
      level: "problem",
      where,
      problem,
      digest: formatDigest(digest),
      ...(repaired === undefined ? {} : { repaired }),
    });
  }

  /** A file whose bytes are another blob's may be that blob, when the index knows it as a file and lacks it. */
  async #rename(): Promise<void> {
    const { files, dir, index, found } = this.#context;
    for (const { path, digest } of this.#misnamed) {
      const { fn, hash, sizeBytes } = digest;
      const entry = index?.find(fn.value, Uint8Array.fromHex(hash));
      if (sizeBytes <= MAX_RECORD_DATA || (index !== undefined && entry?.segment !== FILE_SEGMENT)) continue;
      const fan = `${dir}/blobs/${fn.segment}/${hash.slice(0, 2)}`;
      if (await files.size(`${fan}/${hash}`) !== undefined || await files.size(path) === undefined) continue;
      await files.makeDirectory(fan);
      await files.rename(path, `${fan}/${hash}`);
      await files.syncDirectory(fan);
      await files.syncDirectory(`${dir}/blobs/${fn.segment}`);
      await files.remove(path.replace(/\.bin$/, ".json"));
      found.lost.delete(`${fn.value}:${hash}`);
      found.counts.files++;
      found.counts.fileBytes += sizeBytes;
      found.add({
        area: "files",
        level: "note",
        where: `blobs/${fn.segment}/${hash.slice(0, 2)}/${hash}`,
        problem: "it lay under another blob's name",
        digest: formatDigest(digest),
        repaired: "named as it should be",
      });
    }
  }

  /** Something that is not the store's. */
  async #stray(where: string, isDirectory: boolean): Promise<void> {
    const { dir, found, repair, quarantine } = this.#context;
    let repaired: string | undefined;
    if (repair && !isDirectory) {
      const note = { where, expected: "a blob's file", found: "a stray file" };
      repaired = await quarantine.keepFile(note, `${dir}/${where}`) === undefined ? "removed" : "set aside";
    }
    found.add({
      area: "files",
      // A directory in the way holds nothing of the store's, and may hold something of somebody else's.
      level: isDirectory ? "note" : "problem",
      where,
      problem: `it is no blob's ${isDirectory ? "directory" : "file"}, and nothing of the store`,
      ...(repaired === undefined ? {} : { repaired }),
    });
  }
}

/** Looks at what else is in the directory. */
export async function checkRest(context: FsckContext): Promise<void> {
  const { files, dir, found, clean } = context;
  const note = (where: string, problem: string, area: "directory" | "uploads" = "directory") =>
    found.add({ area, level: "note", where, problem });
  if (!clean) note("CLEAN", "the store was not closed in good order; the next start catches up");
  for (const { name } of await files.list(dir)) {
    if (!KNOWN.has(name)) note(name, "it is nothing of the store");
  }
  const left = (await files.list(`${dir}/tmp`)).length;
  if (left > 0) note("tmp", `${left} files of writers that were cut short; the next start removes them`);
  const uploads = await files.list(`${dir}/uploads`);
  const kept = uploads.filter(({ name }) => /^[0-9a-f]{64}$/.test(name)).length;
  if (kept > 0) note("uploads", `${kept} interrupted uploads, kept to go on`, "uploads");
  if (uploads.length > kept) {
    note(
      "uploads",
      `${uploads.length - kept} files that are no uploads; the next start removes them`,
      "uploads",
    );
  }
  const aside = (await files.list(`${dir}/quarantine`)).filter(({ name }) => name.endsWith(".json")).length;
  if (aside > 0) note("quarantine", `${aside} damaged things that were set aside`);
}

/**
 * Settings of the store and the caches over it, which belong to the section of the control plane.
 *
 * @module
 */

import { boolean, duration, hostPort, integer, oneOf, size } from "./_config_kinds.ts";
import { key } from "./_config_spec.ts";

/** Settings of the store. */
export interface StoreConfig {
  /** Bytes the store may take on disk; 0 for no limit but the disk's. */
  readonly casMaxSizeBytes: number;
  /** Blobs the store may hold; 0 for no limit but its size. */
  readonly casMaxBlobs: number;
  /** How long blobs are kept that a client was told to be there, in milliseconds. */
  readonly casPromiseMs: number;
  /** How fast the scrubber reads what is stored, in bytes a second; 0 for not at all. */
  readonly casScrubBytesPerSecond: number;
  /** How blobs of at most 1 MiB are kept. */
  readonly casCompression: "zstd" | "off";
  /** Which reads are compared with the digest. */
  readonly casVerifyReads: "first" | "always";
  /** How long a result is kept that nobody asks for, in milliseconds. */
  readonly acTtlMs: number;
  /** `host:port` of the HTTP cache; `""` for none. */
  readonly httpCacheListen: string;
  /** Whether what clients store under /ac/ must be an ActionResult whose blobs are there. */
  readonly httpCacheValidateAc: boolean;
}

/** Their keys. */
export const storeKeys = {
  casMaxSizeBytes: key(
    "cas_max_size",
    size(),
    "0B",
    "What the store may take on disk; 0B for as much as the disk gives. Near the limit what was not used for longest is " +
      "evicted.",
  ),
  casMaxBlobs: key(
    "cas_max_blobs",
    integer({ min: 0, max: 200_000_000 }),
    0,
    "How many blobs the store may hold; 0 for as many as fit. Each takes some 100 bytes of memory.",
  ),
  casPromiseMs: key(
    "cas_promise_time",
    duration({ min: "1m", max: "30d" }),
    "3h",
    "How long a blob is kept after a client was told that it is there, as long as such promises take at most 70 % of the " +
      "store. Bazel counts on 3h (--experimental_remote_cache_ttl).",
  ),
  casScrubBytesPerSecond: key(
    "cas_scrub_rate",
    size(),
    "4MiB",
    "How many bytes a second are read again in the background to find what the disk has spoiled; 0B for none.",
  ),
  casCompression: key(
    "cas_compression",
    oneOf("zstd", "off"),
    "zstd",
    "How blobs of at most 1 MiB are kept on disk, and the pieces of those that are kept in pieces: compressed where that " +
      "saves an eighth or more, or as they are. What is there already stays as it is, and is read either way.",
  ),
  casVerifyReads: key(
    "cas_verify_reads",
    oneOf("first", "always"),
    "first",
    "Which reads are compared with the digest before their end is handed out: the first of each large blob since the start " +
      "(small ones carry a checksum that is always compared), or always all of them.",
  ),
  acTtlMs: key(
    "ac_ttl",
    duration({ min: "1m", max: "3650d" }),
    "30d",
    "How long the result of an action is kept that nobody asks for.",
  ),
  httpCacheListen: key(
    "http_cache_listen",
    hostPort(true),
    "",
    "Address of the HTTP cache (/ac/ and /cas/, as bazel --remote_cache=http:// uses it), such as 127.0.0.1:8982; with the " +
      "certificates of gRPC where those are set. Nothing listens by default.",
  ),
  httpCacheValidateAc: key(
    "http_cache_validate_ac",
    boolean(),
    true,
    "Take only action results whose blobs are there under /ac/ of the HTTP cache. Turn it off for tools that keep values of " +
      "their own there, such as ccache.",
  ),
};

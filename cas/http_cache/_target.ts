/**
 * What a request names: `[/instance]/ac/<key>` or `[/instance]/cas/<sha256>`.
 *
 * @module
 */

import { BrokkrError } from "@brokkr/common";
import { checkInstanceName as checkInstance } from "@brokkr/proto/rpc/server";
import { checkInstanceName as checkResourceInstance, MAX_RESOURCE_NAME_LENGTH } from "../resource_name.ts";
import { HttpError } from "./_http_error.ts";

/** A blob or a result, or the page that says that this is a cache. */
export type Target =
  | { readonly kind: "status" }
  | {
    /** Which of the two caches. */
    readonly kind: "ac" | "cas";
    /** Instance, `""` for the default one. */
    readonly instance: string;
    /** 64 lower-case hex digits. */
    readonly hash: string;
  };

/** What there is, for those who ask for something else. */
export const USAGE = "There are GET, HEAD and PUT of [/instance]/ac/<key> and [/instance]/cas/<sha256>, " +
  "keys being 64 lower-case hex digits";

/**
 * Reads the target of a request as it came: a path, or a whole address, with or without a query.
 *
 * @throws {HttpError} 404 when it names nothing that is here; 400 when its instance or key is malformed.
 */
export function parseTarget(url: string): Target {
  if (url.length > MAX_RESOURCE_NAME_LENGTH) {
    throw new HttpError(
      414,
      `The path has ${url.length} characters; at most ${MAX_RESOURCE_NAME_LENGTH} are taken`,
    );
  }
  const path = url.replace(/^https?:\/\/[^/?#]*/i, "").replace(/[?#].*$/s, "");
  if (path === "" || path === "/") return { kind: "status" };
  if (!path.startsWith("/")) throw new HttpError(404, `No such path. ${USAGE}`);
  const segments = path.slice(1).split("/").map(decodeSegment);
  const key = segments.pop() ?? "";
  const kind = segments.pop();
  if (kind !== "ac" && kind !== "cas") throw new HttpError(404, `No such path. ${USAGE}`);
  const instance = segments.join("/");
  // An empty first segment joins to "" as no segment does.
  if (segments.length > 0 && instance === "") {
    throw new HttpError(400, `The path begins with two slashes. ${USAGE}`);
  }
  checkName(instance);
  if (!/^[0-9a-f]{64}$/.test(key)) {
    throw new HttpError(400, `${JSON.stringify(key.slice(0, 100))} is no key. ${USAGE}`);
  }
  return { kind, instance, hash: key };
}

/** One segment. What decodes to a slash would be taken for two by whoever reads the name next. */
function decodeSegment(segment: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    throw new HttpError(400, `${JSON.stringify(segment.slice(0, 100))} is not percent-encoded UTF-8`);
  }
  if (!decoded.includes("/")) return decoded;
  throw new HttpError(400, `${JSON.stringify(segment.slice(0, 100))} hides a slash; write it as it is`);
}

function checkName(instance: string): void {
  try {
    checkInstance(instance);
    checkResourceInstance(instance);
  } catch (error) {
    throw error instanceof BrokkrError ? new HttpError(400, error.message) : error;
  }
}

/**
 * The entry for `deno compile`: it names what `main.ts` and the commands load by computed names, so that all of it is in
 * the executable.
 *
 * @module
 */

/** Never called; the compiler reads it. */
export const PARTS: readonly (() => Promise<unknown>)[] = [
  () => import("./child.ts"),
  () => import("../_execution.ts"),
  () => import("../_operations.ts"),
  () => import("../_store_client.ts"),
  () => import("../commands/action.ts"),
  () => import("../commands/cache.ts"),
  () => import("../commands/doctor.ts"),
  () => import("../commands/init.ts"),
  () => import("../commands/operations.ts"),
  () => import("../commands/run.ts"),
  () => import("../commands/sandbox.ts"),
  () => import("../commands/status.ts"),
  () => import("../commands/up.ts"),
  () => import("../commands/version.ts"),
  () => import("../commands/workers.ts"),
  () => import("@brokkr/cas/compression"),
  () => import("@brokkr/cas/disk"),
  () => import("@brokkr/common/config"),
  () => import("@brokkr/proto/rpc/client"),
  () => import("@brokkr/sandbox"),
];

await import("../main.ts");

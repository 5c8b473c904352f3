/**
 * The processes of a grid inside the executable of `brokk`, for when it was compiled and there is no other.
 *
 * @module
 */

/** Runs `brokk __control` or `brokk __worker`, which {@linkcode startGrid} starts; nobody types these. */
export async function runChild(role: "control" | "worker", args: readonly string[]): Promise<void> {
  const { main } = role === "control"
    ? await import("@brokkr/control/main")
    : await import("@brokkr/worker/main");
  await main(args);
}

/**
 * What a store said before it was killed, and what must be true of it when it is opened again.
 *
 * A line of the load is a letter and a blob's number: `a` it was acknowledged, `f` it was said to be there, which keeps it
 * from eviction, `d` it is about to be deleted, `x` it was refused for want of room.
 *
 * @module
 */

/** What is known of a blob. */
export type Claim = "acknowledged" | "promised" | "deleted";

/** Blobs that may have been begun and not been spoken of. */
const UNSAID = 64;

/** What the load has said of each blob. */
export class Claims {
  readonly #claims = new Map<number, Claim>();
  #rest = "";

  /** How many blobs something was said of. */
  get size(): number {
    return this.#claims.size;
  }

  /** Takes text as it comes; a line that was cut off counts when its end comes. */
  take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#say(line);
  }

  /** The process was killed: half a line says nothing. */
  cut(): void {
    this.#rest = "";
  }

  /** The store may evict from now on, and what was said until now may go. */
  forget(): void {
    this.#claims.clear();
  }

  /** A number above all that was said; whatever is put without a word has a number below that plus `UNSAID`. */
  next(first: number): number {
    let next = first;
    for (const n of this.#claims.keys()) next = Math.max(next, n);
    return next + UNSAID;
  }

  /** Blobs that must be there: where a store evicts, those it promised; elsewhere all that it acknowledged. */
  mustBeThere(evicting: boolean): number[] {
    return [...this.#claims].filter(([, claim]) =>
      claim === "promised" || (claim === "acknowledged" && !evicting)
    )
      .map(([n]) => n);
  }

  #say(line: string): void {
    const match = /^([afd]) (\d+)$/.exec(line.trim());
    if (match === null) return;
    const n = Number(match[2]);
    if (match[1] === "d") this.#claims.set(n, "deleted");
    else if (this.#claims.get(n) !== "deleted") {
      if (match[1] === "f") this.#claims.set(n, "promised");
      else if (!this.#claims.has(n)) this.#claims.set(n, "acknowledged");
    }
  }
}

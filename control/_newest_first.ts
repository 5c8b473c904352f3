/**
 * Things that are numbered as they come, found from the newest on.
 *
 * @module
 */

/** Numbers that share a block; a look at the newest touches one or two blocks, however many there are. */
const BLOCK = 1024;

/** A set of `T`, by number. */
export class NewestFirst<T> {
  readonly #numberOf: (item: T) => number;
  /** Blocks in the order in which each got its first item, and items in the order of coming: about that of their numbers. */
  readonly #blocks = new Map<number, Set<T>>();

  /** An empty one. `numberOf` gives an item's own number, always the same. */
  constructor(numberOf: (item: T) => number) {
    this.#numberOf = numberOf;
  }

  /** Adds an item. */
  add(item: T): void {
    const key = Math.floor(this.#numberOf(item) / BLOCK);
    const block = this.#blocks.get(key);
    if (block === undefined) this.#blocks.set(key, new Set([item]));
    else block.add(item);
  }

  /** Takes an item out, if it is there. */
  delete(item: T): void {
    const key = Math.floor(this.#numberOf(item) / BLOCK);
    const block = this.#blocks.get(key);
    if (block?.delete(item) && block.size === 0) this.#blocks.delete(key);
  }

  /** Those of a number below `before`, greatest first. What comes or goes meanwhile is seen or not. */
  *below(before: number): Generator<T, void, undefined> {
    const keys = [...this.#blocks.keys()].filter((key) => key * BLOCK < before).sort((a, b) => b - a);
    for (const key of keys) {
      const items = [...this.#blocks.get(key) ?? []].sort((a, b) => this.#numberOf(b) - this.#numberOf(a));
      for (const item of items) if (this.#numberOf(item) < before) yield item;
    }
  }
}

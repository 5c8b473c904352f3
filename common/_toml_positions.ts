/**
 * On which line each key of a TOML document stands. The TOML parser tells positions of syntax errors only, and a message
 * about a wrong value should name its line too. The scan trusts that the document has been parsed without error.
 *
 * @module
 */

/** Joins the parts of a key path; a character that no sane key holds. */
const SEPARATOR = "\u0000";

/** Lines of a document's keys. */
export interface TomlPositions {
  /** The line (from 1) of the key at `path`, or of its nearest ancestor; 1 when there is none. */
  lineOf(path: readonly string[]): number;
}

/** Scans a valid TOML document. */
export function tomlPositions(text: string): TomlPositions {
  const lines = new Scanner(text).scan();
  return {
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(path.slice(0, length).join(SEPARATOR));
        if (line !== undefined) return line;
      }
      return 1;
    },
  };
}

class Scanner {
  readonly #text: string;
  #at = 0;
  #line = 1;
  readonly #lines = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  scan(): ReadonlyMap<string, number> {
    let table: string[] = [];
    while (this.#skipBlank(true)) {
      if (this.#peek() === "[") {
        while (this.#peek() === "[") this.#next();
        table = this.#key();
        this.#note(table);
        this.#skipLine();
      } else {
        const path = [...table, ...this.#key()];
        this.#note(path);
        this.#next(); // "="
        this.#value(path);
      }
    }
    return this.#lines;
  }

  #peek(ahead = 0): string {
    return this.#text.charAt(this.#at + ahead);
  }

  #next(): string {
    const char = this.#text.charAt(this.#at++);
    if (char === "\n") this.#line++;
    return char;
  }

  #done(): boolean {
    return this.#at >= this.#text.length;
  }

  #note(path: readonly string[]): void {
    for (let length = path.length; length > 0; length--) {
      const name = path.slice(0, length).join(SEPARATOR);
      if (!this.#lines.has(name)) this.#lines.set(name, this.#line);
    }
  }

  /** Skips spaces, and with `lines` also line ends and comments; false at the end. */
  #skipBlank(lines: boolean): boolean {
    while (!this.#done()) {
      const char = this.#peek();
      if (char === " " || char === "\t" || (lines && (char === "\n" || char === "\r"))) this.#next();
      else if (lines && char === "#") this.#skipLine();
      else return true;
    }
    return false;
  }

  #skipLine(): void {
    while (!this.#done() && this.#peek() !== "\n") this.#next();
  }

  /** A dotted key, up to and without the `=` or `]` after it. */
  #key(): string[] {
    const parts: string[] = [];
    while (this.#skipBlank(false)) {
      const char = this.#peek();
      if (char === '"' || char === "'") parts.push(this.#string());
      else {
        const start = this.#at;
        while (!this.#done() && /[A-Za-z0-9_-]/.test(this.#peek())) this.#next();
        if (this.#at === start) this.#next(); // not valid TOML: move on, so that the scan always ends
        else parts.push(this.#text.slice(start, this.#at));
      }
      this.#skipBlank(false);
      if (this.#peek() !== ".") break;
      this.#next();
    }
    return parts;
  }

  /** A string of any of the four kinds; its text as far as keys need it (escapes stay as written). */
  #string(): string {
    const quote = this.#next();
    const long = this.#peek() === quote && this.#peek(1) === quote;
    const end = long ? quote.repeat(3) : quote;
    if (long) this.#at += 2;
    const start = this.#at;
    while (!this.#done() && !this.#text.startsWith(end, this.#at)) {
      if (this.#peek() === "\\" && quote === '"') this.#next();
      this.#next();
    }
    const text = this.#text.slice(start, this.#at);
    this.#at += end.length;
    while (long && this.#peek() === quote) this.#at++; // up to two quotes may stand before the closing three
    return text;
  }

  #value(path: readonly string[]): void {
    this.#skipBlank(false);
    const char = this.#peek();
    if (char === '"' || char === "'") this.#string();
    else if (char === "[") this.#array(path);
    else if (char === "{") this.#inlineTable(path);
    else while (!this.#done() && !/[\n#,\]}]/.test(this.#peek())) this.#next();
  }

  #array(path: readonly string[]): void {
    this.#next();
    while (this.#skipBlank(true) && this.#peek() !== "]") {
      if (this.#peek() === ",") this.#next();
      else this.#value(path);
    }
    this.#next();
  }

  #inlineTable(path: readonly string[]): void {
    this.#next();
    while (this.#skipBlank(true) && this.#peek() !== "}") {
      if (this.#peek() === ",") {
        this.#next();
        continue;
      }
      const inner = [...path, ...this.#key()];
      this.#note(inner);
      this.#next(); // "="
      this.#value(inner);
    }
    this.#next();
  }
}

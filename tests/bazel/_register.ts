/**
 * A register of actions that run, kept by the test. Actions in the sandbox can write no file of this machine's, but into a
 * pipe that their worker shows them.
 *
 * @module
 */

/** Where actions see it. */
const INSIDE = "/register";
const ENTRY = "ran";

/** A register with a page for each of some names. */
export class Register implements AsyncDisposable {
  /** Its directory: a text that nothing else on this machine has. */
  readonly path: string;
  readonly #pages: ReadonlyMap<string, Deno.FsFile>;
  readonly #entry: Deno.FsFile;
  readonly #counts = new Map<string, number>();
  readonly #reading: Promise<void>;

  private constructor(path: string, entry: Deno.FsFile, pages: ReadonlyMap<string, Deno.FsFile>) {
    this.path = path;
    this.#entry = entry;
    this.#pages = pages;
    this.#reading = this.#read();
  }

  /** Makes one for actions that go by these names. */
  static async open(...names: readonly string[]): Promise<Register> {
    const path = await Deno.makeTempDir({ prefix: "brokkr-register-" });
    const all = [ENTRY, ...names];
    // Actions are another user's where the worker is root.
    await Deno.chmod(path, 0o755);
    const { success } = await new Deno.Command("mkfifo", { args: ["--mode=666", ...all], cwd: path })
      .output();
    if (!success) throw new Error(`mkfifo failed in ${path}`);
    // For both, so that nobody waits for the other end to be opened.
    const open = (name: string) => Deno.open(`${path}/${name}`, { read: true, write: true });
    const [entry, ...pages] = await Promise.all(all.map(open));
    return new Register(path, entry, new Map(names.map((name, i) => [name, pages[i]])));
  }

  /** Flags of workers whose actions write into it. */
  get workerFlags(): readonly string[] {
    return ["--sandbox-binds=default", `--sandbox-binds=${this.path}:${INSIDE}`];
  }

  /** What a script says to enter itself; the variable `try` then has how many times that name was entered. */
  entered(name: string): string {
    return `echo ${name} > ${INSIDE}/${ENTRY}; read try < ${INSIDE}/${name}`;
  }

  /** How many times a name was entered. */
  count(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  /** Ends and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Not through the file that is being read: what is asked of one is done one after the other.
    await Deno.writeTextFile(`${this.path}/${ENTRY}`, "\n");
    await this.#reading;
    for (const file of [this.#entry, ...this.#pages.values()]) file.close();
    await Deno.remove(this.path, { recursive: true });
  }

  /** Until there comes a line with nothing on it. */
  async #read(): Promise<void> {
    const buffer = new Uint8Array(4096);
    let rest = "";
    for (;;) {
      const size = await this.#entry.read(buffer) ?? 0;
      const lines = (rest + new TextDecoder().decode(buffer.subarray(0, size))).split("\n");
      rest = lines.pop() ?? "";
      for (const name of lines) {
        const page = this.#pages.get(name);
        if (page === undefined) return;
        const count = this.count(name) + 1;
        this.#counts.set(name, count);
        await page.write(new TextEncoder().encode(`${count}\n`));
      }
    }
  }
}

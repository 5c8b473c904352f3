/**
 * Certificates of every kind that a server must tell apart, made by the openssl command line.
 *
 * @module
 */

/** Paths of a certificate and its key. */
export interface PairFiles {
  readonly cert: string;
  readonly key: string;
}

/** Why there are no certificates here, or undefined. */
export const noOpenssl: string | undefined = await new Deno.Command("openssl", {
  args: ["version"],
  stdout: "null",
  stderr: "null",
}).output().then(({ success }) => success ? undefined : "openssl does not work", () => "there is no openssl");

/** Certificates in a directory. */
export class Certificates {
  readonly #dir: string;
  #count = 0;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Makes two authorities, `own` and `other`, in `dir`. */
  static async make(dir: string): Promise<Certificates> {
    const made = new Certificates(dir);
    for (const name of ["own", "other"]) {
      await made.#openssl([
        "req",
        "-x509",
        ...made.#newKey(name),
        "-out",
        made.#path(`${name}.pem`),
        "-days",
        "2",
        "-subj",
        `/CN=${name}`,
      ]);
    }
    return made;
  }

  /** Path of an authority's certificate. */
  ca(name: "own" | "other" = "own"): string {
    return `${this.#dir}/${name}.pem`;
  }

  /**
   * Issues a certificate for 127.0.0.1. `subject` is such as `/CN=worker`; `days` may lie in the past, as -1 does.
   */
  async issue(
    subject: string,
    { by = "own", days = 2 }: { by?: "own" | "other"; days?: number } = {},
  ): Promise<PairFiles> {
    const name = `leaf${this.#count++}`;
    const path = `${this.#dir}/${name}`;
    await Deno.writeTextFile(
      `${path}.ext`,
      "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n",
    );
    await this.#openssl(["req", ...this.#newKey(name), "-out", `${path}.csr`, "-subj", subject]);
    const signer = ["-CA", this.ca(by), "-CAkey", `${this.#dir}/${by}.key`, "-CAcreateserial"];
    const rest = ["-days", String(days), "-extfile", `${path}.ext`, "-out", `${path}.pem`];
    await this.#openssl(["x509", "-req", "-in", `${path}.csr`, ...signer, ...rest]);
    return { cert: `${path}.pem`, key: `${path}.key` };
  }

  #path(file: string): string {
    return `${this.#dir}/${file}`;
  }

  #newKey(name: string): string[] {
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    return [...curve, "-keyout", this.#path(`${name}.key`)];
  }

  async #openssl(args: readonly string[]): Promise<void> {
    const { success, stderr } = await new Deno.Command("openssl", {
      args: [...args],
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`openssl ${args[0]} failed: ${new TextDecoder().decode(stderr)}`);
  }
}

/**
 * Certificates for tests, made by the openssl command line.
 *
 * @module
 */

/** A certificate and its key, as PEM. */
export interface Pair {
  /** The certificate. */
  readonly cert: string;
  /** Its key. */
  readonly key: string;
}

/** Whether openssl is there; tests that need certificates are skipped without it. */
export const hasOpenssl: boolean = (() => {
  try {
    return new Deno.Command("openssl", { args: ["version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
})();

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`openssl ${args[0]} failed: ${new TextDecoder().decode(stderr)}`);
}

/** An authority that signs certificates for `localhost` and 127.0.0.1. */
export async function authority(
  dir: string,
  name: string,
): Promise<Pair & { issue(cn: string): Promise<Pair> }> {
  const path = (file: string) => `${dir}/${name}-${file}`;
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...ec,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.pem"),
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
  );
  const read = async (stem: string): Promise<Pair> => ({
    cert: await Deno.readTextFile(path(`${stem}.pem`)),
    key: await Deno.readTextFile(path(`${stem}.key`)),
  });
  let count = 0;
  return {
    ...await read("ca"),
    async issue(cn) {
      const stem = `leaf${count++}`;
      await Deno.writeTextFile(
        path(`${stem}.ext`),
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
      );
      await openssl(
        "req",
        ...ec,
        "-keyout",
        path(`${stem}.key`),
        "-out",
        path(`${stem}.csr`),
        "-subj",
        `/CN=${cn}`,
      );
      await openssl(
        "x509",
        "-req",
        "-in",
        path(`${stem}.csr`),
        "-CA",
        path("ca.pem"),
        "-CAkey",
        path("ca.key"),
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        path(`${stem}.ext`),
        "-out",
        path(`${stem}.pem`),
      );
      return await read(stem);
    },
  };
}

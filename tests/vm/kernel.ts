/**
 * A Linux kernel to boot: Debian's own package, fetched by apt, of which only the image and the few modules needed are
 * kept in the user's cache directory.
 *
 * @module
 */

const PACKAGE = "linux-image-amd64";
const DOWNLOAD_LIMIT_MS = 180_000;

/**
 * What the machine needs beyond what is built in, in the order in which they are loaded. A kernel that lacks one has
 * it built in, or split differently.
 */
const MODULES = [
  "virtio_ring",
  "virtio",
  "virtio_mmio",
  "netfs",
  "fscache",
  "9pnet",
  "9pnet_virtio",
  "9p",
  "overlay",
  "virtio_blk",
  "virtio_console",
  "crc32c_generic",
  "crc16",
  "mbcache",
  "jbd2",
  "ext4",
  "fuse",
];

/** A kernel that is on this machine's disk. */
export interface Kernel {
  /** Package and version, such as `linux-image-6.1.0-56-amd64_6.1.192-2`. */
  readonly version: string;
  /** Path of the compressed image. */
  readonly image: string;
  /** Paths of the modules, uncompressed, in the order in which they are loaded. */
  readonly modules: readonly string[];
}

/** The kernel, or why there is none. */
export type KernelOrReason = { readonly kernel: Kernel } | { readonly reason: string };

interface Output {
  readonly success: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; one that is missing is a failure like others. */
export async function output(program: string, args: readonly string[], cwd?: string): Promise<Output> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      cwd,
      stdin: "null",
      env: { LC_ALL: "C", PATH: `${Deno.env.get("PATH") ?? "/usr/bin:/bin"}:/usr/sbin:/sbin` },
      signal: AbortSignal.timeout(DOWNLOAD_LIMIT_MS),
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { success, stdout: text(stdout), stderr: text(stderr) };
  } catch (error) {
    return { success: false, stdout: "", stderr: String(error) };
  }
}

/** The package of one release line, or of the newest: from `apt-cache madison` and `apt-cache show`. */
export function choosePackage(
  madison: string,
  show: string,
  line: string | undefined,
): { readonly name: string; readonly version: string } | undefined {
  const versions = madison.split("\n").map((row) => row.split("|")[1]?.trim() ?? "");
  const version = versions.find((each) => each !== "" && (line === undefined || each.startsWith(`${line}.`)));
  if (version === undefined) return undefined;
  for (const paragraph of show.split(/\n\n+/)) {
    if (!paragraph.includes(`\nVersion: ${version}\n`)) continue;
    const depends = /^Depends:.*?\b(linux-image-[\w.+-]+) \(= ([^)]+)\)/m.exec(paragraph);
    if (depends) return { name: depends[1], version: depends[2] };
  }
  return undefined;
}

async function cached(directory: string, version: string): Promise<Kernel | undefined> {
  try {
    const names = [...Deno.readDirSync(`${directory}/${version}/modules`)].map(({ name }) => name).sort();
    await Deno.stat(`${directory}/${version}/vmlinuz`);
    return {
      version,
      image: `${directory}/${version}/vmlinuz`,
      modules: names.map((name) => `${directory}/${version}/modules/${name}`),
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Downloads the package into `work` and lays out `work/kernel` as the cache has it; a reason when it cannot. */
async function unpack(work: string, name: string, version: string): Promise<string | undefined> {
  const got = await output("apt-get", ["-q", "download", `${name}=${version}`], work);
  const file = [...Deno.readDirSync(work)].find((entry) => entry.name.endsWith(".deb"))?.name;
  if (!got.success || file === undefined) {
    return `apt-get download ${name} failed: ${got.stderr.trim().split("\n").at(-1) ?? ""}`;
  }
  const wanted = ["*/boot/vmlinuz-*", ...MODULES.map((module) => `*/kernel/*/${module}.ko*`)];
  // tar fails for each pattern without a match, and a module may be built in: what came out is looked at instead.
  const tar =
    `dpkg-deb --fsys-tarfile "$0" | tar -x --wildcards -- "$@"; find . -name "*.ko.xz" -exec xz -d {} +`;
  const { stderr } = await output("/bin/sh", ["-c", tar, file, ...wanted], work);
  const { stdout } = await output("find", [".", "-name", "vmlinuz-*", "-o", "-name", "*.ko"], work);
  const found = stdout.trim().split("\n");
  const image = found.find((path) => path.includes("/vmlinuz-"));
  if (image === undefined) return `${file} holds no kernel image: ${stderr.trim().split("\n").at(-1) ?? ""}`;
  await Deno.mkdir(`${work}/kernel/modules`, { recursive: true });
  await Deno.rename(`${work}/${image}`, `${work}/kernel/vmlinuz`);
  for (const [i, module] of MODULES.entries()) {
    const path = found.find((each) => each.endsWith(`/${module}.ko`));
    const order = String(i).padStart(2, "0");
    if (path) await Deno.rename(`${work}/${path}`, `${work}/kernel/modules/${order}-${module}.ko`);
  }
  return undefined;
}

/** Where kernels are kept; undefined without a home. */
function cacheDirectory(): string | undefined {
  const home = Deno.env.get("HOME");
  const base = Deno.env.get("XDG_CACHE_HOME") ?? (home === undefined ? undefined : `${home}/.cache`);
  return base === undefined ? undefined : `${base}/brokkr-test/kernel`;
}

/**
 * The kernel of a release line, such as `6.1`, or the newest that apt's sources name: from the cache, or fetched.
 * Needs no root. A machine that cannot have one gets the reason.
 */
export async function prepareKernel(line?: string): Promise<KernelOrReason> {
  const directory = cacheDirectory();
  if (directory === undefined) return { reason: "no HOME to keep a kernel in" };
  const madison = await output("apt-cache", ["madison", PACKAGE]);
  const show = await output("apt-cache", ["show", PACKAGE]);
  const chosen = choosePackage(madison.stdout, show.stdout, line);
  if (chosen === undefined) {
    return { reason: `apt's sources name no ${PACKAGE}${line === undefined ? "" : ` of ${line}`}` };
  }
  const version = `${chosen.name}_${chosen.version}`;
  const ready = await cached(directory, version);
  if (ready) return { kernel: ready };
  await Deno.mkdir(directory, { recursive: true });
  const work = await Deno.makeTempDir({ dir: directory, prefix: "new-" });
  try {
    const reason = await unpack(work, chosen.name, chosen.version);
    if (reason !== undefined) return { reason };
    try {
      await Deno.rename(`${work}/kernel`, `${directory}/${version}`);
    } catch (error) {
      // Somebody else was as quick.
      if (await cached(directory, version) === undefined) throw error;
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  const kernel = await cached(directory, version);
  return kernel ? { kernel } : { reason: `${directory}/${version} is incomplete: remove it` };
}

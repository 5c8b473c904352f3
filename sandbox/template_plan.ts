/**
 * What the root of a sandbox looks like: a plan made from what the host has.
 *
 * @module
 */

import type { Bind } from "./sandbox_options.ts";
import { SANDBOX_ID, SANDBOX_NAME, WORK_PATH } from "./sandbox_options.ts";
import { DISK_PATH, HOSTS_PATH, LOWERS_PATH, RESOLVER_PATH, SCRATCH_PATH } from "./sandbox_program.ts";
import type { TemplateMount, TemplateShape } from "./template_program.ts";

/** What a template is made of. */
export interface TemplateSources {
  /** What actions see of the host's files. */
  readonly binds: readonly Bind[];
  /** Directory under which the layers of input roots are. */
  readonly lowersPath: string;
  /** Directory under which disk layers are made, if there are any. */
  readonly diskPath?: string;
  /** How many such roots there are; one by default. */
  readonly slots?: number;
}

const ETC_BINDS = [
  "alternatives",
  "ca-certificates",
  "crypto-policies",
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "mime.types",
  "perl",
  "pki/ca-trust",
  "pki/java",
  "pki/tls/certs",
  "protocols",
  "services",
  "ssl/certs",
  "ssl/openssl.cnf",
];

/**
 * What actions see of a host unless the operator says otherwise: programs and libraries, and the parts of /etc that
 * those need. Nothing that is personal or secret on a machine set up as usual; /opt and home directories are left out.
 */
export function defaultBinds(): Bind[] {
  const top = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
  const etc = ETC_BINDS.map((name) => `/etc/${name}`);
  return [...top, ...etc, ...javaSettings()].map((source) => ({ source }));
}

/** Debian's and Red Hat's Java keep part of a JDK in /etc. */
function javaSettings(): string[] {
  try {
    return [...Deno.readDirSync("/etc")].map(({ name }) => name).filter((name) => name.startsWith("java"))
      .sort().map((name) => `/etc/${name}`);
  } catch {
    return [];
  }
}

const DEVICES = ["null", "zero", "full", "random", "urandom"];

const FILES: TemplateShape["files"] = [
  {
    path: "/etc/passwd",
    content:
      `root:x:0:0:root:/root:/bin/sh\n${SANDBOX_NAME}:x:${SANDBOX_ID}:${SANDBOX_ID}:${SANDBOX_NAME}:/tmp:/bin/sh\n` +
      "nobody:x:65534:65534:nobody:/:/bin/false\n",
  },
  { path: "/etc/group", content: `root:x:0:\n${SANDBOX_NAME}:x:${SANDBOX_ID}:\nnogroup:x:65534:\n` },
  {
    path: "/etc/hosts",
    content: `127.0.0.1 localhost ${SANDBOX_NAME}\n::1 localhost ip6-localhost ip6-loopback\n`,
  },
  { path: "/etc/hostname", content: `${SANDBOX_NAME}\n` },
  {
    path: "/etc/nsswitch.conf",
    content: "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n" +
      "protocols: files\nservices: files\nethers: files\nrpc: files\n",
  },
  { path: "/etc/resolv.conf", content: "" },
];

const LINKS: TemplateShape["links"] = [
  { path: "/dev/fd", target: "/proc/self/fd" },
  { path: "/dev/stdin", target: "/proc/self/fd/0" },
  { path: "/dev/stdout", target: "/proc/self/fd/1" },
  { path: "/dev/stderr", target: "/proc/self/fd/2" },
  { path: "/etc/localtime", target: "/usr/share/zoneinfo/UTC" },
  { path: "/etc/mtab", target: "/proc/self/mounts" },
];

/** The directories every sandbox has. */
const DIRECTORIES: TemplateShape["directories"] = [
  { path: LOWERS_PATH, mode: 0o700 },
  { path: DISK_PATH, mode: 0o700 },
  { path: SCRATCH_PATH, mode: 0o700 },
  { path: "/dev", mode: 0o755 },
  { path: "/dev/shm", mode: 0o1777 },
  { path: "/etc", mode: 0o755 },
  { path: "/proc", mode: 0o555 },
  { path: "/tmp", mode: 0o1777 },
  { path: WORK_PATH, mode: 0o755 },
];

/** Collects the parts of a root, so that nothing is made where something is already. */
class Plan {
  readonly directories = [...DIRECTORIES];
  readonly links = [...LINKS];
  readonly files = [...FILES];
  readonly mounts: TemplateMount[] = [];
  readonly #made = new Set(["/", "/host", ...[...DIRECTORIES, ...LINKS, ...FILES].map(({ path }) => path)]);
  readonly #mounted: string[] = [];

  bind({ source, target = source }: Bind): void {
    const found = tryLstat(source);
    if (found === undefined || this.#made.has(target) && !this.#isDirectory(target)) return;
    if (found.isSymlink && source === target && target.lastIndexOf("/") === 0) {
      // /bin and the like, where they are links into /usr.
      this.#made.add(target);
      this.links.push({ path: target, target: Deno.readLinkSync(source) });
      return;
    }
    const real = tryStat(source);
    if (real === undefined) return;
    this.mount(Deno.realPathSync(source), target, !real.isDirectory);
  }

  mount(path: string, target: string, file: boolean, more: Partial<TemplateMount> = {}): void {
    if (!this.#mounted.some((above) => target.startsWith(`${above}/`))) {
      this.#parents(target);
      if (!file && !this.#made.has(target)) this.directories.push({ path: target, mode: 0o755 });
      this.#made.add(target);
    } else file = false;
    this.#mounted.push(target);
    this.mounts.push({ source: { path }, target, file, ...more });
  }

  #parents(target: string): void {
    const names = target.split("/").slice(1, -1);
    let path = "";
    for (const name of names) {
      path += `/${name}`;
      if (this.#made.has(path)) continue;
      this.#made.add(path);
      this.directories.push({ path, mode: 0o755 });
    }
  }

  #isDirectory(path: string): boolean {
    return this.directories.some((directory) => directory.path === path);
  }
}

/** Plans a root. */
export function templateShape(sources: TemplateSources, root: boolean): TemplateShape {
  const plan = new Plan();
  const binds = [...sources.binds].sort((a, b) => depth(a.target ?? a.source) - depth(b.target ?? b.source));
  for (const bind of binds) plan.bind(bind);
  for (const name of DEVICES) {
    if (tryStat(`/dev/${name}`)?.isCharDevice) {
      plan.mount(`/dev/${name}`, `/dev/${name}`, true, { device: true });
    }
  }
  for (const [source, target] of [["/etc/resolv.conf", RESOLVER_PATH], ["/etc/hosts", HOSTS_PATH]]) {
    if (tryStat(source)?.isFile) plan.mount(Deno.realPathSync(source), target, true);
  }
  plan.mount(Deno.realPathSync(sources.lowersPath), LOWERS_PATH, false, { owned: true });
  if (sources.diskPath !== undefined) {
    plan.mount(Deno.realPathSync(sources.diskPath), DISK_PATH, false, { owned: true, writable: true });
  }
  const { directories, links, files, mounts } = plan;
  return { root, directories, links, files, mounts, base: base(), most: most(sources.slots ?? 1, root) };
}

/**
 * What a slot's user namespace may have. Without root its actions are the worker's user, of whom the host knows a few
 * inotify instances: the slots share half of those. Another user namespace is never needed.
 */
function most(slots: number, root: boolean): TemplateShape["most"] {
  const share = (name: string) => {
    const limit = Number(tryRead(`/proc/sys/fs/inotify/${name}`) ?? "0");
    return Math.max(1, Math.floor(limit / 2 / slots));
  };
  return {
    max_user_namespaces: 0,
    ...(root ? {} : {
      max_inotify_instances: share("max_user_instances"),
      max_inotify_watches: share("max_user_watches"),
    }),
  };
}

function depth(path: string): number {
  return path.split("/").length;
}

/** Something to put the new root on: any directory will do. */
function base(): string {
  return ["/tmp", "/mnt", "/usr"].find((path) => tryStat(path)?.isDirectory) ?? "/proc";
}

function tryLstat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch {
    return undefined; // not there, or not for this user: then it is not shown
  }
}

function tryRead(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined; // a kernel without
  }
}

function tryStat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

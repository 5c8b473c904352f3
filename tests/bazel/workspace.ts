/**
 * Bazel workspaces that the tests and benchmarks build.
 *
 * @module
 */

import type { BazelClient } from "./clients.ts";

/** One Bazel server over one workspace, in directories of its own. */
export interface Workspace extends AsyncDisposable {
  /** The workspace's directory. */
  readonly path: string;
  /** Runs `bazel <args>` and returns how it ended and what it said. */
  bazel(...args: string[]): Promise<BazelResult>;
  /** Starts `bazel <args>` for those who want to interrupt it. */
  start(...args: string[]): BazelRun;
  /** Contents of a file below bazel-bin. */
  output(path: string): Promise<Uint8Array>;
}

/** How a Bazel command ended. */
export interface BazelResult {
  /** Exit code. */
  readonly code: number;
  /** Standard error and output, one after the other. */
  readonly text: string;
}

/** A Bazel command under way. */
export interface BazelRun {
  /** How it ended; to be awaited. */
  readonly result: Promise<BazelResult>;
  /** Ctrl-C: asks it to end. */
  interrupt(): void;
}

const STUBS = new URL("./stubs", import.meta.url).pathname;

/** The small workspace of each rule: genrule, cc_library, cc_binary, sh_test that passes and one that fails. */
export const SMALL: Readonly<Record<string, string>> = {
  "BUILD": [
    'genrule(name = "gen", srcs = ["in.txt"], outs = ["out.txt"], cmd = "tr a-z A-Z < $(SRCS) > $@")',
    'cc_library(name = "lib", srcs = ["lib/lib.cc"], hdrs = ["lib/lib.h"])',
    'cc_binary(name = "app", srcs = ["main.cc"], deps = [":lib"])',
    'sh_test(name = "passes", size = "small", srcs = ["passes.sh"], data = [":app"])',
    'sh_test(name = "fails", size = "small", srcs = ["fails.sh"])',
    "",
  ].join("\n"),
  "in.txt": "hello\n",
  "lib/lib.h": "#pragma once\nint answer();\n",
  "lib/lib.cc": '#include "lib/lib.h"\nint answer() { return 42; }\n',
  "main.cc": '#include "lib/lib.h"\n#include <cstdio>\nint main() { std::printf("%d\\n", answer()); }\n',
  "passes.sh": '#!/bin/sh\n[ "$(./app)" = 42 ]\n',
  "fails.sh": "#!/bin/sh\necho this test fails on purpose\nexit 3\n",
};

/** A main and `count` generated .cc files, each a library's source. */
export function generated(count: number): Record<string, string> {
  const files: Record<string, string> = {};
  const names = Array.from({ length: count }, (_, i) => `f${String(i).padStart(3, "0")}`);
  for (const [i, name] of names.entries()) {
    files[`gen/${name}.cc`] =
      `#include <string>\nstd::string ${name}() { return std::string("${name}") + std::to_string(${i}); }\n`;
  }
  files["gen/all.h"] = `#pragma once\n#include <string>\n${
    names.map((name) => `std::string ${name}();`).join("\n")
  }\n`;
  files["main.cc"] = `#include "gen/all.h"\n#include <cstdio>\nint main() {\n  std::string all;\n${
    names.map((name) => `  all += ${name}();`).join("\n")
  }\n  std::printf("%zu\\n", all.size());\n}\n`;
  files["BUILD"] = `cc_library(name = "gen", srcs = glob(["gen/*.cc"]), hdrs = ["gen/all.h"])\n` +
    `cc_binary(name = "app", srcs = ["main.cc"], deps = [":gen"])\n`;
  return files;
}

function bazelrc(version: string): string {
  const overrides = ["rules_cc", "rules_java", "rules_proto", "remote_coverage_tools"]
    .map((name) => `build --override_repository=${name}=${STUBS}/${name}`);
  return [
    ...overrides,
    "build --incompatible_strict_action_env --noshow_progress --color=no --curses=no",
    "build --spawn_strategy=local --genrule_strategy=local --strategy=CppCompile=local --strategy=CppLink=local",
    "build:grid --spawn_strategy=remote --genrule_strategy=remote --strategy=CppCompile=remote --strategy=CppLink=remote",
    "build:grid --strategy=TestRunner=remote --remote_local_fallback=false --jobs=8",
    ...(version === "2.1.0" ? [] : ["build:grid --remote_default_exec_properties=OSFamily=linux"]),
    "",
  ].join("\n");
}

/** Writes a workspace into a temporary directory and makes it ready for `client`, which is started with more flags. */
export async function openWorkspace(
  client: BazelClient,
  files: Readonly<Record<string, string>>,
  { startupFlags = [] }: { readonly startupFlags?: readonly string[] } = {},
): Promise<Workspace> {
  const base = await Deno.makeTempDir({ prefix: "brokkr-bazel-" });
  const path = `${base}/ws`;
  const all = {
    "WORKSPACE": 'workspace(name = "brokkr_test")\n',
    ".bazelrc": bazelrc(client.version),
    ...files,
  };
  for (const [name, text] of Object.entries(all)) {
    const file = `${path}/${name}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
    if (name.endsWith(".sh")) await Deno.chmod(file, 0o755);
  }
  const start = (...args: string[]): BazelRun => {
    const startup = [
      `--output_user_root=${base}/out`,
      "--max_idle_secs=60",
      "--host_jvm_args=-Xmx768m",
      ...startupFlags,
    ];
    const child = new Deno.Command(client.path, {
      // Debian's system rc says where Debian keeps Bazel's parts.
      args: [...startup, "--nohome_rc", ...(client.version === "2.1.0" ? ["--nosystem_rc"] : []), ...args],
      cwd: path,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const decoder = new TextDecoder();
    return {
      result: child.output().then(({ code, stdout, stderr }) => ({
        code,
        text: decoder.decode(stderr) + decoder.decode(stdout),
      })),
      interrupt: () => child.kill("SIGINT"),
    };
  };
  const bazel = (...args: string[]) => start(...args).result;
  return {
    path,
    bazel,
    start,
    output: (name) => Deno.readFile(`${path}/bazel-bin/${name}`),
    async [Symbol.asyncDispose]() {
      await bazel("shutdown");
      // Bazel leaves directories without write permission behind.
      await new Deno.Command("chmod", { args: ["-R", "u+rwX", base] }).output();
      await Deno.remove(base, { recursive: true });
    },
  };
}

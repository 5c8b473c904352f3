import { assert, assertEquals, assertMatch } from "@std/assert";
import { digestOf, parseDirectory, SHA256, splitTree } from "@brokkr/cas/client";
import { TreeCodec } from "@brokkr/proto";
import {
  type Case,
  COMPLETED,
  DAEMON_MARK,
  listTree,
  PATH,
  printsAndExits,
  testCases,
} from "./_action_cases.ts";
import { processesNamed, sh } from "./_test_grid.ts";

const CASES: readonly Case[] = [
  {
    name: "an environment that is exactly the command's",
    only: "none",
    command: {
      arguments: ["/usr/bin/env"],
      environmentVariables: [{ name: "A", value: "1" }, { name: "B", value: "x=y\nz" }],
    },
    check: printsAndExits("A=1\nB=x=y\nz\n"),
  },
  {
    name: "a program found in the command's PATH, with argv[0] kept",
    command: {
      arguments: ["tool", "x"],
      environmentVariables: [{ name: "PATH", value: "/nowhere:bin:/bin" }],
    },
    files: { "bin/tool": { executable: "#!/bin/sh\necho $0 $1\n" } },
    // The kernel gives a script its path, which is where it was found.
    check: async ({ action }, grid) => {
      assertMatch(await grid.text(action.stdoutDigest), /(^|\/)bin\/tool x\n/);
    },
  },
  {
    name: "argv[0] as it was given",
    command: {
      arguments: ["sh", "-c", "cat /proc/self/cmdline | tr '\\0' ' '; echo $0"],
      environmentVariables: PATH,
    },
    check: printsAndExits("cat /proc/self/cmdline sh\n"),
  },
  {
    name: "the command's environment, and what makes results the same everywhere where it says nothing else",
    only: "sandbox",
    command: {
      arguments: ["/usr/bin/env"],
      environmentVariables: [{ name: "A", value: "1" }, { name: "TZ", value: "x=y\nz" }],
    },
    check: printsAndExits("A=1\nTZ=x=y\nz\nLANG=C.UTF-8\nSOURCE_DATE_EPOCH=946684800\n"),
  },
  {
    name: "a program found in /bin:/usr/bin when the command sets no PATH",
    command: { arguments: ["true"] },
    check: printsAndExits(""),
  },
  {
    name: "a program relative to the working directory",
    command: { arguments: ["./tool"], workingDirectory: "a/b" },
    files: { "a/b/tool": { executable: "#!/bin/sh\nbasename $(pwd)\n" } },
    check: printsAndExits("b\n"),
  },
  {
    name: "standard input that is empty",
    command: sh("cat; readlink /proc/self/fd/0"),
    check: printsAndExits("/dev/null\n"),
  },
  {
    name: "inputs with fixed time, modes and the umask 022",
    command: sh("stat -c '%n %Y %a' . f x d d/l e; umask; echo > new; stat -c %a new"),
    files: { f: "f", x: { executable: "x" }, "d/l": { symlink: "../f" }, e: null },
    check: printsAndExits(
      [". 946684800 755", "f 946684800 444", "x 946684800 555", "d 946684800 755", "d/l 946684800 777"]
        .concat("e 946684800 755", "0022", "644", "").join("\n"),
    ),
  },
  {
    name: "links among the inputs as they were given",
    command: sh("readlink abs dangling up; cat up"),
    files: {
      f: "content",
      abs: { symlink: "/etc/hostname" },
      dangling: { symlink: "no/where" },
      up: { symlink: "./f" },
    },
    check: printsAndExits("/etc/hostname\nno/where\n./f\ncontent"),
  },
  {
    name: "output_files and output_directories of the older fields",
    command: sh("echo 1 > o/f; ls -d d/sub; echo 2 > d/sub/x; ln -s f o/l; ln -s sub d2; ls -d p", {
      outputFiles: ["o/f", "o/l", "none"],
      outputDirectories: ["d/sub", "d2", "p/gone"],
    }),
    check: async ({ result, action }, grid) => {
      assertEquals(result.outcome, COMPLETED, result.status?.message);
      assertEquals(action.outputFiles.map((file) => file.path), ["o/f"]);
      assertEquals(action.outputFileSymlinks.map(({ path, target }) => [path, target]), [["o/l", "f"]]);
      // d2 and p/gone were made beforehand, as Bazel's own execution does; `ln` put its link into d2.
      assertEquals(action.outputDirectories.map(({ path }) => path), ["d/sub", "d2", "p/gone"]);
      assertEquals(await listTree(grid, action.outputDirectories[0].treeDigest), ["x=2\n"]);
      assertEquals(await listTree(grid, action.outputDirectories[1].treeDigest), ["sub->sub"]);
      assertEquals(action.outputSymlinks, []);
    },
  },
  {
    name: "output_paths of every kind, with only their parents made beforehand",
    command: sh(
      "test ! -e a/dir && mkdir a/dir && echo f > a/file && ln -s /gone b/link && chmod +x a/file",
      {
        outputPaths: ["a/dir", "a/file", "b/link", "c/none"],
        outputFiles: ["ignored/x"],
      },
    ),
    check: async ({ result, action }, grid) => {
      assertEquals([result.outcome, action.exitCode], [COMPLETED, 0]);
      assertEquals(action.outputFiles.map(({ path, isExecutable }) => [path, isExecutable]), [[
        "a/file",
        true,
      ]]);
      assertEquals(action.outputSymlinks.map(({ path, target }) => [path, target]), [["b/link", "/gone"]]);
      assertEquals(action.outputFileSymlinks, []);
      assertEquals(action.outputDirectories.map(({ path }) => path), ["a/dir"]);
      assertEquals(await listTree(grid, action.outputDirectories[0].treeDigest), []);
    },
  },
  {
    name: "the working directory itself as an output",
    command: sh("mkdir -p s/t e; echo 1 > s/t/f; ln -s ../f s/l; chmod 755 s/t/f", {
      workingDirectory: "w",
      outputDirectories: [""],
    }),
    files: { "w/in": "in", "other": "o" },
    check: async ({ action }, grid) => {
      const [{ path, treeDigest, isTopologicallySorted }] = action.outputDirectories;
      assertEquals([path, isTopologicallySorted], ["", true]);
      assertEquals(await listTree(grid, treeDigest), [
        "e/",
        "in=in",
        "s/",
        "s/l->../f",
        "s/t/",
        "s/t/f*=1\n",
      ]);
    },
  },
  {
    name: "an output directory as Directory messages, each once, when that is the format asked for",
    command: sh("mkdir -p o/a o/b; echo x > o/a/f; echo x > o/b/f", {
      outputPaths: ["o"],
      outputDirectoryFormat: 2,
    }),
    check: async ({ action }, grid) => {
      const [{ treeDigest, rootDirectoryDigest }] = action.outputDirectories;
      assert(treeDigest !== undefined && rootDirectoryDigest !== undefined);
      assertEquals(splitTree(await grid.bytes(treeDigest)).length, 2, "The root and one directory for both");
      const root = parseDirectory(await grid.bytes(rootDirectoryDigest), SHA256);
      assertEquals(root.directories.map(({ name }) => name), ["a", "b"]);
      await grid.bytes(root.directories[0].digest);
    },
  },
  {
    name: "an output directory as a Tree alone when nothing else is asked for",
    command: sh("mkdir -p o/b/c o/a/c; echo x > o/b/c/f; echo x > o/a/c/f; echo y > o/a/g", {
      outputPaths: ["o"],
    }),
    check: async ({ action }, grid) => {
      const [{ treeDigest, rootDirectoryDigest, isTopologicallySorted }] = action.outputDirectories;
      assertEquals([rootDirectoryDigest, isTopologicallySorted], [undefined, true]);
      assert(treeDigest !== undefined);
      // Whoever reads it from front to back has met every directory before it comes, and each comes once.
      const directories = splitTree(await grid.bytes(treeDigest))
        .map((data) => ({ digest: digestOf(SHA256, data), data }));
      const named = new Set([directories[0].digest.hash]);
      const met = new Set<string>();
      for (const { digest, data } of directories) {
        assert(named.has(digest.hash) && !met.has(digest.hash), "Parents first, each once");
        met.add(digest.hash);
        for (const child of parseDirectory(data, SHA256).directories) named.add(child.digest.hash);
      }
      assertEquals(met.size, 4, "o, o/a, o/b, and one for both o/a/c and o/b/c");
      assertEquals(named, met);
    },
  },
  {
    name: "an output directory by its root Directory alone when that is the format asked for",
    command: sh("mkdir -p o/a; echo x > o/a/f", { outputPaths: ["o"], outputDirectoryFormat: 1 }),
    check: async ({ action }, grid) => {
      const [{ treeDigest, rootDirectoryDigest, isTopologicallySorted }] = action.outputDirectories;
      assertEquals([treeDigest, isTopologicallySorted], [undefined, false]);
      assert(rootDirectoryDigest !== undefined);
      const { directories: [a] } = parseDirectory(await grid.bytes(rootDirectoryDigest), SHA256);
      assertEquals(parseDirectory(await grid.bytes(a.digest), SHA256).files.map(({ name }) => name), ["f"]);
    },
  },
  {
    name: "outputs that lie in one another, each as it was asked for",
    command: sh("mkdir -p o/p; echo 1 > o/f; echo 2 > o/p/g", {
      outputPaths: ["o", "o/f", "o/p", "o/p/g", "o/p/none"],
    }),
    check: async ({ result, action }, grid) => {
      assertEquals(result.outcome, COMPLETED, result.status?.message);
      assertEquals(action.outputFiles.map(({ path }) => path), ["o/f", "o/p/g"]);
      assertEquals(action.outputDirectories.map(({ path }) => path), ["o", "o/p"]);
      assertEquals(await listTree(grid, action.outputDirectories[0].treeDigest), ["f=1\n", "p/", "p/g=2\n"]);
      assertEquals(await listTree(grid, action.outputDirectories[1].treeDigest), ["g=2\n"]);
    },
  },
  {
    name: "the working directory itself among output_paths",
    command: sh("echo 1 > f", { workingDirectory: "w", outputPaths: ["", "f"] }),
    files: { "w/in": "in", "other": "o" },
    check: async ({ action }, grid) => {
      assertEquals(action.outputDirectories.map(({ path }) => path), [""]);
      assertEquals(await listTree(grid, action.outputDirectories[0].treeDigest), ["f=1\n", "in=in"]);
      assertEquals(action.outputFiles.map(({ path }) => path), ["f"]);
    },
  },
  {
    name: "links of output_paths, whatever they point to",
    command: sh("mkdir d; echo > f; ln -s d toDir; ln -s f toFile; ln -s gone dangling; ln -s toDir toLink", {
      outputPaths: ["dangling", "toDir", "toFile", "toLink"],
    }),
    check: ({ action }) => {
      assertEquals(action.outputSymlinks.map(({ path, target }) => `${path}->${target}`), [
        "dangling->gone",
        "toDir->d",
        "toFile->f",
        "toLink->toDir",
      ]);
      assertEquals([action.outputFiles, action.outputDirectories, action.outputFileSymlinks], [[], [], []]);
      assertEquals(action.outputDirectorySymlinks, []);
    },
  },
  {
    name: "links of the older fields by what was declared, where they do not contradict it",
    command: sh(
      "rmdir dir away; mkdir d; echo > f; ln -s d dir; ln -s f file; ln -s gone dangling; ln -s file chain; " +
        "ln -s /etc away; ln -s ../../up high",
      { outputFiles: ["chain", "dangling", "file", "high"], outputDirectories: ["away", "dir"] },
    ),
    check: ({ result, action }) => {
      assertEquals(result.outcome, COMPLETED, result.status?.message);
      assertEquals(action.outputFileSymlinks.map(({ path }) => path), ["chain", "dangling", "file", "high"]);
      assertEquals(action.outputDirectorySymlinks.map(({ path }) => path), ["away", "dir"]);
      assertEquals([action.outputSymlinks, action.outputFiles, action.outputDirectories], [[], [], []]);
    },
  },
  {
    name: "node properties of what lies in an output directory, and of links",
    command: sh("mkdir o; echo > o/f; chmod 600 o/f; ln -s f o/l; chmod 711 o; ln -s o/f l", {
      outputPaths: ["l", "o"],
      outputNodeProperties: ["unix_mode"],
    }),
    check: async ({ action }, grid) => {
      assertEquals(action.outputSymlinks[0].nodeProperties?.unixMode?.value, 0o777);
      assertEquals(action.outputSymlinks[0].nodeProperties?.mtime, undefined);
      const { treeDigest } = action.outputDirectories[0];
      assert(treeDigest !== undefined);
      const tree = TreeCodec.decode(await grid.bytes(treeDigest));
      assertEquals(tree.root?.nodeProperties?.unixMode?.value, 0o711);
      assertEquals(tree.root?.files[0].nodeProperties?.unixMode?.value, 0o600);
      assertEquals(tree.root?.symlinks[0].nodeProperties?.unixMode?.value, 0o777);
    },
  },
  {
    name: "node properties when asked for",
    command: sh("echo > f; chmod 640 f; touch -d @1000000000.5 f", {
      outputPaths: ["f"],
      outputNodeProperties: ["mtime", "unix_mode"],
    }),
    check: ({ action }) => {
      const { mtime, unixMode } = action.outputFiles[0].nodeProperties ?? {};
      assertEquals([mtime, unixMode?.value], [{ seconds: 1_000_000_000, nanos: 500_000_000 }, 0o640]);
    },
  },
  {
    name: "permission bits without those that change who a program runs as",
    command: sh("cp /bin/true f; chmod 6755 f 2>/dev/null || chmod 755 f; mkdir d; chmod 1777 d", {
      outputPaths: ["d", "f"],
      outputNodeProperties: ["unix_mode"],
    }),
    check: async ({ action }, grid) => {
      assertEquals(action.outputFiles[0].nodeProperties?.unixMode?.value, 0o755);
      const { treeDigest } = action.outputDirectories[0];
      assert(treeDigest !== undefined);
      assertEquals(
        TreeCodec.decode(await grid.bytes(treeDigest)).root?.nodeProperties?.unixMode?.value,
        0o777,
      );
    },
  },
  {
    name: "an output that replaces an input of the same name",
    command: sh("rm f; echo new > f", { outputPaths: ["f"] }),
    files: { f: "old" },
    check: async ({ action }, grid) => assertEquals(await grid.text(action.outputFiles[0].digest), "new\n"),
  },
  {
    name: "an exit code of 128 and the signal for a command that a signal killed",
    command: sh("kill -SEGV $$"),
    check: printsAndExits("", 139),
  },
  {
    name: "an output of many bytes",
    command: sh("head -c 5000000 /dev/zero > big", { outputPaths: ["big"] }),
    check: ({ action }) => assertEquals(action.outputFiles[0].digest?.sizeBytes, 5_000_000),
  },
  {
    name: "more outputs than are kept in memory until they are uploaded",
    command: sh("mkdir o; for i in $(seq 12); do (echo $i; head -c 900000 /dev/zero) > o/$i; done", {
      outputPaths: ["o"],
    }),
    check: async ({ result, action }, grid) => {
      assertEquals(result.outcome, COMPLETED, result.status?.message);
      const listed = await listTree(grid, action.outputDirectories[0].treeDigest);
      assertEquals(listed.length, 12);
      for (const line of listed) assert(line.replaceAll("\0", "").match(/^(\d+)=\1\n$/) !== null);
    },
  },
  {
    name: "links to the outside inside an output directory, kept and not followed",
    command: sh("mkdir d; ln -s /etc d/etc; ln -s /proc/self/root d/root", { outputPaths: ["d"] }),
    check: async ({ action }, grid) => {
      const listed = await listTree(grid, action.outputDirectories[0].treeDigest);
      assertEquals(listed, ["etc->/etc", "root->/proc/self/root"]);
    },
  },
  {
    name: "standard output up to the limit, and a last line that tells what was dropped",
    command: sh("head -c 300000 /dev/zero | tr '\\0' a; echo short >&2"),
    check: async ({ action }, grid) => {
      const text = await grid.text(action.stdoutDigest);
      assertEquals(text.slice(0, 65536), "a".repeat(65536));
      assertEquals(
        text.slice(65536),
        "\n[brokkr] 234464 bytes of standard output were dropped; at most 65536 are kept\n",
      );
      assertEquals(await grid.text(action.stderrDigest), "short\n");
    },
  },
  {
    name: "the end of a command that leaves a daemon holding its output",
    command: sh(`(setsid sleep ${DAEMON_MARK} &); echo done`),
    check: async (finished, grid, worker) => {
      await printsAndExits("done\n")(finished, grid, worker);
      assertEquals(processesNamed(DAEMON_MARK), []);
    },
  },
];

testCases("Worker gives an action", CASES);

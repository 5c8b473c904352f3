/**
 * Rules of what becomes of the outputs of a command.
 *
 * @module
 */

import * as a from "../actions.ts";
import { type Context, digestOf, readDigest } from "../context.ts";
import { Fields } from "../protobuf.ts";
import { check, CLIENT_FAULTS, equal, type Rule, rulesThatNeed, Skip, SOURCE } from "../rule.ts";

const { must, should } = rulesThatNeed("exec");
const RESULT = SOURCE.reapi("ActionResult");
const PATHS = SOURCE.reapi("Command.output_paths");
const FILES = SOURCE.reapi("Command.output_files");
const DIRECTORIES = SOURCE.reapi("Command.output_directories");
const FORMAT = SOURCE.reapi("Command.OutputDirectoryFormat");
const SYMLINKS = SOURCE.reapi("ActionResult.output_symlinks");
const PROPERTIES = SOURCE.reapi("Command.output_node_properties");
const ABSOLUTE = SOURCE.reapi("SymlinkAbsolutePathStrategy");
const ALLOWED = 2;

/** A command that makes a file, a program, a directory with all kinds of things in it, and a symlink. */
function makesAll(ctx: Context, more: Omit<a.Command, "args">): a.Command {
  const script = [
    "echo file > file; echo x > run; chmod +x run; ln -s file link",
    "mkdir -p dir/sub/empty; echo in > dir/in; echo y > dir/sub/run; chmod +x dir/sub/run; ln -s ../in dir/sub/up",
    "mkdir -p dir/same; cp dir/in dir/same/in; mkdir -p dir/same2; cp dir/in dir/same2/in; echo no > undeclared",
  ];
  return a.sh(ctx, script.join("\n"), more);
}

const DIR_LISTING = {
  "in": "file",
  "same": "dir",
  "same/in": "file",
  "same2": "dir",
  "same2/in": "file",
  "sub": "dir",
  "sub/empty": "dir",
  "sub/run": "exec",
  "sub/up": "-> ../in",
};

const OUTPUT_RULES_BASIC: readonly Rule[] = [
  must(
    "OUT-01",
    "output_paths: files, directories and symlinks are reported as what they are",
    PATHS,
    async (ctx) => {
      const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["dir", "file", "link", "run"] }));
      equal(await a.fileText(ctx, result, "file"), "file\n", "file");
      const executable = [...a.files(result)].map(([path, file]) => `${path} ${file.bool(4)}`).sort();
      equal(executable, ["file false", "run true"], "Output files, and whether they can be run");
      equal([...a.symlinks(result)], [["link", "file"]], "Symlinks");
      const { root, children } = await a.treeOf(ctx, a.directory(result, "dir"));
      equal(a.listing(root, children), DIR_LISTING, "The Tree of dir");
    },
  ),
  must("OUT-02", "output_files and output_directories work as before 2.1", FILES, async (ctx) => {
    const command = makesAll(ctx, { outputFiles: ["file", "run"], outputDirectories: ["dir"] });
    const result = await a.run(ctx, command);
    equal([...a.files(result).keys()].sort(), ["file", "run"], "Output files");
    const { root, children } = await a.treeOf(ctx, a.directory(result, "dir"));
    equal(a.listing(root, children), DIR_LISTING, "The Tree of dir");
  }),
  must("OUT-03", "With output_paths, output_files and output_directories are ignored", PATHS, async (ctx) => {
    const more = { outputPaths: ["file"], outputFiles: ["run"], outputDirectories: ["dir"] };
    const result = await a.run(ctx, makesAll(ctx, more));
    equal(
      [[...a.files(result).keys()], result.messages(3).length],
      [["file"], 0],
      "Output files and directories",
    );
  }),
  must("OUT-04", "What a command did not make is left out, and is no error", RESULT, async (ctx) => {
    const result = await a.run(
      ctx,
      a.sh(ctx, "echo x > made", { outputPaths: ["made", "not/made", "not2"] }),
    );
    equal([...a.files(result).keys()], ["made"], "Output files");
    const old = await a.run(ctx, a.sh(ctx, "exit 0", { outputFiles: ["not"] }));
    equal(old.messages(2).length, 0, "Number of output files");
  }),
  must("OUT-05", "What was not declared is not reported", PATHS, async (ctx) => {
    const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["file"] }));
    equal(
      [[...a.files(result).keys()], result.messages(3).length, a.symlinks(result).size],
      [["file"], 0, 0],
      "Outputs",
    );
  }),
  must("OUT-06", "The directories above outputs are made before the command runs", PATHS, async (ctx) => {
    const result = await a.run(
      ctx,
      a.sh(ctx, "echo x > a/b/c; echo y > d/e", { outputPaths: ["a/b/c", "d/e"] }),
    );
    equal([...a.files(result).keys()].sort(), ["a/b/c", "d/e"], "Output files");
    const old = { outputFiles: ["f/g/h"], outputDirectories: ["i/j"] };
    const before = await a.run(
      ctx,
      a.sh(ctx, "echo x > f/g/h; test -d i; mkdir -p i/j; echo y > i/j/k", old),
    );
    equal(
      [[...a.files(before).keys()], before.messages(3).length],
      [["f/g/h"], 1],
      "Outputs of the old fields",
    );
  }),
  must("OUT-07", "output_paths are not made before the command runs", PATHS, async (ctx) => {
    await a.run(ctx, a.sh(ctx, "test ! -e a/b && test ! -e c", { outputPaths: ["a/b", "c"] }));
  }),
  should("OUT-08", "output_directories are not made before the command runs", DIRECTORIES, async (ctx) => {
    await a.run(ctx, a.sh(ctx, "test ! -e a/b", { outputDirectories: ["a/b"] }));
  }),
  must("OUT-09", "Outputs are relative to the working directory", PATHS, async (ctx) => {
    const inputRoot = await a.inputs(ctx, { w: { nonce: ctx.nonce } });
    const command = a.sh(ctx, "echo x > out; echo y > ../above", {
      outputPaths: ["out"],
      workingDirectory: "w",
    });
    equal([...a.files(await a.run(ctx, command, { inputRoot })).keys()], ["out"], "Output files");
  }),
  must(
    "OUT-10",
    "output_files that turns out a directory is FAILED_PRECONDITION",
    SOURCE.reapi("ActionResult.output_files"),
    async (ctx) => {
      const execution = await a.attempt(ctx, a.sh(ctx, "mkdir x", { outputFiles: ["x"] }));
      a.ended(execution, ["FAILED_PRECONDITION"], "A directory for a file");
    },
  ),
  must(
    "OUT-11",
    "output_directories that turns out a file is FAILED_PRECONDITION",
    SOURCE.reapi("ActionResult.output_directories"),
    async (ctx) => {
      const execution = await a.attempt(ctx, a.sh(ctx, "rm -rf x; echo x > x", { outputDirectories: ["x"] }));
      a.ended(execution, ["FAILED_PRECONDITION"], "A file for a directory");
    },
  ),
  must("OUT-12", "Outputs are reported of commands that fail, too", RESULT, async (ctx) => {
    const result = a.resultOf(
      await a.attempt(ctx, a.sh(ctx, "echo log > log; exit 1", { outputPaths: ["log"] })),
    );
    equal([result.int(4), await a.fileText(ctx, result, "log")], [1, "log\n"], "exit_code and log");
  }),
  must("OUT-13", 'The output directory "" is the whole working directory', DIRECTORIES, async (ctx) => {
    const inputRoot = await a.inputs(ctx, { input: ctx.nonce });
    const result = await a.run(ctx, a.sh(ctx, "echo x > made", { outputDirectories: [""] }), { inputRoot });
    const { root, children } = await a.treeOf(ctx, a.directory(result, ""));
    equal(a.listing(root, children), { input: "file", made: "file" }, "The Tree");
  }),
  must(
    "OUT-14",
    "Output paths that lead out of the working directory are an error, or give nothing",
    PATHS,
    async (ctx) => {
      for (const path of ["../x", "/etc/passwd", "a/../../x"]) {
        const execution = await a.attempt(ctx, a.sh(ctx, "echo x > ../x; exit 0", { outputPaths: [path] }));
        if (execution.code !== 0) a.ended(execution, CLIENT_FAULTS, path);
        else equal(execution.response?.message(1)?.messages(2).length, 0, `Output files for ${path}`);
      }
    },
  ),
  must("OUT-15", "All blobs of a result are stored", RESULT, async (ctx) => {
    const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["dir", "file"] }));
    const tree = a.directory(result, "dir");
    const digests = [readDigest(tree.message(3)), readDigest(a.files(result).get("file")?.message(2))];
    const { root, children } = await a.treeOf(ctx, tree);
    for (const one of [root, ...children]) {
      digests.push(...Fields.parse(one).messages(1).map((file) => readDigest(file.message(2))));
    }
    await ctx.stored(digests, "the result names them");
  }),
  must("OUT-16", "An empty file and an empty directory are outputs", PATHS, async (ctx) => {
    const result = await a.run(ctx, a.sh(ctx, ": > e; mkdir d", { outputPaths: ["d", "e"] }));
    equal(await a.fileText(ctx, result, "e"), "", "e");
    const { root, children } = await a.treeOf(ctx, a.directory(result, "d"));
    equal(a.listing(root, children), {}, "The Tree of d");
  }),
];

const FORMAT_RULES: readonly Rule[] = [
  must("OUT-20", "TREE_ONLY, the default, gives a tree_digest", FORMAT, async (ctx) => {
    const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["dir"], directoryFormat: 0 }));
    check(a.directory(result, "dir").has(3), "tree_digest is not set");
  }),
  should(
    "OUT-21",
    "DIRECTORY_ONLY gives a root_directory_digest, with every Directory stored",
    FORMAT,
    async (ctx) => {
      const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["dir"], directoryFormat: 1 }));
      const output = a.directory(result, "dir");
      check(output.has(5), "root_directory_digest is not set");
      const root = await ctx.get(readDigest(output.message(5)));
      const children: Uint8Array[] = [];
      const fetch = async (bytes: Uint8Array): Promise<void> => {
        for (const node of Fields.parse(bytes).messages(2)) {
          const child = await ctx.get(readDigest(node.message(2)));
          children.push(child);
          await fetch(child);
        }
      };
      await fetch(root);
      equal(a.listing(root, children), DIR_LISTING, "The directories, fetched one by one");
    },
  ),
  should("OUT-22", "TREE_AND_DIRECTORY gives both, of the same root", FORMAT, async (ctx) => {
    const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["dir"], directoryFormat: 2 }));
    const output = a.directory(result, "dir");
    check(output.has(3) && output.has(5), "tree_digest or root_directory_digest is not set");
    const { root } = await a.treeOf(ctx, output);
    equal(readDigest(output.message(5)), digestOf(root), "root_directory_digest");
  }),
  must(
    "OUT-23",
    "is_topologically_sorted is set only of a Tree that is",
    SOURCE.reapi("OutputDirectory.is_topologically_sorted"),
    async (ctx) => {
      const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["dir"] }));
      const output = a.directory(result, "dir");
      if (!output.bool(4)) throw new Skip("is_topologically_sorted is not set");
      const bytes = await ctx.get(readDigest(output.message(3)));
      const tree = Fields.parse(bytes);
      equal(tree.numbers()[0], 1, "First field of the Tree");
      check(
        tree.numbers().slice(1).every((number) => number === 2),
        "The Tree has other fields than root and children",
      );
      const seen = new Set<string>();
      const named = new Set<string>([digestOf(tree.bytesOf(1)).hash]);
      for (const one of [tree.bytesOf(1), ...tree.bytesAll(2)]) {
        const { hash } = digestOf(one);
        check(named.has(hash), "A Directory comes before the one that names it, or nobody names it");
        check(!seen.has(hash), "A Directory comes twice");
        seen.add(hash);
        for (const node of Fields.parse(one).messages(2)) named.add(readDigest(node.message(2)).hash);
      }
    },
  ),
  must("OUT-24", "Directories of a Tree are in canonical form", SOURCE.reapi("Directory"), async (ctx) => {
    const script = "mkdir d; cd d; for n in b a Z é z ａ 😀 _; do echo x > f$n; mkdir d$n; ln -s x l$n; done";
    const result = await a.run(ctx, a.sh(ctx, script, { outputPaths: ["d"] }));
    const { root, children } = await a.treeOf(ctx, a.directory(result, "d"));
    for (const one of [root, ...children].map((bytes) => Fields.parse(bytes))) {
      for (const number of [1, 2, 3]) {
        const names = one.messages(number).map((node) => hex(node.bytesOf(1)));
        equal(names, [...names].sort(), "Names of a Directory, as bytes");
      }
    }
  }),
  should(
    "OUT-25",
    "Equal output directories have equal Trees",
    SOURCE.reapi("Tree.children"),
    async (ctx) => {
      const hashes: string[] = [];
      for (let i = 0; i < 2; i++) {
        const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["dir"] }), { doNotCache: true });
        hashes.push(readDigest(a.directory(result, "dir").message(3)).hash);
      }
      equal(hashes[1], hashes[0], "tree_digest of the second run");
    },
  ),
  should("OUT-26", "An unknown output_directory_format is taken for TREE_ONLY", FORMAT, async (ctx) => {
    const result = await a.run(ctx, makesAll(ctx, { outputPaths: ["dir"], directoryFormat: 77 }));
    check(a.directory(result, "dir").has(3), "tree_digest is not set");
  }),
];

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const LINK_RULES: readonly Rule[] = [
  must(
    "OUT-30",
    "output_paths: symlinks are in output_symlinks with their target as it is",
    SYMLINKS,
    async (ctx) => {
      const script =
        "echo x > f; mkdir d; ln -s f tofile; ln -s d todir; ln -s nowhere dangling; ln -s d/../f odd";
      const paths = ["dangling", "odd", "todir", "tofile"];
      const result = await a.run(ctx, a.sh(ctx, script, { outputPaths: paths }));
      const found = Object.fromEntries([...a.symlinks(result, [12])].sort());
      equal(found, { dangling: "nowhere", odd: "d/../f", todir: "d", tofile: "f" }, "output_symlinks");
      equal(
        [result.messages(2).length, result.messages(3).length],
        [0, 0],
        "Number of files and directories",
      );
    },
  ),
  must(
    "OUT-31",
    "output_files and output_directories: symlinks are reported, not lost",
    SOURCE.reapi("ActionResult.output_file_symlinks"),
    async (ctx) => {
      const script = "echo x > f; mkdir d; ln -s f tofile; rm -rf todir; ln -s d todir";
      const result = await a.run(
        ctx,
        a.sh(ctx, script, { outputFiles: ["tofile"], outputDirectories: ["todir"] }),
      );
      const file = a.symlinks(result, [10]).get("tofile") === "f" || a.files(result).has("tofile");
      const dir = a.symlinks(result, [11]).get("todir") === "d" ||
        result.messages(3).some((one) => one.str(1) === "todir");
      equal([file, dir], [true, true], "Whether the symlinks to a file and to a directory are reported");
    },
  ),
  must("OUT-32", "output_symlinks is set only with output_paths", SYMLINKS, async (ctx) => {
    const result = await a.run(ctx, a.sh(ctx, "echo x > f; ln -s f l", { outputFiles: ["l"] }));
    equal(result.messages(12).length, 0, "Number of output_symlinks");
  }),
  must(
    "OUT-33",
    "An absolute symlink among the outputs is as symlink_absolute_path_strategy says",
    ABSOLUTE,
    async (ctx) => {
      const execution = await a.attempt(ctx, a.sh(ctx, "ln -s /etc/hostname l", { outputPaths: ["l"] }));
      if (ctx.caps.symlinkStrategy !== ALLOWED) {
        return a.ended(
          execution,
          ["FAILED_PRECONDITION"],
          "DISALLOWED",
        );
      }
      equal([...a.symlinks(a.resultOf(execution), [12])], [["l", "/etc/hostname"]], "output_symlinks");
    },
  ),
];

/** NodeProperties of the output file `f` of a command. */
async function propertiesOf(
  ctx: Context,
  script: string,
  names: readonly string[],
): Promise<Fields | undefined> {
  const absent = names.filter((name) => !ctx.caps.nodeProperties.includes(name));
  if (absent.length > 0) throw new Skip(`supported_node_properties does not list ${absent.join(", ")}`);
  const result = await a.run(ctx, a.sh(ctx, script, { outputPaths: ["f"], nodeProperties: names }));
  return a.files(result).get("f")?.message(7);
}

const PROPERTY_RULES: readonly Rule[] = [
  must("OUT-40", "unix_mode of an output is reported on request", PROPERTIES, async (ctx) => {
    const properties = await propertiesOf(ctx, "echo x > f; chmod 0751 f", ["unix_mode"]);
    equal((properties?.message(3)?.int(1) ?? 0) & 0o777, 0o751, "unix_mode");
  }),
  must("OUT-41", "mtime of an output is reported on request", PROPERTIES, async (ctx) => {
    const properties = await propertiesOf(ctx, "echo x > f; TZ=UTC touch -t 202001020304.05 f", ["mtime"]);
    equal(properties?.message(2)?.int(1), 1_577_934_245, "Seconds of mtime");
  }),
  must("OUT-42", "A property that the server does not know is INVALID_ARGUMENT", PROPERTIES, async (ctx) => {
    const command = a.sh(ctx, "echo x > f", { outputPaths: ["f"], nodeProperties: ["no-such-property"] });
    a.ended(await a.attempt(ctx, command), ["INVALID_ARGUMENT"], "no-such-property");
  }),
  must("OUT-43", "Without output_node_properties an output has none", PROPERTIES, async (ctx) => {
    const result = await a.run(ctx, a.sh(ctx, "echo x > f", { outputPaths: ["f"] }));
    equal(a.files(result).get("f")?.has(7), false, "Whether node_properties is set");
  }),
];

/** Rules of what becomes of the outputs of a command. */
export const OUTPUT_RULES: readonly Rule[] = [
  ...OUTPUT_RULES_BASIC,
  ...FORMAT_RULES,
  ...LINK_RULES,
  ...PROPERTY_RULES,
];

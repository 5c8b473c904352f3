/**
 * Rules of what a command sees.
 *
 * @module
 */

import * as a from "../actions.ts";
import { type Context, utf8 } from "../context.ts";
import { check, CLIENT_FAULTS, equal, equalBytes, type Rule, rulesThatNeed, SOURCE } from "../rule.ts";

const { must, should } = rulesThatNeed("exec");
const ARGUMENTS = SOURCE.reapi("Command.arguments");
const RESULT = SOURCE.reapi("ActionResult");
const ABSOLUTE = SOURCE.reapi("SymlinkAbsolutePathStrategy");
const WORKING_DIRECTORY = SOURCE.reapi("Command.working_directory");
const ALLOWED = 2;

/** stdout of a command that must succeed. */
async function said(ctx: Context, command: a.Command, action: a.Action = {}): Promise<string> {
  return await a.stdout(ctx, await a.run(ctx, command, action));
}

/** Rules of what a command sees. */
export const RUN_RULES: readonly Rule[] = [
  must(
    "RUN-01",
    "The exit code of a command is reported, and is no error of the API",
    RESULT,
    async (ctx) => {
      for (const code of [0, 1, 42, 255]) {
        equal(a.resultOf(await a.attempt(ctx, a.sh(ctx, `exit ${code}`))).int(4), code, "exit_code");
      }
    },
  ),
  must("RUN-02", "stdout and stderr are reported, each for itself", RESULT, async (ctx) => {
    const result = await a.run(ctx, a.sh(ctx, "echo to out; echo to err >&2"));
    equal(
      [await a.stdout(ctx, result), await a.stdout(ctx, result, 7)],
      ["to out\n", "to err\n"],
      "stdout, stderr",
    );
  }),
  must("RUN-03", "They are reported of commands that fail, too", RESULT, async (ctx) => {
    const result = a.resultOf(await a.attempt(ctx, a.sh(ctx, "echo why >&2; exit 3")));
    equal([result.int(4), await a.stdout(ctx, result, 7)], [3, "why\n"], "exit_code and stderr");
  }),
  must("RUN-04", "An output of megabytes on stdout is reported in full", RESULT, async (ctx) => {
    const out = await said(
      ctx,
      a.sh(
        ctx,
        "i=0; while [ $i -lt 40000 ]; do echo 0123456789012345678901234567890123456789012345678; i=$((i+1)); done",
      ),
    );
    equal(out.length, 2_000_000, "Bytes of stdout");
  }),
  must(
    "RUN-05",
    "The environment is that of the Command, and its values win",
    SOURCE.reapi("Command.environment_variables"),
    async (ctx) => {
      const env = {
        A: "1",
        B: "two words",
        EMPTY: "",
        HOME: "/tmp/elsewhere",
        PATH: "/usr/bin:/bin",
        "Ü": "ü=€",
      };
      const out = await said(ctx, { args: ["/usr/bin/env"], env: { ...env, NONCE: ctx.freshText() } });
      const lines = out.split("\n");
      for (const [name, value] of Object.entries(env)) {
        check(
          lines.includes(`${name}=${value}`),
          `${name} is not ${value}`,
        );
      }
    },
  ),
  must("RUN-06", "Arguments arrive as they are", ARGUMENTS, async (ctx) => {
    const odd = ["", " ", "a b", "$HOME", "*", "'\"\\", "ü€", "-n", "a\nb"];
    const out = await said(ctx, {
      args: ["/usr/bin/printf", "<%s>", ctx.freshText(), ...odd],
      env: { LC_ALL: "C" },
    });
    check(out.endsWith(odd.map((arg) => `<${arg}>`).join("")), `Arguments: ${out}`);
  }),
  should(
    "RUN-07",
    "A program without a slash is looked up in the PATH of the Command",
    ARGUMENTS,
    async (ctx) => {
      const inputRoot = await a.inputs(ctx, { bin: { "tool*": `#!/bin/sh\necho found ${ctx.nonce}\n` } });
      const script = a.sh(ctx, 'PATH="$PWD/bin:$PATH" tool');
      equal(await said(ctx, script, { inputRoot }), `found ${ctx.nonce}\n`, "stdout");
      equal(
        await said(ctx, { args: ["echo", ctx.nonce], env: { PATH: "/nowhere:/usr/bin:/bin" } }),
        `${ctx.nonce}\n`,
        "stdout",
      );
    },
  ),
  must("RUN-08", "A program with a slash is looked up from the working directory", ARGUMENTS, async (ctx) => {
    const inputRoot = await a.inputs(ctx, {
      sub: { bin: { "tool*": `#!/bin/sh\necho found ${ctx.nonce}\n` } },
    });
    const out = await said(ctx, { args: ["bin/tool"], workingDirectory: "sub" }, { inputRoot });
    equal(out, `found ${ctx.nonce}\n`, "stdout");
  }),
  must(
    "RUN-09",
    "A command runs in its working_directory, or else in the input root",
    WORKING_DIRECTORY,
    async (ctx) => {
      const inputRoot = await a.inputs(ctx, { here: "root", a: { b: { here: "below" } } });
      equal(await said(ctx, a.sh(ctx, "cat here"), { inputRoot }), "root", "stdout in the root");
      const below = a.sh(ctx, "cat here; cat ../../here", { workingDirectory: "a/b" });
      equal(await said(ctx, below, { inputRoot }), "belowroot", "stdout in a/b");
    },
  ),
  must(
    "RUN-10",
    "A working_directory that is not in the inputs is an error",
    WORKING_DIRECTORY,
    async (ctx) => {
      const execution = await a.attempt(ctx, a.sh(ctx, "exit 0", { workingDirectory: "no/such" }));
      a.ended(execution, CLIENT_FAULTS, "working_directory no/such");
    },
  ),
  must(
    "RUN-11",
    "A working_directory that leads out of the inputs is an error",
    WORKING_DIRECTORY,
    async (ctx) => {
      for (const workingDirectory of ["..", "/tmp", "a/../.."]) {
        a.ended(
          await a.attempt(ctx, a.sh(ctx, "exit 0", { workingDirectory })),
          CLIENT_FAULTS,
          workingDirectory,
        );
      }
    },
  ),
  must(
    "RUN-12",
    "Inputs are there: files, whether they can be run, directories, symlinks",
    SOURCE.reapi("Action.input_root_digest"),
    async (ctx) => {
      const inputRoot = await a.inputs(ctx, {
        file: ctx.nonce,
        "run*": "#!/bin/sh\necho ran\n",
        deep: { er: { file: "deep" }, empty: {} },
        link: "-> deep/er/file",
        dirlink: "-> deep/er",
      });
      const script =
        "cat file; ./run; test ! -x file; test -d deep/empty; cat link dirlink/file; readlink link";
      const out = await said(ctx, a.sh(ctx, `set -e; ${script}`), { inputRoot });
      equal(out, `${ctx.nonce}ran\ndeepdeepdeep/er/file\n`, "stdout");
    },
  ),
  must(
    "RUN-13",
    "An action sees nothing that an earlier one left behind",
    SOURCE.reapi("Action.input_root_digest"),
    async (ctx) => {
      const inputRoot = await a.inputs(ctx, { input: ctx.nonce });
      await a.run(ctx, a.sh(ctx, "chmod u+w . input; echo changed > input; echo left > left; exit 0"), {
        inputRoot,
      });
      equal(await said(ctx, a.sh(ctx, "cat input; ls"), { inputRoot }), `${ctx.nonce}input\n`, "stdout");
    },
  ),
  must(
    "RUN-14",
    "A command that is killed by a signal is not passed off as a success",
    RESULT,
    async (ctx) => {
      const execution = await a.attempt(ctx, a.sh(ctx, "kill -9 $$"));
      check(execution.code !== 0 || (execution.response?.message(1)?.int(4) ?? 0) !== 0, "exit_code is 0");
    },
  ),
  must(
    "RUN-15",
    "An absolute symlink among the inputs is as symlink_absolute_path_strategy says",
    ABSOLUTE,
    async (ctx) => {
      const inputRoot = await a.inputs(ctx, { abs: "-> /bin/sh", nonce: ctx.nonce });
      const execution = await a.attempt(ctx, a.sh(ctx, "readlink abs"), { inputRoot });
      if (ctx.caps.symlinkStrategy !== ALLOWED) return a.ended(execution, ["INVALID_ARGUMENT"], "DISALLOWED");
      equal(await a.stdout(ctx, a.resultOf(execution)), "/bin/sh\n", "stdout");
    },
  ),
  must(
    "RUN-16",
    "What is inlined on request is what was written",
    SOURCE.reapi("ExecuteRequest.inline_stdout"),
    async (ctx) => {
      const command = a.sh(ctx, "echo out; echo err >&2; echo file > f; echo other > g", {
        outputPaths: ["f", "g"],
      });
      const request = { inlineStdout: true, inlineStderr: true, inlineFiles: ["f"] };
      const result = await a.run(ctx, command, {}, request);
      for (
        const [bytes, right] of [
          [result.bytesOf(5), "out\n"],
          [result.bytesOf(7), "err\n"],
          [a.files(result).get("f")?.bytesOf(5) ?? new Uint8Array(), "file\n"],
        ] as const
      ) if (bytes.length > 0) equalBytes(bytes, utf8(right), "Inlined bytes");
    },
  ),
  should(
    "RUN-17",
    "Small stdout, stderr and files are inlined on request",
    SOURCE.reapi("ExecuteRequest.inline_stdout"),
    async (ctx) => {
      const command = a.sh(ctx, "echo out; echo err >&2; echo file > f; echo other > g", {
        outputPaths: ["f", "g"],
      });
      const request = { inlineStdout: true, inlineStderr: true, inlineFiles: ["f"] };
      const result = await a.run(ctx, command, {}, request);
      const contents = (path: string) => a.files(result).get(path)?.bytesOf(5).length;
      equal(
        [result.bytesOf(5).length, result.bytesOf(7).length, contents("f"), contents("g")],
        [4, 4, 5, 0],
        "Bytes inlined",
      );
    },
  ),
];

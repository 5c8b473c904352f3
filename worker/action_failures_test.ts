import { assertEquals, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import { type Case, FAILED, failsWith, PATH, testCases, TIMEOUT_MARK } from "./_action_cases.ts";
import { processesNamed, sh } from "./_test_grid.ts";

const CASES: readonly Case[] = [
  {
    name: "a failure naming a program that does not exist",
    command: { arguments: ["no-such-program"], environmentVariables: PATH },
    check: failsWith(Code.INVALID_ARGUMENT, '"no-such-program" was not found in PATH "/usr/bin:/bin"'),
  },
  {
    name: "a failure naming a path that does not exist",
    command: { arguments: ["./no/such"] },
    check: failsWith(Code.INVALID_ARGUMENT, '"./no/such" does not exist'),
  },
  {
    name: "a failure naming a script whose interpreter does not exist",
    command: { arguments: ["./s"] },
    files: { s: { executable: "#!/no/interpreter\n" } },
    check: failsWith(Code.INVALID_ARGUMENT, '"./s" does not exist, or the interpreter'),
  },
  {
    name: "a failure naming a program that is not executable",
    command: { arguments: ["./s"] },
    files: { s: "#!/bin/sh\n" },
    check: failsWith(Code.INVALID_ARGUMENT, '"./s" may not be executed'),
  },
  {
    name: "a failure naming a file of no known format",
    command: { arguments: ["./s"] },
    files: { s: { executable: "just text" } },
    check: failsWith(Code.INVALID_ARGUMENT, '"./s" has no format'),
  },
  {
    name: "a failure for no arguments",
    command: {},
    check: failsWith(Code.INVALID_ARGUMENT, "at least one argument"),
  },
  {
    name: "a failure naming an environment variable that cannot be",
    command: { arguments: ["env"], environmentVariables: [{ name: "A=B", value: "" }] },
    check: failsWith(Code.INVALID_ARGUMENT, '"A=B" cannot be the name'),
  },
  {
    name: "a failure naming a working directory that is not there",
    command: sh("true", { workingDirectory: "a/b" }),
    check: failsWith(Code.INVALID_ARGUMENT, 'Working directory "a/b"'),
  },
  {
    name: "a failure naming a working directory that is a file",
    command: sh("true", { workingDirectory: "a/b" }),
    files: { a: "file" },
    check: failsWith(Code.INVALID_ARGUMENT, 'a file at "a"', "the working directory"),
  },
  {
    name: "a failure naming a working directory outside the root",
    command: sh("true", { workingDirectory: "../x" }),
    check: failsWith(Code.INVALID_ARGUMENT, "../x", "working_directory"),
  },
  {
    name: "a failure naming an output outside the root",
    command: sh("true", { outputPaths: ["a/../../x"] }),
    check: failsWith(Code.INVALID_ARGUMENT, "a/../../x", "output_paths"),
  },
  {
    name: "a failure naming an absolute output",
    command: sh("true", { outputFiles: ["/etc/passwd"] }),
    check: failsWith(Code.INVALID_ARGUMENT, "/etc/passwd", "absolute"),
  },
  {
    name: "a failure naming an input link in the way of an output, which is not followed",
    command: sh("true", { outputPaths: ["l/x/y"] }),
    files: { l: { symlink: "/tmp" } },
    check: failsWith(Code.INVALID_ARGUMENT, 'symbolic link, which is not followed at "l"', 'output "l/x/y"'),
  },
  {
    name: "a failure naming an unknown output property",
    command: sh("true", { outputNodeProperties: ["color"] }),
    check: failsWith(Code.INVALID_ARGUMENT, '"color" is not known'),
  },
  {
    name: "a failure for a file where a directory was declared",
    command: sh("rmdir d; echo > d", { outputDirectories: ["d"] }),
    check: failsWith(Code.FAILED_PRECONDITION, 'Output "d" was declared as a directory and is a file'),
  },
  {
    name: "a failure for a directory where a file was declared, with what it printed",
    command: sh("echo printed; mkdir f", { outputFiles: ["f"] }),
    check: async (finished, grid) => {
      failsWith(Code.FAILED_PRECONDITION, 'Output "f" was declared as a file and is a directory')(
        finished,
        grid,
        undefined as never,
      );
      assertEquals(await grid.text(finished.action.stdoutDigest), "printed\n");
    },
  },
  {
    name: "a failure for a link to a directory where a file was declared",
    command: sh("mkdir -p d/e; ln -s ../d/./e o/l", { outputFiles: ["o/l"] }),
    check: failsWith(Code.FAILED_PRECONDITION, '"o/l"', "was declared as a file", "link to a directory"),
  },
  {
    name: "a failure for a link to a file where a directory was declared",
    command: sh("rmdir d; echo > f; ln -s f d", { outputDirectories: ["d"] }),
    check: failsWith(Code.FAILED_PRECONDITION, '"d"', "was declared as a directory", "link to a file"),
  },
  {
    name: "a failure naming an output with a slash at its end",
    command: sh("true", { outputPaths: ["a/"] }),
    check: failsWith(Code.INVALID_ARGUMENT, "command.output_paths", '"a/"'),
  },
  {
    name: "a failure naming an output with a dot in its path",
    command: sh("true", { outputPaths: ["a/./b"] }),
    check: failsWith(Code.INVALID_ARGUMENT, "command.output_paths", '"a/./b"'),
  },
  {
    name: "a failure naming an output that is a dot",
    command: sh("true", { outputDirectories: ["."] }),
    check: failsWith(Code.INVALID_ARGUMENT, "command.output_directories", '"."'),
  },
  {
    name: "a failure for an output file without a name",
    command: sh("true", { outputFiles: [""] }),
    check: failsWith(Code.INVALID_ARGUMENT, "command.output_files", "may not be empty"),
  },
  {
    name: "a failure naming an output larger than any blob may be, without hashing it first",
    only: "none", // in a sandbox no file can be larger than its writable layer
    command: sh("truncate -s 1T d", { outputPaths: ["d"] }),
    check: failsWith(Code.FAILED_PRECONDITION, "Output d has 1099511627776 bytes"),
  },
  {
    name: "a failure naming a FIFO among the outputs",
    command: sh("mkdir d; mkfifo d/pipe", { outputPaths: ["d"] }),
    check: failsWith(Code.FAILED_PRECONDITION, '"d/pipe" is a device, socket or FIFO'),
  },
  {
    name: "a failure naming an output whose name is not UTF-8",
    command: sh("mkdir d; touch \"d/$(printf 'a\\377')\"", { outputPaths: ["d"] }),
    check: failsWith(Code.FAILED_PRECONDITION, "a\\xff", "not UTF-8"),
  },
  {
    name: "a failure for an output behind a link that the action made",
    command: sh("rmdir out; ln -s /etc out", { outputPaths: ["out/hostname"] }),
    check: failsWith(Code.FAILED_PRECONDITION, '"out/hostname" lies behind a symbolic link'),
  },
  {
    name: "a failure for an action that puts something endless in the place of its standard output",
    only: "none",
    command: sh("rm ../stdout; truncate -s 1T ../stdout"),
    check: failsWith(Code.FAILED_PRECONDITION, "standard output", "replaced"),
  },
  {
    name: "a failure for an action that takes its standard output away",
    only: "none",
    command: sh("echo x; chmod 000 ../stdout"),
    check: failsWith(Code.FAILED_PRECONDITION, "may not be read", "stdout"),
  },
  {
    name: "a failure for a PATH with more directories than anybody looks through",
    command: {
      arguments: ["x"],
      environmentVariables: [{
        name: "PATH",
        value: Array.from({ length: 5000 }, (_, i) => `/${i}`).join(":"),
      }],
    },
    check: failsWith(Code.INVALID_ARGUMENT, "PATH", "at most 1000"),
  },
  {
    name: "a failure for an action that removes its own root",
    only: "none",
    command: sh('rm -rf "$PWD"', { outputPaths: ["x"] }),
    check: failsWith(Code.FAILED_PRECONDITION, "removed its own input root"),
  },
  {
    name: "a failure naming an output that its owner may not read, whoever the worker is",
    command: sh("echo x > f; chmod 000 f", { outputPaths: ["f"] }),
    check: failsWith(Code.FAILED_PRECONDITION, '"f" may not be read'),
  },
  {
    name: "a failure naming a directory among the outputs that its owner may not list",
    command: sh("mkdir -p d/e; echo x > d/e/f; chmod 100 d/e", { outputPaths: ["d"] }),
    check: failsWith(Code.FAILED_PRECONDITION, '"d/e" may not be read'),
  },
  {
    name: "a failure naming a directory among the outputs that its owner may not enter",
    command: sh("mkdir -p d; echo x > d/f; chmod 600 d", { outputPaths: ["d"] }),
    check: failsWith(Code.FAILED_PRECONDITION, "may not be read"),
  },
  {
    name: "a failure for an output directory deeper than any input could be",
    command: sh("mkdir d; cd d; for i in $(seq 300); do mkdir n && cd n; done", { outputPaths: ["d"] }),
    check: failsWith(Code.FAILED_PRECONDITION, "more than 256 directories below one another"),
  },
  {
    name: "DEADLINE_EXCEEDED with what there was until then, and nothing of it left running",
    command: sh(
      `echo before; echo 1 > out; (setsid sh -c 'echo \$\$ > pid; exec sleep ${TIMEOUT_MARK}' &) ; sleep ${TIMEOUT_MARK}`,
      {
        outputPaths: ["out", "pid"],
      },
    ),
    timeoutMs: 3000,
    check: async ({ result, action }, grid) => {
      assertEquals(
        [result.outcome, result.status?.code],
        [FAILED, Code.DEADLINE_EXCEEDED],
        result.status?.message,
      );
      assertStringIncludes(result.status?.message ?? "", "3 s");
      assertEquals(action.exitCode, 137);
      assertEquals(await grid.text(action.stdoutDigest), "before\n");
      assertEquals(action.outputFiles.map(({ path }) => path), ["out", "pid"]);
      assertEquals(processesNamed(TIMEOUT_MARK), []);
    },
  },
];

testCases("Worker answers an action that cannot succeed with", CASES);

/**
 * What actions that mean harm try with nothing but a shell, as cases like {@linkcode SANDBOX_CASES}: each once worked.
 *
 * @module
 */

import type { SandboxCase, TestSandbox } from "./_sandbox_cases.ts";
import { until } from "./_testing.ts";

/** inotify_init1, by what uname calls the machine. */
const TAKE_ALL_INOTIFY = "use POSIX; $| = 1; my $nr = (POSIX::uname())[4] eq 'x86_64' ? 294 : 26; " +
  "1 while syscall($nr, 0) >= 0; print 'all'; sleep 1000";

/**
 * Puts descriptors into messages that nobody reads until no more may be: perl has no sendmsg, so that the structures are
 * packed by hand. 253 go into a message, and ten messages into a socket's queue.
 */
const SEND_ALL = `
  use POSIX; use Socket; use Errno; $| = 1;
  my $nr = (POSIX::uname())[4] eq 'x86_64' ? 46 : 211;
  my $control = pack('Q L L L253 x4', 16 + 4 * 253, 1, 1, (0) x 253);
  my $byte = 'x';
  my $vector = pack('P Q', $byte, 1);
  my $message = pack('Q L x4 P Q P Q L x4', 0, 0, $vector, 1, $control, length $control, 0);
  my @kept;
  SOCKET: while (1) {
    socketpair(my $a, my $b, AF_UNIX, SOCK_DGRAM, 0) or last;
    push @kept, $a, $b;
    while (syscall($nr, fileno($a), $message, 0x40) >= 0) {}
    last SOCKET if $!{ETOOMANYREFS};
    die "sendmsg: $!" if !$!{EAGAIN};
  }
  print "full";
  sleep 1000;
`;

function canWatch(path: string): boolean {
  try {
    Deno.watchFs(path, { recursive: false }).close();
    return true;
  } catch {
    return false;
  }
}

async function whileAllTaken(test: TestSandbox): Promise<[boolean, string]> {
  const request = test.request("", {
    executables: ["/usr/bin/perl"],
    argv: ["perl", "-e", TAKE_ALL_INOTIFY],
  });
  const running = test.sandbox.launch(request);
  try {
    await until(() => Deno.readTextFileSync(`${request.out}.stdout`) === "all", "every instance to be taken");
    const script =
      "my $nr = (POSIX::uname())[4] eq 'x86_64' ? 294 : 26; print syscall($nr, 0) >= 0 ? 'one' : 'none'";
    const other = await test.run("", {
      executables: ["/usr/bin/perl"],
      argv: ["perl", "-MPOSIX", "-e", script],
    });
    return [canWatch(test.path), other.stdout];
  } finally {
    running.kill();
    (await running.done).work?.[Symbol.dispose]();
  }
}

/** The cases. */
export const HOSTILE_CASES: readonly SandboxCase[] = [
  {
    name: "takes no room of the host's disk beyond the end of standard output, where nobody looks",
    sees: async (test) => {
      // -n keeps the size. The limit of a file's size does not hold there, and the watch over the output sees nothing.
      const request = test.request(
        "fallocate -n -l 64M /proc/self/fd/1; fallocate -n -l 1M file; fallocate -l 1M other",
      );
      const { work, exitCode } = await test.sandbox.launch(request).done;
      work?.[Symbol.dispose]();
      return [exitCode, (Deno.statSync(`${request.out}.stdout`).blocks ?? 0) * 512 < 1 << 20];
    },
    expected: [0, true], // a layer in memory has a limit, so that there room may be taken
  },
  {
    name: "leaves no lock on what the next one has open, too",
    sees: async (test) => {
      const first = await test.run("flock -n 0; echo $?");
      const second = await test.run("flock -n /dev/null true; echo $?");
      return [first.stdout, second.stdout];
    },
    expected: ["0\n", "0\n"],
  },
  {
    name: "leaves no flag on what the next one has open, too",
    sees: async (test) => {
      const flags = "grep flags /proc/self/fdinfo/0 | tr -d '\\t'";
      const before = await test.run(flags);
      await test.run("perl -MFcntl -e 'fcntl(STDIN, F_SETFL, O_NONBLOCK | O_APPEND) or die'");
      return (await test.run(flags)).stdout === before.stdout;
    },
    expected: true,
  },
  {
    name: "takes no inotify instance of the worker's user, nor of other actions",
    sees: whileAllTaken,
    expected: [true, "one"],
  },
  {
    name: "has no descriptors on their way that keep the worker from starting others",
    sees: async (test) => {
      const request = test.request("", { executables: ["/usr/bin/perl"], argv: ["perl", "-e", SEND_ALL] });
      const running = test.sandbox.launch(request);
      try {
        await until(
          () => Deno.readTextFileSync(`${request.out}.stdout`) !== "",
          "descriptors to be on their way",
        );
        return (await test.run("exit 3")).report.exitCode;
      } finally {
        running.kill();
        (await running.done).work?.[Symbol.dispose]();
      }
    },
    expected: 3,
  },
];

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { assemble, BPF, Graph, MAX_INSTRUCTIONS, type Node } from "./bpf.ts";
import { answerOf, seccompFilter } from "./filter.ts";
import { ARCHES, type Call, decide, policy, type SeccompArch } from "./policy.ts";
import type { Action, CallName, SeccompOptions } from "./policy_types.ts";
import { FilterMachine } from "./simulator.ts";

const BOTH: readonly SeccompArch[] = ["x86_64", "aarch64"];
const I386 = 0x40000003;
const ARM = 0x40000028;
/** The upper half of an argument that the kernel takes as an int. */
const UPPER = 0xdeadbeefn << 32n;

function machine(arch: SeccompArch, options: SeccompOptions = {}): FilterMachine {
  return new FilterMachine(seccompFilter(arch, options));
}

function call(arch: SeccompArch, name: CallName, args: readonly (number | bigint)[]): Call {
  const number = ARCHES[arch].calls[name];
  assert(number !== undefined, `${arch} has no ${name}`);
  const full = Array.from({ length: 6 }, (_, index) => BigInt.asUintN(64, BigInt(args[index] ?? 0)));
  return { auditArch: ARCHES[arch].auditArch, number, args: full };
}

/** Every value that some condition of the policy looks for: where a filter would be wrong, it is near these. */
const TELLING = policy({ aslr: false }).flatMap(({ rules }) =>
  rules.flatMap(({ cases = [] }) => cases.flatMap(({ when }) => when.flatMap(({ is }) => Object.values(is))))
);

const word = fc.oneof(
  fc.constantFrom(...TELLING),
  fc.tuple(fc.constantFrom(...TELLING), fc.integer({ min: 0, max: 31 })).map(([value, bit]) =>
    (value ^ (1 << bit)) >>> 0
  ),
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const argument = fc.oneof(
  word.map(BigInt),
  fc.tuple(word, fc.integer({ min: 0, max: 0xffffffff })).map(([low, high]) =>
    BigInt(high) << 32n | BigInt(low)
  ),
);
const args = fc.array(argument, { minLength: 6, maxLength: 6 });
const strangeNumbers = fc.oneof(
  fc.integer({ min: 0x40000000, max: 0x40000400 }),
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0xffffffff, 0xfffffffe, 0x7fffffff, 0x80000000, 0x3fffffff, 1024),
);

for (const arch of BOTH) {
  for (const { aslr, fallocate } of [{ aslr: true, fallocate: true }, { aslr: false, fallocate: false }]) {
    const shown = `aslr ${aslr}, fallocate ${fallocate}`;
    Deno.test(`the filter of ${arch} (${shown}) says what the policy says, whatever the arguments`, () => {
      const filter = machine(arch, { aslr, fallocate });
      const same = (call: Call) =>
        assertEquals(filter.run(call).answer, answerOf(decide(arch, call, { aslr, fallocate })));
      const { auditArch, calls } = ARCHES[arch];
      const filtered = policy().flatMap(({ rules }) => rules)
        .filter(({ cases }) => cases !== undefined)
        .flatMap(({ calls: names }) => names.flatMap((name) => calls[name] ?? []));
      for (let number = 0; number < 1024; number++) {
        same({ auditArch, number, args: [0n, 0n, 0n, 0n, 0n, 0n] });
      }
      const number = fc.oneof(
        fc.integer({ min: 0, max: 1023 }),
        fc.constantFrom(...filtered),
        strangeNumbers,
      );
      fc.assert(fc.property(number, args, (number, args) => same({ auditArch, number, args })), {
        numRuns: 3000,
      });
      // Every value looked for, as every argument of every call that is looked at.
      for (const number of filtered) {
        for (const value of TELLING) {
          for (let position = 0; position < 6; position++) {
            const args = Array.from({ length: 6 }, (_, index) => index === position ? BigInt(value) : 0n);
            same({ auditArch, number, args });
          }
        }
      }
    });
  }

  Deno.test(`the filter of ${arch} kills what comes in as another architecture's call`, () => {
    const filter = machine(arch);
    const other = ARCHES[arch === "x86_64" ? "aarch64" : "x86_64"].auditArch;
    const foreign = fc.oneof(fc.constantFrom(I386, ARM, other, 0), fc.integer({ min: 0, max: 0xffffffff }));
    fc.assert(fc.property(foreign, fc.nat(2000), args, (auditArch, number, args) => {
      fc.pre(auditArch !== ARCHES[arch].auditArch);
      assertEquals(filter.run({ auditArch, number, args }).answer, answerOf("kill"));
    }));
  });

  Deno.test(`the filter of ${arch} answers ENOSYS to numbers from 470 up, x32's among them`, () => {
    const filter = machine(arch);
    const { auditArch } = ARCHES[arch];
    const number = fc.oneof(
      fc.integer({ min: 470, max: 0xffffffff }),
      fc.constantFrom(512, 547, 0x40000000 + 59),
    );
    fc.assert(fc.property(number, args, (number, args) => {
      assertEquals(filter.run({ auditArch, number, args }).answer, answerOf("ENOSYS"));
    }));
  });

  Deno.test(`the filter of ${arch} is a small part of what the kernel takes, and takes few steps`, () => {
    const filter = machine(arch);
    assert(filter.length < 512, `${filter.length} instructions`);
    for (const { rules } of policy()) {
      for (const { calls, cases, action } of rules) {
        if (cases !== undefined || action !== "allow") continue;
        for (const name of calls) {
          if (ARCHES[arch].calls[name] === undefined) continue;
          const { steps } = filter.run(call(arch, name, []));
          assert(steps <= 14, `${name} takes ${steps} steps`);
        }
      }
    }
  });
}

const CLONE_NEWUSER = 0x10000000;
const CLONE_THREAD_FLAGS = 0x3d0f00;
const CASES: readonly [CallName, readonly (number | bigint)[], Action][] = [
  ["clone", [17], "allow"],
  ["clone", [CLONE_THREAD_FLAGS], "allow"],
  ["clone", [0x1000 | 17], "allow"], // CLONE_PIDFD
  ["clone", [0x4000 | 0x100 | 17], "allow"], // CLONE_VFORK | CLONE_VM
  ...[0x80, 0x20000, 0x02000000, 0x04000000, 0x08000000, CLONE_NEWUSER, 0x20000000, 0x40000000]
    .map((flag): [CallName, (number | bigint)[], Action] => ["clone", [flag | 17], "EPERM"]),
  ["clone", [UPPER | BigInt(CLONE_NEWUSER | 17)], "EPERM"],
  ["clone3", [0, 88], "ENOSYS"],
  ["unshare", [0], "EPERM"],
  ["prctl", [15], "allow"],
  ["prctl", [UPPER | 15n], "allow"],
  ["prctl", [26, 1], "EPERM"], // PR_SET_TSC
  ["prctl", [UPPER | 26n, 1], "EPERM"],
  ["prctl", [35], "EPERM"], // PR_SET_MM
  ["prctl", [12345], "EINVAL"],
  ["ioctl", [0, 0x5401], "allow"],
  ["ioctl", [0, 0x5412], "EPERM"], // TIOCSTI
  ["ioctl", [0, UPPER | 0x5412n], "EPERM"], // what snapd and flatpak once let through (CVE-2019-7303, -10063)
  ["ioctl", [0, 0x541c], "EPERM"], // TIOCLINUX
  ["ioctl", [0, 0xae01], "ENOTTY"], // KVM_CREATE_VM
  ["socket", [1, 1, 0], "allow"],
  ["socket", [1, 0x80005, 0], "allow"],
  ["socket", [2, 0x80801, 0], "allow"],
  ["socket", [10, 2, 17], "allow"],
  ["socket", [UPPER | 2n, UPPER | 3n, 0], "EPERM"],
  ["socket", [2, 3, 255], "EPERM"],
  ["socket", [10, 0x80003, 58], "EPERM"],
  ["socket", [17, 3, 0], "EPERM"],
  ["socket", [2, 2, 1], "EPROTONOSUPPORT"], // ping
  ["socket", [2, 1, 262], "EPROTONOSUPPORT"], // MPTCP
  ["socket", [2, 10, 0], "EPROTONOSUPPORT"], // SOCK_PACKET
  ["socket", [16, 3, 0], "allow"],
  ["socket", [16, 0x80002, 0], "allow"],
  ["socket", [16, 3, 12], "EPROTONOSUPPORT"], // NETLINK_NETFILTER
  ["socket", [16, 3, 9], "EPROTONOSUPPORT"], // NETLINK_AUDIT
  ["socket", [40, 1, 0], "EAFNOSUPPORT"], // AF_VSOCK
  ["socket", [38, 5, 0], "EAFNOSUPPORT"], // AF_ALG
  ["socketpair", [1, 1, 0], "allow"],
  ["socketpair", [30, 1, 0], "EAFNOSUPPORT"], // AF_TIPC
  ["personality", [0], "allow"],
  ["personality", [0xffffffff], "allow"],
  ["personality", [0xffffffffffffffffn], "allow"],
  ["personality", [0x40000], "EPERM"],
  ["personality", [0x400000], "EPERM"], // READ_IMPLIES_EXEC
  ["personality", [8], "EPERM"], // PER_LINUX32
  ["mknodat", [0, 0, 0o644], "allow"],
  ["mknodat", [0, 0, 0o100644], "allow"],
  ["mknodat", [0, 0, 0o010644], "allow"],
  ["mknodat", [0, 0, 0o140644], "allow"],
  ["mknodat", [0, 0, 0o020644], "EPERM"],
  ["mknodat", [0, 0, 0o060644], "EPERM"],
  ["mknodat", [0, 0, UPPER | 0xabcd0000n | 0o020644n], "EPERM"], // mode is 16 bits to the kernel
  ["mknodat", [0, 0, UPPER | 0xabcd0000n | 0o100644n], "allow"],
  ["renameat2", [0, 0, 0, 0, 1], "allow"],
  ["renameat2", [0, 0, 0, 0, UPPER | 4n], "EINVAL"],
  ["seccomp", [1, 0, 0], "allow"],
  ["seccomp", [1, 1, 0], "allow"],
  ["seccomp", [1, 8, 0], "EPERM"],
  ["seccomp", [UPPER | 1n, UPPER | 9n, 0], "EPERM"],
  ["seccomp", [1, 2, 0], "EINVAL"],
  ["seccomp", [2, 0, 0], "allow"],
  ["seccomp", [4, 0, 0], "EINVAL"],
  ["sync", [], "succeed"],
  ["syncfs", [3], "succeed"],
  ["fsync", [3], "allow"],
  ["mmap", [0, 4096, 3, 0x22, -1, 0], "allow"],
  ["mmap", [0, 4096, 3, 0x40022, -1, 0], "ENOMEM"],
  ["madvise", [0, 4096, 4], "allow"], // MADV_DONTNEED
  ["madvise", [0, 4096, 12], "EINVAL"], // MADV_MERGEABLE
  ["madvise", [0, 4096, UPPER | 12n], "EINVAL"],
  ["fallocate", [1, 0, 0, 1], "allow"],
  ["fallocate", [1, 3, 0, 1], "allow"], // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
  ["fallocate", [1, 1, 0, 1], "EOPNOTSUPP"], // FALLOC_FL_KEEP_SIZE
  ["fallocate", [1, UPPER | 1n, 0, 1], "EOPNOTSUPP"],
  ["fallocate", [1, 0x11, 0, 1], "EOPNOTSUPP"], // FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE
  ["memfd_create", [0, 3], "allow"],
  ["memfd_create", [0, 7], "ENOMEM"],
  ["shmget", [0, 4096, 0o1600], "allow"],
  ["shmget", [0, 4096, 0o5600], "ENOMEM"],
  ["sched_setscheduler", [0, 0x40000003, 0], "allow"],
  ["sched_setscheduler", [0, 1, 0], "EPERM"],
  ["ioprio_set", [1, 0, 0x6007], "allow"],
  ["ioprio_set", [1, 0, 0x2000], "EPERM"],
];

const REFUSED: readonly [Action, readonly CallName[]][] = [
  ["EPERM", [
    ...["mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig"] as const,
    ...["fsmount", "fspick", "mount_setattr", "open_tree_attr", "ptrace", "process_vm_readv"] as const,
    ...["process_vm_writev", "keyctl", "add_key", "request_key", "bpf", "perf_event_open"] as const,
    ...["userfaultfd", "open_by_handle_at", "name_to_handle_at", "unshare", "setns", "kexec_load"] as const,
    ...["kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon"] as const,
    ...["swapoff", "quotactl", "quotactl_fd", "settimeofday", "clock_settime", "clock_adjtime"] as const,
    ...["pidfd_getfd", "kcmp", "vmsplice", "fanotify_init", "fanotify_mark", "syslog", "acct"] as const,
    ...["sethostname", "setdomainname", "setgroups"] as const,
  ]],
  ["ENOSYS", ["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"]],
];

Deno.test("the filters refuse what administers or attacks, and decide by arguments as written down", () => {
  for (const arch of BOTH) {
    const filter = machine(arch);
    for (const [name, args, action] of CASES) {
      assertEquals(filter.run(call(arch, name, args)).answer, answerOf(action), `${arch}: ${name}(${args})`);
    }
    for (const [action, names] of REFUSED) {
      for (const name of names) {
        assertEquals(filter.run(call(arch, name, [])).answer, answerOf(action), `${arch}: ${name}`);
      }
    }
  }
  const x86 = machine("x86_64");
  assertEquals(x86.run(call("x86_64", "mknod", [0, 0o020644])).answer, answerOf("EPERM"));
  assertEquals(x86.run(call("x86_64", "arch_prctl", [0x1012])).answer, answerOf("EINVAL"));
  assertEquals(x86.run(call("x86_64", "iopl", [3])).answer, answerOf("EPERM"));
  const fixed = machine("x86_64", { aslr: false });
  assertEquals(fixed.run(call("x86_64", "personality", [0x40000])).answer, answerOf("allow"));
});

Deno.test("assemble reaches targets further than a conditional jump goes", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 700 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      (count, answers, seed) => {
        // A linear congruential generator: an array that fast-check makes of this size takes it minutes to shrink.
        const numbers = [
          ...new Set(
            Array.from({ length: count }, () => seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0),
          ),
        ];
        const graph = new Graph();
        const shared = graph.load(8, graph.equal(7, graph.answer(1), graph.answer(2)));
        const outcomes = new Map<number, Node>(
          numbers.map((
            number,
            index,
          ) => [number, index % 5 === 0 ? shared : graph.answer(100 + index % answers)]),
        );
        const filter = new FilterMachine(assemble(graph.load(0, graph.select(outcomes, graph.answer(0)))));
        const look = (number: number) => filter.run({ auditArch: 0, number, args: [] }).answer;
        numbers.forEach((number, index) => {
          assertEquals(look(number), index % 5 === 0 ? 2 : 100 + index % answers);
          for (const near of [(number + 1) >>> 0, (number - 1) >>> 0]) {
            if (!outcomes.has(near)) assertEquals(look(near), 0);
          }
        });
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("assemble refuses a program longer than the kernel takes", () => {
  const graph = new Graph();
  const outcomes = new Map(
    Array.from({ length: MAX_INSTRUCTIONS }, (_, index): [number, Node] => [index * 2, graph.answer(index)]),
  );
  const root = graph.load(0, graph.select(outcomes, graph.answer(0)));
  assertThrows(() => assemble(root), RangeError, "longer than the 4096 allowed");
});

Deno.test("FilterMachine refuses what the kernel refuses", () => {
  const program = (...instructions: (readonly [code: number, jt: number, jf: number, k: number])[]) => {
    const bytes = new Uint8Array(instructions.length * 8);
    const view = new DataView(bytes.buffer);
    instructions.forEach(([code, jt, jf, k], index) => {
      view.setUint16(index * 8, code, true);
      bytes[index * 8 + 2] = jt;
      bytes[index * 8 + 3] = jf;
      view.setUint32(index * 8 + 4, k, true);
    });
    return bytes;
  };
  const end = [BPF.RETURN, 0, 0, 0] as const;
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(0), "whole instructions"],
    [new Uint8Array(12), "whole instructions"],
    [program([BPF.LOAD, 0, 0, 0]), "no return"],
    [program([BPF.LOAD, 0, 0, 64], end), "loads from 64"],
    [program([BPF.LOAD, 0, 0, 2], end), "loads from 2"],
    [program([BPF.JUMP, 0, 0, 1], end), "jumps 1 further, past the end"],
    [program([BPF.IF_EQUAL, 0, 1, 0], end), "jumps past the end"],
    [program([0x28, 0, 0, 0], end), "unknown code 0x28"],
  ];
  for (const [bytes, message] of cases) assertThrows(() => new FilterMachine(bytes), RangeError, message);
});

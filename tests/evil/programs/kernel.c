/*
 * Calls that no action needs and that have been the way out of many a container. Each is made such that, where it is let
 * through and permitted, it does nothing: the error then is another one than that of a refusal.
 */
#include "evil.h"

#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>

#define CALL(probe, ...) TRY_APART(probe, syscall(__VA_ARGS__))

static void keys(void) {
  CALL("add_key", SYS_add_key, "user", "evil", "x", 1, KEY_SPEC_PROCESS_KEYRING);
  CALL("request_key", SYS_request_key, "user", "evil-none", NULL, 0);
  CALL("keyctl.join", SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  CALL("keyctl.id", SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1);
}

static void bpf(void) {
  union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  CALL("map", SYS_bpf, BPF_MAP_CREATE, &map, sizeof map);
  union bpf_attr program = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER};
  CALL("program", SYS_bpf, BPF_PROG_LOAD, &program, sizeof program);
}

static void perf(void) {
  struct perf_event_attr attr = {
      .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_CPU_CLOCK, .exclude_kernel = 1};
  CALL("open", SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static void io_uring(void) {
  char parameters[128] = {0};
  CALL("setup", SYS_io_uring_setup, 1, parameters);
  CALL("enter", SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0);
  CALL("register", SYS_io_uring_register, -1, 0, NULL, 0);
}

static void userfaultfd(void) {
  CALL("call", SYS_userfaultfd, O_CLOEXEC | 1);
  TRY("device", open("/dev/userfaultfd", O_RDWR));
}

/* The "shocker" of 2014: a file handle is good for any file of the file system, whatever is mounted. */
static void file_handles(void) {
  struct {
    struct file_handle head;
    unsigned char bytes[128];
  } handle = {.head = {.handle_bytes = 128}};
  int mount_id;
  if (name_to_handle_at(AT_FDCWD, "/usr", &handle.head, &mount_id, 0) != 0) {
    /* The inode number of every ext4's root is 2. */
    handle.head.handle_bytes = 8;
    handle.head.handle_type = 1;
    memset(handle.head.f_handle, 0, 8);
    handle.head.f_handle[0] = 2;
  }
  int usr = open("/usr", O_RDONLY | O_DIRECTORY);
  CALL("open", SYS_open_by_handle_at, usr, &handle, O_RDONLY);
}

static void kernel_code(void) {
  CALL("kexec_load", SYS_kexec_load, 0, 17, NULL, 0);
#ifdef SYS_kexec_file_load
  CALL("kexec_file_load", SYS_kexec_file_load, -1, -1, 0, NULL, 0);
#endif
  CALL("init_module", SYS_init_module, NULL, 0, "");
  CALL("finit_module", SYS_finit_module, -1, "", 0);
  CALL("delete_module", SYS_delete_module, "evil_no_such_module", O_NONBLOCK);
}

static void personalities(void) {
  CALL("no_randomize", SYS_personality, ADDR_NO_RANDOMIZE);
  CALL("read_implies_exec", SYS_personality, READ_IMPLIES_EXEC);
  CALL("mmap_page_zero", SYS_personality, MMAP_PAGE_ZERO);
  CALL("linux32", SYS_personality, PER_LINUX32);
  CALL("query", SYS_personality, 0xffffffff);
}

/* Typing into the terminal of whoever started the worker (CVE-2017-5226; with high bits set, CVE-2019-10063). */
static void terminals(void) {
  CALL("tiocsti", SYS_ioctl, 0, (unsigned long)TIOCSTI, "x");
  CALL("tiocsti.high", SYS_ioctl, 0, 0x100000000UL | TIOCSTI, "x");
  CALL("tioclinux", SYS_ioctl, 0, (unsigned long)TIOCLINUX, "\3");
  CALL("tiocsctty", SYS_ioctl, 0, (unsigned long)TIOCSCTTY, 1);
  CALL("tioccons", SYS_ioctl, 0, (unsigned long)TIOCCONS, NULL);
  TRY("tty", open("/dev/tty", O_RDWR));
  TRY("console", open("/dev/console", O_RDWR));
}

static void clocks(void) {
  struct timespec invalid = {.tv_nsec = 2000000000};
  CALL("clock_settime", SYS_clock_settime, CLOCK_REALTIME, &invalid);
  CALL("settimeofday", SYS_settimeofday, NULL, NULL);
  struct timex tick = {.modes = ADJ_TICK, .tick = -1};
  CALL("adjtimex", SYS_adjtimex, &tick);
  CALL("clock_adjtime", SYS_clock_adjtime, CLOCK_REALTIME, &tick);
  TRY("rtc", open("/dev/rtc0", O_RDONLY));
}

static void machine(void) {
  CALL("reboot", SYS_reboot, 0, 0, 0, NULL);
  CALL("swapon", SYS_swapon, "/evil/none", 0);
  CALL("swapoff", SYS_swapoff, "/evil/none");
  CALL("acct", SYS_acct, "/evil/none");
  CALL("syslog", SYS_syslog, 10, NULL, 0);
  CALL("syslog.read", SYS_syslog, 3, (char[64]){0}, 64);
  CALL("quotactl", SYS_quotactl, 0x80000700, "/evil/none", 0, NULL);
  CALL("vhangup", SYS_vhangup);
  CALL("fanotify", SYS_fanotify_init, FAN_CLASS_NOTIF, O_RDONLY);
  CALL("lookup_dcookie", 1000000 + 0);
  CALL("nfsservctl", SYS_nfsservctl, 0, NULL, NULL);
  CALL("move_pages", SYS_move_pages, 1, 0, NULL, NULL, NULL, 0);
  CALL("migrate_pages", SYS_migrate_pages, 1, 0, NULL, NULL);
  CALL("kcmp", SYS_kcmp, 1, 1, 0, 0, 0);
#ifdef SYS_iopl
  CALL("iopl", SYS_iopl, 3);
  CALL("ioperm", SYS_ioperm, 0x80, 1, 1);
  CALL("modify_ldt", SYS_modify_ldt, 1, NULL, 0);
  CALL("uselib", SYS_uselib, "/evil/none");
  CALL("ustat", SYS_ustat, 0, NULL);
  CALL("sysfs", SYS_sysfs, 3);
#endif
}

static void tracing(void) {
  CALL("traceme", SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL);
  pid_t victim = fork();
  if (victim == 0) {
    pause();
    _exit(0);
  }
  CALL("attach", SYS_ptrace, PTRACE_ATTACH, victim, NULL, NULL);
  CALL("seize", SYS_ptrace, PTRACE_SEIZE, victim, NULL, NULL);
  char byte = 0;
  struct iovec local = {&byte, 1}, remote = {&byte, 1};
  CALL("readv", SYS_process_vm_readv, victim, &local, 1, &remote, 1, 0);
  CALL("writev", SYS_process_vm_writev, victim, &local, 1, &remote, 1, 0);
  kill(victim, SIGKILL);
}

static void tracing_init(void) {
  char byte = 0;
  struct iovec local = {&byte, 1}, remote = {&byte, 1};
  CALL("attach", SYS_ptrace, PTRACE_ATTACH, 1, NULL, NULL);
  CALL("seize", SYS_ptrace, PTRACE_SEIZE, 1, NULL, NULL);
  CALL("readv", SYS_process_vm_readv, 1, &local, 1, &remote, 1, 0);
  int handle = (int)syscall(SYS_pidfd_open, 1, 0);
  CALL("getfd", SYS_pidfd_getfd, handle, 0, 0);
  CALL("madvise", SYS_process_madvise, handle, &remote, 1, MADV_PAGEOUT, 0);
}

/* A filter of one's own may watch one's own calls; a listener would let one process answer those of another. */
static void filters(void) {
  struct {
    unsigned short code;
    unsigned char jt, jf;
    unsigned int k;
  } allow = {0x06, 0, 0, 0x7fff0000};
  struct {
    unsigned short length;
    void *filter;
  } program = {1, &allow};
  CALL("listener", SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  CALL("strict", SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL);
  CALL("sizes", SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, (char[64]){0});
}

#ifdef __x86_64__
/* The entry for 32-bit programs has other numbers: a filter that looks only at numbers lets 20 through as getpid. */
static void entry32(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    said("int80", "%s", result > 0 ? "OK" : error_name((int)-result));
    _exit(0);
  }
  ended("int80", child);
  child = fork();
  if (child == 0) {
    /* mov $20,%eax; int $0x80; hlt, as a 32-bit program would run it */
    static const unsigned char code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xf4};
    void *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED) {
      tried("far_jump", -1);
      _exit(0);
    }
    memcpy(low, code, sizeof code);
    __asm__ volatile("pushq $0x23; pushq %0; lretq" : : "r"(low) : "memory");
    _exit(0);
  }
  ended("far_jump", child);
}

/* The third table of numbers. */
static void x32(void) {
  CALL("getpid", 0x40000000L | SYS_getpid);
  CALL("ptrace", 0x40000000L | 521, PTRACE_TRACEME, 0, NULL, NULL);
  CALL("execve", 0x40000000L | 520, "/evil/none", NULL, NULL);
  CALL("mount", 0x40000000L | SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
}
#endif

/* What an escape needs and what must not be there. */
static void unknown_calls(void) {
  CALL("600", 600L);
  CALL("1023", 1023L);
  CALL("minus", -1L);
}

const struct attack kernel_attacks[] = {
    {"keys", keys, true},
    {"bpf", bpf, true},
    {"perf", perf, true},
    {"io_uring", io_uring, true},
    {"userfaultfd", userfaultfd, true},
    {"file_handles", file_handles, true},
    {"kernel_code", kernel_code, true},
    {"personality", personalities, true},
    {"terminals", terminals, true},
    {"clocks", clocks, true},
    {"machine", machine, true},
    {"tracing", tracing, true},
    {"tracing_init", tracing_init, false},
    {"filters", filters, true},
#ifdef __x86_64__
    {"entry32", entry32, true},
    {"x32", x32, true},
#endif
    {"unknown_calls", unknown_calls, true},
    {NULL, NULL, false},
};

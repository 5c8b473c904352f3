/* Becoming somebody else, and limits that must not be raised. */
#include "evil.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/xattr.h>

#define CALL(probe, ...) TRY_APART(probe, syscall(__VA_ARGS__))

/* A line of /proc/self/status. */
static void status(const char *name) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[1024];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    size_t length = strlen(name);
    if (strncmp(line, name, length) != 0 || line[length] != ':') continue;
    char *value = line + length + 1;
    value[strcspn(value, "\n")] = '\0';
    for (char *at = value; *at != '\0'; at++)
      if (*at == '\t') *at = ' ';
    said(name, "%s", *value == ' ' ? value + 1 : value);
    fclose(file);
    return;
  }
  said(name, "MISSING");
}

static void identity(void) {
  static const char *const names[] = {"Uid",    "Gid",    "Groups", "CapInh",     "CapPrm", "CapEff",
                                      "CapBnd", "CapAmb", "Seccomp", "NoNewPrivs"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) status(names[i]);
  struct utsname uts;
  uname(&uts);
  said("hostname", "%s", uts.nodename);
}

static void privileges(void) {
  CALL("setuid.0", SYS_setuid, 0);
  CALL("setgid.0", SYS_setgid, 0);
  CALL("setresuid.0", SYS_setresuid, 0, 0, 0);
  CALL("setresgid.0", SYS_setresgid, 0, 0, 0);
  CALL("setuid.next", SYS_setuid, 1001);
  CALL("setuid.nobody", SYS_setuid, 65534);
  gid_t groups[] = {0};
  CALL("setgroups", SYS_setgroups, 1, groups);
  setfsuid(0);
  said("setfsuid.0", "%s", setfsuid((uid_t)-1) == 0 ? "OK" : "REFUSED");
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct all[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};
  CALL("capset", SYS_capset, &head, all);
  CALL("no_new_privs.unset", SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
  CALL("ambient", SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0);
  CALL("capbset", SYS_prctl, PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0);
  CALL("securebits", SYS_prctl, PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, 0, 0, 0);
  CALL("set_mm", SYS_prctl, PR_SET_MM, PR_SET_MM_EXE_FILE, 0, 0, 0);
  CALL("chown", SYS_fchownat, AT_FDCWD, ".", 0, 0, 0);
  CALL("mce_kill", SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0);
  CALL("sethostname", SYS_sethostname, "evil", 4);
  CALL("setdomainname", SYS_setdomainname, "evil", 4);
}

/* Runs a program; exit code, or the signal. */
static void program(const char *probe, char *const argv[]) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execv(argv[0], argv);
    _exit(errno == ENOENT ? 99 : 98);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) said(probe, "SIG%s", sigabbrev_np(WTERMSIG(status)));
  else if (WEXITSTATUS(status) == 99) said(probe, "ABSENT");
  else said(probe, "%s", WEXITSTATUS(status) == 0 ? "OK" : "REFUSED");
}

/* A copy of this program with all that a setuid program has, and the system's own ones. */
static void setuid_programs(void) {
  program("su", (char *[]){"/usr/bin/su", "-c", "true", NULL});
  program("sudo", (char *[]){"/usr/bin/sudo", "-n", "true", NULL});
  program("mount", (char *[]){"/usr/bin/mount", "-t", "tmpfs", "none", "/tmp", NULL});
  program("umount", (char *[]){"/usr/bin/umount", "/work", NULL});
  program("passwd", (char *[]){"/usr/bin/passwd", "-d", "root", NULL});
  program("newgrp", (char *[]){"/usr/bin/newgrp", "root", NULL});
  program("chage", (char *[]){"/usr/bin/chage", "-l", "root", NULL});
  program("unix_chkpwd", (char *[]){"/usr/sbin/unix_chkpwd", "root", "nullok", NULL});
  char buffer[65536];
  int from = open("/proc/self/exe", O_RDONLY), to = open("evil_setuid", O_WRONLY | O_CREAT | O_TRUNC, 0755);
  for (ssize_t got; (got = read(from, buffer, sizeof buffer)) > 0;)
    if (write(to, buffer, (size_t)got) != got) break;
  TRY("copy.chown", fchown(to, 0, 0));
  TRY("copy.chmod", fchmod(to, 06755));
  struct vfs_cap_data capabilities = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE, .data = {{~0U, ~0U}}};
  TRY("copy.capabilities", fsetxattr(to, "security.capability", &capabilities, XATTR_CAPS_SZ_2, 0));
  close(to);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) execl("./evil_setuid", "evil", "identity_after", NULL);
  ended("copy", child);
}

/* What the copy finds itself to be. */
static void identity_after(void) {
  said("who", "%s", geteuid() == getuid() && getegid() == getgid() ? "SAME" : "OTHER");
  status("CapEff");
}

static void raises(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  said("nofile", "%s", files.rlim_max > 1 << 20 ? "UNLIMITED" : "LIMITED");
  struct rlimit more = {files.rlim_max, files.rlim_max + 1};
  TRY("nofile.raise", setrlimit(RLIMIT_NOFILE, &more));
  struct rlimit core;
  getrlimit(RLIMIT_CORE, &core);
  /* At 1 byte not even a program that dumps are piped to is started (core(5)). */
  said("core", "%s", core.rlim_max <= 1 ? "NONE" : "SOME");
  struct rlimit endless = {RLIM_INFINITY, RLIM_INFINITY};
  TRY("core.raise", setrlimit(RLIMIT_CORE, &endless));
  TRY("rtprio.raise", setrlimit(RLIMIT_RTPRIO, &endless));
  struct rlimit lock;
  getrlimit(RLIMIT_MEMLOCK, &lock);
  said("memlock", "%s", lock.rlim_max > 64UL << 20 ? "UNLIMITED" : "LIMITED");
  TRY_APART("nice", setpriority(PRIO_PROCESS, 0, -20));
  struct sched_param priority = {.sched_priority = 1};
  TRY_APART("fifo", sched_setscheduler(0, SCHED_FIFO, &priority));
  TRY_APART("rr", sched_setscheduler(0, SCHED_RR, &priority));
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } deadline = {48, 6, 0, 0, 0, 10000000, 30000000, 30000000};
  CALL("deadline", SYS_sched_setattr, 0, &deadline, 0);
  CALL("ioprio", SYS_ioprio_set, 1, 0, 1 << 13 | 4);
  char *pages = mmap(NULL, 256UL << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TRY("mlock", mlock(pages, 256UL << 20));
  TRY_APART("mlockall", mlockall(MCL_CURRENT | MCL_FUTURE));
}

/* Names by which overlayfs keeps its own books. */
static void attributes(void) {
  mkdir("evil_attributes", 0755);
  static const char *const names[] = {"trusted.overlay.redirect", "trusted.overlay.opaque", "user.overlay.redirect",
                                      "user.overlay.opaque",      "user.overlay.metacopy",  "security.capability",
                                      "trusted.evil",             "security.evil"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    TRY(names[i], setxattr("evil_attributes", names[i], "/../../etc", 10, 0));
}

const struct attack identity_attacks[] = {
    {"identity", identity, true},
    {"privileges", privileges, false},
    {"setuid_programs", setuid_programs, false},
    {"identity_after", identity_after, false},
    {"raises", raises, false},
    {"attributes", attributes, false},
    {NULL, NULL, false},
};

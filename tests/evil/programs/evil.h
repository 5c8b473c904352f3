/*
 * Attacks, many in one program: `evil FACT=VALUE... ATTACK...` runs each attack in a process of its own and prints one
 * line for each thing it tried: attack, probe and what came of it, with tabs between. What came of it is OK, the name of
 * an error, the name of the signal that killed it, or a word of its own. Whether that is as it should be is not decided
 * here: the tables beside know that.
 *
 * It is evil with a conscience. What takes all there is stops by itself after an amount that a test machine survives, and
 * says so. And where nothing holds it (it is root, or in the first user namespace) it runs only what is marked harmless:
 * what neither changes nor ends anything outside of its own process and directory.
 */
#ifndef EVIL_H
#define EVIL_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* An attack by name. */
struct attack {
  const char *name;
  void (*run)(void);
  /* Whether it may be run without a sandbox, by root, on a machine that somebody needs. */
  bool harmless;
};

/* The attacks of each file; each ends with an empty entry. */
extern const struct attack host_attacks[];
extern const struct attack kernel_attacks[];
extern const struct attack mount_attacks[];
extern const struct attack identity_attacks[];
extern const struct attack network_attacks[];
extern const struct attack process_attacks[];
extern const struct attack exhaustion_attacks[];
extern const struct attack input_attacks[];
extern const struct attack output_attacks[];

/* Prints what came of a probe. */
void said(const char *probe, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints OK, or the name of errno when `result` is -1. */
void tried(const char *probe, long result);
/* A fact about the host that the test gave; "" when it did not. */
const char *fact(const char *name);
/* Name of an error. */
const char *error_name(int error);
/* Waits for a child; 0 when it ended by itself, else the signal that ended it. */
int signal_of(pid_t child);
/* Prints the signal that ended a child, if one did. */
void ended(const char *probe, pid_t child);

/* Tries one call. */
#define TRY(probe, call)                  \
  do {                                    \
    errno = 0;                            \
    tried(probe, (long)(call));           \
  } while (0)

/* Tries one call in a child, since it may kill or change who makes it. */
#define TRY_APART(probe, call)            \
  do {                                    \
    fflush(stdout);                       \
    pid_t apart = fork();                 \
    if (apart == 0) {                     \
      TRY(probe, call);                   \
      _exit(0);                           \
    }                                     \
    ended(probe, apart);                  \
  } while (0)

#endif

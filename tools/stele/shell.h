/**
 * @file shell.h
 * Commands of the user's that a verb starts: `sh -c COMMAND`.
 */
#ifndef STELE_TOOLS_SHELL_H
#define STELE_TOOLS_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** Room for how a command ended, in words. */
#define SHELL_END_SIZE 64

/**
 * Start `command` with `from` as its standard input and `to` as its output; -1: the tool's own. It
 * has the signals as a program expects them.
 *
 * @return 0, or an errno.
 */
int start_shell(const char *command, int from, int to, pid_t *child_out);

/** A pipe that no child inherits. @return False, with errno. */
bool make_pipe(int ends[2]);

/** Wait until it has ended. @return Its exit code, 128 and the signal that killed it, or -1;
 * `how_out` says it: "the command ended with exit code 3". */
int wait_for_shell(pid_t child, char how_out[SHELL_END_SIZE]);

/** Whether it has ended: then as wait_for_shell(). */
bool shell_has_ended(pid_t child, int *code_out, char how_out[SHELL_END_SIZE]);

/** Tell it to end, and when it doesn't within a second, kill it. */
void end_shell(pid_t child);

#endif

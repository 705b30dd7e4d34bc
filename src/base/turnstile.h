/*
 * A queue between processes, first come, first served, in the locks of a file of its own.
 *
 * Each in the line holds a lock on the byte of its ticket; its turn has come when no byte before
 * that is locked. The locks belong to the open file, not to the process: two turnstiles on one
 * path exclude each other in one process as in two. The file stays empty, its content means
 * nothing, and what a process held ends with it, so nothing ever has to be mended.
 *
 * It only orders: what it protects must be safe without it. Where something can't be told, the
 * answer is the one that lets the caller go on. And one who was stopped stays in the line until it
 * goes on or ends, so a caller waits only as long as the line moves.
 *
 * One turnstile is used by one thread at a time. After fork() the child can only close it. While a
 * child has it open, a parent that dies in the line stays there.
 */
#ifndef STELE_BASE_TURNSTILE_H
#define STELE_BASE_TURNSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include <stele/status.h>

typedef struct stele__turnstile stele__turnstile;

/*
 * Open the file at `path` (absolute), created for its owner alone when missing; never through a
 * link. OK; UNSUPPORTED (no such locks on this system or filesystem); NOT_FOUND (no such folder);
 * READ_ONLY, FULL, IO, NO_MEMORY.
 */
stele_status stele__turnstile_open(const char *path, stele__turnstile **turnstile_out);

/* Leaves the line, too. NULL is allowed. */
void stele__turnstile_close(stele__turnstile *turnstile);

/* Whether nobody but us stands in the line. One system call. True when it can't be told. */
bool stele__turnstile_is_empty(stele__turnstile *turnstile);

/* Get in line at its end. Not when in it already. Waits for nobody. OK; IO. */
stele_status stele__turnstile_join(stele__turnstile *turnstile);

/*
 * Whether everybody who came before has left; true, too, when we are not in the line. If not,
 * `*pause_us_out` is how long it is sensible to sleep before asking again (more, the further back
 * we stand), and `*ahead_out` the ticket of the first in the line: as long as that stays the same,
 * the line doesn't move.
 */
bool stele__turnstile_is_our_turn(stele__turnstile *turnstile, uint32_t *pause_us_out,
                                  int64_t *ahead_out);

/* Leave the line, served or not. Harmless when not in it. */
void stele__turnstile_leave(stele__turnstile *turnstile);

#endif

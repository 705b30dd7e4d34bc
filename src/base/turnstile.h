/*
 * A queue between processes, first come, first served, in a file of its own.
 *
 * Each in the queue holds an open-file-description lock on the byte of its ticket; its turn has
 * come when no byte before that is locked. What a process held ends with it, so nothing has to be
 * mended. It only orders: what it protects must be safe without it.
 *
 * One turnstile is used by one thread at a time; several may be open on one path, in one process
 * or in many.
 */
#ifndef STELE_BASE_TURNSTILE_H
#define STELE_BASE_TURNSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include <stele/status.h>

typedef struct stele__turnstile stele__turnstile;

/*
 * Open the file at `path` (absolute), created for its owner alone when missing; never through a
 * link. OK; UNSUPPORTED (no such locks on this system or filesystem); READ_ONLY, FULL, IO,
 * NO_MEMORY.
 */
stele_status stele__turnstile_open(const char *path, stele__turnstile **turnstile_out);

/* Leaves the queue, too. NULL is allowed. */
void stele__turnstile_close(stele__turnstile *turnstile);

/* Whether nobody but us stands in the queue. One system call. True when it can't be told. */
bool stele__turnstile_is_empty(stele__turnstile *turnstile);

/* Get in line at its end. Not when in it already. OK; IO. Waits only for others who are just
 * getting in line. */
stele_status stele__turnstile_join(stele__turnstile *turnstile);

/*
 * Whether everybody who came before has left. If not, `*pause_us_out` is how long it is sensible
 * to sleep before asking again (more, the further back we stand), and `*ahead_out` the ticket of
 * one who is still before us, so that the caller can see whether the queue moves.
 */
bool stele__turnstile_is_our_turn(stele__turnstile *turnstile, uint32_t *pause_us_out,
                                  int64_t *ahead_out);

/* Leave the line, served or not. Harmless when not in it. */
void stele__turnstile_leave(stele__turnstile *turnstile);

#endif

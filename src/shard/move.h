/*
 * Moving, between its own files: what is written down about a move, and its steps.
 *
 * Files beside a shard, each of lines and a checksum, whole or not there:
 *
 *     C.moving     at the old place, from the first step to the last: where it goes, or that it is
 *                  being taken back
 *     C.arriving   at the new place: reserved, until it takes appends
 *     C.moved      at the old place: where it is now; written when the switch is durable, and
 *                  before the new place takes appends
 *
 * So a move that was switched has `C.moved`, or else its `C.arriving` beside a store; any other one
 * can be taken back. Who works on it has the lock `.moves-<n>` in the old folder. Of the locks of
 * folders never two are held at a time.
 */
#ifndef STELE_SHARD_MOVE_H
#define STELE_SHARD_MOVE_H

#include "backup/destination.h"
#include "shard/shard.h"

/* --- lines.c --- */

/* What a file of lines says; its lines point into `text`. */
#define STELE__LINES_MAX 8
typedef struct stele__lines {
    const char *line[STELE__LINES_MAX];
    size_t count;
    char text[4096];
} stele__lines;

/* The file at `path`, durably, in place of what was there. With the exclusive lock of the folder.
 * `kind` begins it. */
stele_status stele__lines_write(const char *path, const char *kind, const stele__lines *lines);
/* OK; DONE for none; CORRUPT (damaged, or not of `count` lines); IO. */
stele_status stele__lines_read(const char *path, const char *kind, size_t count,
                               stele__lines *lines_out);

/* --- move_record.c --- */

typedef struct stele__move_record {
    bool back;   /* it is being taken back */
    char id[37]; /* also of the fence */
    char uuid[37];
    char root[STELE__SHARD_PATH_MAX]; /* where to */
    char to_organisation[STELE_SHARD_NAME_MAX + 1];
    char to_namespace[STELE_SHARD_NAME_MAX + 1];
} stele__move_record;

stele_status stele__move_record_write(const char *path, const stele__move_record *record);
stele_status stele__move_record_read(const char *path, stele__move_record *record_out);

/* Who reserved a place: the move's id, and the path of its record. */
typedef struct stele__reservation {
    char id[37];
    char record[STELE__SHARD_PATH_MAX];
} stele__reservation;

stele_status stele__reservation_write(const char *path, const stele__reservation *reservation);
stele_status stele__reservation_read(const char *path, stele__reservation *reservation_out);

/* --- A move at work --- */

typedef struct stele__mover {
    stele_shards *shards;
    char organisation[STELE_SHARD_NAME_MAX + 1];
    char name_space[STELE_SHARD_NAME_MAX + 1];
    int lock; /* of the movers; -1: none */
    stele__shard_place from;
    stele__shard_place to;
    bool recorded; /* there is a record: */
    stele__move_record record;
    stele_shard *shard; /* the source, when it can be acquired */
    stele_store *own;   /* and when it can't, since it is fenced */
    stele_store *source;
    stele__work work;
    stele__destination destination;
    bool checked;  /* the source, by every check, while its writers went on */
    bool fenced;   /* by us, for all that is known */
    bool switched; /* no way back */
    int64_t fenced_at_us;
    stele_shard_moved facts;
} stele__mover;

/* move_begin.c. Take the lock, look at what is there. On failure there is nothing to end. */
stele_status stele__mover_begin(stele__mover *mover, stele_shards *shards, const char *organisation,
                                const char *name_space, const stele_work *work);
void stele__mover_end(stele__mover *mover);
void stele__mover_close_source(stele__mover *mover);
/* The lock of the folder of `place`, as long as the work's `wait` says. */
stele_status stele__mover_lock(stele__mover *mover, const stele__shard_place *place,
                               stele__folder_lock *lock_out);
/* Open the source, past a fence of our own. OK also when it is open. */
stele_status stele__mover_open_source(stele__mover *mover);
/* Of a record: find the new place, and whether it was switched. */
stele_status stele__mover_judge(stele__mover *mover);
/* Whether the new place is reserved for this move. */
stele_status stele__mover_has_reserved(stele__mover *mover, bool *reserved_out);
/* Take it back, whatever was done; not when it was switched. */
stele_status stele__mover_withdraw(stele__mover *mover);

/* With nothing left to do: the record goes. */
stele_status stele__mover_forget(stele__mover *mover);

/* move_steps.c. From the record to the switch, and what comes after that. */
stele_status stele__mover_run(stele__mover *mover);
stele_status stele__mover_release(stele__mover *mover);

/* move.c. From where it stands to its end, or back. `goal` NULL: wherever the record says; DONE
 * when there is none, or it was being taken back. */
stele_status stele__mover_carry_out(stele__mover *mover, const stele__move_record *goal);

/* Open a store for reading alone, whatever stands before its writers. */
stele_status stele__mover_open_to_look(const stele_shards *shards, const char *path,
                                       stele_store **store);

/* move_arrival.c. Who has reserved a place forgot it when his record is gone, or is another move's.
 * Where not even its folder can be seen, nobody knows. */
stele_status stele__reserver_judge(const stele__reservation *reservation, bool *stale_out);
/* Free a place whose move was taken back. OK also when there is none, or it isn't known; BUSY;
 * CONFLICT (the other end says that it has moved). */
stele_status stele__arrival_tidy(stele_shards *shards, const char *organisation,
                                 const char *name_space);

/* move_behind.c. An old file whose store is somewhere else now: to the trash. BUSY while somebody
 * has it open; OK also when there is none. */
stele_status stele__left_behind_take(stele_shards *shards, const char *organisation,
                                     const char *name_space);

#endif

/*
 * Rows of checkpoints, members of groups, and parked events, for those who compose: read and
 * written whole, inside a transaction of the caller's. Every row is checked when it is read.
 */
#ifndef STELE_CHECKPOINT_OWN_H
#define STELE_CHECKPOINT_OWN_H

#include <stele/checkpoint.h>

#include "store/store.h"

/* Texts of rows, with their NUL. Longer errors are cut. */
#define STELE__OWNER_SIZE  ((size_t)STELE_NAME_SIZE_MAX + 1)
#define STELE__REASON_SIZE ((size_t)400)

/* --- A place: the row of a name, or of one of its lanes --- */

typedef struct stele__place {
    int64_t lane;
    int64_t lanes;
    int64_t position; /* -1: claimed, never saved */
    char epoch[37];
    int64_t saved_at;
    int64_t generation;
    char owner[STELE__OWNER_SIZE]; /* "": nobody */
    char boot[64];
    int64_t lease_until; /* on the monotonic clock of `boot`, in microseconds */
    int64_t beat_at;     /* when its owner was last heard of, UTC */
    bool attempting;     /* its owner is at work: an end now is an unclean one */
    int64_t attempts;    /* of the next event alone */
    int64_t effects_after;
    int64_t state; /* stele_subscription_state */
    int64_t rate;  /* events scanned a second, when last measured */
    int64_t lag;   /* events to the head then; and at the measurement before */
    int64_t lag_before;
    char error[STELE__REASON_SIZE];
    int64_t error_position;
    int64_t error_at; /* 0: none */
} stele__place;

/* OK with `*found_out`; CORRUPT. When it isn't there `*place_out` is zero, its position -1. */
stele_status stele__place_load(stele__connection *connection, const char *name, int64_t lane,
                               stele__place *place_out, bool *found_out);
/* Write the row. */
stele_status stele__place_store(stele__connection *connection, const char *name,
                                const stele__place *place);
/* The row isn't there any more; fine when it never was. */
stele_status stele__place_remove(stele__connection *connection, const char *name, int64_t lane);
/* Nor are all rows of the name. */
stele_status stele__place_clear(stele__connection *connection, const char *name);
/* More than any name is split into: a higher number is damage. */
#define STELE__LANES_MAX ((int64_t)4096)
/*
 * Into how many lanes the name is split: 0 for none; also when there is no row. Beside them the row
 * of lane 0 may stay, with position -1, for its generation: who splits a name begins with that, so
 * that no number is given twice. CORRUPT.
 */
stele_status stele__place_lanes(stele__connection *connection, const char *name,
                                int64_t *lanes_out);
/* EPOCH beyond what its epoch shares with the current one; else `*shared_out` is 0. One never saved
 * is fine. */
stele_status stele__place_judge(stele__connection *connection, const char *name,
                                const stele__place *place, int64_t *shared_out);
/* It is at `position` of the current epoch, as of now. */
void stele__place_move(const stele_store *store, stele__place *place, int64_t position);

/* A text that is longer than it can be is damage: it is taken as "", so that the checksum tells. */
void stele__take_row_text(char *out, size_t size, const char *text);

/* Call `visit` with each place of `name` (NULL: of all names), by name and lane, until one doesn't
 * return OK. */
stele_status stele__place_each(stele__connection *connection, const char *name,
                               stele_status (*visit)(void *context, const char *name,
                                                     const stele__place *place),
                               void *context);

/* When the first event after `position` was recorded; 0 when there is none. */
stele_status stele__place_waiting_since(stele__connection *connection, int64_t position,
                                        int64_t *recorded_at_out);

/* --- Leases --- */

/* This boot, and the clock that ends leases; tests put others in their place. */
extern void (*stele__lease_boot)(char boot_out[64]);
extern int64_t (*stele__lease_now_us)(void);

/* How long it still lasts, in microseconds: 0 when it has ended, or is of another boot, or beyond
 * the longest. */
int64_t stele__lease_left_us(const char *boot, int64_t lease_until);
/* `owner` gets it, in a new generation. */
void stele__place_claim(const stele_store *store, stele__place *place, const char *owner,
                        uint32_t lease_ms);
/* Its lease ends `lease_ms` from now, and its owner was heard of. */
void stele__place_renew(const stele_store *store, stele__place *place, uint32_t lease_ms);
void stele__place_release(const stele_store *store, stele__place *place);

/* Nobody owns anything any more, nor takes part: each claim that there was is fenced off. For a
 * file that begins a life of its own. Rows that are damaged stay as they are. */
stele_status stele__places_disown(const stele_store *store, stele__connection *connection);

/* --- Members of a group --- */

typedef struct stele__member {
    char owner[STELE__OWNER_SIZE];
    char boot[64];
    int64_t lease_until;
    int64_t joined_at;
} stele__member;

stele_status stele__member_store(stele__connection *connection, const char *name,
                                 const stele__member *member);
stele_status stele__member_remove(stele__connection *connection, const char *name,
                                  const char *owner);
/* All of them are gone. */
stele_status stele__member_clear(stele__connection *connection, const char *name);
/* In the order of their names' bytes. */
stele_status stele__member_each(stele__connection *connection, const char *name,
                                stele_status (*visit)(void *context, const stele__member *member),
                                void *context);

/* --- Parked events --- */

typedef struct stele__parked {
    int64_t position;
    char key[STELE__OWNER_SIZE]; /* the name of its stream */
    int64_t behind;              /* 0: it failed itself; that row may be gone since */
    char reason[STELE__REASON_SIZE];
    int64_t attempts;
    int64_t parked_at;
    int64_t asked_at; /* when somebody asked for it to be handled again; 0: nobody did */
} stele__parked;

stele_status stele__parked_store(stele__connection *connection, const char *name,
                                 const stele__parked *parked);
stele_status stele__parked_remove(stele__connection *connection, const char *name,
                                  int64_t position);
stele_status stele__parked_load(stele__connection *connection, const char *name, int64_t position,
                                stele__parked *parked_out, bool *found_out);
/* The first one of `key` at or after `from`: OK with `*found_out`. */
stele_status stele__parked_first(stele__connection *connection, const char *name, const char *key,
                                 int64_t from, stele__parked *parked_out, bool *found_out);
/* The first one after `after` that somebody asked for, of any key. */
stele_status stele__parked_asked(stele__connection *connection, const char *name, int64_t after,
                                 stele__parked *parked_out, bool *found_out);
/* The first one after `after`, of any key. */
stele_status stele__parked_next(stele__connection *connection, const char *name, int64_t after,
                                stele__parked *parked_out, bool *found_out);
/* The next name after `after`, by bytes, that has parked events; "" for none. */
stele_status stele__parked_name_after(stele__connection *connection, const char *after,
                                      char name_out[STELE__OWNER_SIZE]);
/* The number of the stream that is called `key`; 0: none is any more. */
stele_status stele__parked_stream_id(stele__connection *connection, const char *key,
                                     int64_t *id_out);
/* How many there are; and how many of them failed themselves. Either may be NULL. */
stele_status stele__parked_count(stele__connection *connection, const char *name,
                                 int64_t *count_out, int64_t *failed_out);
/* By position, after `after`, of `key` (NULL: any). */
stele_status stele__parked_each(stele__connection *connection, const char *name, const char *key,
                                int64_t after,
                                stele_status (*visit)(void *context, const stele__parked *parked),
                                void *context);
/* Those after `after` are gone; with 0, all. */
stele_status stele__parked_cut(stele__connection *connection, const char *name, int64_t after);
/* The first position that is parked, of any key; 0 for none. Whatever is wrong with the row. */
stele_status stele__parked_lowest(stele__connection *connection, const char *name,
                                  int64_t *position_out);
/* All of them are gone. */
stele_status stele__parked_clear(stele__connection *connection, const char *name);

#endif

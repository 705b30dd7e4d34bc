/* A feed, as the files see it that it is made of. */
#ifndef STELE_SHARD_FEEDING_H
#define STELE_SHARD_FEEDING_H

#include <stele/checkpoint.h>
#include <stele/shard_feed.h>

#include "base/platform.h"
#include "eventstore/follow.h"
#include "shard/feed_rules.h"
#include "shard/scan.h"

/* Who fails isn't looked at again before that. */
#define STELE__FEED_REST_US 1000000

/* Of a store's file and its WAL; one that is empty counts as none. */
typedef struct stele__feed_stamp {
    stele__file_stamp file;
    stele__file_stamp wal;
} stele__feed_stamp;

/* A shard, and the place in it. */
typedef struct stele__feed_shard {
    char *organisation;
    char *name_space;
    char *path;

    bool placed;            /* what follows is known */
    bool doubted;           /* ask the checkpoint where the place is */
    bool from_head;         /* where there is no component */
    char uuid[37];          /* of the store */
    char epoch[37];         /* in which the positions were learnt */
    int64_t position;       /* read through */
    int64_t shown;          /* through the batch lent last */
    int64_t acked;          /* the vector's component */
    int64_t stored;         /* the checkpoint, as last seen; STELE_CHECKPOINT_MISSING */
    int64_t shown_us;       /* when that was; monotonic */
    bool looked_at;         /* what follows is known */
    bool due;               /* to be looked at in this round */
    stele__feed_stamp seen; /* before it was last read to its head */
    int64_t again_us;       /* when it is looked at whatever the stamp says; INT64_MAX: never */
    uint32_t tries;         /* looks since the stamp changed that settled nothing */
    int64_t rests_us;       /* not before that */
} stele__feed_shard;

typedef struct stele__feed_folder {
    char *organisation;
    char *path;
    bool read;
    stele__file_stamp seen; /* before it was read */
} stele__feed_folder;

/* A component of the vector that the caller gave. */
typedef struct stele__feed_given {
    char *organisation;
    char *name_space;
    char epoch[37];
    int64_t position;
    bool taken; /* a shard has it now */
} stele__feed_given;

struct stele_feed {
    stele_shards *shards;       /* held */
    stele_feed_options options; /* its pointers are to copies below */
    stele_shards_read read;
    stele_read filter;
    stele__buffer texts; /* all that the options point to */
    const char **types;
    atomic_bool stopped;

    stele__feed_given *given; /* by names */
    size_t given_count;

    stele__feed_folder *folders; /* by names */
    size_t folder_count;
    stele__file_stamp root_seen;
    bool root_read;
    bool rescan;               /* somebody has left */
    int64_t rescan_us;         /* when everything is read anew */
    stele__feed_shard **items; /* by names */
    size_t item_count;
    size_t item_next; /* whose turn it is */
    int64_t round_us; /* when the files are looked at again */

    /* What is lent. */
    stele__feed_shard *item; /* NULL: nothing */
    stele_shard *handle;
    stele__follow *follow;
    stele_feed_batch batch;

    stele_wait wait;  /* for whatever takes long: its progress asks as follows */
    stele_wait asked; /* of the call at hand */
    int64_t asked_us; /* when its progress was */
    char fault_organisation[STELE_SHARD_NAME_MAX + 1];
    char fault_namespace[STELE_SHARD_NAME_MAX + 1];
    bool faulty;
};

/* By organisation, then by namespace. */
int stele__feed_order(const char *organisation, const char *name_space,
                      const char *other_organisation, const char *other_namespace);

/* feed_open.c. `options` taken over and checked, with all that it points to. */
stele_status stele__feed_take_options(stele_feed *feed, const stele_feed_options *given);
/* The place of each shard without one is where it ends now. */
stele_status stele__feed_place_at_heads(stele_feed *feed);

/* feed_vector.c. INVALID with the byte, TOO_LARGE, NO_MEMORY. */
stele_status stele__feed_vector_read(stele_feed *feed, const char *text);

/* feed_scan.c: who is there now. With `all`, whatever the folders' stamps say. */
stele_status stele__feed_scan(stele_feed *feed, bool all);
void stele__feed_shard_dispose(stele__feed_shard *item);

/* feed_place.c. Where to read on in the shard: OK; EPOCH; as stele_checkpoint_load(). */
stele_status stele__feed_place(stele_feed *feed, stele__feed_shard *item, stele_store *store);

/* feed_look.c */

/* Begin a round: mark whoever may have something new as due. */
void stele__feed_round(stele_feed *feed);
/*
 * Look at a shard that is due, and lend what is new: OK with `feed->item`, or with nothing. Else
 * what is to be told, with the fault noted.
 */
stele_status stele__feed_look(stele_feed *feed, stele__feed_shard *item);
/* Nothing is lent any more. */
void stele__feed_give_back(stele_feed *feed);
/* It was about this shard. The answer is `status`. */
stele_status stele__feed_note_fault(stele_feed *feed, const stele__feed_shard *item,
                                    stele_status status);

#endif

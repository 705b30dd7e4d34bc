/*
 * Following the log: a forward read that never ends, for subscriptions. Each look is one read
 * transaction that copies the next events out; what it has passed over isn't looked at again.
 */
#ifndef STELE_EVENTSTORE_FOLLOW_H
#define STELE_EVENTSTORE_FOLLOW_H

#include <stele/eventstore.h>

typedef struct stele__follow stele__follow;

/* What a look has found. Its records are borrowed until the next. */
typedef struct stele__looked {
    const stele_record *const *records;
    size_t count;
    int64_t through; /* scanned up to here, whether it matched or not */
    int64_t head;    /* as of the look */
    bool more;       /* it did not get to its end */
    stele_skipped skipped;
} stele__looked;

/* Where to look. */
typedef struct stele__follow_look {
    int64_t after;
    int64_t to;  /* 0: the head */
    char *epoch; /* 37 bytes: in which `after` was learnt; becomes the current one */
    uint32_t count_max;
    uint32_t size_max; /* data + metadata, but at least one event */
    const stele_wait *wait;
} stele__follow_look;

/*
 * `read` has the filters: stream, types, category, prefix, system; all copied. With `lanes` only
 * streams of `lane`, from 1. `skips_archived`: events whose data is in an archive that isn't
 * attached are counted; else they are ARCHIVED. OK, MISUSE, TOO_LARGE, NO_MEMORY.
 */
stele_status stele__follow_open(stele_store *store, const stele_read *read, uint32_t lanes,
                                uint32_t lane, bool skips_archived, stele__follow **follow_out);
/*
 * Look once. With nothing found it may still have got further: look again from `through`, which is
 * the head (or `to`) when there is nothing more. What was found before a failure comes first; a
 * look after it fails. At the end of a store that has moved: MOVED. OK, EPOCH, ARCHIVED, CORRUPT,
 * and as stele_store_read().
 */
stele_status stele__follow_once(stele__follow *follow, const stele__follow_look *look,
                                stele__looked *looked_out);
void stele__follow_close(stele__follow *follow);

/* The lane of a stream, from 1. */
uint32_t stele__lane_of(int64_t stream_id, uint32_t lanes);

#endif

/*
 * What must still be there at the next open: a small file beside the store, `<path>-anchor`.
 *
 * It holds the store's uuid and epoch, a head that is known to be durable, the checksum of the
 * event there, and the salts of the WAL at that moment, in two slots that are written in turn, each
 * with a number and a checksum, so that a write cut in the middle leaves the other. A store whose
 * own file doesn't have that event has lost acknowledged events: its WAL is gone, or an old copy
 * was put in its place. A WAL whose salts don't follow is another file's.
 */
#ifndef STELE_STORE_ANCHOR_H
#define STELE_STORE_ANCHOR_H

#include <stdbool.h>
#include <stdint.h>

#include <stele/status.h>

/* What an anchor says. */
typedef struct stele__anchor_facts {
    char uuid[37];
    char epoch[37];
    int64_t head;          /* 0: an empty log */
    int64_t head_checksum; /* of the row there; 0 for an empty log */
    bool has_salts;        /* false: any WAL, or none, may follow */
    uint32_t salts[2];
} stele__anchor_facts;

typedef struct stele__anchor stele__anchor;

/* Between two renewals: the head as a commit under way leaves it. */
typedef struct stele__anchor_sample {
    bool taken;
    bool committed; /* it was, and the anchor may be renewed with it */
    bool fresh;     /* the file holds nothing of this store yet */
    bool failing;   /* the last write of the anchor failed, and was told */
    int64_t head;
    int64_t checksum;
    uint32_t wal_pages; /* before the commit */
} stele__anchor_sample;

/*
 * Open the anchor of the store at `path` (absolute), creating the file when missing. Never through
 * a link. `*found_out` says whether it held a valid slot, and `*facts_out` then what the newer one
 * says. OK; UNSUPPORTED (a newer format wrote it), MISUSE (a link, or no regular file), READ_ONLY,
 * FULL, IO, NO_MEMORY.
 */
stele_status stele__anchor_open(const char *path, stele__anchor **anchor_out, bool *found_out,
                                stele__anchor_facts *facts_out);

/* Closes the descriptor, writes nothing. NULL is allowed. */
void stele__anchor_close(stele__anchor *anchor);

/* What it says now: another process may have written since. OK, UNSUPPORTED or IO. */
stele_status stele__anchor_look(stele__anchor *anchor, bool *found_out,
                                stele__anchor_facts *facts_out);

/*
 * Read it without creating or changing anything. `*found_out` is false when there is no file or no
 * valid slot. OK, UNSUPPORTED, MISUSE, IO, NO_MEMORY.
 */
stele_status stele__anchor_read(const char *path, bool *found_out, stele__anchor_facts *facts_out);

/*
 * Write `facts` durably into the older slot. Under the write lock of the store, so that two
 * processes never write at once; the slots are read again first, since another process may have
 * written since. UNSUPPORTED, FULL, READ_ONLY, IO.
 */
stele_status stele__anchor_write(stele__anchor *anchor, const stele__anchor_facts *facts);

/* The salts in the header of the WAL at `path` + "-wal"; false when there is none, or no whole
 * header with a valid checksum. Opening a -wal drops no lock: SQLite locks only the other files. */
bool stele__wal_salts(const char *path, uint32_t salts_out[2]);

/* Whether the WAL at `path` + "-wal" begins with a whole commit, so that SQLite will find more in
 * it than nothing. NO_MEMORY. */
stele_status stele__wal_has_commit(const char *path, bool *has_commit_out);

/* Whether a WAL with `now` can be the one that had `then`: each reset adds 1 to the first salt. */
bool stele__wal_salts_follow(const uint32_t then[2], const uint32_t now[2]);

bool stele__anchor_facts_equal(const stele__anchor_facts *left, const stele__anchor_facts *right);

#endif

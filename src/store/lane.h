/*
 * What a file knows of the log of frames that it follows: a row of `frame_lane`, and a row of
 * `frame_writers` for each who ever wrote to it. See frame/frame.h; written with the effects of
 * each frame, in one commit.
 */
#ifndef STELE_STORE_LANE_H
#define STELE_STORE_LANE_H

#include "store/store.h"

#define STELE__LANE_ID_SIZE 16
/* Chains that are remembered: those of the last frames, each at its number modulo this. */
#define STELE__LANE_CHAINS 32

typedef struct stele__lane {
    bool found; /* the rest is 0 otherwise */
    unsigned char lane[STELE__LANE_ID_SIZE];
    unsigned char shard[STELE__LANE_ID_SIZE];
    int64_t applied;
    int64_t head;                        /* of the log, after that frame */
    uint64_t chains[STELE__LANE_CHAINS]; /* that of `applied` among them */
} stele__lane;

/* Of a file that begins to follow its lane and shard: no frame, and the first chain. The head is
 * the caller's. */
void stele__lane_begin(stele__lane *lane);

/* All inside a transaction. OK; CORRUPT when the row is damaged. */
stele_status stele__lane_load(stele__connection *connection, stele__lane *lane_out);
stele_status stele__lane_save(stele__connection *connection, const stele__lane *lane);
int64_t stele__lane_checksum(const stele__lane *lane);

/* Its last number; 0 when it never wrote. CORRUPT. */
stele_status stele__lane_writer_find(stele__connection *connection, const unsigned char *writer,
                                     int64_t *last_out);
/* `applied` is the number of the frame that has number `last` of the writer's. */
stele_status stele__lane_writer_save(stele__connection *connection, const unsigned char *writer,
                                     int64_t last, int64_t applied);
/* All of which the last frame has a number below `before` are forgotten, but for `writer`. */
stele_status stele__lane_writers_forget(stele__connection *connection, int64_t before,
                                        const unsigned char *writer);
int64_t stele__lane_writer_checksum(const void *writer, size_t size, int64_t last, int64_t applied);

/* Whether no log and no state entries were ever written. */
stele_status stele__lane_is_fresh(stele__connection *connection, bool *fresh_out);

#endif

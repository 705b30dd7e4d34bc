/*
 * A log: what orders the frames of a lane for all of its nodes. Five functions; a driver for an
 * engine (a broker, a table of a database server) fills them in, and knows nothing of what is in a
 * frame. Tests have two, in memory and in a file.
 *
 * What a log must do:
 *
 *  1. There is one order for a lane. Frames in it have the sequences 1, 2, 3, ... without gaps. A
 *     frame that has a sequence keeps it, and its bytes never change.
 *  2. What is proposed gets into the order later, or never, or more than once; in any order among
 *     proposals; also after whoever proposed it is gone.
 *  3. The log refuses nothing for what is in it. No condition, no recognising of repeats: every
 *     node judges the frames by itself, and all come to the same.
 *
 * What it may do: be unavailable for any time; deliver a frame again; leave some out, which shows
 * as a gap; lose a reader's place (next() fails until it is attached again).
 *
 * Threads. The calls on one handle come one at a time, from any thread; but propose() may come
 * while one of the others runs, once the first attach() was OK.
 */
#ifndef STELE_FRAME_LOG_H
#define STELE_FRAME_LOG_H

#include <stddef.h>
#include <stdint.h>

#include <stele/status.h>

#include "frame/frame.h"

typedef struct stele__frame_log stele__frame_log;

struct stele__frame_log {
    /* Deliver the frames of `lane` from that sequence on, which may be one beyond the end.
     * The lane is named by the shard, so that nodes agree. Also in place of where the handle is
     * now. OK; NOT_FOUND (the log begins later: it was cut); any other failure: not now. */
    stele_status (*attach)(stele__frame_log *log, const stele__frame_id *lane,
                           uint64_t from_sequence);
    /* Hand `frame` over, to the lane of the attach, without waiting for what becomes of it. OK
     * promises nothing; after a failure it may get into the order all the same. */
    stele_status (*propose)(stele__frame_log *log, const void *frame, size_t size);
    /* The next one, borrowed until the next call but propose(). Waits up to `timeout_ms` for it; 0:
     * what is there. OK; TIMED_OUT; a failure: attach again. */
    stele_status (*next)(stele__frame_log *log, uint32_t timeout_ms, uint64_t *sequence_out,
                         const void **frame_out, size_t *size_out);
    /* The last sequence of the lane, 0 for none: not below any that was delivered to anybody before
     * this call. OK; a failure: not known now. */
    stele_status (*head)(stele__frame_log *log, uint64_t *head_out);
    /* The handle is gone. Never fails. */
    void (*close)(stele__frame_log *log);
    /* Larger frames are never proposed; 0: STELE__FRAME_SIZE_MAX. */
    size_t frame_size_max;
};

#endif

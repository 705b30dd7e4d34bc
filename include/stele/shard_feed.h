/**
 * @file stele/shard_feed.h
 * Reading many shards as one feed, with a position for each of them.
 *
 * Within a shard events come in the order of their positions; between shards there is no order. So
 * the place in a feed is a *vector*: a position, with its epoch, for each shard. A feed with a name
 * keeps it durably, as a checkpoint (stele/checkpoint.h) of that name in each shard: it moves, is
 * backed up and is dropped along with what it is about, and each component is saved in one commit
 * of its shard. A vector can also be taken out as a text, to be kept by whoever holds the effects.
 *
 * Shards are taken in turn, a batch of one at a time, so that a busy one doesn't starve the others.
 * A shard that is created later joins in; one that was dropped or has moved leaves. Only shards
 * with something new are opened: whether there is, is seen from their files.
 *
 * Threads. A feed is used by one thread at a time, but for stele_feed_stop(), which any thread may
 * call. Two feeds of one name take their turns in moving the checkpoints; who was overtaken is
 * STELE_CONFLICT, so that no event is acknowledged twice.
 */
#ifndef STELE_SHARD_FEED_H
#define STELE_SHARD_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/buffer.h>
#include <stele/eventstore.h>
#include <stele/shard_list.h>
#include <stele/shards.h>
#include <stele/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What to read. */
typedef struct stele_feed_options {
    size_t struct_size;            /**< Set by the initializer. */
    const stele_shards_read *read; /**< Which shards; NULL: all. `limit` and `after` don't count. */
    const char *name; /**< Keeps its vector as checkpoints of this name. NULL: nothing is kept. */
    /** Of each event: `types`, `category`, `prefix`, `system`, `keys` and page bounds count.
     * Copied. NULL: all events. */
    const stele_read *filter;
    const char *vector; /**< Begin behind this (stele_feed_vector()); where it has no component
                             and there is no checkpoint, at the beginning. NULL. */
    bool from_head;     /**< Where there is no component: only what comes from now on, but in
                             shards that are created later everything. */
    uint32_t batch_count_max;  /**< Most events in a batch. 256. */
    uint32_t batch_size_max;   /**< Most bytes in a batch, but at least one event. 1 MiB. */
    uint32_t poll_interval_ms; /**< How often the files are looked at while waiting. 100. */
} stele_feed_options;

/* clang-format off */
#define STELE_FEED_OPTIONS_INIT { sizeof(stele_feed_options), NULL, NULL, NULL, NULL, false, 256, \
    1024 * 1024, 100 }
/* clang-format on */

/** Set `options` to the defaults, as STELE_FEED_OPTIONS_INIT does. For bindings. */
STELE_API void stele_feed_options_init(stele_feed_options *options);

/** An open feed. */
typedef struct stele_feed stele_feed;

/** A batch: events of one shard. Borrowed until the next call on the feed. */
typedef struct stele_feed_batch {
    stele_shard *shard; /**< Borrowed likewise: it stays open. */
    const stele_record *const *records;
    size_t count;    /**< May be 0: then only `through` moves. */
    int64_t through; /**< The position that was scanned through: what an acknowledgement means. */
} stele_feed_batch;

/**
 * Open a feed. It holds no shard between batches.
 *
 * @param options NULL means defaults. Copied.
 * @return STELE_OK; STELE_MISUSE; STELE_INVALID (the vector's text, with the byte offset);
 *         STELE_TOO_LARGE, STELE_IO, STELE_NO_MEMORY, STELE_CLOSED; with `from_head` also what
 *         opening a shard answered.
 */
STELE_API stele_status stele_feed_open(stele_shards *shards, const stele_feed_options *options,
                                       stele_feed **feed_out);

/**
 * The next batch of some shard. Without stele_feed_ack() before it, the one that was lent is passed
 * over in this feed, but not acknowledged.
 *
 * @param wait      How long to wait for events; NULL: not at all.
 * @param batch_out NULL unless STELE_OK.
 * @return STELE_OK; STELE_TIMED_OUT (nothing new anywhere); STELE_DONE (stele_feed_stop());
 *         STELE_EPOCH (a shard was recovered to an older time, and the place is beyond what both
 *         share: the text and stele_feed_fault() name it; nothing is skipped); STELE_CANCELLED;
 *         STELE_MISUSE; STELE_CLOSED; or what reading a shard answered, which stele_feed_fault()
 *         names: the others go on with the next call.
 */
STELE_API stele_status stele_feed_next(stele_feed *feed, const stele_wait *wait,
                                       const stele_feed_batch **batch_out);

/**
 * The batch lent last is done with: the vector moves, and with a name the checkpoint in its shard,
 * durably.
 *
 * @return STELE_OK; STELE_CONFLICT (another feed of this name has moved it: this one goes on from
 *         there); STELE_MOVED, STELE_FENCED (the shard was moved or dropped meanwhile);
 *         STELE_MISUSE (nothing is lent); STELE_READ_ONLY (of a name, where nothing is written);
 *         STELE_BUSY; STELE_EPOCH; STELE_FULL; STELE_IO; STELE_CORRUPT; STELE_UNKNOWN_OUTCOME;
 *         STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_feed_ack(stele_feed *feed);

/**
 * The batch lent last, acknowledged inside `transaction` on its shard's store: with what the caller
 * writes there, all of it or nothing.
 *
 * @return As stele_feed_ack(), and STELE_MISUSE for a transaction of another store or a feed
 * without a name. When the transaction isn't committed, open the feed again.
 */
STELE_API stele_status stele_feed_ack_within(stele_feed *feed, stele_transaction *transaction);

/** The vector that is acknowledged, as a text: JSON, added to `text` without a NUL.
 * @return STELE_OK, STELE_MISUSE, STELE_NO_MEMORY, STELE_CLOSED. */
STELE_API stele_status stele_feed_vector(stele_feed *feed, stele_buffer *text);

/** Which shard the last failure of stele_feed_next() or _ack() was about; NULLs for none. Borrowed
 * until the next call. */
STELE_API void stele_feed_fault(const stele_feed *feed, const char **organisation_out,
                                const char **name_space_out);

/** stele_feed_next() answers STELE_DONE from now on, also one that waits. Any thread; safe in a
 * signal handler. */
STELE_API void stele_feed_stop(stele_feed *feed);

/** Close `feed`. NULL is allowed; never fails. What wasn't acknowledged comes again. */
STELE_API void stele_feed_close(stele_feed *feed);

#ifdef __cplusplus
}
#endif

#endif

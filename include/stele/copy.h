/**
 * @file stele/copy.h
 * Copying a log into a new store, changed on the way: history rewritten, and the old one kept.
 *
 * Every event of the source goes through a transform, which says what becomes of it: itself,
 * another event, several, in whatever stream, or none. The new store has positions and versions of
 * its own; the copy tells which old position became which, and carries the checkpoints over.
 *
 * The library's own streams, whose names start with '$', aren't copied: they tell of the old store.
 * Neither are snapshots, which can be made anew, and keys of empty appends.
 */
#ifndef STELE_COPY_H
#define STELE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/work.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Takes what becomes of an event. Lent to a transform for one call. */
typedef struct stele_copy_sink stele_copy_sink;

/** The most events that one may become. */
#define STELE_COPY_OUTPUT_MAX 100000

/**
 * What to copy, and how.
 *
 * The callbacks are called on the caller's thread, with no lock held and no transaction open, and
 * get `context`. They may call anything, but not write to the target, nor close either store.
 */
typedef struct stele_copy {
    size_t struct_size; /**< Set by the initializer. */
    /** What becomes of `record`, which is read with its key: call stele_copy_emit() and its kin any
     * number of times, and return STELE_OK. A failure ends the copy with it; its reason is
     * stele_copy_fail()'s, or what last failed in the library during the call. Anything else is
     * STELE_INVALID. NULL: each event stays as it is. */
    stele_status (*transform)(void *context, const stele_record *record, stele_copy_sink *sink);
    /** Told of each position from after_position on, in order, once what became of it is committed:
     * the first and last position in the target; 0 and 0 when nothing became of it, be it dropped,
     * erased, archived away or the library's. A call that goes on with an unfinished copy begins
     * with what the earlier ones did, so that who is told by the one that succeeds is told all.
     * NULL: nobody is told. */
    void (*mapped)(void *context, int64_t position, int64_t first, int64_t last);
    void *context;
    int64_t after_position; /**< Only events after this position. */
    int64_t to_position;    /**< Only events up to this one; 0: the head when the call begins. */
    bool keys;          /**< Keep the idempotency key of an event that becomes exactly one. True. */
    bool checkpoints;   /**< Translate the checkpoints. True. */
    bool skip_archived; /**< Leave out events whose data isn't at hand, don't refuse them. */
    bool dry_run;       /**< Do it all, but roll each batch back. `mapped` gets what would be. */
    const stele_work
        *work; /**< NULL: defaults. A step is a batch: one transaction of the target. */
} stele_copy;

#define STELE_COPY_INIT                                                                            \
    {                                                                                              \
        sizeof(stele_copy), NULL, NULL, NULL, 0, 0, true, true, false, false, NULL                 \
    }

/** Set `copy` to the defaults, as STELE_COPY_INIT does. For bindings. */
STELE_API void stele_copy_init(stele_copy *copy);

/** How a copy went. All counts are of this call. */
typedef struct stele_copied {
    uint64_t events_read;      /**< Given to the transform. */
    uint64_t events_written;   /**< Emitted by it. */
    uint64_t dropped;          /**< Of those read, nothing was emitted for. */
    uint64_t skipped_erased;   /**< Passed over, since their data is gone for good. */
    uint64_t skipped_archived; /**< Passed over with skip_archived. */
    uint64_t checkpoints;      /**< Translated. */
    uint64_t checkpoints_lost; /**< Left out: of a timeline that the source has lost. */
    uint64_t streams_closed;   /**< Tombstoned or archived in the target as in the source. */
    int64_t position;          /**< Of the source, through which all is in the target. */
    int64_t resumed_after;     /**< Of the source, from where this call went on; 0: it began. */
    uint64_t parked;           /**< Events that readers had parked, as parked in the target. */
    int64_t reserved[3];       /**< Zero. */
} stele_copied;

/**
 * Copy the events of `source` into `target` in constant memory, batch by batch.
 *
 * The target is empty, or holds what an earlier call left that was cut short by whatever: then this
 * one goes on after the last batch that was committed, and nothing is lost or doubled. It must be
 * given the same source and after_position; that the transform is the same can't be known. A note
 * in the target tells of the unfinished copy, and is checked in each batch: when anybody else
 * writes there meanwhile, the copy ends with STELE_MISUSE. The last transaction takes the note
 * away.
 *
 * An event keeps its type, codec, schema version, payload and metadata. Its occurred_at stays, and
 * where there is none it becomes the source's recorded_at. An append is one event each in the
 * target, so a retry of an old append meets its key there, but is STELE_KEY_REUSED where it isn't a
 * duplicate to the byte, occurred_at included; nothing is stored twice.
 *
 * A checkpoint at position p becomes the target position through which everything is written that
 * came from p and before: who goes on there misses nothing and sees nothing twice. Those of the end
 * of the copy count, all in one transaction with the target's current epoch: with lanes each lane
 * by itself. What a reader has parked is parked in the target, too, as the events that it became,
 * each behind the first of its stream there. Owners and their claims stay behind. Appends to the
 * source that come while it is copied are left out, so stop its writers for a move.
 *
 * The state of a stream, and its reason, is carried over to the target's stream of that name, if
 * there is one: tombstoned, or archived in place.
 *
 * Events that are erased in the source while it is copied may have reached the target before.
 *
 * @param target     Of this program alone. Another one than `source`, and no copy of its file.
 * @param copy       NULL means STELE_COPY_INIT.
 * @param copied_out May be NULL. Set also on failure.
 * @return STELE_OK; STELE_CANCELLED (call again to go on, as after most failures); STELE_ARCHIVED
 *         (events are in an archive that isn't attached to the source); STELE_EPOCH (the source has
 *         lost events that an unfinished copy holds); STELE_TOO_LARGE (one event became more than
 *         STELE_COPY_OUTPUT_MAX, or the gate says so); STELE_MISUSE (an argument; a NULL store; the
 *         same store; a target that isn't empty and holds no unfinished copy of `source`; or the
 *         gate says so); what else the transform or, of an event emitted, the gate of
 *         stele_store_append() answers (STELE_INVALID, ...), with position and output in the text;
 *         STELE_READ_ONLY, STELE_BUSY, STELE_FULL, STELE_IO, STELE_CORRUPT, STELE_NO_MEMORY,
 *         STELE_UNKNOWN_OUTCOME, STELE_CLOSED of either store: the text says of which.
 */
STELE_API stele_status stele_store_copy(stele_store *source, stele_store *target,
                                        const stele_copy *copy, stele_copied *copied_out);

/* --- In a transform --- */

/**
 * Emit an event into `stream`.
 *
 * The payload is checked when its batch is stored, by the gate of an append. An event that isn't
 * emitted with a time of its own gets that of the one that it comes from.
 *
 * @param event Copied, with all that it points to.
 * @return STELE_OK; STELE_TOO_LARGE; STELE_MISUSE (a NULL); STELE_NO_MEMORY. After a failure
 * nothing more is taken, and the copy ends with it, whatever the transform returns.
 */
STELE_API stele_status stele_copy_emit(stele_copy_sink *sink, const char *stream,
                                       const stele_event *event);

/** Emit `record` as it is, into its own stream. @return As stele_copy_emit(). */
STELE_API stele_status stele_copy_pass(stele_copy_sink *sink, const stele_record *record);

/**
 * Emit what a JSON text says: an object is one event, with the fields that a line of an import has
 * (stele/jsonl.h); an array emits each of its objects; `null` emits nothing. `id` is ignored, as
 * `position` and `version` are.
 *
 * @param text Not NUL-terminated.
 * @return As stele_copy_emit(); also STELE_INVALID (not such a text; the reason names what).
 */
STELE_API stele_status stele_copy_emit_json(stele_copy_sink *sink, const char *text, size_t size);

/**
 * Say in words why the record can't be copied; cut after 400 bytes. The first reason counts, and
 * the copy ends with it, whatever the transform returns; another failure than STELE_INVALID may be
 * returned after it.
 *
 * @return STELE_INVALID; the failure of an emission before it; STELE_MISUSE (`sink` NULL).
 */
STELE_API stele_status stele_copy_fail(stele_copy_sink *sink, const char *reason);

#ifdef __cplusplus
}
#endif

#endif

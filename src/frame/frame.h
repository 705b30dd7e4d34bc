/*
 * Frames: changes on their way through an ordered log, and what a file does with them.
 *
 * A frame holds changes with everything that may not differ between two nodes: names, payloads,
 * conditions, and one time. Who wrote it says what should happen; whether it does is decided when
 * it is applied, by the file alone, in the order of the log: each node comes to the same verdicts.
 * A file remembers in its tables which lane it follows, up to which frame (`applied`), a chain of
 * hashes over all that came of them, and the last frame of each writer.
 *
 * Layout, little-endian:
 *
 *     "STLF", u16 format, u16 kind, lane[16], shard[16], writer[16], u64 writer_sequence, i64 time,
 *     u32 change_count, u32 body_size, u64 checksum, body
 *
 * The checksum is XXH3-64 of the body, seeded with that of what is before the checksum. The body of
 * a data frame is a table of strings and the changes, that of a checkpoint three numbers; others
 * have none. A string is its u32 size, its bytes and a NUL.
 */
#ifndef STELE_FRAME_FRAME_H
#define STELE_FRAME_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/eventstore.h>
#include <stele/lifecycle.h>
#include <stele/state.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "store/sequencer.h"

#define STELE__FRAME_FORMAT      1
#define STELE__FRAME_HEADER_SIZE 88
#define STELE__FRAME_SIZE_MAX    ((size_t)1024 * 1024) /* unless another is given */
#define STELE__FRAME_ID_SIZE     16

/* In the header: exactly one of them. */
typedef enum stele__frame_kind {
    STELE__FRAME_GENESIS = 1, /* the first of a lane that begins with empty files: binds them */
    STELE__FRAME_DATA = 2,
    STELE__FRAME_BARRIER = 4,   /* changes nothing: who finds it applied has seen all before it */
    STELE__FRAME_CHECKPOINT = 8 /* compares, and lets idle writers be forgotten */
} stele__frame_kind;

typedef struct stele__frame_id {
    unsigned char bytes[STELE__FRAME_ID_SIZE];
} stele__frame_id;

/* A random one. OK or IO. */
stele_status stele__frame_id_make(stele__frame_id *id_out);
bool stele__frame_id_equal(const stele__frame_id *a, const stele__frame_id *b);
/* As 32 hexadecimal digits. */
void stele__frame_id_text(const stele__frame_id *id, char text_out[33]);

/* What a checkpoint says. */
typedef struct stele__frame_checkpoint {
    uint64_t sequence; /* its writer had applied this one, */
    uint64_t chain;    /* and had this chain then */
    /* Writers without a frame since this sequence are forgotten; 0: none. One that lives must take
     * a new id then: its next frame would be skipped. */
    uint64_t forget_before;
} stele__frame_checkpoint;

typedef struct stele__frame_header {
    stele__frame_kind kind;
    stele__frame_id lane;
    stele__frame_id shard;
    stele__frame_id writer;
    uint64_t writer_sequence; /* from 1, without a gap */
    int64_t time;             /* microseconds since 1970: the clock of whoever applies it */
    uint32_t change_count;    /* the rest is set by encoding and decoding */
    uint32_t body_size;
    uint64_t checksum;
} stele__frame_header;

/* --- encode.c --- */

/* A frame of kind DATA that is being put together. Begin with zeros but for `size_max`. */
typedef struct stele__frame_builder {
    size_t size_max; /* of the whole frame; 0: STELE__FRAME_SIZE_MAX */
    stele__buffer strings;
    stele__buffer changes;
    stele__buffer places; /* of each string: uint32_t */
    uint32_t *index;      /* of strings by their hash, plus 1; 0: free */
    size_t index_size;
    uint32_t string_count;
    uint32_t change_count;
} stele__frame_builder;

/* Add a change; `answer_out` and the like are not looked at. A failure has added nothing: TOO_LARGE
 * (beyond size_max), UNSUPPORTED (a dry run, or an archive elsewhere), MISUSE (a NULL that may not
 * be), NO_MEMORY. */
stele_status stele__frame_add(stele__frame_builder *builder, const stele__change *change);
/* Write the frame of what was added to `frame_out`, replacing what is there. The header's ids,
 * writer_sequence and time are the caller's. NO_MEMORY. */
stele_status stele__frame_end(stele__frame_builder *builder, const stele__frame_header *header,
                              stele__buffer *frame_out);
/* Empty again, to be used for the next frame. */
void stele__frame_clear(stele__frame_builder *builder);
void stele__frame_builder_dispose(stele__frame_builder *builder);

/* A frame of another kind; `checkpoint` is NULL but for that. */
stele_status stele__frame_mark(const stele__frame_header *header,
                               const stele__frame_checkpoint *checkpoint, stele__buffer *frame_out);

/* Another lane, shard, writer, writer_sequence or time for a whole frame of `size` bytes. */
void stele__frame_seal(void *frame, size_t size, const stele__frame_header *header);

/* --- decode.c --- */

/* A frame, read. Its own memory: the bytes it was read from may go. */
typedef struct stele__frame {
    stele__frame_header header;
    stele__frame_checkpoint checkpoint;
    stele__change *changes; /* header.change_count; they have no answer_out */
    char *bytes;
    struct stele__frame_block *blocks;
} stele__frame;

/* The header alone, when the bytes are a whole frame of ours: as stele__frame_read(), but nothing
 * is said about the body. */
stele_status stele__frame_peek(const void *bytes, size_t size, stele__frame_header *header_out);

/* Read and check everything that needs no look at a file, but the payloads. `size_max` 0: that of
 * STELE__FRAME_SIZE_MAX. On failure there is nothing to dispose: CORRUPT (cut, or the checksum
 * isn't right), INVALID (what is in it, with the byte offset), UNSUPPORTED (a later format or
 * kind), TOO_LARGE, NO_MEMORY. */
stele_status stele__frame_read(const void *bytes, size_t size, size_t size_max,
                               stele__frame *frame_out);
void stele__frame_dispose(stele__frame *frame);

/* --- apply.c --- */

/* What became of a change. */
typedef struct stele__verdict {
    stele_status status; /* OK; or a refusal that every node comes to, with nothing written */
    size_t failed;       /* of appends: which one was refused; else their count */
    char *error;         /* of a refusal; else "" */
    /* As the public call sets them; of a refusal only where that sets them. */
    stele_appended *appended; /* of appends */
    stele_written written;    /* of put and remove */
    stele_changed changed;    /* of the rest */
} stele__verdict;

typedef enum stele__frame_outcome {
    STELE__FRAME_APPLIED = 1,
    STELE__FRAME_OLD = 2,       /* its number, or a later one, was applied before */
    STELE__FRAME_DUPLICATE = 3, /* its writer's number was applied before: it took this number */
    STELE__FRAME_EARLY = 4      /* the writer's frame before it never came: it took this number, and
                                   its writer must propose it again */
} stele__frame_outcome;

/* What became of a frame. Begin with zeros; dispose, whatever the answer. */
typedef struct stele__frame_result {
    stele__frame_outcome outcome;
    stele__frame_header header;
    uint64_t applied; /* now */
    uint64_t chain;
    bool deletes;     /* streams: when it is committed, stele__store_forget(store, 0) is due, unless
                         that transaction was the caller's own (stele_transaction_commit() does it) */
    bool changed;     /* something was written to the file */
    uint32_t refused; /* of the verdicts */
    size_t verdict_count;
    stele__verdict *verdicts; /* of each change when it was APPLIED */
    struct stele__frame_block *blocks;
} stele__frame_result;

/* How a frame is applied. Zeros are the default. */
typedef struct stele__frame_options {
    size_t size_max;        /* as above */
    bool only_if_unrefused; /* if a change is refused, the frame takes no number and leaves nothing;
                               for frames of one change */
    bool past_allowed;      /* the log may have become longer without a frame */
} stele__frame_options;

/*
 * Apply frame number `sequence` inside `transaction`, the caller's own or a lent one. `options` may
 * be NULL. OK with an outcome; any failure is none of the frame's verdicts: the transaction must be
 * rolled back, and the same frame may be applied later. After a wrong lane or chain it never can:
 *
 * STELE_MISUSE   the file follows another lane or shard, or none (and this is no genesis);
 *                a genesis, and the file isn't empty
 * STELE_CONFLICT `sequence` isn't the next one: frames between are missing
 * STELE_EPOCH    the chain of a checkpoint isn't ours, or the log was written to without a frame:
 *                this node has diverged
 * STELE_CORRUPT, STELE_INVALID, STELE_UNSUPPORTED, STELE_TOO_LARGE  of the frame, or of the file
 * STELE_IO, STELE_FULL, STELE_BUSY, STELE_NO_MEMORY, ...
 */
stele_status stele__frame_apply(stele_transaction *transaction, uint64_t sequence,
                                const void *bytes, size_t size, const stele__frame_options *options,
                                stele__frame_result *result_out);
void stele__frame_result_dispose(stele__frame_result *result);

/* Hand a verdict to who asked for the change: its answer_out, failed_out and this thread's text are
 * set as by the public call, whose status is the answer. */
stele_status stele__verdict_tell(const stele__verdict *verdict, const stele__change *change);

/* --- place.c: what a file knows of its lane --- */

typedef struct stele__frame_place {
    bool bound; /* the rest is 0 otherwise */
    stele__frame_id lane;
    stele__frame_id shard;
    uint64_t applied; /* the number of the last frame */
    uint64_t chain;
} stele__frame_place;

/* In a read of its own; and inside a transaction. */
stele_status stele__frame_place_find(stele_store *store, stele__frame_place *place_out);
stele_status stele__frame_place_within(stele_transaction *transaction,
                                       stele__frame_place *place_out);
/* The last frame of a writer that was applied; 0 for none. */
stele_status stele__frame_writer_find(stele_store *store, const stele__frame_id *writer,
                                      uint64_t *last_out);
/*
 * From now on the file follows this lane, from number 1 on: the other nodes must begin with a copy
 * of the file as it is after that (or use a genesis frame, on empty files). OK also when it does
 * already; MISUSE when it follows another.
 */
stele_status stele__frame_bind(stele_store *store, const stele__frame_id *lane,
                               const stele__frame_id *shard);

#endif

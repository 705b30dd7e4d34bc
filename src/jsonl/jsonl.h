/*
 * What the files of this area share. On the way in, input.c cuts what is read into lines, line.c
 * reads a line into a batch, import.c stores the batches.
 */
#ifndef STELE_JSONL_JSONL_H
#define STELE_JSONL_JSONL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/json.h>
#include <stele/jsonl.h>

#include "base/base64.h"
#include "base/bytes.h"

/* --- input.c --- */

/* The input, cut into lines whatever the pieces it is read in. Starts as { 0 }. */
typedef struct stele__jsonl_input {
    const stele_import *import; /* Borrowed. */
    char *chunk;                /* What was read and not yet consumed. */
    size_t chunk_size;
    size_t chunk_at;
    bool ended;
    stele__buffer pending; /* A line that began in an earlier chunk. */
    uint64_t lines;        /* Handed out so far, which is the number of the last. */
    uint64_t bytes;        /* Of them, with their line ends. */
} stele__jsonl_input;

/* A line without its end, borrowed until the next one is asked for. */
typedef struct stele__jsonl_span {
    const char *text;
    size_t size;
    bool too_long; /* Longer than line_size_max: `text` is only a part. */
} stele__jsonl_span;

/* `import` is borrowed. OK or NO_MEMORY. */
stele_status stele__jsonl_input_init(stele__jsonl_input *input, const stele_import *import);

/* The next line. OK, DONE, NO_MEMORY, or what the read callback answered. */
stele_status stele__jsonl_input_next(stele__jsonl_input *input, stele__jsonl_span *line_out);

void stele__jsonl_input_dispose(stele__jsonl_input *input);

/* --- line.c --- */

/* Stands for a text that isn't there. */
#define STELE__JSONL_NONE SIZE_MAX

/* A line, checked as far as that goes without the store. Texts are offsets into the batch's bytes,
 * since these move while they grow; they end with a NUL. */
typedef struct stele__jsonl_line {
    uint64_t number;
    size_t reason; /* Why the line is bad; STELE__JSONL_NONE when it is not. */
    size_t stream;
    size_t type;
    size_t codec;
    size_t key;
    size_t data;
    size_t data_size;
    size_t metadata;
    size_t metadata_size;
    int64_t schema_version;
    int64_t occurred_at;
    bool has_occurred_at;
} stele__jsonl_line;

/* The lines of one transaction. Starts as { 0 }, and is reused with its memory. */
typedef struct stele__jsonl_batch {
    stele__jsonl_line *lines;
    size_t count;
    size_t capacity;
    stele__buffer bytes;
} stele__jsonl_batch;

/* How lines are read. */
typedef struct stele__jsonl_reading {
    stele_json_reader *reader;
    bool lenient;
    bool has_source;
    uint64_t source_hash;
} stele__jsonl_reading;

/* Read a line that is not too long to the end of `batch`. OK; NO_MEMORY; any other status tells of
 * a bad line, its reason in the error text, and leaves the batch as it was. */
stele_status stele__jsonl_read_line(const stele__jsonl_reading *reading,
                                    const stele__jsonl_span *span, uint64_t number,
                                    stele__jsonl_batch *batch);

/* Note at the end of `batch` that line `number` is bad. OK or NO_MEMORY. */
stele_status stele__jsonl_add_bad_line(stele__jsonl_batch *batch, uint64_t number,
                                       const char *reason);

/* Note that `line`, of `batch`, is bad. OK or NO_MEMORY. */
stele_status stele__jsonl_set_reason(stele__jsonl_batch *batch, stele__jsonl_line *line,
                                     const char *reason);

/* The text at `offset`; NULL for STELE__JSONL_NONE. Borrowed until the batch grows. */
const char *stele__jsonl_text(const stele__jsonl_batch *batch, size_t offset);

#endif

/*
 * Importing lines, a batch at a time: its lines are read and checked without the write lock, then
 * stored in one transaction, and what became of them is told when that is over.
 */
#include "jsonl/jsonl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "store/store.h"
#include "store/sequencer.h"

/* A batch ends at the line with which its memory reaches this. */
#define JSONL_BATCH_SIZE ((size_t)4 * 1024 * 1024)

/* An import in progress. */
typedef struct jsonl_importer {
    stele_store *store;
    stele_import import;
    stele__jsonl_input input;
    stele__jsonl_reading reading;
    stele__jsonl_batch batch;
    stele_transaction *transaction; /* NULL until a batch has something to store. */
    stele_imported imported;        /* By the batches that are finished. */
} jsonl_importer;

void stele_import_init(stele_import *import)
{
    const stele_import defaults = STELE_IMPORT_INIT;
    if (import != NULL)
        *import = defaults;
}

static stele_status resolve_import(const stele_import *given, stele_import *import_out)
{
    stele_import_init(import_out);
    stele_status status =
        stele__options_take("stele_import", given, import_out, sizeof(*import_out));
    if (status != STELE_OK)
        return status;
    if (import_out->read == NULL)
        return stele__fail(STELE_MISUSE, "stele_import: no read");
    if (import_out->batch_size == 0)
        return stele__fail(STELE_MISUSE, "stele_import: batch_size is 0");
    if (import_out->line_size_max == 0)
        return stele__fail(STELE_MISUSE, "stele_import: line_size_max is 0");
    return STELE_OK;
}

/* Whether `status` is a verdict on one event alone, so that the import goes on. */
static bool rejects_import_line(stele_status status)
{
    switch (status) {
    case STELE_KEY_REUSED:
    case STELE_INVALID:
    case STELE_TOO_LARGE:
    case STELE_MISUSE:
    case STELE_ARCHIVED:
    case STELE_TOMBSTONED:
    case STELE_UNSUPPORTED:
    case STELE_PRECISION: return true;
    default: return false;
    }
}

/* --- Reading a batch --- */

static bool is_blank_line(const stele__jsonl_span *line)
{
    size_t i = 0;
    while (i < line->size
           && (line->text[i] == ' ' || line->text[i] == '\t' || line->text[i] == '\r'))
        i++;
    return i == line->size;
}

static stele_status add_import_line(jsonl_importer *importer, const stele__jsonl_span *line)
{
    uint64_t number = importer->input.lines;
    if (line->too_long) {
        char reason[64];
        snprintf(reason, sizeof(reason), "line is longer than %" PRIu32 " bytes",
                 importer->import.line_size_max);
        return stele__jsonl_add_bad_line(&importer->batch, number, reason);
    }
    if (is_blank_line(line))
        return STELE_OK;
    stele_status status =
        stele__jsonl_read_line(&importer->reading, line, number, &importer->batch);
    if (rejects_import_line(status))
        return stele__jsonl_add_bad_line(&importer->batch, number, stele_error_text());
    return status;
}

/* Read as many lines as a batch takes. OK; DONE when the input is at its end; or a failure. */
static stele_status read_import_batch(jsonl_importer *importer)
{
    stele__jsonl_batch *batch = &importer->batch;
    batch->count = 0;
    batch->bytes.size = 0;

    stele_status status = STELE_OK;
    while (status == STELE_OK && batch->count < importer->import.batch_size
           && batch->bytes.size + batch->count * sizeof(*batch->lines) < JSONL_BATCH_SIZE) {
        stele__jsonl_span line = { 0 };
        status = stele__jsonl_input_next(&importer->input, &line);
        if (status == STELE_OK)
            status = add_import_line(importer, &line);
    }
    return status;
}

/* --- Storing it --- */

static stele_status append_import_line(jsonl_importer *importer, const stele__jsonl_line *line,
                                       stele_appended *appended)
{
    const stele__jsonl_batch *batch = &importer->batch;
    stele_event event = { .type = stele__jsonl_text(batch, line->type),
                          .data = stele__jsonl_text(batch, line->data),
                          .data_size = line->data_size,
                          .metadata = stele__jsonl_text(batch, line->metadata),
                          .metadata_size = line->metadata_size,
                          .codec = stele__jsonl_text(batch, line->codec),
                          .schema_version = line->schema_version,
                          .occurred_at = line->occurred_at,
                          .has_occurred_at = line->has_occurred_at };
    stele_append append = STELE_APPEND_INIT;
    append.stream = stele__jsonl_text(batch, line->stream);
    append.events = &event;
    append.event_count = 1;
    append.idempotency_key = stele__jsonl_text(batch, line->key);
    return stele_transaction_append(importer->transaction, &append, appended);
}

/* Append the batch's good lines and count what becomes of all of them. */
static stele_status append_import_batch(jsonl_importer *importer, stele_imported *imported)
{
    for (size_t i = 0; i < importer->batch.count; i++) {
        stele__jsonl_line *line = &importer->batch.lines[i];
        imported->lines++;
        if (line->reason != STELE__JSONL_NONE) {
            imported->rejected++;
            continue;
        }

        stele_status status = STELE_OK;
        if (importer->transaction == NULL)
            status = stele_transaction_begin(importer->store, &importer->transaction);
        if (status == STELE_OK) /* no line would be at fault */
            status = stele__sequencer_check(importer->store, "an import");
        if (status != STELE_OK)
            return status;

        stele_appended appended = { 0 };
        status = append_import_line(importer, line, &appended);
        if (status == STELE_OK) {
            imported->duplicates += appended.duplicate ? 1 : 0;
            imported->appended += appended.duplicate ? 0 : 1;
        } else if (rejects_import_line(status)) {
            imported->rejected++;
            status = stele__jsonl_set_reason(&importer->batch, line, stele_error_text());
        }
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

static stele_status commit_import(jsonl_importer *importer)
{
    if (importer->transaction == NULL)
        return STELE_OK;
    stele_status status = stele_transaction_commit(importer->transaction);
    stele_transaction_end(importer->transaction);
    importer->transaction = NULL;
    return status;
}

/* Tell the caller what became of the batch, and ask whether to go on. */
static stele_status report_import_batch(jsonl_importer *importer)
{
    const stele_import *import = &importer->import;
    const stele__jsonl_batch *batch = &importer->batch;
    for (size_t i = 0; i < batch->count && import->reject != NULL; i++) {
        if (batch->lines[i].reason != STELE__JSONL_NONE)
            import->reject(import->context, batch->lines[i].number,
                           stele__jsonl_text(batch, batch->lines[i].reason));
    }
    if (batch->count == 0 || import->progress == NULL)
        return STELE_OK;
    if (import->progress(import->context, &importer->imported) == 0)
        return STELE_OK;
    return stele__fail(STELE_CANCELLED, "the import was cancelled after line %" PRIu64,
                       importer->input.lines);
}

static stele_status store_import_batch(jsonl_importer *importer)
{
    stele_imported imported = importer->imported;
    imported.bytes = importer->input.bytes;
    stele_status status = append_import_batch(importer, &imported);
    if (status == STELE_OK && !importer->import.atomic)
        status = commit_import(importer);
    if (status != STELE_OK)
        return status;
    importer->imported = imported;
    return report_import_batch(importer);
}

/* Commit an atomic import, unless a line was bad. */
static stele_status settle_import(jsonl_importer *importer)
{
    const stele_imported *imported = &importer->imported;
    if (importer->import.atomic && imported->rejected > 0)
        return stele__fail(STELE_INVALID,
                           "%" PRIu64 " of %" PRIu64 " lines are bad, so nothing was stored",
                           imported->rejected, imported->lines);
    return commit_import(importer);
}

/* --- All of it --- */

static stele_status open_importer(jsonl_importer *importer)
{
    const char *source = importer->import.source;
    importer->reading.lenient = importer->import.lenient;
    importer->reading.has_source = source != NULL;
    if (source != NULL)
        importer->reading.source_hash = stele__hash(source, strlen(source));

    /* One level is the line itself; the rest is the payload's, which append judges. */
    stele_json_options options = STELE_JSON_OPTIONS_INIT;
    options.depth_max++;
    options.size_max = importer->import.line_size_max;
    stele_status status = stele_json_open("", 0, &options, &importer->reading.reader);
    if (status != STELE_OK)
        return status;
    return stele__jsonl_input_init(&importer->input, &importer->import);
}

static void close_importer(jsonl_importer *importer)
{
    stele_transaction_end(importer->transaction); /* Keeps the error text. */
    stele_json_close(importer->reading.reader);
    stele__jsonl_input_dispose(&importer->input);
    stele__free(importer->batch.lines);
    stele__buffer_dispose(&importer->batch.bytes);
}

/* A store that can't be written to says so before anything is read. */
static stele_status check_writable(stele_store *store)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    stele_transaction_end(transaction);
    return status;
}

stele_status stele_store_import(stele_store *store, const stele_import *import,
                                stele_imported *imported_out)
{
    if (imported_out != NULL)
        *imported_out = (stele_imported){ 0 };
    jsonl_importer importer = { .store = store };
    stele_status status = resolve_import(import, &importer.import);
    /* Inside for all of it: closing waits, also while the input is read. */
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;

    status = check_writable(store);
    if (status == STELE_OK)
        status = open_importer(&importer);
    bool ended = false;
    while (status == STELE_OK && !ended) {
        status = read_import_batch(&importer);
        ended = status == STELE_DONE;
        if (status == STELE_OK || ended)
            status = store_import_batch(&importer);
    }
    if (status == STELE_OK)
        status = settle_import(&importer);
    if (status != STELE_OK && importer.import.atomic) {
        importer.imported.appended = 0;
        importer.imported.duplicates = 0;
    }
    if (imported_out != NULL)
        *imported_out = importer.imported;
    close_importer(&importer);
    stele__store_leave(store);
    return status;
}

/*
 * The note in the target: how far the copy has come, and what became of each position until there.
 * It is written in the transaction of each batch, so that it is never ahead of the events or behind
 * them, and is gone when the copy is finished.
 *
 * `copy` holds the uuid and epoch of the source and three numbers; `copy:` and the last position of
 * a batch holds where the batch began, here and there, and its runs as `OUTPUTSxPOSITIONS`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/bytes.h"
#include "copy/copy.h"
#include "store/notes.h"

#include <stele/eventstore.h>

#define COPY_NOTE      "copy"
#define COPY_MAP_FIRST "copy:"
#define COPY_MAP_END   "copy;"
#define COPY_NOTE_SIZE 160

static void write_copy_note(const stele__copy_note *note, char text_out[COPY_NOTE_SIZE])
{
    snprintf(text_out, COPY_NOTE_SIZE, "%s %s %" PRId64 " %" PRId64 " %" PRId64, note->source,
             note->epoch, note->after, note->through, note->head);
}

static bool take_note_uuid(const char **at, char uuid_out[37])
{
    if (strspn(*at, "0123456789abcdef-") != 36)
        return false;
    memcpy(uuid_out, *at, 36);
    uuid_out[36] = '\0';
    *at += 36;
    return true;
}

/* What write_copy_note() writes, and nothing else. */
static bool parse_copy_note(const char *text, stele__copy_note *note)
{
    return take_note_uuid(&text, note->source) && stele__take_text(&text, " ")
           && take_note_uuid(&text, note->epoch) && stele__take_text(&text, " ")
           && stele__take_number(&text, &note->after) && stele__take_text(&text, " ")
           && stele__take_number(&text, &note->through) && stele__take_text(&text, " ")
           && stele__take_number(&text, &note->head) && *text == '\0';
}

stele_status stele__copy_note_load(stele_transaction *transaction, stele__copy_note *note_out)
{
    stele__buffer text = { 0 };
    *note_out = (stele__copy_note){ 0 };
    stele_status status = stele__note_get(transaction, COPY_NOTE, &text);
    if (status == STELE_OK && !parse_copy_note(text.data, note_out))
        status = stele__fail(STELE_CORRUPT, "the row '%s' of meta is no note of a copy", COPY_NOTE);
    stele__buffer_dispose(&text);
    return status;
}

stele_status stele__copy_note_save(stele_transaction *transaction, const stele__copy_note *note)
{
    char text[COPY_NOTE_SIZE];
    write_copy_note(note, text);
    return stele__note_set(transaction, COPY_NOTE, text);
}

stele_status stele__copy_note_check(stele_transaction *transaction, const stele__copy_note *note)
{
    int64_t head = 0;
    char expected[COPY_NOTE_SIZE];
    stele__buffer text = { 0 };
    write_copy_note(note, expected);
    stele_status status = stele_transaction_head(transaction, &head);
    if (status == STELE_OK)
        status = stele__note_get(transaction, COPY_NOTE, &text);
    if (status == STELE_DONE || (status == STELE_OK && strcmp(text.data, expected) != 0))
        status = stele__fail(STELE_MISUSE, "another copy into it went on meanwhile");
    else if (status == STELE_OK && head != note->head)
        status = stele__fail(STELE_MISUSE,
                             "somebody else wrote to it: its head is %" PRId64
                             ", the copy's last event %" PRId64,
                             head, note->head);
    stele__buffer_dispose(&text);
    return status;
}

stele_status stele__copy_note_drop(stele_transaction *transaction)
{
    return stele__notes_drop(transaction, COPY_NOTE, COPY_MAP_END);
}

/* --- The map --- */

stele_status stele__copy_map_save(stele_transaction *transaction, const stele__copy_note *note,
                                  const stele__copy_batch *batch)
{
    char key[64];
    char part[64];
    stele__buffer text = { 0 };
    snprintf(key, sizeof(key), COPY_MAP_FIRST "%019" PRId64, batch->through);
    snprintf(part, sizeof(part), "%" PRId64 " %" PRId64, note->through, note->head);
    stele_status status = stele__buffer_add_text(&text, part);
    for (size_t i = 0; i < batch->run_count && status == STELE_OK; i++) {
        snprintf(part, sizeof(part), " %" PRId64 "x%" PRId64, batch->runs[i].outputs,
                 batch->runs[i].positions);
        status = stele__buffer_add_text(&text, part);
    }
    if (status == STELE_OK)
        status = stele__buffer_add(&text, "", 1);
    if (status == STELE_OK)
        status = stele__note_set(transaction, key, text.data);
    stele__buffer_dispose(&text);
    return status;
}

/* Whether it is one that a copy until `through` and `head` can have written, so that its numbers
 * can be counted with. */
static bool is_copy_stretch(const stele__copy_stretch *stretch, const stele__copy_note *note)
{
    const stele__copied_run *run = &stretch->run;
    return stretch->after >= note->after && stretch->after < note->through && stretch->head >= 0
           && stretch->head <= note->head && run->positions > 0
           && run->positions <= note->through - stretch->after && run->outputs >= 0
           && run->outputs <= (note->head - stretch->head) / run->positions;
}

/* One row of the map, run by run. A checksum is no secret: anybody may have written it. */
static stele_status visit_copy_row(const char *text, const stele__copy_note *note,
                                   stele_status (*visit)(void *context,
                                                         const stele__copy_stretch *stretch),
                                   void *context)
{
    char *at = NULL;
    stele_status status = STELE_OK;
    stele__copy_stretch stretch = { .after = strtoll(text, &at, 10) };
    stretch.head = strtoll(at, &at, 10);
    while (status == STELE_OK && *at == ' ') {
        stretch.run.outputs = strtoll(at, &at, 10);
        stretch.run.positions = *at == 'x' ? strtoll(at + 1, &at, 10) : 0;
        if (!is_copy_stretch(&stretch, note))
            return stele__fail(STELE_CORRUPT,
                               "the map of the copy is none, after position %" PRId64,
                               stretch.after);
        status = visit(context, &stretch);
        stretch.after += stretch.run.positions;
        stretch.head += stretch.run.positions * stretch.run.outputs;
    }
    return status;
}

stele_status stele__copy_map_visit(stele_store *target, const stele__copy_note *note,
                                   stele_status (*visit)(void *context,
                                                         const stele__copy_stretch *stretch),
                                   void *context)
{
    stele__buffer key = { 0 };
    stele__buffer text = { 0 };
    stele_status status =
        stele__buffer_add(&key, COPY_MAP_FIRST, sizeof(COPY_MAP_FIRST)); /* and its NUL */
    while (status == STELE_OK) {
        status = stele__note_next(target, COPY_MAP_END, &key, &text);
        if (status == STELE_OK)
            status = visit_copy_row(text.data, note, visit, context);
    }
    stele__buffer_dispose(&key);
    stele__buffer_dispose(&text);
    return status == STELE_DONE ? STELE_OK : status;
}

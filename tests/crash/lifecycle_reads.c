/* What readers see of two stores after a power cut, one of them the other's archive. */
#include "crash/lifecycle_trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool lifecycle_is_there(const lifecycle_trial *at, const lifecycle_event *event)
{
    return lifecycle_state_after(at->model, event->stream, at->count) != LIFECYCLE_DELETED;
}

static bool same_bytes(const void *left, size_t left_size, const void *right, size_t right_size)
{
    return left_size == right_size && (left_size == 0 || memcmp(left, right, left_size) == 0);
}

static bool same_text(const char *left, const char *right)
{
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

static void compare_record(lifecycle_trial *at, const lifecycle_event *event,
                           const stele_record *record, const char *when)
{
    const stele_event *content = &event->content;
    const char *name = at->model->streams[event->stream].name;
    if (record->version != event->version || !same_text(record->stream, name)
        || !same_text(record->type, content->type)
        || !same_text(record->codec, content->codec != NULL ? content->codec : "json")
        || !same_text(record->idempotency_key, event->key)
        || record->schema_version != content->schema_version
        || record->has_occurred_at != content->has_occurred_at
        || record->occurred_at != content->occurred_at
        || !same_bytes(record->data, record->data_size, content->data, content->data_size)
        || !same_bytes(record->metadata, record->metadata_size, content->metadata,
                       content->metadata_size))
        verdict_break(&at->found,
                      "%s: position %" PRId64 " is %s version %" PRId64 " (%zu bytes), not %s"
                      " version %" PRId64 " (%zu bytes)",
                      when, record->position, record->stream, record->version, record->data_size,
                      name, event->version, content->data_size);
}

static void lose(lifecycle_trial *at, const lifecycle_event *event, const char *when)
{
    if (at->found.lost++ == 0 && !at->found.broken)
        snprintf(at->found.reason, sizeof(at->found.reason),
                 "%s: position %" PRId64 ", version %" PRId64 " of %s, can't be read", when,
                 event->position, event->version, at->model->streams[event->stream].name);
}

/* The next event that a reader has to be given. */
static size_t pass_over(const lifecycle_trial *at, size_t next)
{
    const lifecycle_model *model = at->model;
    while (next < model->event_count && model->events[next].position <= at->head
           && !lifecycle_is_there(at, &model->events[next]))
        next++;
    return next;
}

static size_t count_erased(const lifecycle_trial *at)
{
    size_t count = 0;
    for (size_t i = 0; i < at->model->event_count; i++)
        count += at->model->events[i].position <= at->head
                 && !lifecycle_is_there(at, &at->model->events[i]);
    return count;
}

void lifecycle_read_all(lifecycle_trial *at, const char *when)
{
    const lifecycle_model *model = at->model;
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    read.page_count_max = 10;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    size_t next = 0;
    stele_status status = stele_store_read(at->store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        for (next = pass_over(at, next);
             next < model->event_count && model->events[next].position < record->position;
             next = pass_over(at, next + 1))
            lose(at, &model->events[next], when);
        if (next == model->event_count || model->events[next].position != record->position) {
            verdict_break(&at->found,
                          "%s: position %" PRId64 " is read, and was deleted or never written"
                          " or read before",
                          when, record->position);
            break;
        }
        compare_record(at, &model->events[next++], record, when);
    }
    stele_skipped skipped = stele_cursor_skipped(cursor);
    stele_cursor_close(cursor);
    if (status < 0)
        verdict_break_status(&at->found, when, status);
    if (status != STELE_DONE)
        return;
    for (next = pass_over(at, next);
         next < model->event_count && model->events[next].position <= at->head;
         next = pass_over(at, next + 1))
        lose(at, &model->events[next], when);
    if (skipped.archived != 0 || skipped.erased != (int64_t)count_erased(at))
        verdict_break(&at->found,
                      "%s: %" PRId64 " archived and %" PRId64 " erased events were passed over,"
                      " not 0 and %zu",
                      when, skipped.archived, skipped.erased, count_erased(at));
}

void lifecycle_judge_tail(lifecycle_trial *at)
{
    const lifecycle_model *model = at->model;
    int64_t acked_head = lifecycle_head_after(model, at->acked);
    for (size_t i = 0; i < model->event_count; i++) {
        const lifecycle_event *event = &model->events[i];
        at->found.kept += event->position > acked_head && event->position <= at->head;
        if (event->position > acked_head || event->position <= at->head)
            continue;
        lose(at, event, "the tail");
        for (size_t change = 0; change < at->acked; change++)
            if (model->changes[change].stream == event->stream
                && model->changes[change].state == LIFECYCLE_MOVED
                && model->changes[change].head > event->position)
                verdict_break(&at->found, "position %" PRId64 " of an archived stream is lost",
                              event->position);
    }
}

void lifecycle_read_stream(lifecycle_trial *at, const char *name, int64_t version)
{
    stele_read read = STELE_READ_INIT;
    read.stream = name;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    int64_t last = 0;
    stele_status status = stele_store_read(at->store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        last += record->version == last + 1;
    stele_cursor_close(cursor);
    if (status != STELE_DONE)
        verdict_break_status(&at->found, name, status);
    else if (last != version)
        verdict_break(&at->found, "%s reads up to version %" PRId64 ", not %" PRId64, name, last,
                      version);
}

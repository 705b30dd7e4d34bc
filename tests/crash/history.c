#include "crash/history.h"

#include "crash/recorder.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *resize(void *memory, size_t count, size_t size)
{
    void *resized = realloc(memory, count > 0 ? count * size : 1);
    if (resized == NULL) {
        perror("history");
        abort();
    }
    return resized;
}

static void *copy_bytes(const void *bytes, size_t size)
{
    unsigned char *copy = resize(NULL, size + 1, 1);
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

static char *copy_text(const char *text)
{
    return text == NULL ? NULL : copy_bytes(text, strlen(text));
}

void history_init(history *past)
{
    *past = (history){ .opened_at = SIZE_MAX };
    pthread_mutex_init(&past->mutex, NULL);
}

static void forget_events(history *past, size_t left)
{
    for (size_t i = left; i < past->event_count; i++) {
        free(past->events[i].stream);
        free(past->events[i].type);
        free(past->events[i].key);
        free(past->events[i].data);
    }
    past->event_count = left < past->event_count ? left : past->event_count;
}

void history_dispose(history *past)
{
    forget_events(past, 0);
    free(past->events);
    free(past->units);
    free(past->closings);
    pthread_mutex_destroy(&past->mutex);
}

void history_note_open(history *past, stele_store *store)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    if (stele_store_describe(store, &info) != STELE_OK)
        return;
    pthread_mutex_lock(&past->mutex);
    memcpy(past->epoch, info.epoch, sizeof(past->epoch));
    if (past->opened_at == SIZE_MAX)
        past->opened_at = recorder_now();
    pthread_mutex_unlock(&past->mutex);
}

static void note_events(history *past, const stele_append *append, const stele_appended *appended)
{
    size_t end = (size_t)appended->last_position;
    if (end > past->event_count) {
        past->events = resize(past->events, end, sizeof(*past->events));
        memset(past->events + past->event_count, 0,
               (end - past->event_count) * sizeof(*past->events));
        past->event_count = end;
    }
    for (size_t i = 0; i < append->event_count; i++) {
        const stele_event *event = &append->events[i];
        past->events[(size_t)appended->first_position - 1 + i] = (history_event){
            .stream = copy_text(append->stream),
            .type = copy_text(event->type),
            .key = i == 0 ? copy_text(append->idempotency_key) : NULL,
            .data = copy_bytes(event->data, event->data_size),
            .size = event->data_size,
            .version = appended->stream_version - (int64_t)(append->event_count - 1 - i),
            .append_size = i == 0 ? append->event_count : 0,
        };
    }
}

void history_note(history *past, size_t begun_at, const stele_append *appends,
                  const stele_appended *appended, size_t count)
{
    history_unit unit = { .begun_at = begun_at, .acked_at = recorder_now() };
    pthread_mutex_lock(&past->mutex);
    for (size_t i = 0; i < count; i++) {
        if (appended[i].duplicate || appended[i].last_position == 0)
            continue;
        note_events(past, &appends[i], &appended[i]);
        if (unit.first_position == 0)
            unit.first_position = appended[i].first_position;
        unit.last_position = appended[i].last_position;
    }
    if (unit.last_position > 0) {
        past->units = resize(past->units, past->unit_count + 1, sizeof(*past->units));
        past->units[past->unit_count++] = unit;
    }
    pthread_mutex_unlock(&past->mutex);
}

stele_status history_append(history *past, stele_store *store, const stele_append *appends,
                            size_t count)
{
    size_t begun_at = recorder_now();
    stele_appended *appended = resize(NULL, count, sizeof(*appended));
    stele_status status = count == 1
                              ? stele_store_append(store, appends, appended)
                              : stele_store_append_many(store, appends, count, appended, NULL);
    if (status == STELE_OK)
        history_note(past, begun_at, appends, appended, count);
    free(appended);
    return status;
}

void history_close(history *past, stele_store *store)
{
    history_closing closing = { .begun_at = recorder_now() };
    stele_store_close(store);
    closing.ended_at = recorder_now();
    past->closings = resize(past->closings, past->closing_count + 1, sizeof(*past->closings));
    past->closings[past->closing_count++] = closing;
}

static int compare_units(const void *left, const void *right)
{
    int64_t a = ((const history_unit *)left)->first_position;
    int64_t b = ((const history_unit *)right)->first_position;
    return (a > b) - (a < b);
}

bool history_settle(history *past)
{
    if (past->unit_count > 0)
        qsort(past->units, past->unit_count, sizeof(*past->units), compare_units);
    int64_t next = past->base_head + 1;
    for (size_t i = 0; i < past->unit_count; i++) {
        if (past->units[i].first_position != next)
            return false;
        next = past->units[i].last_position + 1;
    }
    return (size_t)(next - 1) == past->event_count;
}

void history_rebase(history *past, int64_t head)
{
    forget_events(past, (size_t)head);
    past->unit_count = 0;
    past->closing_count = 0;
    past->base_head = head;
    past->opened_at = SIZE_MAX; /* what was cut early is created again */
}

int64_t history_version(const history *past, const char *stream, int64_t head)
{
    for (int64_t at = head; at > 0; at--)
        if (strcmp(past->events[at - 1].stream, stream) == 0)
            return past->events[at - 1].version;
    return 0;
}

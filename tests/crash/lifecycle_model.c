#include "crash/lifecycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *resize(void *memory, size_t count, size_t size)
{
    void *resized = realloc(memory, count > 0 ? count * size : 1);
    if (resized == NULL) {
        perror("lifecycle model");
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

lifecycle_model *lifecycle_model_create(void)
{
    lifecycle_model *model = resize(NULL, 1, sizeof(*model));
    *model = (lifecycle_model){ 0 };
    return model;
}

static void forget_events(lifecycle_model *model, size_t left)
{
    for (size_t i = left; i < model->event_count; i++) {
        lifecycle_event *event = &model->events[i];
        free(event->key);
        free((void *)(uintptr_t)event->content.type);
        free((void *)(uintptr_t)event->content.data);
        free((void *)(uintptr_t)event->content.metadata);
        free((void *)(uintptr_t)event->content.codec);
    }
    model->event_count = left;
}

void lifecycle_model_dispose(lifecycle_model *model)
{
    if (model == NULL)
        return;
    forget_events(model, 0);
    free(model->events);
    free(model->streams);
    free(model->changes);
    free(model);
}

size_t lifecycle_stream_named(lifecycle_model *model, const char *name)
{
    for (size_t i = 0; i < model->stream_count; i++)
        if (strcmp(model->streams[i].name, name) == 0
            && lifecycle_state_after(model, i, model->change_count) != LIFECYCLE_DELETED)
            return i;
    model->streams = resize(model->streams, model->stream_count + 1, sizeof(*model->streams));
    lifecycle_stream *added = &model->streams[model->stream_count];
    snprintf(added->name, sizeof(added->name), "%s", name);
    return model->stream_count++;
}

lifecycle_state lifecycle_state_after(const lifecycle_model *model, size_t stream, size_t count)
{
    for (size_t i = count; i > 0; i--)
        if (model->changes[i - 1].stream == stream)
            return model->changes[i - 1].state;
    return LIFECYCLE_NONE;
}

int64_t lifecycle_version_at(const lifecycle_model *model, size_t stream, int64_t head)
{
    for (size_t i = model->event_count; i > 0; i--)
        if (model->events[i - 1].stream == stream && model->events[i - 1].position <= head)
            return model->events[i - 1].version;
    return 0;
}

int64_t lifecycle_head_after(const lifecycle_model *model, size_t count)
{
    return count > 0 ? model->changes[count - 1].head : 0;
}

size_t lifecycle_count_at(const lifecycle_model *model, int64_t head)
{
    for (size_t count = 0; count <= model->change_count; count++)
        if (lifecycle_head_after(model, count) == head)
            return count;
    return model->change_count + 1;
}

void lifecycle_note_append(lifecycle_model *model, size_t stream, const stele_append *append,
                           const stele_appended *appended)
{
    size_t count = append->event_count;
    model->events = resize(model->events, model->event_count + count, sizeof(*model->events));
    for (size_t i = 0; i < count; i++) {
        stele_event content = append->events[i];
        content.type = copy_text(content.type);
        content.data = copy_bytes(content.data, content.data_size);
        content.metadata = copy_bytes(content.metadata, content.metadata_size);
        content.codec = copy_text(content.codec);
        model->events[model->event_count++] = (lifecycle_event){
            .position = appended->first_position + (int64_t)i,
            .version = appended->stream_version - (int64_t)(count - 1 - i),
            .number = model->next_number - (int64_t)(count - 1 - i),
            .stream = stream,
            .append_size = i == 0 ? count : 0,
            .key = i == 0 ? copy_text(append->idempotency_key) : NULL,
            .content = content,
        };
    }
}

void lifecycle_note_change(lifecycle_model *model, lifecycle_change change)
{
    /* Else the head wouldn't tell how many there were. */
    if (change.head <= lifecycle_head_after(model, model->change_count)) {
        fprintf(stderr, "a change of stream %zu left the head where it was\n", change.stream);
        abort();
    }
    model->changes = resize(model->changes, model->change_count + 1, sizeof(*model->changes));
    model->changes[model->change_count++] = change;
}

void lifecycle_keep(lifecycle_model *model, size_t count)
{
    int64_t head = lifecycle_head_after(model, count);
    size_t events = 0;
    while (events < model->event_count && model->events[events].position <= head)
        events++;
    forget_events(model, events);
    model->change_count = count;
    for (size_t i = 0; i < count; i++)
        model->changes[i].begun_at = model->changes[i].acked_at = 0;
    /* Streams of none of the changes that are left were never there. They come last. */
    while (model->stream_count > 0
           && lifecycle_state_after(model, model->stream_count - 1, count) == LIFECYCLE_NONE)
        model->stream_count--;
}

int64_t lifecycle_read_mark(const char *at, const char *end)
{
    if (end - at < LIFECYCLE_MARK_SIZE || at[LIFECYCLE_MARK_SIZE - 1] != '~')
        return -1;
    int64_t number = 0;
    for (int i = 1; i < LIFECYCLE_MARK_SIZE - 1; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        number = number * 10 + (at[i] - '0');
    }
    return number;
}

/* What lies in the files of two stores, asked without the library. */
#include "crash/lifecycle.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For each position: payloads found in events, and in kept_events. */
typedef struct places {
    int64_t head; /* positions up to here are counted */
    int *here;
    int *kept;
    int64_t husk_head; /* rows there are in events */
    int64_t names;     /* in the archive, of streams that it has nothing of */
} places;

static void ask(const char *folder, const char *name, const char *sql, places *counted,
                void (*row)(places *counted, int64_t position, bool payload), verdict *found)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    sqlite3 *plain = NULL;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_open_v2(path, &plain, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(plain, sql, -1, &statement, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        row(counted, sqlite3_column_int64(statement, 0), sqlite3_column_int(statement, 1) != 0);
        code = SQLITE_OK;
    }
    if (code != SQLITE_DONE)
        verdict_break(found, "plain SQLite with %s: %s", name, sqlite3_errmsg(plain));
    sqlite3_finalize(statement);
    sqlite3_close(plain);
}

static void count_here(places *counted, int64_t position, bool payload)
{
    counted->husk_head += position == counted->husk_head + 1;
    if (position > 0 && position <= counted->head)
        counted->here[position] += payload;
}

static void count_kept(places *counted, int64_t position, bool payload)
{
    if (position > 0 && position <= counted->head)
        counted->kept[position] += payload;
}

/* A move that never began here, but is known there. */
static void count_names(places *counted, int64_t rows, bool named)
{
    (void)rows;
    counted->names += named;
}

static void judge_place(const places *counted, const lifecycle_event *event, lifecycle_state state,
                        verdict *found)
{
    int here = counted->here[event->position];
    int kept = counted->kept[event->position];
    int wanted_here = state != LIFECYCLE_DELETED && state != LIFECYCLE_MOVED;
    int wanted_kept = state == LIFECYCLE_MOVED;
    if (here == wanted_here && kept == wanted_kept)
        return;
    found->doubled += here + kept > 1 && state != LIFECYCLE_DELETED;
    found->lost += here + kept == 0;
    verdict_break(found,
                  "the payload of position %" PRId64 " is %d times in the store and %d times in the"
                  " archive, in state %d",
                  event->position, here, kept, state);
}

static places count_places(int64_t head, const char *folder, verdict *found)
{
    places counted = { .head = head };
    counted.here = calloc((size_t)head + 1, sizeof(int));
    counted.kept = calloc((size_t)head + 1, sizeof(int));
    if (counted.here == NULL || counted.kept == NULL)
        abort();
    ask(folder, "store.db", "SELECT position, data IS NOT NULL FROM events ORDER BY position",
        &counted, count_here, found);
    ask(folder, "archive.db", "SELECT position, data IS NOT NULL FROM kept_events", &counted,
        count_kept, found);
    return counted;
}

void lifecycle_judge_places(const lifecycle_model *model, size_t count, const char *folder,
                            verdict *found)
{
    places counted = count_places(lifecycle_head_after(model, count), folder, found);
    ask(folder, "archive.db",
        "SELECT 1, name <> '' FROM kept_streams k WHERE NOT EXISTS"
        " (SELECT 1 FROM kept_events e WHERE e.kept_stream = k.id)",
        &counted, count_names, found);
    if (counted.names > 0)
        verdict_break(found, "the archive has %" PRId64 " names of streams that it has nothing of",
                      counted.names);
    if (counted.husk_head < counted.head)
        verdict_break(found, "there is no row for position %" PRId64, counted.husk_head + 1);
    for (size_t i = 0; i < model->event_count; i++)
        if (model->events[i].position <= counted.head)
            judge_place(&counted, &model->events[i],
                        lifecycle_state_after(model, model->events[i].stream, count), found);
    free(counted.here);
    free(counted.kept);
}

int64_t lifecycle_count_lost(const lifecycle_model *model, size_t acked, size_t begun,
                             const char *folder)
{
    verdict unreadable = { 0 };
    int64_t lost = 0;
    places counted = count_places(lifecycle_head_after(model, acked), folder, &unreadable);
    for (size_t i = 0; i < model->event_count; i++) {
        const lifecycle_event *event = &model->events[i];
        if (event->position <= counted.head && counted.here[event->position] == 0
            && counted.kept[event->position] == 0
            && lifecycle_state_after(model, event->stream, begun) != LIFECYCLE_DELETED)
            lost++;
    }
    free(counted.here);
    free(counted.kept);
    return lost;
}

/* --- Remains --- */

static char *read_file(const char *folder, const char *name, size_t *size_out)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    *size_out = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    fseek(file, 0, SEEK_END);
    *size_out = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size_out + 1);
    if (bytes == NULL || fread(bytes, 1, *size_out, file) != *size_out)
        abort();
    fclose(file);
    return bytes;
}

static bool is_deleted(const lifecycle_model *model, size_t stream, size_t count)
{
    return lifecycle_state_after(model, stream, count) == LIFECYCLE_DELETED;
}

/* By number: marks in payloads, names and reasons of deleted streams. The caller frees them. */
static bool *find_erased(const lifecycle_model *model, size_t count)
{
    bool *erased = calloc((size_t)model->next_number + 1, sizeof(*erased));
    if (erased == NULL)
        abort();
    for (size_t i = 0; i < model->event_count; i++)
        erased[model->events[i].number] |= is_deleted(model, model->events[i].stream, count);
    for (size_t i = 0; i < count; i++)
        erased[model->changes[i].reason] |= is_deleted(model, model->changes[i].stream, count);
    for (size_t i = 0; i < model->stream_count; i++) {
        const char *name = model->streams[i].name;
        const char *mark = strchr(name, '~');
        if (mark != NULL)
            erased[lifecycle_read_mark(mark, name + strlen(name))] |= is_deleted(model, i, count);
    }
    return erased;
}

void lifecycle_judge_remains(const lifecycle_model *model, size_t count, const char *folder,
                             verdict *found)
{
    static const char *const names[] = { "store.db", "store.db-wal", "archive.db",
                                         "archive.db-wal" };
    bool *erased = find_erased(model, count);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !found->broken; i++) {
        size_t size = 0;
        char *bytes = read_file(folder, names[i], &size);
        const char *end = bytes + size;
        for (const char *at = bytes; at != NULL && at < end && !found->broken;
             at = memchr(at + 1, '~', (size_t)(end - at - 1))) {
            int64_t number = *at == '~' ? lifecycle_read_mark(at, end) : -1;
            if (number > 0 && number <= model->next_number && erased[number])
                verdict_break(found, "%s still holds mark %" PRId64 ", which was deleted", names[i],
                              number);
        }
        free(bytes);
    }
    free(erased);
}

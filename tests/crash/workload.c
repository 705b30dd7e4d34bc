/* What workloads are made of: opening, appending what is always new, moving the WAL. */
#include "crash/harness.h"

#include <stele/submit.h>

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APPENDS_MAX 4
#define EVENTS_MAX  6
#define DATA_MAX    9000

/* One append with all that its pointers point to. */
typedef struct made_append {
    stele_event events[EVENTS_MAX];
    char data[EVENTS_MAX][DATA_MAX + 64];
    char stream[64];
    char key[64];
} made_append;

stele_store *crash_open(crash_run *run)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = run->workload->durability;
    options.wal_soft_pages = 8;
    options.anchor_interval_ms = 0; /* at each commit: no cut may make it say too much */
    stele_store *store = NULL;
    stele_status status = stele_store_open(run->path, &options, &store);
    if (status != STELE_OK)
        ck_abort_msg("%s: opening: %s", run->workload->name, stele_error_text());
    history_note_open(&run->past, store);
    return store;
}

void crash_close(crash_run *run, stele_store *store)
{
    history_close(&run->past, store);
}

/* A number that no other event of this run has. */
static int64_t take_number(crash_run *run)
{
    pthread_mutex_lock(&run->past.mutex);
    int64_t number = ++run->next_event;
    pthread_mutex_unlock(&run->past.mutex);
    return number;
}

/* Mostly small, now and then of several pages. */
static size_t choose_size(random_source *random)
{
    return (size_t)(random_chance(random, 1, 16) ? random_below(random, DATA_MAX)
                                                 : random_below(random, 300));
}

static void make_event(crash_run *run, random_source *random, stele_event *event, char *data)
{
    static const char *const types[] = { "opened", "deposited", "withdrawn", "closed" };
    int length = snprintf(data, 64, "{\"life\":%u,\"n\":%" PRId64 ",\"fill\":\"", run->life,
                          take_number(run));
    size_t size = choose_size(random);
    memset(data + length, 'a' + (int)random_below(random, 26), size);
    memcpy(data + length + size, "\"}", 3);
    *event = (stele_event){ 0 };
    event->type = types[random_below(random, 4)];
    event->data = data;
    event->data_size = (size_t)length + size + 2;
}

static stele_append make_append(crash_run *run, random_source *random, unsigned lane, unsigned ways,
                                made_append *made)
{
    stele_append append = STELE_APPEND_INIT;
    snprintf(made->stream, sizeof(made->stream), "account-%u-%" PRIu64, lane,
             random_below(random, 6));
    append.stream = made->stream;
    append.events = made->events;
    append.event_count = 1;
    if ((ways & CRASH_BATCHES) != 0 && random_chance(random, 1, 3))
        append.event_count += (size_t)random_below(random, EVENTS_MAX);
    for (size_t i = 0; i < append.event_count; i++)
        make_event(run, random, &made->events[i], made->data[i]);
    if ((ways & CRASH_KEYS) != 0 && random_chance(random, 1, 2)) {
        snprintf(made->key, sizeof(made->key), "key-%" PRId64, take_number(run));
        append.idempotency_key = made->key;
    }
    return append;
}

stele_status crash_append(crash_run *run, stele_store *store, random_source *random, unsigned lane,
                          unsigned ways)
{
    stele_append appends[APPENDS_MAX];
    size_t count = 1;
    if ((ways & CRASH_MANY) != 0 && random_chance(random, 1, 3))
        count += (size_t)random_below(random, APPENDS_MAX);
    made_append *made = calloc(count, sizeof(*made));
    if (made == NULL)
        return STELE_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        appends[i] = make_append(run, random, lane, ways, &made[i]);
    stele_status status = history_append(&run->past, store, appends, count);
    free(made);
    return status;
}

/* A submission that was not told of yet. */
typedef struct submission {
    crash_run *run;
    size_t begun_at;
    stele_append append;
    made_append made;
} submission;

static void note_verdict(void *context, const stele_verdict *told)
{
    submission *own = context;
    if (told->status != STELE_OK)
        ck_abort_msg("%s: a verdict: %s", own->run->workload->name, told->error);
    history_note(&own->run->past, own->begun_at, &own->append, &told->appended, 1);
    free(own);
}

stele_status crash_submit(crash_run *run, stele_store *store, random_source *random, unsigned ways)
{
    submission *own = calloc(1, sizeof(*own));
    if (own == NULL)
        return STELE_NO_MEMORY;
    own->run = run;
    own->append = make_append(run, random, 0, ways, &own->made);
    own->begun_at = recorder_now();
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = note_verdict;
    submit.context = own;
    return stele_store_submit(store, &own->append, &submit, NULL);
}

void crash_append_and_transfer(crash_run *run, stele_store *store, unsigned count, unsigned ways)
{
    for (unsigned i = 0; i < count; i++) {
        stele_status status = crash_append(run, store, &run->random, 0, ways);
        if (status == STELE_OK && random_chance(&run->random, 1, 20))
            status = stele_store_transfer(store, NULL, NULL);
        if (status != STELE_OK)
            ck_abort_msg("%s: %s", run->workload->name, stele_error_text());
    }
}

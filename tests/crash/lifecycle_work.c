/* What is done to the two stores before the power fails. */
#include "crash/lifecycle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS     6
#define EVENTS_MAX  5
#define DATA_MAX    14000 /* more than three pages */
#define CHANGES     70
#define STEP_EVENTS 3

/* The two stores at work, and the model of them. */
typedef struct pair {
    crash_run *run;
    random_source *random;
    lifecycle_model *model;
    stele_store *store;
    stele_store *archive;
    uint32_t step_count; /* of events; 0: a few, at random */
    int64_t reason;      /* the number of the mark in that of the change in progress */
} pair;

/* One append with all that its pointers point to. */
typedef struct made_append {
    stele_event events[EVENTS_MAX];
    char data[EVENTS_MAX][DATA_MAX + 128];
    char metadata[EVENTS_MAX][64];
    char key[32];
} made_append;

static void require(const pair *stores, const char *doing, stele_status status)
{
    if (status != STELE_OK)
        ck_abort_msg("%s: %s: %s: %s", stores->run->workload->name, doing,
                     stele_status_name(status), stele_error_text());
}

static void write_mark(char text[32], int64_t number)
{
    snprintf(text, 32, "~%010" PRId64 "~", number);
}

/* --- Appending --- */

/* The mark over and over, so that each remain of it on a disk can be told. */
static size_t fill_marks(char *text, size_t size, int64_t number)
{
    char mark[32];
    write_mark(mark, number);
    size_t used = 0;
    for (; used < size; used += LIFECYCLE_MARK_SIZE)
        memcpy(text + used, mark, LIFECYCLE_MARK_SIZE);
    return used;
}

/* A CBOR text string of marks. */
static size_t fill_cbor(char *bytes, size_t size, int64_t number)
{
    size_t length = fill_marks(bytes + 3, size, number);
    bytes[0] = 0x79;
    bytes[1] = (char)(length >> 8);
    bytes[2] = (char)(length & 0xff);
    /* The shortest head is the one that a strict reader wants. */
    if (length > 255)
        return length + 3;
    memmove(bytes + 2, bytes + 3, length);
    bytes[0] = 0x78;
    bytes[1] = (char)length;
    return length + 2;
}

static size_t fill_json(char *text, size_t size, int64_t number)
{
    memcpy(text, "{\"mark\":\"", 9);
    size_t length = 9 + fill_marks(text + 9, size, number);
    memcpy(text + length, "\"}", 2);
    return length + 2;
}

/* Mostly small; now and then it takes overflow pages. */
static size_t choose_size(random_source *random)
{
    return 30
           + (size_t)(random_chance(random, 1, 6) ? random_below(random, DATA_MAX - 50)
                                                  : random_below(random, 400));
}

static void make_event(const pair *stores, made_append *made, size_t index)
{
    static const char *const types[] = { "opened", "deposited", "withdrawn", "closed" };
    random_source *random = stores->random;
    int64_t number = ++stores->model->next_number;
    size_t size = choose_size(random);
    stele_event *event = &made->events[index];
    *event = (stele_event){ 0 };
    event->type = types[random_below(random, 4)];
    event->data = made->data[index];
    event->schema_version = 1 + (int64_t)random_below(random, 3);
    uint64_t codec = random_below(random, 6);
    if (codec == 0) {
        event->codec = "cbor";
        event->data_size = fill_cbor(made->data[index], size, number);
    } else if (codec == 1) {
        event->codec = "marks";
        event->data_size = fill_marks(made->data[index], size, number);
        made->data[index][0] = '\0';
    } else {
        event->data_size = fill_json(made->data[index], size, number);
    }
    if (random_chance(random, 1, 3)) {
        event->metadata = made->metadata[index];
        event->metadata_size = fill_json(made->metadata[index], 20, number);
    }
    if (random_chance(random, 1, 4)) {
        event->has_occurred_at = true;
        event->occurred_at = number * 1000;
    }
}

static void append_some(pair *stores, const char *name, size_t count)
{
    made_append *made = calloc(1, sizeof(*made));
    ck_assert_ptr_nonnull(made);
    stele_append append = STELE_APPEND_INIT;
    append.stream = name;
    append.events = made->events;
    append.event_count = count;
    for (size_t i = 0; i < append.event_count; i++)
        make_event(stores, made, i);
    if (random_chance(stores->random, 1, 3)) {
        snprintf(made->key, sizeof(made->key), "key-%" PRId64, stores->model->next_number);
        append.idempotency_key = made->key;
    }
    stele_appended appended = { 0 };
    lifecycle_change change = { .state = LIFECYCLE_ACTIVE, .begun_at = recorder_now() };
    require(stores, "appending", stele_store_append(stores->store, &append, &appended));
    change.acked_at = recorder_now();
    change.stream = lifecycle_stream_named(stores->model, name);
    change.head = appended.last_position;
    lifecycle_note_append(stores->model, change.stream, &append, &appended);
    lifecycle_note_change(stores->model, change);
    free(made);
}

/* --- Changing --- */

/* Ends work after some steps. */
static int count_down(void *context, const stele_progress *progress)
{
    (void)progress;
    return --*(int *)context <= 0;
}

static void note(pair *stores, const char *name, lifecycle_state state, size_t begun_at)
{
    lifecycle_change change = {
        .state = state, .reason = stores->reason, .begun_at = begun_at, .acked_at = recorder_now()
    };
    change.stream = lifecycle_stream_named(stores->model, name);
    require(stores, "asking for the head", stele_store_head(stores->store, &change.head));
    lifecycle_note_change(stores->model, change);
}

static void finish(pair *stores, const stele_work *work)
{
    stele_resume resume = STELE_RESUME_INIT;
    resume.archive = stores->archive;
    resume.work = work;
    require(stores, "resuming", stele_store_resume(stores->store, &resume, NULL));
}

/* One call, by its kind. */
static stele_status try_change(pair *stores, const char *name, lifecycle_state state,
                               const stele_work *work, stele_changed *changed_out)
{
    char reason[32];
    write_mark(reason, stores->reason);
    if (state == LIFECYCLE_MOVED || state == LIFECYCLE_IN_PLACE) {
        stele_archive archive = STELE_ARCHIVE_INIT;
        archive.stream = name;
        archive.to = state == LIFECYCLE_MOVED ? stores->archive : NULL;
        archive.reason = reason;
        archive.work = work;
        return stele_store_archive(stores->store, &archive, changed_out);
    }
    if (state == LIFECYCLE_ACTIVE) {
        stele_restore restore = STELE_RESTORE_INIT;
        restore.stream = name;
        restore.from = random_chance(stores->random, 1, 2) ? stores->archive : NULL;
        restore.work = work;
        return stele_store_restore(stores->store, &restore, changed_out);
    }
    if (state == LIFECYCLE_DELETED) {
        stele_delete what = STELE_DELETE_INIT;
        what.stream = name;
        what.archive = random_chance(stores->random, 1, 2) ? stores->archive : NULL;
        what.now = random_chance(stores->random, 1, 6);
        what.work = work;
        return stele_store_delete(stores->store, &what, changed_out);
    }
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    tombstone.stream = name;
    tombstone.reason = reason;
    return stele_store_tombstone(stores->store, &tombstone, changed_out);
}

/* What needs no steps, inside a transaction. Deleting leaves the rest to the next resume. */
static void change_in_transaction(pair *stores, const char *name, lifecycle_state state)
{
    stele_transaction *transaction = NULL;
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = name;
    stele_delete what = STELE_DELETE_INIT;
    what.stream = name;
    what.leave_archived = true;
    stores->reason = 0;
    size_t begun_at = recorder_now();
    require(stores, "beginning", stele_transaction_begin(stores->store, &transaction));
    require(stores, "changing inside",
            state == LIFECYCLE_DELETED ? stele_transaction_delete(transaction, &what, NULL)
                                       : stele_transaction_archive(transaction, &archive, NULL));
    require(stores, "committing", stele_transaction_commit(transaction));
    stele_transaction_end(transaction);
    note(stores, name, state, begun_at);
}

/* Change `name` to `state`; now and then it is cancelled on the way, and finished later. */
static void change_state(pair *stores, const char *name, lifecycle_state state)
{
    int steps_left =
        random_chance(stores->random, 1, 4) ? 1 + (int)random_below(stores->random, 4) : INT32_MAX;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = stores->step_count > 0
                              ? stores->step_count
                              : 1 + (uint32_t)random_below(stores->random, STEP_EVENTS);
    work.progress = count_down;
    work.context = &steps_left;
    stele_changed changed = { 0 };
    stores->reason = ++stores->model->next_number;
    size_t begun_at = recorder_now();
    stele_status status = try_change(stores, name, state, &work, &changed);
    if (status != STELE_CANCELLED) {
        require(stores, "changing", status);
        note(stores, name, state, begun_at);
        return;
    }
    steps_left = INT32_MAX;
    if (changed.changed && state != LIFECYCLE_ACTIVE && random_chance(stores->random, 1, 2)) {
        /* It will be finished by the next call that resumes, or the next open. */
        note(stores, name, state, begun_at);
        return;
    }
    if (changed.changed)
        finish(stores, &work);
    else
        require(stores, "changing again", try_change(stores, name, state, &work, NULL));
    note(stores, name, state, begun_at);
}

static bool is_unfinished(const pair *stores, const char *name)
{
    stele_stream_info info;
    return stele_store_stream(stores->store, name, &info) == STELE_OK && info.unfinished;
}

/* What may come next for a stream in some state, in sixteenths. */
static lifecycle_state choose_state(random_source *random, lifecycle_state now)
{
    uint64_t chance = random_below(random, 16);
    switch (now) {
    case LIFECYCLE_ACTIVE:
        return chance < 7    ? LIFECYCLE_ACTIVE
               : chance < 12 ? LIFECYCLE_MOVED
               : chance < 13 ? LIFECYCLE_IN_PLACE
               : chance < 14 ? LIFECYCLE_TOMBSTONED
                             : LIFECYCLE_DELETED;
    case LIFECYCLE_IN_PLACE:
        return chance < 6 ? LIFECYCLE_ACTIVE : chance < 12 ? LIFECYCLE_MOVED : LIFECYCLE_DELETED;
    case LIFECYCLE_MOVED: return chance < 11 ? LIFECYCLE_ACTIVE : LIFECYCLE_DELETED;
    case LIFECYCLE_TOMBSTONED: return chance < 8 ? LIFECYCLE_TOMBSTONED : LIFECYCLE_DELETED;
    case LIFECYCLE_DELETED:
    case LIFECYCLE_NONE: break;
    }
    return LIFECYCLE_ACTIVE;
}

static void tidy(const pair *stores, stele_store *store)
{
    if (random_chance(stores->random, 1, 14))
        require(stores, "transferring", stele_store_transfer(store, NULL, NULL));
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 3;
    if (random_chance(stores->random, 1, 30))
        require(stores, "shrinking", stele_store_shrink(store, &work, NULL));
    if (random_chance(stores->random, 1, 60))
        require(stores, "scrubbing", stele_store_scrub(store, NULL));
}

/* One of a few streams. Some names come again after a deletion, others have a mark of their own, so
 * that they can be looked for. */
static void choose_name(pair *stores, char name[32])
{
    const lifecycle_model *model = stores->model;
    uint64_t chosen = random_below(stores->random, STREAMS);
    int length = snprintf(name, 32, "account-%" PRIu64, chosen);
    if (chosen % 2 == 0)
        return;
    for (size_t i = 0; i < model->stream_count; i++)
        if (strncmp(model->streams[i].name, name, (size_t)length) == 0
            && lifecycle_state_after(model, i, model->change_count) != LIFECYCLE_DELETED) {
            memcpy(name, model->streams[i].name, 32);
            return;
        }
    char mark[32];
    write_mark(mark, ++stores->model->next_number);
    memcpy(name + length, mark, LIFECYCLE_MARK_SIZE + 1);
}

static void do_something(pair *stores)
{
    char name[32];
    choose_name(stores, name);
    size_t stream = lifecycle_stream_named(stores->model, name);
    lifecycle_state now = lifecycle_state_after(stores->model, stream, stores->model->change_count);
    lifecycle_state next = choose_state(stores->random, now);
    if (now == LIFECYCLE_NONE || (now == LIFECYCLE_ACTIVE && next == LIFECYCLE_ACTIVE)) {
        append_some(stores, name, 1 + (size_t)random_below(stores->random, EVENTS_MAX));
    } else if (now != next) {
        if (is_unfinished(stores, name) && random_chance(stores->random, 1, 2))
            finish(stores, NULL);
        bool may_be_inside = next == LIFECYCLE_DELETED || next == LIFECYCLE_IN_PLACE;
        if (may_be_inside && random_chance(stores->random, 1, 4))
            change_in_transaction(stores, name, next);
        else
            change_state(stores, name, next);
    }
    tidy(stores, stores->store);
    tidy(stores, stores->archive);
}

/* In a second life there may be something to be resumed: by the open, or step by step. */
static void open_pair(pair *stores)
{
    crash_run *run = stores->run;
    char path[4096];
    snprintf(path, sizeof(path), "%.*s/archive.db", (int)(strrchr(run->path, '/') - run->path),
             run->path);
    bool by_steps = random_chance(stores->random, 1, 2);
    stele_options options = STELE_OPTIONS_INIT;
    options.wal_soft_pages = 8;
    options.anchor_interval_ms = 0;
    if (by_steps || run->life == 1)
        require(stores, path, stele_store_open(path, &options, &stores->archive));
    options.durability = run->workload->durability;
    options.no_resume = by_steps;
    require(stores, run->path, stele_store_open(run->path, &options, &stores->store));
    if (stores->archive == NULL) {
        options.durability = STELE_DURABILITY_FULL;
        require(stores, path, stele_store_open(path, &options, &stores->archive));
    }
    if (by_steps) {
        stele_work work = STELE_WORK_INIT;
        work.step_count_max = 1;
        finish(stores, &work);
    }
    require(stores, "attaching", stele_store_attach(stores->store, stores->archive));
}

static pair begin(crash_run *run)
{
    if (run->known == NULL)
        run->known = lifecycle_model_create();
    pair stores = { .run = run, .random = &run->random, .model = run->known };
    open_pair(&stores);
    return stores;
}

static void end(pair *stores)
{
    stele_store_close(stores->store);
    stele_store_close(stores->archive);
}

void lifecycle_work(crash_run *run)
{
    pair stores = begin(run);
    int changes = run->life == 1 ? CHANGES : CHANGES / 5;
    for (int i = 0; i < changes; i++)
        do_something(&stores);
    end(&stores);
}

size_t lifecycle_work_large(crash_run *run, size_t event_count, uint32_t step_count)
{
    static const lifecycle_state states[] = { LIFECYCLE_MOVED, LIFECYCLE_ACTIVE,
                                              LIFECYCLE_DELETED };
    pair stores = begin(run);
    stores.step_count = step_count;
    for (size_t i = 0; i < event_count; i += EVENTS_MAX) {
        append_some(&stores, "account-large", EVENTS_MAX);
        if (i % 8 == 0)
            append_some(&stores, "account-small", 1);
    }
    size_t appended_at = recorder_now();
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        change_state(&stores, "account-large", states[i]);
        append_some(&stores, "account-small", 1);
    }
    end(&stores);
    return appended_at;
}

void lifecycle_dispose(crash_run *run)
{
    lifecycle_model_dispose(run->known);
}

/* Judges two stores, one of them the other's archive, after a power cut. */
#include "crash/lifecycle_trial.h"
#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRIES 3

static void require(lifecycle_trial *at, const char *doing, stele_status status)
{
    if (status != STELE_OK)
        verdict_break_status(&at->found, doing, status);
}

/* --- Opening --- */

static stele_store *open_one(lifecycle_trial *at, const char *name, bool looking)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", at->folder, name);
    stele_options options = STELE_OPTIONS_INIT;
    if (strcmp(name, "store.db") == 0)
        options.durability = at->run->workload->durability;
    options.read_only = looking;
    options.no_resume = looking;
    stele_store *store = NULL;
    stele_status status = stele_store_open(path, &options, &store);
    /* Cut before the file was made, or before its tables were. */
    bool may_lack = looking && (status == STELE_NOT_FOUND || status == STELE_UNSUPPORTED)
                    && (at->acked == 0 || strcmp(name, "archive.db") == 0);
    if (!may_lack)
        require(at, name, status);
    return store;
}

static void close_both(lifecycle_trial *at)
{
    stele_store_close(at->store);
    stele_store_close(at->archive);
    at->store = at->archive = NULL;
}

/* --- Before anything is resumed --- */

/* As a reader sees it, who changes nothing: in the middle of a move, too. */
static void look_before(lifecycle_trial *at)
{
    at->archive = open_one(at, "archive.db", true);
    at->store = open_one(at, "store.db", true);
    if (at->store != NULL) {
        if (at->archive != NULL)
            require(at, "attaching for reading", stele_store_attach(at->store, at->archive));
        require(at, "asking for the head", stele_store_head(at->store, &at->head));
        at->count = 0;
        while (at->count < at->model->change_count
               && at->model->changes[at->count].head <= at->head)
            at->count++;
        lifecycle_read_all(at, "before resuming");
        stele_store_info info = STELE_STORE_INFO_INIT;
        require(at, "describing", stele_store_describe(at->store, &info));
        at->found.resumed = info.unfinished > 0;
    }
    close_both(at);
}

/* --- Afterwards --- */

/* Where the files lie as they were recorded, opening finishes everything by itself; elsewhere it
 * has to be told of the archive. */
static void open_and_resume(lifecycle_trial *at)
{
    bool at_home = strcmp(at->folder, test_path("disk")) == 0;
    at->store = open_one(at, "store.db", false);
    stele_store_info info = STELE_STORE_INFO_INIT;
    if (at->store != NULL && at_home) {
        require(at, "describing", stele_store_describe(at->store, &info));
        if (info.unfinished != 0)
            verdict_break(&at->found, "%" PRId64 " streams are unfinished after the open",
                          info.unfinished);
    }
    at->archive = open_one(at, "archive.db", false);
    if (at->store == NULL || at->archive == NULL)
        return;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 2;
    stele_resume resume = STELE_RESUME_INIT;
    resume.archive = at->archive;
    resume.work = &work;
    stele_resumed resumed = { 0 };
    require(at, "resuming", stele_store_resume(at->store, &resume, &resumed));
    if (resumed.finished != resumed.found || resumed.waiting != 0)
        verdict_break(&at->found,
                      "%" PRId64 " of %" PRId64 " unfinished streams were finished, %" PRId64
                      " wait",
                      resumed.finished, resumed.found, resumed.waiting);
    require(at, "attaching", stele_store_attach(at->store, at->archive));
}

/* The head tells which changes are there: all that were acknowledged, and the one in progress from
 * its beginning to its end or not at all. */
static void judge_count(lifecycle_trial *at)
{
    require(at, "asking for the head", stele_store_head(at->store, &at->head));
    at->count = lifecycle_count_at(at->model, at->head);
    if (at->count > at->begun)
        verdict_break(&at->found,
                      "the head is %" PRId64 ", which none of the %zu changes left there", at->head,
                      at->begun);
    else if (at->count < at->acked && at->run->workload->durability == STELE_DURABILITY_FULL)
        verdict_break(&at->found, "of %zu acknowledged changes %zu are there", at->acked,
                      at->count);
}

static void judge_info(lifecycle_trial *at)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_store_info kept = STELE_STORE_INFO_INIT;
    require(at, "describing", stele_store_describe(at->store, &info));
    require(at, "describing the archive", stele_store_describe(at->archive, &kept));
    int64_t moved = 0;
    for (size_t i = 0; i < at->model->event_count; i++)
        moved += at->model->events[i].position <= at->head
                 && lifecycle_state_after(at->model, at->model->events[i].stream, at->count)
                        == LIFECYCLE_MOVED;
    if (info.unfinished != 0 || info.archived != moved || kept.kept != moved)
        verdict_break(&at->found,
                      "%" PRId64 " unfinished, %" PRId64 " archived, %" PRId64
                      " kept, expected were 0, %" PRId64 " and the same",
                      info.unfinished, info.archived, kept.kept, moved);
}

/* The stream of the name of `stream` that is the last one after the changes that are there. */
static bool is_latest(const lifecycle_trial *at, size_t stream)
{
    const lifecycle_model *model = at->model;
    if (lifecycle_state_after(model, stream, at->count) == LIFECYCLE_NONE)
        return false;
    for (size_t i = stream + 1; i < model->stream_count; i++)
        if (strcmp(model->streams[i].name, model->streams[stream].name) == 0
            && lifecycle_state_after(model, i, at->count) != LIFECYCLE_NONE)
            return false;
    return true;
}

static void judge_stream(lifecycle_trial *at, size_t stream)
{
    static const stele_stream_state states[] = {
        [LIFECYCLE_ACTIVE] = STELE_STREAM_ACTIVE,
        [LIFECYCLE_IN_PLACE] = STELE_STREAM_ARCHIVED,
        [LIFECYCLE_MOVED] = STELE_STREAM_ARCHIVED,
        [LIFECYCLE_TOMBSTONED] = STELE_STREAM_TOMBSTONED,
    };
    const char *name = at->model->streams[stream].name;
    lifecycle_state state = lifecycle_state_after(at->model, stream, at->count);
    stele_stream_info info = { 0 };
    stele_status status = stele_store_stream(at->store, name, &info);
    if (state == LIFECYCLE_DELETED) {
        if (status != STELE_NOT_FOUND)
            verdict_break(&at->found, "%s was deleted, and is %s", name, stele_status_name(status));
        return;
    }
    require(at, name, status);
    int64_t version = lifecycle_version_at(at->model, stream, at->head);
    if (status == STELE_OK
        && (info.state != states[state] || info.moved != (state == LIFECYCLE_MOVED)
            || info.unfinished || info.version != version || info.first_version != 1))
        verdict_break(&at->found,
                      "%s has state %d%s%s, versions %" PRId64 " to %" PRId64
                      "; expected were state %d, 1 to %" PRId64,
                      name, info.state, info.moved ? ", moved" : "",
                      info.unfinished ? ", unfinished" : "", info.first_version, info.version,
                      states[state], version);
    if (status == STELE_OK)
        lifecycle_read_stream(at, name, version);
}

/* The list of archives names the streams that were moved, and no other. */
static void judge_archives(lifecycle_trial *at)
{
    stele_archives *archives = NULL;
    const stele_archived *archived = NULL;
    size_t listed = 0;
    stele_status status = stele_store_archives(at->store, &archives);
    while (status == STELE_OK && (status = stele_archives_next(archives, &archived)) == STELE_OK) {
        listed++;
        if (archived->unfinished || archived->stream == NULL || archived->first_version != 1)
            verdict_break(&at->found, "%s is in the archive from version %" PRId64 "%s",
                          archived->stream != NULL ? archived->stream : "a deleted stream",
                          archived->first_version, archived->unfinished ? ", unfinished" : "");
    }
    stele_archives_close(archives);
    if (status != STELE_DONE)
        verdict_break_status(&at->found, "listing archives", status);
    size_t moved = 0;
    for (size_t i = 0; i < at->model->stream_count; i++)
        moved += lifecycle_state_after(at->model, i, at->count) == LIFECYCLE_MOVED;
    if (listed != moved)
        verdict_break(&at->found, "%zu streams are listed as archived, not %zu", listed, moved);
}

/* --- Going on --- */

/* A new event: refused, or the next one of the stream and the store. */
static void append_to(lifecycle_trial *at, size_t stream)
{
    static const stele_status answers[] = {
        [LIFECYCLE_ACTIVE] = STELE_OK,      [LIFECYCLE_IN_PLACE] = STELE_ARCHIVED,
        [LIFECYCLE_MOVED] = STELE_ARCHIVED, [LIFECYCLE_TOMBSTONED] = STELE_TOMBSTONED,
        [LIFECYCLE_DELETED] = STELE_OK,
    };
    lifecycle_state state = lifecycle_state_after(at->model, stream, at->count);
    int64_t version =
        state == LIFECYCLE_DELETED
            ? 0
            : lifecycle_version_at(at->model, stream, lifecycle_head_after(at->model, at->count));
    stele_event event = { 0 };
    event.type = "went-on";
    event.data = "{}";
    event.data_size = 2;
    stele_append append = STELE_APPEND_INIT;
    append.stream = at->model->streams[stream].name;
    append.events = &event;
    append.event_count = 1;
    stele_appended appended = { 0 };
    stele_status status = stele_store_append(at->store, &append, &appended);
    if (status != answers[state])
        verdict_break(&at->found, "appending to %s in state %d: %s: %s", append.stream, state,
                      stele_status_name(status), status < 0 ? stele_error_text() : "");
    else if (status == STELE_OK
             && (appended.stream_version != version + 1 || appended.last_position != at->head + 1))
        verdict_break(&at->found,
                      "an append to %s gave version %" PRId64 ", position %" PRId64 ", not %" PRId64
                      ", %" PRId64,
                      append.stream, appended.stream_version, appended.last_position, version + 1,
                      at->head + 1);
    at->head += status == STELE_OK;
}

/* A late retry is a duplicate, wherever the events are by now. */
static void retry(lifecycle_trial *at, const lifecycle_event *first)
{
    stele_append append = STELE_APPEND_INIT;
    stele_event *events = calloc(first->append_size, sizeof(*events));
    if (events == NULL)
        abort();
    for (size_t i = 0; i < first->append_size; i++)
        events[i] = first[i].content;
    append.stream = at->model->streams[first->stream].name;
    append.events = events;
    append.event_count = first->append_size;
    append.idempotency_key = first->key;
    stele_appended appended = { 0 };
    stele_status status = stele_store_append(at->store, &append, &appended);
    free(events);
    if (status != STELE_OK)
        verdict_break_status(&at->found, "retrying", status);
    else if (!appended.duplicate || appended.erased == lifecycle_is_there(at, first)
             || (!appended.erased && appended.first_position != first->position))
        verdict_break(&at->found, "retrying position %" PRId64 " gave %" PRId64 "%s%s",
                      first->position, appended.first_position,
                      appended.duplicate ? ", a duplicate" : "", appended.erased ? ", erased" : "");
}

/* A name that mustn't be found in the files any more. */
static bool is_searched(const lifecycle_trial *at, size_t stream)
{
    return lifecycle_state_after(at->model, stream, at->count) == LIFECYCLE_DELETED
           && strchr(at->model->streams[stream].name, '~') != NULL;
}

static void go_on(lifecycle_trial *at)
{
    const lifecycle_model *model = at->model;
    int64_t log_end = at->head;
    for (size_t i = model->event_count, tried = 0; i > 0 && tried < RETRIES; i--) {
        if (model->events[i - 1].position > log_end || model->events[i - 1].key == NULL)
            continue;
        retry(at, &model->events[i - 1]);
        tried++;
    }
    for (size_t i = 0; i < model->stream_count && !at->found.broken; i++)
        if (is_latest(at, i) && !is_searched(at, i))
            append_to(at, i);
}

/* --- Together --- */

static void judge_resumed(lifecycle_trial *at, bool thorough)
{
    open_and_resume(at);
    if (!at->found.broken)
        judge_count(at);
    if (!at->found.broken) {
        lifecycle_judge_tail(at);
        lifecycle_read_all(at, "after resuming");
        judge_info(at);
        judge_archives(at);
        verdict_verify(&at->found, at->store, "the store");
        verdict_verify(&at->found, at->archive, "the archive");
        for (size_t i = 0; i < at->model->stream_count; i++)
            if (is_latest(at, i))
                judge_stream(at, i);
    }
    if (!at->found.broken && thorough) {
        require(at, "scrubbing", stele_store_scrub(at->store, NULL));
        require(at, "scrubbing the archive", stele_store_scrub(at->archive, NULL));
    }
    bool known = !at->found.broken;
    if (known)
        go_on(at);
    close_both(at);
    if (known)
        lifecycle_judge_places(at->model, at->count, at->folder, &at->found);
    if (known && thorough)
        lifecycle_judge_remains(at->model, at->count, at->folder, &at->found);
}

verdict lifecycle_judge(crash_run *run, const char *folder, size_t cut, bool thorough)
{
    lifecycle_trial at = { .run = run, .model = run->known, .folder = folder };
    for (size_t i = 0; i < at.model->change_count; i++) {
        at.acked += at.model->changes[i].acked_at <= cut;
        at.begun += at.model->changes[i].begun_at <= cut;
    }
    look_before(&at);
    int64_t lost_before = at.found.lost;
    at.found.lost = 0;
    if (!at.found.broken)
        judge_resumed(&at, thorough);
    /* Counted once, though an event may be missed twice. */
    if (lost_before > at.found.lost)
        at.found.lost = lost_before;
    /* What stands broken may still have all payloads. */
    if (at.found.broken && at.found.lost == 0)
        at.found.lost = lifecycle_count_lost(at.model, at.acked, at.begun, folder);
    return at.found;
}

/* What is left now is durable, and what had begun will be finished. */
bool lifecycle_rebase(crash_run *run)
{
    char folder[4096];
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(run->path, '/') - run->path), run->path);
    lifecycle_trial at = { .run = run, .model = run->known, .folder = folder };
    open_and_resume(&at);
    at.begun = at.model->change_count;
    if (!at.found.broken)
        judge_count(&at);
    close_both(&at);
    if (at.found.broken)
        fprintf(stderr, "recovering: %s\n", at.found.reason);
    else
        lifecycle_keep(run->known, at.count);
    return !at.found.broken;
}

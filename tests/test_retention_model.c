/*
 * Retention against a plain model in memory: random streams, rules and readers, a clock that is now
 * and then set back, dry runs, and runs that are cancelled and gone on with.
 */
#include "effort.h"
#include "retaining.h"

enum { STREAMS = 6, CHECKPOINTS = 3, EVENTS_MAX = 400, DATA_MAX = 40, MOVES = 80, RUNS = 60 };

static const char *const stream_names[STREAMS] = { "a", "a-1", "a-2", "ab-1", "b-1", "b-2" };
static const char *const checkpoint_names[CHECKPOINTS] = { "reader-1", "reader-2", "reader-3" };
static const char *const category_names[] = { "a", "ab", "b", "c" };

typedef struct model_event {
    int64_t position;
    int64_t recorded_at;
    int64_t size;
} model_event;

typedef struct model_stream {
    model_event events[EVENTS_MAX]; /* version 1 first */
    int64_t version;
    int64_t trimmed; /* through this version */
} model_stream;

typedef struct model_checkpoint {
    bool saved;
    int64_t position;
    int64_t saved_at;
} model_checkpoint;

static struct {
    model_stream streams[STREAMS];
    model_checkpoint checkpoints[CHECKPOINTS];
    int64_t head;
    int64_t last_recorded;
    bool ignores_checkpoints; /* the control: a wrong model */
} model;

/* What the runs came across, so that none of it was tested in vain. */
static struct {
    uint64_t retained;
    uint64_t events;
    uint64_t held_back;
    uint64_t cancelled;
    uint64_t disagreements;
    char first[256];
} seen;

static void disagree(const char *what, int64_t got, int64_t expected)
{
    if (seen.disagreements++ == 0)
        snprintf(seen.first, sizeof(seen.first), "%s: %" PRId64 ", the model has %" PRId64, what,
                 got, expected);
}

static void compare(const char *what, int64_t got, int64_t expected)
{
    if (got != expected)
        disagree(what, got, expected);
}

static int64_t choose(int64_t least, int64_t most)
{
    return least + (int64_t)((next_chance() >> 11) % (uint64_t)(most - least + 1));
}

/* --- What is done to both --- */

/* As the store's clock does: it never goes back by a little. */
static int64_t record_time(void)
{
    if (now < model.last_recorded && model.last_recorded - now <= 300 * SECOND)
        return model.last_recorded;
    return model.last_recorded = now;
}

static void append_some(void)
{
    size_t index = (size_t)choose(0, STREAMS - 1);
    model_stream *stream = &model.streams[index];
    stele_event events[4];
    char data[4][DATA_MAX + 1];
    size_t count = (size_t)choose(1, 4);
    if (stream->version + (int64_t)count > EVENTS_MAX)
        return;
    int64_t time = record_time();
    for (size_t i = 0; i < count; i++) {
        int size = (int)choose(1, DATA_MAX);
        memset(data[i], '7', (size_t)size);
        data[i][size] = '\0';
        events[i] = make_event("counted", data[i]);
        stream->events[stream->version + (int64_t)i] =
            (model_event){ .position = ++model.head, .recorded_at = time, .size = size };
    }
    /* With the exact version: trimming takes nothing from it. */
    stele_append append = make_append(stream_names[index], stream->version, events, count);
    stele_appended appended;
    assert_status(stele_store_append(store, &append, &appended), STELE_OK);
    stream->version += (int64_t)count;
    compare("position", appended.last_position, model.head);
}

static void save_some_checkpoint(void)
{
    size_t index = (size_t)choose(0, CHECKPOINTS - 1);
    int64_t position = one_in(4) ? choose(0, model.head) : choose(model.head / 2, model.head);
    assert_status(stele_checkpoint_save(store, checkpoint_names[index], position), STELE_OK);
    model.checkpoints[index] = (model_checkpoint){ true, position, now };
}

static void move_clock(void)
{
    if (one_in(8))
        now -= choose(0, 6) * HOUR;
    else
        now += choose(0, 3600) * SECOND;
}

/* --- What the model makes of it --- */

static int64_t model_slowest(const stele_retain *retain)
{
    int64_t slowest = INT64_MAX;
    for (size_t i = 0; i < CHECKPOINTS; i++) {
        const model_checkpoint *checkpoint = &model.checkpoints[i];
        bool stale =
            retain->stale_after_us > 0 && checkpoint->saved_at < now - retain->stale_after_us;
        if (checkpoint->saved && !stale && checkpoint->position < slowest)
            slowest = checkpoint->position;
    }
    return retain->force || model.ignores_checkpoints ? INT64_MAX : slowest;
}

static bool model_lets_go(const stele_retain *retain, const model_stream *stream, int64_t version)
{
    return (retain->max_count > 0 && version <= stream->version - retain->max_count)
           || version < retain->before_version
           || (retain->max_age_us > 0
               && stream->events[version - 1].recorded_at < now - retain->max_age_us);
}

static void model_retain_stream(const stele_retain *retain, model_stream *stream,
                                stele_retained *retained)
{
    int64_t slowest = model_slowest(retain);
    int64_t trimmed = stream->trimmed;
    int64_t version = trimmed + 1;
    for (; version <= stream->version && model_lets_go(retain, stream, version); version++) {
        const model_event *event = &stream->events[version - 1];
        if (event->position > slowest) {
            retained->held_back++;
            continue;
        }
        trimmed = version;
        retained->events++;
        retained->bytes += event->size;
    }
    retained->streams += trimmed > stream->trimmed;
    if (!retain->dry_run)
        stream->trimmed = trimmed;
}

static bool is_meant(const stele_retain *retain, const char *name)
{
    if (retain->stream != NULL)
        return strcmp(retain->stream, name) == 0;
    size_t size = strlen(retain->category);
    return strncmp(name, retain->category, size) == 0 && (name[size] == '\0' || name[size] == '-');
}

static stele_retained model_retain(const stele_retain *retain)
{
    stele_retained retained = { 0 };
    for (size_t i = 0; i < STREAMS; i++)
        if (is_meant(retain, stream_names[i]))
            model_retain_stream(retain, &model.streams[i], &retained);
    if (!retain->dry_run && retained.streams > 0)
        record_time(); /* of the events that tell of it */
    return retained;
}

/* --- Both, compared --- */

static stele_retain choose_retain(void)
{
    stele_retain retain = STELE_RETAIN_INIT;
    size_t stream = (size_t)choose(0, STREAMS - 1);
    if (one_in(2))
        retain.stream = stream_names[stream];
    else
        retain.category = category_names[choose(0, (int64_t)COUNT_OF(category_names) - 1)];
    unsigned rules = (unsigned)choose(1, 7);
    if ((rules & 1) != 0)
        retain.max_count = choose(1, 30);
    if ((rules & 2) != 0)
        retain.max_age_us = choose(1, 12) * HOUR;
    if ((rules & 4) != 0 && retain.stream != NULL)
        retain.before_version = choose(1, model.streams[stream].version + 2);
    if (retain.max_count + retain.max_age_us + retain.before_version == 0)
        retain.max_count = 3;
    retain.force = one_in(8);
    retain.dry_run = one_in(4);
    retain.keep_free_pages = one_in(2);
    if (one_in(3))
        retain.stale_after_us = choose(1, 6) * HOUR;
    return retain;
}

static int count_down(void *context, const stele_progress *progress)
{
    int *left = context;
    ck_assert_ptr_nonnull(progress->doing);
    return --*left == 0;
}

/* Cancelled after some steps, if there are as many; then the rest. */
static stele_retained retain_in_pieces(stele_retain *retain, stele_work *work, int steps)
{
    stele_retained first = { 0 };
    stele_retained rest = { 0 };
    work->progress = count_down;
    work->context = &steps;
    stele_status status = stele_store_retain(store, retain, &first);
    work->progress = NULL;
    if (status == STELE_OK)
        return first;
    assert_status(status, STELE_CANCELLED);
    seen.cancelled++;
    rest = run_retain(retain);
    rest.events += first.events;
    rest.bytes += first.bytes;
    rest.streams = -1;
    return rest;
}

static void retain_some(void)
{
    stele_retain retain = choose_retain();
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = (uint32_t)choose(1, 6);
    work.step_size_max = one_in(3) ? (uint32_t)choose(1, 100) : work.step_size_max;
    retain.work = &work;
    bool known = retain.category != NULL;
    for (size_t i = 0; i < STREAMS && !known; i++)
        known = strcmp(stream_names[i], retain.stream) == 0 && model.streams[i].version > 0;
    if (!known) {
        assert_status(stele_store_retain(store, &retain, NULL), STELE_NOT_FOUND);
        return;
    }

    bool whole = retain.dry_run || !one_in(3);
    stele_retained expected = model_retain(&retain);
    stele_retained got =
        whole ? run_retain(&retain) : retain_in_pieces(&retain, &work, (int)choose(1, 5));
    compare("events", got.events, expected.events);
    compare("bytes", got.bytes, expected.bytes);
    compare("held back", got.held_back, expected.held_back);
    if (got.streams >= 0)
        compare("streams", got.streams, expected.streams);
    int64_t head = head_of(store);
    if (got.streams >= 0)
        compare("head", head, model.head + (retain.dry_run ? 0 : expected.streams));
    model.head = head;
    seen.retained++;
    seen.events += (uint64_t)got.events;
    seen.held_back += (uint64_t)got.held_back;
}

static void compare_stream(size_t index)
{
    const model_stream *stream = &model.streams[index];
    int64_t bytes = 0;
    for (int64_t version = stream->trimmed + 1; version <= stream->version; version++)
        bytes += stream->events[version - 1].size;
    if (stream->version == 0)
        return;
    stele_stream_info info = info_of(stream_names[index]);
    compare("first version", info.first_version, stream->trimmed + 1);
    compare("version", info.version, stream->version);
    compare("events left", info.events, stream->version - stream->trimmed);
    compare("bytes left", info.bytes, bytes);
    stele_read read = STELE_READ_INIT;
    const stele_record *record = NULL;
    read.stream = stream_names[index];
    stele_cursor *cursor = open_read(&read);
    int64_t version = stream->trimmed;
    while (stele_cursor_next(cursor, &record) == STELE_OK) {
        compare("version read", record->version, ++version);
        if (version <= stream->version)
            compare("position read", record->position, stream->events[version - 1].position);
    }
    compare("last version read", version, stream->version);
    stele_cursor_close(cursor);
}

static void run_once(bool ignores_checkpoints)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = read_fake_clock;
    options.clock_context = &now;
    now = NOON;
    memset(&model, 0, sizeof(model));
    model.ignores_checkpoints = ignores_checkpoints;
    model.last_recorded = INT64_MIN / 2;
    store = open_path(":memory:", &options);
    uint64_t before = seen.disagreements;
    for (int i = 0; i < MOVES && seen.disagreements == before; i++) {
        move_clock();
        switch (choose(0, 9)) {
        case 0:
        case 1: retain_some(); break;
        case 2: save_some_checkpoint(); break;
        default: append_some();
        }
    }
    for (size_t i = 0; i < STREAMS; i++)
        compare_stream(i);
    expect_verified();
    close_store();
}

START_TEST(every_run_leaves_what_the_model_leaves)
{
    uint64_t seed = choose_seed();
    int runs = effort_is_long() ? 100 * RUNS : RUNS;
    memset(&seen, 0, sizeof(seen));
    int done = 0;
    for (; done < runs && seen.disagreements == 0; done++)
        run_once(false);

    printf("# retention model: seed %" PRIu64 ", %d runs, %" PRIu64 " calls (%" PRIu64
           " cancelled), %" PRIu64 " events trimmed, %" PRIu64 " held back\n",
           seed, done, seen.retained, seen.cancelled, seen.events, seen.held_back);
    ck_assert_msg(seen.disagreements == 0, "seed %" PRIu64 ", run %d: %s", seed, done, seen.first);
    ck_assert_uint_gt(seen.events, 0);
    ck_assert_uint_gt(seen.held_back, 0);
    ck_assert_uint_gt(seen.cancelled, 0);
}
END_TEST

/* The control. */
START_TEST(model_that_ignores_readers_disagrees)
{
    choose_seed();
    memset(&seen, 0, sizeof(seen));
    for (int i = 0; i < RUNS && seen.disagreements == 0; i++)
        run_once(true);

    ck_assert_uint_gt(seen.disagreements, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retention_model");
    TCase *tests = add_case(suite, "model", NULL);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, every_run_leaves_what_the_model_leaves);
    tcase_add_test(tests, model_that_ignores_readers_disagrees);
    return run_suite(suite);
}

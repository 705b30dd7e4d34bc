/* Appending, with and without a key, and what a kept key costs in other layouts. */
#include <stdio.h>

#include <stele/store.h>

#include "contenders.h"

#define HANDS 3

typedef struct append_race {
    library_writer library;
    hand_writer hands[HANDS];
} append_race;

static void open_append_race(append_race *race, const bench_settings *settings,
                             const bench_workload *workload, stele_durability durability,
                             size_t batch)
{
    static const char *const files[HANDS] = { "plain.db", "checked.db", "gated.db" };
    race->library.store = bench_open_store("library.db", durability);
    bench_fill_streams(race->library.store, workload);
    bench_source_init(&race->library.source, workload, settings->seed, batch, BENCH_KEYS_NONE);
    for (int i = 0; i < HANDS; i++) {
        bare_options options = { .durability = durability,
                                 .checksums = i >= 1,
                                 .json_gate = i >= 2 };
        bare_writer_open(&race->hands[i].bare, files[i], &options, workload);
        race->hands[i].source = race->library.source;
    }
}

static void close_append_race(append_race *race)
{
    stele_store_close(race->library.store);
    for (int i = 0; i < HANDS; i++)
        bare_writer_close(&race->hands[i].bare);
    bench_clear_folder();
}

static void race_appends(const bench_settings *settings, const bench_workload *workload,
                         stele_durability durability, size_t batch, uint64_t appends)
{
    append_race race;
    open_append_race(&race, settings, workload, durability, batch);
    bench_contender contenders[] = {
        { "library", bench_run_library_appends, &race.library, 0, 0 },
        { "hand-written", bench_run_hand_appends, &race.hands[0], 0, 0 },
        { "with checksums", bench_run_hand_appends, &race.hands[1], 0, 0 },
        { "with checksums and JSON gate", bench_run_hand_appends, &race.hands[2], 0, 0 },
    };
    bench_race(settings, contenders, 1 + HANDS, appends, settings->quick ? 4 : 40);
    char name[64];
    snprintf(name, sizeof(name), "append-%s-%zu",
             durability == STELE_DURABILITY_FULL ? "full" : "relaxed", batch);
    bench_report(name, "events/s", contenders, 1 + HANDS);
    close_append_race(&race);
}

void bench_case_append(const bench_settings *settings, const bench_workload *workload)
{
    static const struct {
        size_t batch;
        uint64_t appends; /* in each slice */
    } sizes[] = { { 1, 200 }, { 10, 80 }, { 1000, 2 } };
    for (size_t i = 0; i < 3; i++)
        race_appends(settings, workload, STELE_DURABILITY_FULL, sizes[i].batch, sizes[i].appends);
    for (size_t i = 0; i < 3; i++)
        race_appends(settings, workload, STELE_DURABILITY_RELAXED, sizes[i].batch,
                     sizes[i].appends);
}

/* --- Keys: the library against itself, and against the format's layout by hand --- */

static void race_keys(const bench_settings *settings, const bench_workload *workload,
                      stele_durability durability)
{
    static const char *const names[3] = { "plain.db", "random.db", "ascending.db" };
    library_writer sides[3];
    hand_writer hand;
    bare_options options = { .durability = durability, .checksums = true };
    for (int i = 0; i < 3; i++) {
        sides[i].store = bench_open_store(names[i], durability);
        bench_fill_streams(sides[i].store, workload);
        bench_source_init(&sides[i].source, workload, settings->seed, 1, (bench_keys)i);
    }
    bare_writer_open(&hand.bare, "hand.db", &options, workload);
    hand.source = sides[BENCH_KEYS_RANDOM].source;

    bool full = durability == STELE_DURABILITY_FULL;
    bench_contender contenders[] = {
        { "random key", bench_run_library_appends, &sides[BENCH_KEYS_RANDOM], 0, 0 },
        { "no key", bench_run_library_appends, &sides[BENCH_KEYS_NONE], 0, 0 },
        { "ascending key", bench_run_library_appends, &sides[BENCH_KEYS_ASCENDING], 0, 0 },
        { "random key by hand", bench_run_hand_appends, &hand, 0, 0 },
    };
    bench_race(settings, contenders, 4, 200, settings->quick ? 4 : 40);
    bench_report(full ? "keyed-full" : "keyed-relaxed", "events/s", contenders, 4);
    bench_contender ascending[] = { contenders[2], contenders[1] };
    bench_report(full ? "keyed-ascending-full" : "keyed-ascending-relaxed", "events/s", ascending,
                 2);
    for (int i = 0; i < 3; i++)
        stele_store_close(sides[i].store);
    bare_writer_close(&hand.bare);
    bench_clear_folder();
}

void bench_case_keyed(const bench_settings *settings, const bench_workload *workload)
{
    race_keys(settings, workload, STELE_DURABILITY_FULL);
    race_keys(settings, workload, STELE_DURABILITY_RELAXED);
}

/* --- Layouts of the key --- */

static const char *const layout_names[BARE_KEYS_LAYOUTS] = { "by position", "by key",
                                                             "in the event" };
static const char *const layout_files[BARE_KEYS_LAYOUTS] = { "position.db", "key.db", "event.db" };

/* Reading all events with their keys, as an export does. */
typedef struct key_export {
    sqlite3 *handle;
    sqlite3_stmt *events;
    sqlite3_stmt *look_up; /* of one position; NULL: the key is a column of the event */
    sqlite3_stmt *beside;  /* all keys in the order of positions, to walk beside the events */
    uint64_t sum;
} key_export;

#define EXPORT_COLUMNS "SELECT position, flags, data, metadata"

static void open_key_export(key_export *export, int layout, bool beside)
{
    static const char *const look_ups[BARE_KEYS_LAYOUTS] = {
        "SELECT key FROM idempotency WHERE id = ?1",
        "SELECT key FROM idempotency WHERE position = ?1", NULL
    };
    *export = (key_export){ 0 };
    export->handle = bare_connect(layout_files[layout], STELE_DURABILITY_RELAXED, true);
    export->events =
        bare_prepare(export->handle, layout == BARE_KEYS_IN_EVENT
                                         ? EXPORT_COLUMNS ", key FROM events ORDER BY position"
                                         : EXPORT_COLUMNS " FROM events ORDER BY position");
    if (look_ups[layout] != NULL && !beside)
        export->look_up = bare_prepare(export->handle, look_ups[layout]);
    if (beside)
        export->beside = bare_prepare(export->handle,
                                      "SELECT id, key FROM idempotency WHERE id > 0 ORDER BY id");
}

static void close_key_export(key_export *export)
{
    sqlite3_finalize(export->events);
    sqlite3_finalize(export->look_up);
    sqlite3_finalize(export->beside);
    sqlite3_close(export->handle);
}

static void use_key(key_export *export, sqlite3_stmt *row, int column)
{
    const unsigned char *key = sqlite3_column_text(row, column);
    if (key == NULL)
        bench_die("an event has lost its key");
    export->sum += key[0];
}

static uint64_t run_key_export(void *state, uint64_t operations)
{
    key_export *export = state;
    uint64_t count = 0;
    for (uint64_t i = 0; i < operations; i++) {
        int code;
        while ((code = sqlite3_step(export->events)) == SQLITE_ROW) {
            int64_t position = sqlite3_column_int64(export->events, 0);
            const char *data = sqlite3_column_blob(export->events, 2);
            export->sum += (unsigned char)data[0];
            count++;
            if ((sqlite3_column_int64(export->events, 1) & BARE_KEYED) == 0)
                continue;
            if (export->look_up != NULL) {
                sqlite3_bind_int64(export->look_up, 1, position);
                sqlite3_step(export->look_up);
                use_key(export, export->look_up, 0);
                sqlite3_reset(export->look_up);
            } else if (export->beside != NULL) {
                sqlite3_step(export->beside);
                if (sqlite3_column_int64(export->beside, 0) != position)
                    bench_die("the keys are out of step with the events");
                use_key(export, export->beside, 1);
            } else {
                use_key(export, export->events, 4);
            }
        }
        bare_expect(export->handle, code, "export");
        sqlite3_reset(export->events);
        sqlite3_reset(export->beside);
    }
    return count;
}

static void race_key_exports(const bench_settings *settings)
{
    key_export exports[BARE_KEYS_LAYOUTS + 1];
    for (int i = 0; i < BARE_KEYS_LAYOUTS; i++)
        open_key_export(&exports[i], i, false);
    open_key_export(&exports[BARE_KEYS_LAYOUTS], BARE_KEYS_BY_POSITION, true);
    bench_contender contenders[BARE_KEYS_LAYOUTS + 1];
    for (int i = 0; i < BARE_KEYS_LAYOUTS; i++)
        contenders[i] = (bench_contender){ layout_names[i], run_key_export, &exports[i], 0, 0 };
    contenders[BARE_KEYS_LAYOUTS] = (bench_contender){ "by position, side by side", run_key_export,
                                                       &exports[BARE_KEYS_LAYOUTS], 0, 0 };
    bench_race(settings, contenders, BARE_KEYS_LAYOUTS + 1, 1, 2);
    bench_report("key-layout-export", "events/s", contenders, BARE_KEYS_LAYOUTS + 1);
    for (int i = 0; i <= BARE_KEYS_LAYOUTS; i++)
        close_key_export(&exports[i]);
}

/* A log of keyed events first, so that the index on the key doesn't fit a page or two. */
static void fill_keyed(hand_writer *side, uint64_t count)
{
    bare_execute(side->bare.writer, "PRAGMA synchronous=0");
    bench_run_hand_appends(side, count);
    bare_execute(side->bare.writer, side->bare.options.durability == STELE_DURABILITY_FULL
                                        ? "PRAGMA synchronous=2"
                                        : "PRAGMA synchronous=1");
}

void bench_case_key_layouts(const bench_settings *settings, const bench_workload *workload)
{
    hand_writer sides[BARE_KEYS_LAYOUTS];
    bench_contender contenders[BARE_KEYS_LAYOUTS];
    for (int i = 0; i < BARE_KEYS_LAYOUTS; i++) {
        bare_options options = { .durability = STELE_DURABILITY_RELAXED,
                                 .checksums = true,
                                 .keys = (bare_keys)i };
        bare_writer_open(&sides[i].bare, layout_files[i], &options, workload);
        bench_source_init(&sides[i].source, workload, settings->seed, 1, BENCH_KEYS_RANDOM);
        fill_keyed(&sides[i], settings->quick ? 2000 : 60000);
        contenders[i] =
            (bench_contender){ layout_names[i], bench_run_hand_appends, &sides[i], 0, 0 };
    }
    bench_race(settings, contenders, BARE_KEYS_LAYOUTS, 200, settings->quick ? 4 : 40);
    bench_report("key-layout-append", "events/s", contenders, BARE_KEYS_LAYOUTS);
    for (int i = 0; i < BARE_KEYS_LAYOUTS; i++) {
        char name[64];
        double events = (double)sides[i].bare.head;
        bare_writer_close(&sides[i].bare);
        snprintf(name, sizeof(name), "key-layout-size, %s", layout_names[i]);
        bench_report_value(name, "bytes/event", (double)bench_file_size(layout_files[i]) / events);
    }
    race_key_exports(settings);
    bench_clear_folder();
}

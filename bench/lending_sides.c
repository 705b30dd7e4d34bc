/* Lending: by commands, by appends alone, and by hand. */
#include "lending.h"

#include <stdlib.h>
#include <string.h>

#include "contenders.h"

static uint32_t draw_stream(lending_side *side)
{
    return side->streams == 1 ? 0 : bench_random_below(&side->chance, side->streams);
}

/* --- The library --- */

uint32_t lending_execute(stele_aggregate *aggregate, const char *stream, const codec_loan *loan)
{
    stele_execute execute = STELE_EXECUTE_INIT;
    stele_executed executed;
    execute.stream = stream;
    execute.command = loan;
    bench_expect(stele_aggregate_execute(aggregate, &execute, &executed), "execute");
    if (executed.snapshot_status != STELE_OK)
        bench_die("a snapshot wasn't saved: %s", stele_status_text(executed.snapshot_status));
    return executed.tries;
}

uint64_t lending_run_commands(void *state, uint64_t operations)
{
    lending_side *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        const codec_loan *loan = &side->pool->loans[side->lent++ % LENDING_LOANS];
        lending_execute(side->aggregate, side->pool->streams[draw_stream(side)], loan);
    }
    return operations;
}

uint64_t lending_run_appends(void *state, uint64_t operations)
{
    lending_side *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        uint32_t stream = draw_stream(side);
        stele_append append = STELE_APPEND_INIT;
        append.stream = side->pool->streams[stream];
        append.expected_version = side->versions[stream]++;
        append.events = &side->pool->events[side->lent++ % LENDING_LOANS];
        append.event_count = 1;
        bench_expect(stele_store_append(side->store, &append, NULL), "append");
    }
    return operations;
}

void lending_open_library(lending_side *side, const lending_pool *pool, stele_store *store,
                          uint32_t streams, uint32_t events, uint64_t seed)
{
    *side = (lending_side){
        .pool = pool, .chance = { .state = seed }, .streams = streams, .store = store
    };
    side->versions = bench_allocate(streams * sizeof(*side->versions));
    for (uint32_t i = 0; i < streams; i++)
        side->versions[i] = events;
}

/* --- By hand --- */

static void append_by_hand(lending_side *side, uint32_t stream, const stele_event *event)
{
    static const int first_type = 0;
    bench_draw draw = { .stream = BENCH_STREAMS + stream,
                        .stream_name = side->pool->streams[stream],
                        .events = event,
                        .types = &first_type,
                        .count = 1 };
    bare_append(&side->bare, &draw);
}

uint64_t lending_run_hand_appends(void *state, uint64_t operations)
{
    lending_side *side = state;
    for (uint64_t i = 0; i < operations; i++)
        append_by_hand(side, draw_stream(side), &side->pool->events[side->lent++ % LENDING_LOANS]);
    return operations;
}

static void fold_by_hand(lending_side *side, uint32_t stream, lending_shelf *shelf)
{
    int code;
    sqlite3_bind_int64(side->fold, 1, BENCH_STREAMS + stream + 1);
    while ((code = sqlite3_step(side->fold)) == SQLITE_ROW) {
        codec_loan loan;
        const char *data = (const char *)sqlite3_column_text(side->fold, 0);
        cJSON *tree = cJSON_ParseWithLength(data, (size_t)sqlite3_column_bytes(side->fold, 0));
        if (tree == NULL || !codec_take_loan_json(tree, &loan))
            bench_die("cJSON can't read a loan");
        cJSON_Delete(tree);
        lending_fold(shelf, &loan);
    }
    bare_expect(side->bare.writer, code, "fold");
    sqlite3_reset(side->fold);
}

uint64_t lending_run_hand_commands(void *state, uint64_t operations)
{
    lending_side *side = state;
    for (uint64_t i = 0; i < operations; i++) {
        lending_shelf shelf = { 0 };
        uint32_t stream = draw_stream(side);
        uint64_t loan = side->lent++ % LENDING_LOANS;
        fold_by_hand(side, stream, &shelf);
        if (shelf.loans == INT64_MAX)
            bench_die("the shelf is empty");
        cJSON *tree = codec_make_loan_json(&side->pool->loans[loan]);
        char *text = tree == NULL ? NULL : cJSON_PrintUnformatted(tree);
        if (text == NULL)
            bench_die("cJSON can't print a loan");
        stele_event event = side->pool->events[loan];
        event.data = text;
        event.data_size = strlen(text);
        append_by_hand(side, stream, &event);
        cJSON_free(text);
        cJSON_Delete(tree);
    }
    return operations;
}

void lending_open_hand(lending_side *side, const lending_pool *pool, const char *name,
                       stele_durability durability, const bench_workload *workload,
                       uint32_t streams, uint32_t events, uint64_t seed)
{
    bare_options options = { .durability = durability, .checksums = true };
    *side = (lending_side){ .pool = pool, .chance = { .state = seed }, .streams = streams };
    bare_writer_open(&side->bare, name, &options, workload);
    sqlite3 *handle = side->bare.writer;
    bare_execute(handle, "PRAGMA synchronous=0; BEGIN");
    sqlite3_stmt *stream =
        bare_prepare(handle, "INSERT INTO streams(id, name, state, base_version, checksum)"
                             " VALUES(?1, ?2, 0, 0, 1)");
    for (uint32_t i = 0; i < streams; i++) {
        sqlite3_bind_int64(stream, 1, BENCH_STREAMS + i + 1);
        sqlite3_bind_text(stream, 2, pool->streams[i], -1, SQLITE_STATIC);
        bare_run(stream);
    }
    sqlite3_finalize(stream);
    bare_execute(handle, "COMMIT");
    for (uint64_t i = 0; i < (uint64_t)streams * events; i++)
        append_by_hand(side, (uint32_t)(i % streams), &pool->events[i % LENDING_LOANS]);
    bare_execute(handle, durability == STELE_DURABILITY_FULL ? "PRAGMA synchronous=2"
                                                             : "PRAGMA synchronous=1");
    side->fold = bare_prepare(handle, "SELECT data FROM events WHERE stream = ?1 ORDER BY version");
}

void lending_close(lending_side *side)
{
    if (side->bare.writer != NULL) {
        sqlite3_finalize(side->fold);
        bare_writer_close(&side->bare);
    }
    stele_aggregate_close(side->aggregate);
    stele_store_close(side->store);
    free(side->versions);
}

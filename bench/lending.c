/* Shelves and loans: what they are, and a store full of them. */
#include "lending.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/store.h>

#include "contenders.h"

/* --- Folding --- */

void lending_fold(lending_shelf *shelf, const codec_loan *loan)
{
    shelf->loans++;
    shelf->loan_ids += loan->loan_id;
    shelf->due_last = loan->due_at > shelf->due_last ? loan->due_at : shelf->due_last;
    shelf->fees += loan->fee;
    shelf->renewable += loan->renewable;
    memcpy(shelf->branch, loan->branch, sizeof(shelf->branch));
}

void lending_weigh(lending_weight *weight, const void *data, size_t size)
{
    weight->events++;
    weight->bytes += size;
    weight->ends += ((const unsigned char *)data)[size - 1];
}

static stele_status decide_loan(void *context, const void *state, const void *command,
                                stele_decision *decision)
{
    (void)context;
    const lending_shelf *shelf = state;
    if (shelf->loans == INT64_MAX)
        return stele_decision_refuse(decision, 1, "the shelf is empty");
    return stele_decision_emit(decision, codec_loan_shape.type, command);
}

static stele_status evolve_shelf(void *context, void *state, const stele_folding *event)
{
    (void)context;
    lending_fold(state, event->part->value);
    return STELE_OK;
}

static stele_status evolve_weight(void *context, void *state, const stele_folding *event)
{
    (void)context;
    lending_weigh(state, event->record->data, event->record->data_size);
    return STELE_OK;
}

static const stele_field shelf_fields[] = {
    STELE_F(lending_shelf, loans, "loans", STELE_REQUIRED),
    STELE_F(lending_shelf, loan_ids, "loanIds", STELE_REQUIRED),
    STELE_F(lending_shelf, due_last, "dueLast", STELE_REQUIRED),
    STELE_F(lending_shelf, fees, "fees", STELE_REQUIRED),
    STELE_F(lending_shelf, renewable, "renewable", STELE_REQUIRED),
    STELE_F(lending_shelf, branch, "branch", STELE_REQUIRED),
};
STELE_TYPE(lending_shelf_type, lending_shelf, "Shelf", 1, shelf_fields);

const stele_decider lending_decider = { .struct_size = sizeof(stele_decider),
                                        .name = "shelf",
                                        .state = &lending_shelf_type,
                                        .decide = decide_loan,
                                        .evolve = evolve_shelf };

const stele_decider lending_raw_decider = { .struct_size = sizeof(stele_decider),
                                            .name = "weight",
                                            .state_size = sizeof(lending_weight),
                                            .evolve = evolve_weight,
                                            .raw = true };

/* --- Loans --- */

static void encode_loans(lending_pool *pool, stele_store *store)
{
    for (int i = 0; i < LENDING_LOANS; i++) {
        stele_typed_event typed = STELE_TYPED_EVENT_INIT;
        typed.type = codec_loan_shape.type;
        typed.value = &pool->loans[i];
        bench_expect(stele_event_encode(store, &typed, &pool->payloads[i], &pool->events[i], NULL),
                     "encode a loan");
    }
}

void lending_pool_init(lending_pool *pool, uint64_t seed)
{
    bench_chance chance = { .state = seed };
    stele_store *store = NULL;
    memset(pool, 0, sizeof(*pool));
    for (int i = 0; i < LENDING_LOANS; i++)
        codec_loan_shape.fill(&pool->loans[i], &chance);
    bench_expect(stele_store_open(":memory:", NULL, &store), "open a store");
    bench_expect(stele_store_register_type(store, codec_loan_shape.type), "register a type");
    encode_loans(pool, store);
    stele_store_close(store);
    pool->streams = bench_allocate(LENDING_STREAMS_MAX * sizeof(pool->streams[0]));
    for (uint32_t i = 0; i < LENDING_STREAMS_MAX; i++)
        snprintf(pool->streams[i], sizeof(pool->streams[i]), "shelf-%010" PRIu32, i);
}

void lending_pool_dispose(lending_pool *pool)
{
    for (int i = 0; i < LENDING_LOANS; i++)
        stele_buffer_dispose(&pool->payloads[i]);
    free(pool->streams);
}

/* --- Stores --- */

/* The loans from number `first` on, of all shelves in turn, until each has `events`. */
static void fill_shelves(const lending_pool *pool, stele_store *store, uint32_t streams,
                         uint64_t first, uint32_t events)
{
    static stele_append appends[1000];
    size_t used = 0;
    for (uint64_t i = first; i < (uint64_t)streams * events; i++) {
        appends[used] = (stele_append)STELE_APPEND_INIT;
        appends[used].stream = pool->streams[i % streams];
        appends[used].events = &pool->events[i % LENDING_LOANS];
        appends[used].event_count = 1;
        if (++used < 1000 && i + 1 < (uint64_t)streams * events)
            continue;
        bench_expect(stele_store_append_many(store, appends, used, NULL, NULL), "fill");
        used = 0;
    }
}

static void save_snapshots(const lending_pool *pool, stele_store *store, uint32_t streams)
{
    stele_aggregate *shelves = lending_open_aggregate(store, 0, 0);
    for (uint32_t i = 0; i < streams; i++)
        bench_expect(stele_aggregate_snapshot(shelves, pool->streams[i], NULL), "save a snapshot");
    stele_aggregate_close(shelves);
}

stele_store *lending_open(const lending_pool *pool, const char *name, stele_durability durability,
                          uint32_t streams, uint32_t events, bool snapshots)
{
    stele_store *store = bench_open_store(name, STELE_DURABILITY_RELAXED);
    bench_expect(stele_store_register_type(store, codec_loan_shape.type), "register a type");
    fill_shelves(pool, store, streams, 0, events - 1);
    if (snapshots)
        save_snapshots(pool, store, streams);
    stele_store_close(store);
    store = bench_open_store(name, durability);
    bench_expect(stele_store_register_type(store, codec_loan_shape.type), "register a type");
    fill_shelves(pool, store, streams, (uint64_t)streams * (events - 1), events);
    return store;
}

stele_aggregate *lending_open_aggregate(stele_store *store, uint32_t cached,
                                        uint32_t snapshot_events)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    stele_aggregate *shelves = NULL;
    options.cache_count_max = cached;
    options.snapshot_events = snapshot_events;
    options.tries = 1000;
    bench_expect(stele_aggregate_open(store, &lending_decider, &options, &shelves),
                 "open an aggregate");
    return shelves;
}

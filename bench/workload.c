/* What is appended: the same for every contender, made before the clock runs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Twenty characters each. */
const char *const bench_types[BENCH_TYPES] = {
    "account-was-opened-1", "account-was-closed-1", "money-was-deposited1", "money-was-withdrawn1",
    "order-was-received-1", "order-was-accepted-1", "order-was-shipped--1", "order-was-returned-1",
    "invoice-was-issued-1", "invoice-was-settled1", "address-was-changed1", "payment-was-started1",
    "payment-was-refused1", "parcel-was-delivered", "review-was-written-1", "coupon-was-redeemed1",
};

const char *const bench_categories[BENCH_CATEGORIES] = {
    "account", "order", "invoice", "parcel", "payment", "customer", "review", "coupon",
};

void bench_workload_init(bench_workload *workload, uint64_t seed)
{
    bench_chance chance = { .state = seed };
    memset(workload, 0, sizeof(*workload));
    workload->texts = bench_allocate(sizeof(workload->texts[0]) * 2 * BENCH_EVENTS);
    for (int i = 0; i < BENCH_STREAMS; i++) {
        const char *category = bench_categories[i % BENCH_CATEGORIES];
        snprintf(workload->streams[i], sizeof(workload->streams[i]), "%s-%010d", category, i);
    }
    for (size_t i = 0; i < BENCH_EVENTS; i++) {
        char *data = workload->texts[2 * i];
        char *metadata = workload->texts[2 * i + 1];
        size_t size = sizeof(workload->texts[0]);
        snprintf(data, size,
                 "{\"id\":\"%016" PRIx64 "\",\"customer\":%" PRIu32 ",\"amount\":%" PRIu32
                 ".%02" PRIu32 ",\"currency\":\"EUR\",\"lines\":[{\"sku\":\"A-%05" PRIu32
                 "\",\"count\":%" PRIu32 "}],\"note\":\"deliver between nine and noon, please\","
                 "\"channel\":\"web\",\"express\":%s}",
                 bench_random(&chance), bench_random_below(&chance, 1000000),
                 bench_random_below(&chance, 10000), bench_random_below(&chance, 100),
                 bench_random_below(&chance, 100000), 1 + bench_random_below(&chance, 9),
                 bench_random_below(&chance, 2) == 0 ? "true" : "false");
        snprintf(metadata, size, "{\"trace\":\"%016" PRIx64 "\"}", bench_random(&chance));
        workload->types[i] = (int)bench_random_below(&chance, BENCH_TYPES);
        workload->events[i] = (stele_event){
            .type = bench_types[workload->types[i]],
            .data = data,
            .data_size = strlen(data),
            .metadata = metadata,
            .metadata_size = strlen(metadata),
        };
        workload->payload_bytes += strlen(data) + strlen(metadata);
    }
}

void bench_workload_dispose(bench_workload *workload)
{
    free(workload->texts);
    workload->texts = NULL;
}

void bench_source_init(bench_source *source, const bench_workload *workload, uint64_t seed,
                       size_t batch, bench_keys keys)
{
    *source = (bench_source){
        .workload = workload, .chance = { .state = seed }, .batch = batch, .keys = keys
    };
}

static const char *draw_key(bench_source *source)
{
    if (source->keys == BENCH_KEYS_NONE)
        return NULL;
    source->key_number++;
    uint64_t number =
        source->keys == BENCH_KEYS_RANDOM ? bench_random(&source->chance) : source->key_number;
    for (int i = 15; i >= 0; i--, number >>= 4)
        source->key[i] = "0123456789abcdef"[number & 15];
    return source->key;
}

void bench_draw_next(bench_source *source, bench_draw *draw_out)
{
    uint32_t first =
        bench_random_below(&source->chance, (uint32_t)(BENCH_EVENTS - source->batch + 1));
    draw_out->stream = bench_random_below(&source->chance, BENCH_STREAMS);
    draw_out->stream_name = NULL;
    draw_out->events = &source->workload->events[first];
    draw_out->types = &source->workload->types[first];
    draw_out->count = source->batch;
    draw_out->key = draw_key(source);
}

int64_t bench_append_drawn(stele_store *store, bench_source *source)
{
    bench_draw draw;
    bench_draw_next(source, &draw);
    stele_append append = STELE_APPEND_INIT;
    append.stream = source->workload->streams[draw.stream];
    append.events = draw.events;
    append.event_count = draw.count;
    append.idempotency_key = draw.key;
    stele_appended appended;
    bench_expect(stele_store_append(store, &append, &appended), "append");
    return appended.last_position;
}

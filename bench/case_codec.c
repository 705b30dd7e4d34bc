/*
 * Encoding and decoding events: by their tables, as cJSON trees behind the gate, and by hand with
 * cJSON and libcbor. No file is touched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/cbor.h>
#include <stele/json.h>
#include <stele/store.h>
#include <stele/tree.h>
#include <stele/typed.h>

#include "codec_sides.h"

enum {
    CODEC_EVENTS = 64, /* different ones, so that no branch is learnt by heart */
    CODEC_SIZE_MAX = 4096
};

typedef struct codec_race {
    const codec_shape *shape;
    stele_store *store;
    const char *codec;
    char *values[CODEC_EVENTS];
    stele_buffer payloads[CODEC_EVENTS]; /* as the tables encode them */
    stele_record records[CODEC_EVENTS];
    stele_decoded *decoded;
    char *value;         /* what is decoded into by hand */
    stele_buffer buffer; /* what is encoded into */
    size_t next;         /* event */
    size_t bytes;        /* of all payloads */
} codec_race;

/* --- The sides: each does it to event `index`, and leaves the outcome in the race --- */

typedef void codec_step(codec_race *race, size_t index);

static void decode_typed(codec_race *race, size_t index)
{
    bench_expect(stele_record_decode(race->store, &race->records[index], &race->decoded),
                 "decode a record");
}

static void encode_typed(codec_race *race, size_t index)
{
    stele_typed_event typed = { .struct_size = sizeof(stele_typed_event),
                                .type = race->shape->type,
                                .value = race->values[index],
                                .codec = race->codec };
    stele_event event;
    race->buffer.size = 0;
    bench_expect(stele_event_encode(race->store, &typed, &race->buffer, &event, NULL),
                 "encode an event");
}

static void take_json(codec_race *race, cJSON *tree)
{
    if (tree == NULL || !race->shape->take_json(tree, race->value))
        bench_die("cJSON can't read an event");
    cJSON_Delete(tree);
}

static void decode_with_cjson(codec_race *race, size_t index)
{
    const stele_buffer *payload = &race->payloads[index];
    race->shape->release(race->value);
    take_json(race, cJSON_ParseWithLength(payload->data, payload->size));
}

static void decode_tree(codec_race *race, size_t index)
{
    const stele_buffer *payload = &race->payloads[index];
    cJSON *tree = NULL;
    race->shape->release(race->value);
    bench_expect(stele_tree_parse(payload->data, payload->size, NULL, &tree, NULL), "parse a tree");
    take_json(race, tree);
}

static cJSON *make_json(codec_race *race, size_t index)
{
    cJSON *tree = race->shape->make_json(race->values[index]);
    if (tree == NULL)
        bench_die("cJSON can't hold an event");
    race->buffer.size = 0;
    return tree;
}

static void encode_with_cjson(codec_race *race, size_t index)
{
    cJSON *tree = make_json(race, index);
    char *text = cJSON_PrintUnformatted(tree);
    if (text == NULL)
        bench_die("cJSON can't print an event");
    /* What a payload needs of it: its size, and its bytes somewhere that lasts. */
    bench_expect(stele_buffer_add(&race->buffer, text, strlen(text)), "keep a text");
    cJSON_free(text);
    cJSON_Delete(tree);
}

static void encode_tree(codec_race *race, size_t index)
{
    cJSON *tree = make_json(race, index);
    bench_expect(stele_tree_print(tree, &race->buffer), "print a tree");
    cJSON_Delete(tree);
}

static void decode_with_libcbor(codec_race *race, size_t index)
{
    const stele_buffer *payload = &race->payloads[index];
    struct cbor_load_result result;
    race->shape->release(race->value);
    cbor_item_t *item = cbor_load((cbor_data)payload->data, payload->size, &result);
    if (item == NULL || result.read != payload->size || !race->shape->take_cbor(item, race->value))
        bench_die("libcbor can't read an event");
    cbor_decref(&item);
}

static void encode_with_libcbor(codec_race *race, size_t index)
{
    unsigned char *bytes = NULL;
    size_t capacity = 0;
    cbor_item_t *item = race->shape->make_cbor(race->values[index]);
    size_t size = cbor_serialize_alloc(item, &bytes, &capacity);
    race->buffer.size = 0;
    bench_expect(stele_buffer_add(&race->buffer, bytes, size), "keep bytes");
    free(bytes);
    cbor_decref(&item);
}

/* Into memory that is large enough, whatever comes. */
static void stream_with_libcbor(codec_race *race, size_t index)
{
    race->buffer.size = race->shape->put_cbor(
        race->values[index], (unsigned char *)race->buffer.data, race->buffer.capacity);
}

static void check_json(codec_race *race, size_t index)
{
    const stele_buffer *payload = &race->payloads[index];
    bench_expect(stele_json_check(payload->data, payload->size, NULL), "check JSON");
}

static void check_cbor(codec_race *race, size_t index)
{
    const stele_buffer *payload = &race->payloads[index];
    bench_expect(stele_cbor_check(payload->data, payload->size, NULL), "check CBOR");
}

/* --- All of them in turn --- */

typedef struct codec_side {
    const char *label;
    codec_step *step;
    codec_race *race;
} codec_side;

static uint64_t run_codec_side(void *state, uint64_t operations)
{
    const codec_side *side = state;
    codec_race *race = side->race;
    for (uint64_t i = 0; i < operations; i++) {
        side->step(race, race->next);
        race->next = (race->next + 1) % CODEC_EVENTS;
    }
    return operations;
}

/* Before the clock runs: every side reads, or wrote, what the value was. */
static void verify_decoding(codec_race *race, const codec_side *side)
{
    for (size_t i = 0; i < CODEC_EVENTS; i++) {
        const void *value = race->value;
        side->step(race, i);
        if (side->step == decode_typed)
            value = stele_decoded_part(race->decoded, 0)->value;
        if (!race->shape->is_same(value, race->values[i]))
            bench_die("%s: %s reads another value", race->codec, side->label);
    }
}

static void verify_encoding(codec_race *race, const codec_side *side)
{
    for (size_t i = 0; i < CODEC_EVENTS; i++) {
        side->step(race, i);
        stele_record record = race->records[i];
        record.data = race->buffer.data;
        record.data_size = race->buffer.size;
        bench_expect(stele_record_decode(race->store, &record, &race->decoded), side->label);
        if (!race->shape->is_same(stele_decoded_part(race->decoded, 0)->value, race->values[i]))
            bench_die("%s: %s writes another value", race->codec, side->label);
    }
}

static void race_codec_sides(const bench_settings *settings, codec_race *race, const char *verb,
                             codec_side *sides, size_t count)
{
    bench_contender contenders[BENCH_CONTENDERS_MAX] = { { NULL, NULL, NULL, 0, 0 } };
    for (size_t i = 0; i < count; i++) {
        sides[i].race = race;
        contenders[i] = (bench_contender){ sides[i].label, run_codec_side, &sides[i], 0, 0 };
        if (strcmp(verb, "encode") == 0)
            verify_encoding(race, &sides[i]);
        else if (sides[i].step != check_json && sides[i].step != check_cbor)
            verify_decoding(race, &sides[i]);
    }
    bool is_small = race->shape == &codec_loan_shape;
    bench_race(settings, contenders, count, is_small ? 2000 : 250, settings->quick ? 4 : 30);
    char name[64];
    snprintf(name, sizeof(name), "codec-%s-%s-%s", race->codec, verb, race->shape->size_name);
    bench_report_bytes(name, contenders, count, (double)race->bytes / CODEC_EVENTS);
}

static void open_codec_race(codec_race *race, const codec_shape *shape, const char *codec,
                            uint64_t seed)
{
    bench_chance chance = { .state = seed };
    memset(race, 0, sizeof(*race));
    race->shape = shape;
    race->codec = codec;
    race->value = bench_allocate(shape->type->size);
    bench_expect(stele_store_open(":memory:", NULL, &race->store), "open a store");
    bench_expect(stele_store_register_type(race->store, shape->type), "register a type");
    for (size_t i = 0; i < CODEC_EVENTS; i++) {
        race->values[i] = bench_allocate(shape->type->size);
        shape->fill(race->values[i], &chance);
        encode_typed(race, i);
        race->payloads[i] = race->buffer;
        race->buffer = (stele_buffer)STELE_BUFFER_INIT;
        race->bytes += race->payloads[i].size;
        race->records[i] = (stele_record){ .position = (int64_t)i + 1,
                                           .version = (int64_t)i + 1,
                                           .stream = "shop-1",
                                           .type = shape->type->name,
                                           .codec = codec,
                                           .schema_version = shape->type->schema_version,
                                           .data = race->payloads[i].data,
                                           .data_size = race->payloads[i].size,
                                           .metadata = "" };
    }
    static const char blank[CODEC_SIZE_MAX];
    bench_expect(stele_buffer_add(&race->buffer, blank, sizeof(blank)), "make room");
}

static void close_codec_race(codec_race *race)
{
    for (size_t i = 0; i < CODEC_EVENTS; i++) {
        stele_type_clear(race->shape->type, race->values[i]);
        free(race->values[i]);
        stele_buffer_dispose(&race->payloads[i]);
    }
    race->shape->release(race->value);
    free(race->value);
    stele_buffer_dispose(&race->buffer);
    stele_decoded_close(race->decoded);
    stele_store_close(race->store);
}

static void race_json(const bench_settings *settings, const codec_shape *shape)
{
    codec_side decoding[] = { { "typed", decode_typed, NULL },
                              { "cJSON by hand", decode_with_cjson, NULL },
                              { "tree", decode_tree, NULL },
                              { "gate alone", check_json, NULL } };
    codec_side encoding[] = { { "typed", encode_typed, NULL },
                              { "cJSON by hand", encode_with_cjson, NULL },
                              { "tree", encode_tree, NULL } };
    codec_race race;
    open_codec_race(&race, shape, "json", settings->seed);
    race_codec_sides(settings, &race, "decode", decoding, 4);
    race_codec_sides(settings, &race, "encode", encoding, 3);
    close_codec_race(&race);
}

static void race_cbor(const bench_settings *settings, const codec_shape *shape)
{
    codec_side decoding[] = { { "typed", decode_typed, NULL },
                              { "libcbor by hand", decode_with_libcbor, NULL },
                              { "gate alone", check_cbor, NULL } };
    codec_side encoding[] = { { "typed", encode_typed, NULL },
                              { "libcbor by hand", encode_with_libcbor, NULL },
                              { "libcbor's stream by hand", stream_with_libcbor, NULL } };
    codec_race race;
    open_codec_race(&race, shape, "cbor", settings->seed);
    race_codec_sides(settings, &race, "decode", decoding, 3);
    race_codec_sides(settings, &race, "encode", encoding, 3);
    close_codec_race(&race);
}

void bench_case_codec(const bench_settings *settings, const bench_workload *workload)
{
    (void)workload;
    race_json(settings, &codec_loan_shape);
    race_json(settings, &codec_order_shape);
    race_cbor(settings, &codec_loan_shape);
    race_cbor(settings, &codec_order_shape);
}

/*
 * The two events of the case `codec`, and how they are read and written by hand: with cJSON, and
 * with libcbor. By hand the types and sizes of members are judged, as a careful program would. But
 * keys that come twice, UTF-8 and what follows the value are taken as the library beneath takes
 * them.
 */
#ifndef STELE_BENCH_CODEC_SIDES_H
#define STELE_BENCH_CODEC_SIDES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cbor.h>
#include <cjson/cJSON.h>
#include <stele/type.h>

#include "bench.h"

/* --- codec_values.c: what the events are --- */

/* About 200 bytes of JSON. */
typedef struct codec_loan {
    uint64_t loan_id;
    char item[24];
    uint32_t member_id;
    char member[32];
    char branch[16];
    int64_t lent_at;
    int64_t due_at;
    double fee;
    bool renewable;
} codec_loan;

enum { CODEC_LINES = 12 };

typedef struct codec_line {
    char sku[16];
    char title[48];
    uint32_t quantity;
    double price;
    double tax;
    uint32_t weight;
    bool gift;
} codec_line;

/* About 2 KB of JSON. */
typedef struct codec_order {
    uint64_t order_id;
    uint32_t customer_id;
    int64_t placed_at;
    char currency[4];
    double total;
    bool express;
    char *note;
    codec_line lines[CODEC_LINES];
    uint32_t line_count;
} codec_order;

/* An event, and its hands. */
typedef struct codec_shape {
    const char *size_name;
    const stele_type *type;
    void (*fill)(void *value, bench_chance *chance); /* owned members: stele_type_clear() */
    bool (*is_same)(const void *left, const void *right);
    void (*release)(void *value); /* of one that was read by hand */
    bool (*take_json)(const cJSON *tree, void *value);
    cJSON *(*make_json)(const void *value); /* NULL: no memory */
    bool (*take_cbor)(const cbor_item_t *item, void *value);
    cbor_item_t *(*make_cbor)(const void *value);
    size_t (*put_cbor)(const void *value, unsigned char *out, size_t capacity);
} codec_shape;

extern const codec_shape codec_loan_shape;
extern const codec_shape codec_order_shape;

/* --- codec_json.c, codec_cbor.c: the members of these functions --- */

bool codec_take_loan_json(const cJSON *tree, void *value);
bool codec_take_order_json(const cJSON *tree, void *value);
cJSON *codec_make_loan_json(const void *value);
cJSON *codec_make_order_json(const void *value);
bool codec_take_loan_cbor(const cbor_item_t *item, void *value);
bool codec_take_order_cbor(const cbor_item_t *item, void *value);
cbor_item_t *codec_make_loan_cbor(const void *value);
cbor_item_t *codec_make_order_cbor(const void *value);
/* Straight into `out`, with what libcbor has for streams; 0 when it doesn't fit. */
size_t codec_put_loan_cbor(const void *value, unsigned char *out, size_t capacity);
size_t codec_put_order_cbor(const void *value, unsigned char *out, size_t capacity);

#endif

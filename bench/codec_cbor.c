/* The events of the case `codec` by hand, with libcbor. */
#include <stdlib.h>
#include <string.h>

#include <cbor.h>

#include "codec_sides.h"

/* --- Reading: a tree, and a look for each member --- */

static const cbor_item_t *find_cbor_member(const cbor_item_t *map, const char *name)
{
    size_t size = strlen(name);
    size_t count = cbor_map_size(map);
    const struct cbor_pair *pairs = cbor_map_handle(map);
    for (size_t i = 0; i < count; i++) {
        const cbor_item_t *key = pairs[i].key;
        if (cbor_isa_string(key) && cbor_string_is_definite(key) && cbor_string_length(key) == size
            && memcmp(cbor_string_handle(key), name, size) == 0)
            return pairs[i].value;
    }
    return NULL;
}

static bool is_cbor_text(const cbor_item_t *item)
{
    return item != NULL && cbor_isa_string(item) && cbor_string_is_definite(item);
}

static bool take_cbor_text(const cbor_item_t *map, const char *name, char *out, size_t capacity)
{
    const cbor_item_t *item = find_cbor_member(map, name);
    if (!is_cbor_text(item) || cbor_string_length(item) >= capacity)
        return false;
    size_t size = cbor_string_length(item);
    memcpy(out, cbor_string_handle(item), size);
    out[size] = '\0';
    return true;
}

static bool take_cbor_unsigned(const cbor_item_t *map, const char *name, uint64_t highest,
                               uint64_t *out)
{
    const cbor_item_t *item = find_cbor_member(map, name);
    if (item == NULL || !cbor_isa_uint(item) || cbor_get_int(item) > highest)
        return false;
    *out = cbor_get_int(item);
    return true;
}

static bool take_cbor_uint32(const cbor_item_t *map, const char *name, uint32_t *out)
{
    uint64_t value = 0;
    if (!take_cbor_unsigned(map, name, UINT32_MAX, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool take_cbor_time(const cbor_item_t *map, const char *name, int64_t *out)
{
    const cbor_item_t *item = find_cbor_member(map, name);
    if (item == NULL || !cbor_is_int(item) || cbor_get_int(item) > INT64_MAX)
        return false;
    int64_t value = (int64_t)cbor_get_int(item);
    *out = cbor_isa_negint(item) ? -1 - value : value;
    return true;
}

static bool take_cbor_real(const cbor_item_t *map, const char *name, double *out)
{
    const cbor_item_t *item = find_cbor_member(map, name);
    if (item == NULL || !cbor_is_float(item))
        return false;
    *out = cbor_float_get_float(item);
    return true;
}

static bool take_cbor_bool(const cbor_item_t *map, const char *name, bool *out)
{
    const cbor_item_t *item = find_cbor_member(map, name);
    if (item == NULL || !cbor_is_bool(item))
        return false;
    *out = cbor_get_bool(item);
    return true;
}

bool codec_take_loan_cbor(const cbor_item_t *item, void *value)
{
    codec_loan *loan = value;
    return cbor_isa_map(item) && take_cbor_unsigned(item, "loanId", UINT64_MAX, &loan->loan_id)
           && take_cbor_text(item, "itemId", loan->item, sizeof(loan->item))
           && take_cbor_uint32(item, "memberId", &loan->member_id)
           && take_cbor_text(item, "member", loan->member, sizeof(loan->member))
           && take_cbor_text(item, "branch", loan->branch, sizeof(loan->branch))
           && take_cbor_time(item, "lentAt", &loan->lent_at)
           && take_cbor_time(item, "dueAt", &loan->due_at)
           && take_cbor_real(item, "fee", &loan->fee)
           && take_cbor_bool(item, "renewable", &loan->renewable);
}

static bool take_cbor_line(const cbor_item_t *item, codec_line *line)
{
    return cbor_isa_map(item) && take_cbor_text(item, "sku", line->sku, sizeof(line->sku))
           && take_cbor_text(item, "title", line->title, sizeof(line->title))
           && take_cbor_uint32(item, "quantity", &line->quantity)
           && take_cbor_real(item, "price", &line->price) && take_cbor_real(item, "tax", &line->tax)
           && take_cbor_uint32(item, "weight", &line->weight)
           && take_cbor_bool(item, "gift", &line->gift);
}

static bool take_cbor_lines(const cbor_item_t *map, codec_order *order)
{
    const cbor_item_t *list = find_cbor_member(map, "lines");
    if (list == NULL || !cbor_isa_array(list) || cbor_array_size(list) > CODEC_LINES)
        return false;
    cbor_item_t **items = cbor_array_handle(list);
    order->line_count = (uint32_t)cbor_array_size(list);
    bool taken = true;
    for (uint32_t i = 0; i < order->line_count && taken; i++)
        taken = take_cbor_line(items[i], &order->lines[i]);
    return taken;
}

bool codec_take_order_cbor(const cbor_item_t *item, void *value)
{
    codec_order *order = value;
    if (!cbor_isa_map(item))
        return false;
    const cbor_item_t *note = find_cbor_member(item, "note");
    order->note = is_cbor_text(note)
                      ? strndup((const char *)cbor_string_handle(note), cbor_string_length(note))
                      : NULL;
    return take_cbor_unsigned(item, "orderId", UINT64_MAX, &order->order_id)
           && take_cbor_uint32(item, "customerId", &order->customer_id)
           && take_cbor_time(item, "placedAt", &order->placed_at)
           && take_cbor_text(item, "currency", order->currency, sizeof(order->currency))
           && take_cbor_real(item, "total", &order->total)
           && take_cbor_bool(item, "express", &order->express) && take_cbor_lines(item, order);
}

/* --- Writing: a tree --- */

static void add_cbor_member(cbor_item_t *map, const char *name, cbor_item_t *value)
{
    struct cbor_pair pair = { .key = cbor_move(cbor_build_string(name)),
                              .value = cbor_move(value) };
    if (!cbor_map_add(map, pair))
        bench_die("libcbor can't add '%s'", name);
}

/* In the shortest form: libcbor writes an integer as wide as it was built. */
static cbor_item_t *build_cbor_unsigned(uint64_t value)
{
    if (value <= UINT8_MAX)
        return cbor_build_uint8((uint8_t)value);
    if (value <= UINT16_MAX)
        return cbor_build_uint16((uint16_t)value);
    return value <= UINT32_MAX ? cbor_build_uint32((uint32_t)value) : cbor_build_uint64(value);
}

/* Times since 1970 only. */
static cbor_item_t *build_cbor_time(int64_t value)
{
    return build_cbor_unsigned((uint64_t)value);
}

cbor_item_t *codec_make_loan_cbor(const void *value)
{
    const codec_loan *loan = value;
    cbor_item_t *map = cbor_new_definite_map(9);
    add_cbor_member(map, "loanId", build_cbor_unsigned(loan->loan_id));
    add_cbor_member(map, "itemId", cbor_build_string(loan->item));
    add_cbor_member(map, "memberId", build_cbor_unsigned(loan->member_id));
    add_cbor_member(map, "member", cbor_build_string(loan->member));
    add_cbor_member(map, "branch", cbor_build_string(loan->branch));
    add_cbor_member(map, "lentAt", build_cbor_time(loan->lent_at));
    add_cbor_member(map, "dueAt", build_cbor_time(loan->due_at));
    add_cbor_member(map, "fee", cbor_build_float8(loan->fee));
    add_cbor_member(map, "renewable", cbor_build_bool(loan->renewable));
    return map;
}

static cbor_item_t *make_cbor_line(const codec_line *line)
{
    cbor_item_t *map = cbor_new_definite_map(7);
    add_cbor_member(map, "sku", cbor_build_string(line->sku));
    add_cbor_member(map, "title", cbor_build_string(line->title));
    add_cbor_member(map, "quantity", build_cbor_unsigned(line->quantity));
    add_cbor_member(map, "price", cbor_build_float8(line->price));
    add_cbor_member(map, "tax", cbor_build_float8(line->tax));
    add_cbor_member(map, "weight", build_cbor_unsigned(line->weight));
    add_cbor_member(map, "gift", cbor_build_bool(line->gift));
    return map;
}

cbor_item_t *codec_make_order_cbor(const void *value)
{
    const codec_order *order = value;
    cbor_item_t *map = cbor_new_definite_map(8);
    add_cbor_member(map, "orderId", build_cbor_unsigned(order->order_id));
    add_cbor_member(map, "customerId", build_cbor_unsigned(order->customer_id));
    add_cbor_member(map, "placedAt", build_cbor_time(order->placed_at));
    add_cbor_member(map, "currency", cbor_build_string(order->currency));
    add_cbor_member(map, "total", cbor_build_float8(order->total));
    add_cbor_member(map, "express", cbor_build_bool(order->express));
    add_cbor_member(map, "note", cbor_build_string(order->note));
    cbor_item_t *lines = cbor_new_definite_array(order->line_count);
    for (uint32_t i = 0; i < order->line_count; i++)
        if (!cbor_array_push(lines, cbor_move(make_cbor_line(&order->lines[i]))))
            bench_die("libcbor can't add a line");
    add_cbor_member(map, "lines", lines);
    return map;
}

/* --- Writing: a stream --- */

typedef struct cbor_output {
    unsigned char *out;
    size_t capacity;
    size_t size;
    bool full;
} cbor_output;

/* What libcbor answered: 0 when it didn't fit. */
static void advance_cbor(cbor_output *output, size_t size)
{
    output->size += size;
    output->full = output->full || size == 0;
}

#define PUT_CBOR(output, encode, value)                                                            \
    advance_cbor(output, encode(value, (output)->out + (output)->size,                             \
                                (output)->capacity - (output)->size))

static void put_cbor_text(cbor_output *output, const char *text)
{
    size_t size = strlen(text);
    PUT_CBOR(output, cbor_encode_string_start, size);
    if (size > output->capacity - output->size) {
        output->full = true;
        return;
    }
    memcpy(output->out + output->size, text, size);
    output->size += size;
}

size_t codec_put_loan_cbor(const void *value, unsigned char *out, size_t capacity)
{
    const codec_loan *loan = value;
    cbor_output output = { out, capacity, 0, false };
    PUT_CBOR(&output, cbor_encode_map_start, 9);
    put_cbor_text(&output, "loanId");
    PUT_CBOR(&output, cbor_encode_uint, loan->loan_id);
    put_cbor_text(&output, "itemId");
    put_cbor_text(&output, loan->item);
    put_cbor_text(&output, "memberId");
    PUT_CBOR(&output, cbor_encode_uint, loan->member_id);
    put_cbor_text(&output, "member");
    put_cbor_text(&output, loan->member);
    put_cbor_text(&output, "branch");
    put_cbor_text(&output, loan->branch);
    put_cbor_text(&output, "lentAt");
    PUT_CBOR(&output, cbor_encode_uint, (uint64_t)loan->lent_at);
    put_cbor_text(&output, "dueAt");
    PUT_CBOR(&output, cbor_encode_uint, (uint64_t)loan->due_at);
    put_cbor_text(&output, "fee");
    PUT_CBOR(&output, cbor_encode_double, loan->fee);
    put_cbor_text(&output, "renewable");
    PUT_CBOR(&output, cbor_encode_bool, loan->renewable);
    return output.full ? 0 : output.size;
}

static void put_cbor_line(cbor_output *output, const codec_line *line)
{
    PUT_CBOR(output, cbor_encode_map_start, 7);
    put_cbor_text(output, "sku");
    put_cbor_text(output, line->sku);
    put_cbor_text(output, "title");
    put_cbor_text(output, line->title);
    put_cbor_text(output, "quantity");
    PUT_CBOR(output, cbor_encode_uint, line->quantity);
    put_cbor_text(output, "price");
    PUT_CBOR(output, cbor_encode_double, line->price);
    put_cbor_text(output, "tax");
    PUT_CBOR(output, cbor_encode_double, line->tax);
    put_cbor_text(output, "weight");
    PUT_CBOR(output, cbor_encode_uint, line->weight);
    put_cbor_text(output, "gift");
    PUT_CBOR(output, cbor_encode_bool, line->gift);
}

size_t codec_put_order_cbor(const void *value, unsigned char *out, size_t capacity)
{
    const codec_order *order = value;
    cbor_output output = { out, capacity, 0, false };
    PUT_CBOR(&output, cbor_encode_map_start, 8);
    put_cbor_text(&output, "orderId");
    PUT_CBOR(&output, cbor_encode_uint, order->order_id);
    put_cbor_text(&output, "customerId");
    PUT_CBOR(&output, cbor_encode_uint, order->customer_id);
    put_cbor_text(&output, "placedAt");
    PUT_CBOR(&output, cbor_encode_uint, (uint64_t)order->placed_at);
    put_cbor_text(&output, "currency");
    put_cbor_text(&output, order->currency);
    put_cbor_text(&output, "total");
    PUT_CBOR(&output, cbor_encode_double, order->total);
    put_cbor_text(&output, "express");
    PUT_CBOR(&output, cbor_encode_bool, order->express);
    put_cbor_text(&output, "note");
    put_cbor_text(&output, order->note);
    put_cbor_text(&output, "lines");
    PUT_CBOR(&output, cbor_encode_array_start, order->line_count);
    for (uint32_t i = 0; i < order->line_count; i++)
        put_cbor_line(&output, &order->lines[i]);
    return output.full ? 0 : output.size;
}

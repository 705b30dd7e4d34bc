/* The events of the case `codec`: their tables, and values for them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec_sides.h"

static const stele_field loan_fields[] = {
    STELE_F(codec_loan, loan_id, "loanId", STELE_REQUIRED),
    STELE_F(codec_loan, item, "itemId", STELE_REQUIRED),
    STELE_F(codec_loan, member_id, "memberId", STELE_REQUIRED),
    STELE_F(codec_loan, member, "member", STELE_REQUIRED),
    STELE_F(codec_loan, branch, "branch", STELE_REQUIRED),
    STELE_F(codec_loan, lent_at, "lentAt", STELE_REQUIRED),
    STELE_F(codec_loan, due_at, "dueAt", STELE_REQUIRED),
    STELE_F(codec_loan, fee, "fee", STELE_REQUIRED),
    STELE_F(codec_loan, renewable, "renewable", STELE_REQUIRED),
};
STELE_TYPE(codec_loan_type, codec_loan, "ItemLent", 1, loan_fields);

static const stele_field line_fields[] = {
    STELE_F(codec_line, sku, "sku", STELE_REQUIRED),
    STELE_F(codec_line, title, "title", STELE_REQUIRED),
    STELE_F(codec_line, quantity, "quantity", STELE_REQUIRED),
    STELE_F(codec_line, price, "price", STELE_REQUIRED),
    STELE_F(codec_line, tax, "tax", STELE_REQUIRED),
    STELE_F(codec_line, weight, "weight", STELE_REQUIRED),
    STELE_F(codec_line, gift, "gift", STELE_REQUIRED),
};
STELE_TYPE(codec_line_type, codec_line, "OrderLine", 1, line_fields);

static const stele_field order_fields[] = {
    STELE_F(codec_order, order_id, "orderId", STELE_REQUIRED),
    STELE_F(codec_order, customer_id, "customerId", STELE_REQUIRED),
    STELE_F(codec_order, placed_at, "placedAt", STELE_REQUIRED),
    STELE_F(codec_order, currency, "currency", STELE_REQUIRED),
    STELE_F(codec_order, total, "total", STELE_REQUIRED),
    STELE_F(codec_order, express, "express", STELE_REQUIRED),
    STELE_F(codec_order, note, "note", STELE_OPTIONAL),
    STELE_F_LIST(codec_order, lines, line_count, "lines", codec_line_type, STELE_REQUIRED),
};
STELE_TYPE(codec_order_type, codec_order, "OrderPlaced", 1, order_fields);

/* --- Values --- */

/*
 * An amount with two digits after the point, as it is read from such a text. Of a number that
 * needs 17 digits cJSON doesn't print the last ones, so no side could be compared with it.
 */
static double draw_amount(bench_chance *chance, uint32_t below)
{
    return (double)bench_random_below(chance, below) / 100;
}

static int64_t draw_time(bench_chance *chance)
{
    return INT64_C(1719792000000) + bench_random_below(chance, UINT32_MAX);
}

static void fill_loan(void *value, bench_chance *chance)
{
    static const char *const members[] = { "Margarethe Lindqvist", "Zo\xC3\xAB van Dijk",
                                           "Amadou Ndiaye", "Ruth \"Rudi\" Steiner" };
    static const char *const branches[] = { "central", "north-2", "harbour", "west-park" };
    codec_loan *loan = value;
    loan->loan_id = 40000000 + bench_random_below(chance, 50000000);
    snprintf(loan->item, sizeof(loan->item), "978-0-14-%06" PRIu32 "-%" PRIu32,
             bench_random_below(chance, 1000000), bench_random_below(chance, 10));
    loan->member_id = 100000 + bench_random_below(chance, 900000);
    snprintf(loan->member, sizeof(loan->member), "%s", members[bench_random_below(chance, 4)]);
    snprintf(loan->branch, sizeof(loan->branch), "%s", branches[bench_random_below(chance, 4)]);
    loan->lent_at = draw_time(chance);
    loan->due_at = loan->lent_at + INT64_C(28) * 86400000;
    loan->fee = draw_amount(chance, 1000);
    loan->renewable = bench_random_below(chance, 2) == 0;
}

static void fill_line(codec_line *line, bench_chance *chance)
{
    static const char *const titles[] = { "Enamel coffee pot, 1.5 litres, blue",
                                          "Beeswax candles, 12 pieces",
                                          "Caf\xC3\xA9 cups with saucers, set of six",
                                          "Oak shelf, oiled, 80 x 25 cm" };
    static const double taxes[] = { 0.19, 0.07, 0.055, 0 };
    snprintf(line->sku, sizeof(line->sku), "A-%06" PRIu32 "-XL",
             bench_random_below(chance, 1000000));
    snprintf(line->title, sizeof(line->title), "%s", titles[bench_random_below(chance, 4)]);
    line->quantity = 1 + bench_random_below(chance, 20);
    line->price = draw_amount(chance, 20000);
    line->tax = taxes[bench_random_below(chance, 4)];
    line->weight = 50 + bench_random_below(chance, 20000);
    line->gift = bench_random_below(chance, 4) == 0;
}

static void fill_order(void *value, bench_chance *chance)
{
    static const char note[] =
        "Please ring twice: the bell of the ground floor is broken.\nIf nobody opens, leave the "
        "parcel with the bakery next door, \"Zum K\xC3\xB6nig\", which is open from six to two. "
        "Two of the pots are presents, so no invoice in the box, please.";
    codec_order *order = value;
    order->order_id = 8800000000 + bench_random_below(chance, 100000000);
    order->customer_id = bench_random_below(chance, 1000000);
    order->placed_at = draw_time(chance);
    snprintf(order->currency, sizeof(order->currency), "EUR");
    order->express = bench_random_below(chance, 2) == 0;
    order->note = stele_type_allocate(1, sizeof(note));
    if (order->note == NULL)
        bench_die("no memory for a note");
    memcpy(order->note, note, sizeof(note));
    order->line_count = CODEC_LINES;
    for (uint32_t i = 0; i < order->line_count; i++)
        fill_line(&order->lines[i], chance);
    order->total = draw_amount(chance, 200000);
}

/* --- What came back --- */

static bool is_same_loan(const void *left, const void *right)
{
    const codec_loan *a = left;
    const codec_loan *b = right;
    return a->loan_id == b->loan_id && strcmp(a->item, b->item) == 0 && a->member_id == b->member_id
           && strcmp(a->member, b->member) == 0 && strcmp(a->branch, b->branch) == 0
           && a->lent_at == b->lent_at && a->due_at == b->due_at && a->fee == b->fee
           && a->renewable == b->renewable;
}

static bool is_same_line(const codec_line *a, const codec_line *b)
{
    return strcmp(a->sku, b->sku) == 0 && strcmp(a->title, b->title) == 0
           && a->quantity == b->quantity && a->price == b->price && a->tax == b->tax
           && a->weight == b->weight && a->gift == b->gift;
}

static bool is_same_order(const void *left, const void *right)
{
    const codec_order *a = left;
    const codec_order *b = right;
    bool same = a->order_id == b->order_id && a->customer_id == b->customer_id
                && a->placed_at == b->placed_at && strcmp(a->currency, b->currency) == 0
                && a->total == b->total && a->express == b->express && a->note != NULL
                && b->note != NULL && strcmp(a->note, b->note) == 0
                && a->line_count == b->line_count;
    for (uint32_t i = 0; i < a->line_count && same; i++)
        same = is_same_line(&a->lines[i], &b->lines[i]);
    return same;
}

static void release_loan(void *value)
{
    (void)value;
}

static void release_order(void *value)
{
    free(((codec_order *)value)->note);
}

const codec_shape codec_loan_shape = { "200",
                                       &codec_loan_type,
                                       fill_loan,
                                       is_same_loan,
                                       release_loan,
                                       codec_take_loan_json,
                                       codec_make_loan_json,
                                       codec_take_loan_cbor,
                                       codec_make_loan_cbor,
                                       codec_put_loan_cbor };

const codec_shape codec_order_shape = { "2k",
                                        &codec_order_type,
                                        fill_order,
                                        is_same_order,
                                        release_order,
                                        codec_take_order_json,
                                        codec_make_order_json,
                                        codec_take_order_cbor,
                                        codec_make_order_cbor,
                                        codec_put_order_cbor };

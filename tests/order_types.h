/** @file tests/order_types.h The events of a small shop, for tests of typed events. */
#ifndef STELE_TESTS_ORDER_TYPES_H
#define STELE_TESTS_ORDER_TYPES_H

#include <stele.h>

typedef enum order_state { ORDER_NEW, ORDER_PAID, ORDER_LOST = 40 } order_state;

typedef struct order_line {
    char sku[8];
    uint32_t quantity;
    double price;
} order_line;

typedef struct order_placed {
    uint64_t order_id;
    unsigned char key[4];
    char *note;
    bool gift;
    int64_t placed_ns;
    order_state state;
    bool has_discount;
    float discount;
    order_line lines[3];
    size_t line_count;
    uint16_t *codes;
    int code_count;
} order_placed;

STELE_ENUM(order_state_names, { ORDER_NEW, "new" }, { ORDER_PAID, "paid" });

static const stele_field order_line_fields[] = {
    STELE_F(order_line, sku, "sku", STELE_REQUIRED),
    STELE_F(order_line, quantity, "qty", STELE_REQUIRED),
    STELE_F(order_line, price, "price", STELE_OPTIONAL),
};
STELE_TYPE(order_line_type, order_line, "OrderLine", 1, order_line_fields);

static const stele_field order_placed_fields[] = {
    STELE_F(order_placed, order_id, "orderId", STELE_REQUIRED),
    STELE_F(order_placed, key, "key", STELE_SECRET),
    STELE_F(order_placed, note, "note", STELE_OPTIONAL),
    STELE_F(order_placed, gift, "gift", STELE_OPTIONAL),
    STELE_F(order_placed, placed_ns, "placedNs", STELE_AS_STRING),
    STELE_F_ENUM(order_placed, state, "state", order_state_names, STELE_OPTIONAL),
    STELE_F_HAS(order_placed, discount, has_discount, "discount", 0),
    STELE_F_LIST(order_placed, lines, line_count, "lines", order_line_type, STELE_REQUIRED),
    STELE_F_OWNED_VALUES(order_placed, codes, code_count, "codes", STELE_OPTIONAL),
};
STELE_TYPE(order_placed_type, order_placed, "OrderPlaced", 2, order_placed_fields);

typedef struct order_paid {
    char method[10];
} order_paid;

static const stele_field order_paid_fields[] = {
    STELE_F(order_paid, method, "method", STELE_REQUIRED),
};
STELE_TYPE_FLAGS(order_paid_type, order_paid, "OrderPaid", 1, order_paid_fields, STELE_STRICT);

#endif

/*
 * Typed events: structs are appended, and a stream of mixed types decodes itself. Old events of a
 * type that got a new member, and of one that was renamed, are read as what they are called now.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

#define STREAM "order-17"

typedef struct line_item {
    char sku[24];
    uint32_t quantity;
} line_item;

static const stele_field line_item_fields[] = {
    STELE_F(line_item, sku, "sku", STELE_REQUIRED),
    STELE_F(line_item, quantity, "qty", STELE_REQUIRED),
};
STELE_TYPE(line_item_type, line_item, "LineItem", 1, line_item_fields);

enum { BY_POST, BY_COURIER };
STELE_ENUM(delivery_names, { BY_POST, "post" }, { BY_COURIER, "courier" });

typedef struct order_placed {
    line_item lines[8];
    size_t line_count;
    char total[32]; /* Exactly, as in "49.90". */
    int delivery;
    bool has_delivery; /* Orders of the first year don't say. */
    char *card;        /* Owned: NULL is none. */
} order_placed;

static const stele_field order_placed_fields[] = {
    STELE_F_LIST(order_placed, lines, line_count, "lines", line_item_type, STELE_REQUIRED),
    STELE_F(order_placed, total, "total", STELE_REQUIRED | STELE_OR_NUMBER),
    STELE_F_HAS_ENUM(order_placed, delivery, has_delivery, "delivery", delivery_names,
                     STELE_OPTIONAL),
    STELE_F(order_placed, card, "card", STELE_OPTIONAL | STELE_SECRET),
};
STELE_TYPE(order_placed_type, order_placed, "OrderPlaced", 1, order_placed_fields);

typedef struct order_paid {
    int64_t cents;
} order_paid;

static const stele_field order_paid_fields[] = {
    STELE_F(order_paid, cents, "cents", STELE_REQUIRED),
};
STELE_TYPE(order_paid_type, order_paid, "OrderPaid", 1, order_paid_fields);

static stele_status register_types(stele_store *store)
{
    stele_status status = stele_store_register_type(store, &order_placed_type);
    if (status == STELE_OK)
        status = stele_store_register_type(store, &order_paid_type);
    if (status == STELE_OK) /* as it was called at first */
        status = stele_store_register_alias(store, "PaymentReceived", "OrderPaid");
    return status;
}

/* What an earlier version of this program has left, and one event that it knows nothing of. */
static stele_status append_old(stele_store *store)
{
    static const char *const texts[][2] = {
        { "OrderPlaced", "{\"lines\":[{\"sku\":\"LAMP\",\"qty\":1}],\"total\":49.90}" },
        { "PaymentReceived", "{\"cents\":\"4990\",\"by\":\"transfer\"}" },
        { "OrderPraised", "{\"stars\":5}" },
    };
    stele_event events[3];
    for (size_t i = 0; i < 3; i++)
        events[i] = (stele_event){ .type = texts[i][0],
                                   .data = texts[i][1],
                                   .data_size = strlen(texts[i][1]) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = STREAM;
    append.events = events;
    append.event_count = 3;
    return stele_store_append(store, &append, NULL);
}

static stele_status append_new(stele_store *store)
{
    static char card[] = "4111 1111 1111 1111"; /* not cleared below, so any memory will do */
    order_placed placed = { .lines = { { "LAMP", 2 }, { "BULB", 4 } },
                            .line_count = 2,
                            .total = "123.80",
                            .delivery = BY_COURIER,
                            .has_delivery = true,
                            .card = card };
    order_paid paid = { .cents = 12380 };
    stele_typed_event events[] = {
        { .struct_size = sizeof(stele_typed_event), .type = &order_placed_type, .value = &placed },
        { .struct_size = sizeof(stele_typed_event),
          .type = &order_paid_type,
          .value = &paid,
          .codec = "cbor" },
    };
    stele_append append = STELE_APPEND_INIT;
    append.stream = STREAM;
    return stele_append_typed(store, &append, events, 2, NULL);
}

static void on_placed(const order_placed *placed)
{
    printf("placed: %zu lines, first %s, for %s, %s\n", placed->line_count,
           placed->line_count > 0 ? placed->lines[0].sku : "none", placed->total,
           !placed->has_delivery            ? "who knows how"
           : placed->delivery == BY_COURIER ? "by courier"
                                            : "by post");
}

static void on_paid(const order_paid *paid)
{
    printf("paid: %" PRId64 " cents\n", paid->cents);
}

static void print_part(const stele_part *part)
{
    stele_buffer text = STELE_BUFFER_INIT; /* without what is secret */
    if (part->type == &order_placed_type)
        on_placed(part->value);
    else if (part->type == &order_paid_type)
        on_paid(part->value);
    if (stele_type_format(part->type, part->value, &text) == STELE_OK)
        printf("    %s: %s\n", part->codec, text.data);
    stele_buffer_dispose(&text);
}

static stele_status print_stream(stele_store *store)
{
    stele_cursor *cursor = NULL;
    stele_decoded *decoded = NULL; /* its memory serves all records */
    const stele_record *record;
    stele_read read = STELE_READ_INIT;
    read.stream = STREAM;
    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        status = stele_record_decode(store, record, &decoded);
        if (status == STELE_UNKNOWN_TYPE) { /* not this program's concern */
            printf("%s: not known here\n", record->type);
            status = STELE_OK;
            continue;
        }
        if (status == STELE_OK)
            for (size_t i = 0; i < stele_decoded_count(decoded); i++)
                print_part(stele_decoded_part(decoded, i));
    }
    stele_decoded_close(decoded);
    stele_cursor_close(cursor);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = register_types(store);
    if (status == STELE_OK)
        status = append_old(store);
    if (status == STELE_OK)
        status = append_new(store);
    if (status == STELE_OK)
        status = print_stream(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}

/*
 * Upcasters: what was once stored is read as what the program knows now. First a member got another
 * meaning, which makes a new schema version; later one event was split into two. The log stays as
 * it is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

/* Version 1 had euros, version 2 has cents, and version 3 none of either: see order_priced. */
typedef struct placed_1 {
    char sku[24];
    int64_t euros;
} placed_1;

static const stele_field placed_1_fields[] = {
    STELE_F(placed_1, sku, "sku", STELE_REQUIRED),
    STELE_F(placed_1, euros, "price", STELE_REQUIRED),
};
STELE_TYPE(placed_1_type, placed_1, "OrderPlaced", 1, placed_1_fields);

typedef struct placed_2 {
    char sku[24];
    int64_t cents;
} placed_2;

static const stele_field placed_2_fields[] = {
    STELE_F(placed_2, sku, "sku", STELE_REQUIRED),
    STELE_F(placed_2, cents, "price", STELE_REQUIRED),
};
STELE_TYPE(placed_2_type, placed_2, "OrderPlaced", 2, placed_2_fields);

typedef struct order_placed {
    char sku[24];
} order_placed;

static const stele_field order_placed_fields[] = {
    STELE_F(order_placed, sku, "sku", STELE_REQUIRED),
};
STELE_TYPE(order_placed_type, order_placed, "OrderPlaced", 3, order_placed_fields);

typedef struct order_priced {
    int64_t cents;
} order_priced;

static const stele_field order_priced_fields[] = {
    STELE_F(order_priced, cents, "cents", STELE_REQUIRED),
};
STELE_TYPE(order_priced_type, order_priced, "OrderPriced", 1, order_priced_fields);

/* From 1 to 2. */
static stele_status count_cents(void *context, const stele_upcast_input *input,
                                stele_upcast *upcast)
{
    const placed_1 *old = input->value;
    (void)context;
    if (old->euros > INT64_MAX / 100 || old->euros < INT64_MIN / 100)
        return stele_upcast_fail(upcast, "a price that can't be counted in cents");
    placed_2 now = { .cents = old->euros * 100 };
    memcpy(now.sku, old->sku, sizeof(now.sku));
    return stele_upcast_emit_value(upcast, &placed_2_type, &now);
}

/* From 2 to 3, and to an event of its own: in the order in which they are to be applied. */
static stele_status split_price_off(void *context, const stele_upcast_input *input,
                                    stele_upcast *upcast)
{
    const placed_2 *old = input->value;
    order_placed placed = { 0 };
    order_priced priced = { .cents = old->cents };
    (void)context;
    memcpy(placed.sku, old->sku, sizeof(placed.sku));
    stele_status status = stele_upcast_emit_value(upcast, &order_placed_type, &placed);
    if (status == STELE_OK)
        status = stele_upcast_emit_value(upcast, &order_priced_type, &priced);
    return status;
}

static stele_status register_types(stele_store *store)
{
    static const stele_type_version split[] = { { "OrderPlaced", 3 }, { "OrderPriced", 1 } };
    stele_upcaster first = STELE_UPCASTER_INIT;
    first.type = "OrderPlaced";
    first.schema_version = 1;
    first.from = &placed_1_type;
    first.upcast = count_cents; /* without `outputs`: one version on */
    stele_upcaster second = STELE_UPCASTER_INIT;
    second.type = "OrderPlaced";
    second.schema_version = 2;
    second.outputs = split;
    second.output_count = 2;
    second.from = &placed_2_type;
    second.upcast = split_price_off;

    stele_status status = stele_store_register_type(store, &order_placed_type);
    if (status == STELE_OK)
        status = stele_store_register_type(store, &order_priced_type);
    if (status == STELE_OK)
        status = stele_store_register_upcaster(store, &first);
    if (status == STELE_OK)
        status = stele_store_register_upcaster(store, &second);
    return status;
}

static stele_status append_old(stele_store *store, int64_t schema_version, const char *data)
{
    stele_event event = { .type = "OrderPlaced",
                          .schema_version = schema_version,
                          .data = data,
                          .data_size = strlen(data) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-17";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

static stele_status print_log(stele_store *store)
{
    stele_cursor *cursor = NULL;
    stele_decoded *decoded = NULL;
    const stele_record *record;
    stele_status status = stele_store_read(store, NULL, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        status = stele_record_decode(store, record, &decoded);
        for (size_t i = 0; status == STELE_OK && i < stele_decoded_count(decoded); i++) {
            const stele_part *part = stele_decoded_part(decoded, i);
            printf("%" PRId64 " %s %" PRId64 ", part %zu of %zu: ", record->position, part->name,
                   part->schema_version, part->index + 1, part->count);
            if (part->type == &order_placed_type)
                printf("%s\n", ((const order_placed *)part->value)->sku);
            else if (part->type == &order_priced_type)
                printf("%" PRId64 " cents\n", ((const order_priced *)part->value)->cents);
        }
    }
    stele_decoded_close(decoded);
    stele_cursor_close(cursor);
    return status;
}

/* What `stele lint` does: try every stored (type, schema version, codec). */
static stele_status print_lint(stele_store *store)
{
    stele_lint *lint = NULL;
    const stele_lint_line *line;
    stele_status status = stele_store_lint(store, NULL, &lint);
    while (status == STELE_OK && (status = stele_lint_next(lint, &line)) == STELE_OK)
        printf("%s %" PRId64 ": %" PRIu64 " tried, %" PRIu64 " failed%s%s\n", line->type,
               line->schema_version, line->tried, line->failures, line->failures > 0 ? ", at " : "",
               line->offender);
    stele_lint_close(lint);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = register_types(store);
    if (status == STELE_OK)
        status = append_old(store, 1, "{\"sku\":\"LAMP\",\"price\":49}");
    if (status == STELE_OK)
        status = append_old(store, 2, "{\"sku\":\"BULB\",\"price\":399}");
    if (status == STELE_OK)
        status = append_old(store, 3, "{\"sku\":\"CORD\"}");
    if (status == STELE_OK)
        status = print_log(store);
    if (status == STELE_DONE) /* a price of version 1, written by some script */
        status = append_old(store, 2, "{\"sku\":\"RUG\",\"price\":\"79 euros\"}");
    if (status == STELE_OK)
        status = print_lint(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}

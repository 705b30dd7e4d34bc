/*
 * A library for `stele --lib`: what a program knows of its events, so that the tool can read them.
 *
 *     cc -shared -fPIC -o orders.so orders_plugin.c $(pkg-config --cflags stele)
 *     stele lint --lib orders.so
 *
 * The program calls stele_register() as well, after it has opened its store.
 */
#include <string.h>

#include <stele.h>

STELE_API stele_status stele_register(stele_store *store);

/* At first all orders were in euros. */
typedef struct order_placed_1 {
    char sku[24];
    int64_t cents;
    char *card;
} order_placed_1;

static const stele_field order_placed_1_fields[] = {
    STELE_F(order_placed_1, sku, "sku", STELE_REQUIRED),
    STELE_F(order_placed_1, cents, "cents", STELE_REQUIRED),
    STELE_F(order_placed_1, card, "card", STELE_OPTIONAL | STELE_SECRET),
};
STELE_TYPE(order_placed_1_type, order_placed_1, "OrderPlaced", 1, order_placed_1_fields);

typedef struct order_placed {
    char sku[24];
    int64_t cents;
    char currency[4];
    char *card;
} order_placed;

static const stele_field order_placed_fields[] = {
    STELE_F(order_placed, sku, "sku", STELE_REQUIRED),
    STELE_F(order_placed, cents, "cents", STELE_REQUIRED),
    STELE_F(order_placed, currency, "currency", STELE_REQUIRED),
    STELE_F(order_placed, card, "card", STELE_OPTIONAL | STELE_SECRET),
};
STELE_TYPE(order_placed_type, order_placed, "OrderPlaced", 2, order_placed_fields);

static stele_status add_currency(void *context, const stele_upcast_input *input,
                                 stele_upcast *upcast)
{
    const order_placed_1 *old = input->value;
    order_placed now = { .cents = old->cents, .currency = "EUR", .card = old->card };
    (void)context;
    memcpy(now.sku, old->sku, sizeof(now.sku));
    return stele_upcast_emit_value(upcast, &order_placed_type, &now);
}

stele_status stele_register(stele_store *store)
{
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    upcaster.type = "OrderPlaced";
    upcaster.schema_version = 1;
    upcaster.from = &order_placed_1_type;
    upcaster.upcast = add_currency;

    stele_status status = stele_store_register_type(store, &order_placed_type);
    if (status == STELE_OK)
        status = stele_store_register_upcaster(store, &upcaster);
    return status;
}

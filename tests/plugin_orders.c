/*
 * A library for the tests of --lib: types and upcasters of each kind, and failures as the
 * environment variable PLUGIN_ORDERS asks for.
 */
#include <stdlib.h>
#include <string.h>

#include <stele.h>

STELE_API stele_status stele_register(stele_store *store);

typedef struct noted {
    int64_t n;
    char *secret;
} noted;

static const stele_field noted_fields[] = {
    STELE_F(noted, n, "n", STELE_REQUIRED),
    STELE_F(noted, secret, "secret", STELE_OPTIONAL | STELE_SECRET),
};
STELE_TYPE(noted_1_type, noted, "Noted", 1, noted_fields);
STELE_TYPE(noted_2_type, noted, "Noted", 2, noted_fields);

/* As it was stored, one version on. */
static stele_status keep_as_it_is(void *context, const stele_upcast_input *input,
                                  stele_upcast *upcast)
{
    stele_upcast_output output = { .data = input->data, .data_size = input->data_size };
    (void)context;
    return stele_upcast_emit(upcast, &output);
}

/* "3" becomes {"n":1}, {"n":2} and {"n":3}. */
static stele_status split_number(void *context, const stele_upcast_input *input,
                                 stele_upcast *upcast)
{
    (void)context;
    for (noted value = { .n = 1 }; value.n <= atoi(input->data); value.n++) {
        stele_status status = stele_upcast_emit_value(upcast, &noted_2_type, &value);
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

static stele_status register_step(
    stele_store *store, const char *type, const stele_type_version *output,
    stele_status (*upcast)(void *context, const stele_upcast_input *input, stele_upcast *upcast))
{
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    upcaster.type = type;
    upcaster.schema_version = 1;
    upcaster.outputs = output;
    upcaster.output_count = output != NULL ? 1 : 0;
    upcaster.upcast = upcast;
    return stele_store_register_upcaster(store, &upcaster);
}

static stele_status register_all(stele_store *store)
{
    static const stele_type_version to_noted = { "Noted", 2 };
    stele_status status = stele_store_register_type(store, &noted_1_type);
    if (status == STELE_OK)
        status = stele_store_register_type(store, &noted_2_type);
    if (status == STELE_OK)
        status = stele_store_register_alias(store, "Remarked", "Noted");
    if (status == STELE_OK)
        status = register_step(store, "Noted", NULL, keep_as_it_is);
    if (status == STELE_OK)
        status = register_step(store, "Counted", &to_noted, split_number);
    if (status == STELE_OK)
        status = register_step(store, "Gone", &to_noted, split_number);
    return status;
}

stele_status stele_register(stele_store *store)
{
    const char *asked = getenv("PLUGIN_ORDERS");
    if (asked == NULL)
        return register_all(store);
    if (strcmp(asked, "misuse") == 0)
        return stele_store_register_type(store, NULL);
    return strcmp(asked, "silent") == 0 ? STELE_UNSUPPORTED : STELE_DONE;
}

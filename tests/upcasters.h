/** @file tests/upcasters.h Upcasters for tests, in bytes and in values. */
#ifndef STELE_TESTS_UPCASTERS_H
#define STELE_TESTS_UPCASTERS_H

#include "typed_events.h"

typedef stele_status (*upcast_function)(void *context, const stele_upcast_input *input,
                                        stele_upcast *upcast);

static inline stele_status register_upcast(const char *type, int64_t schema_version,
                                           const stele_type_version *outputs, size_t count,
                                           const stele_type *from, upcast_function function,
                                           const void *context)
{
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    upcaster.type = type;
    upcaster.schema_version = schema_version;
    upcaster.outputs = outputs;
    upcaster.output_count = count;
    upcaster.from = from;
    upcaster.upcast = function;
    upcaster.context = (void *)(uintptr_t)context;
    return stele_store_register_upcaster(store, &upcaster);
}

/* One version on, by `function`. */
static inline void upcast_next(const char *type, int64_t schema_version, upcast_function function)
{
    assert_status(register_upcast(type, schema_version, NULL, 0, NULL, function, NULL), STELE_OK);
}

/* What `context` says, as often as there are texts in it: "type version payload", or
 * "type version@codec payload"; a type of "-" and a version of 0 leave it open. */
static inline stele_status emit_texts(void *context, const stele_upcast_input *input,
                                      stele_upcast *upcast)
{
    (void)input;
    stele_status status = STELE_OK;
    for (const char *const *text = context; *text != NULL && status == STELE_OK; text++) {
        char type[32], codec[32] = "";
        int64_t schema_version = 0;
        int size = 0;
        ck_assert_int_ge(sscanf(*text, "%31s %" SCNd64 "%n", type, &schema_version, &size), 2);
        const char *at = *text + size;
        if (*at == '@') {
            ck_assert_int_eq(sscanf(at, "@%31s%n", codec, &size), 1);
            at += size;
        }
        at += *at == ' ';
        stele_upcast_output output = { .type = strcmp(type, "-") == 0 ? NULL : type,
                                       .schema_version = schema_version,
                                       .codec = codec[0] == '\0' ? NULL : codec,
                                       .data = at,
                                       .data_size = strlen(at) };
        status = stele_upcast_emit(upcast, &output);
    }
    return status;
}

/* The payload as it is. */
static inline stele_status pass_on(void *context, const stele_upcast_input *input,
                                   stele_upcast *upcast)
{
    (void)context;
    stele_upcast_output output = { .data = input->data, .data_size = input->data_size };
    return stele_upcast_emit(upcast, &output);
}

/* Placed 1 as Placed 2: an amount is 100 cents. */
static inline stele_status in_cents(void *context, const stele_upcast_input *input,
                                    stele_upcast *upcast)
{
    (void)context;
    const placed_1 *before = input->value;
    placed_2 after = { .cents = before->amount * 100 };
    memcpy(after.item, before->item, sizeof(after.item));
    return stele_upcast_emit_value(upcast, &placed_2_type, &after);
}

/* Placed 2 as Placed 3: it was always euros. */
static inline stele_status in_euros(void *context, const stele_upcast_input *input,
                                    stele_upcast *upcast)
{
    (void)context;
    char currency[] = "EUR";
    const placed_2 *before = input->value;
    placed_3 after = { .cents = before->cents, .currency = currency };
    memcpy(after.item, before->item, sizeof(after.item));
    return stele_upcast_emit_value(upcast, &placed_3_type, &after);
}

static inline void register_placed(void)
{
    register_table(&placed_3_type);
    assert_status(register_upcast("Placed", 1, NULL, 0, &placed_1_type, in_cents, NULL), STELE_OK);
    assert_status(register_upcast("Placed", 2, NULL, 0, &placed_2_type, in_euros, NULL), STELE_OK);
}

#endif

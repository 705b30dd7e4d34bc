/* Registering tables and aliases, and freezing: before the first use, and never after it. */
#include "typed_events.h"

/* --- Tables --- */

START_TEST(registered_table_is_found_by_its_name_and_version)
{
    const stele_type *found = NULL;
    register_table(&placed_2_type);
    register_table(&placed_1_type);

    assert_status(stele_store_type(store, "Placed", 1, &found), STELE_OK);
    ck_assert_ptr_eq(found, &placed_1_type);
    assert_status(stele_store_type(store, "Placed", 2, &found), STELE_OK);
    ck_assert_ptr_eq(found, &placed_2_type);
}
END_TEST

START_TEST(table_that_is_not_registered_is_an_unknown_type)
{
    const stele_type *found = &placed_1_type;
    register_table(&placed_1_type);
    const struct {
        const char *name;
        int64_t version;
    } others[] = { { "Placed", 2 }, { "Placed", 0 },  { "Placed", -1 }, { "placed", 1 },
                   { "", 1 },       { "Placed ", 1 }, { "Noted", 1 } };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_status(stele_store_type(store, others[i].name, others[i].version, &found),
                      STELE_UNKNOWN_TYPE);
        ck_assert_ptr_null(found);
    }
    assert_reason_has("'Noted' 1");
    assert_status(stele_store_type(store, NULL, 1, &found), STELE_MISUSE);
    assert_status(stele_store_type(store, "Placed", 1, NULL), STELE_MISUSE);
    assert_status(stele_store_type(NULL, "Placed", 1, &found), STELE_MISUSE);
}
END_TEST

/* Their names are distinct, so that each meets another place of the index, as it grows. */
START_TEST(thousands_of_tables_are_each_found_and_listed_in_order)
{
    enum { MANY = 3000 };
    static stele_type many[MANY];
    static char names[MANY][16];
    const stele_type *found = NULL;
    stele_registered registered;
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "Type%d", i / 3);
        many[i] = noted_type;
        many[i].name = names[i];
        many[i].schema_version = 1 + i % 3;
        register_table(&many[i]);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_status(stele_store_type(store, names[i], many[i].schema_version, &found), STELE_OK);
        ck_assert_ptr_eq(found, &many[i]);
        assert_status(stele_store_registered(store, i, &registered), STELE_OK);
        ck_assert_ptr_eq(registered.type, &many[i]);
        noted value = { (int64_t)i };
        stele_typed_event typed = { .struct_size = sizeof(stele_typed_event),
                                    .type = &many[i],
                                    .value = &value };
        stele_buffer buffer = STELE_BUFFER_INIT;
        stele_event event;
        assert_status(stele_event_encode(store, &typed, &buffer, &event, NULL), STELE_OK);
        ck_assert_str_eq(event.type, names[i]);
        stele_buffer_dispose(&buffer);
    }
    assert_status(stele_store_registered(store, MANY, &registered), STELE_DONE);
}
END_TEST

START_TEST(registering_a_wrong_table_is_misuse)
{
    stele_type wrong = noted_type;
    wrong.schema_version = 0;
    register_table(&noted_type);
    stele_type same_name = placed_1_type;
    same_name.name = "Noted";

    assert_status(stele_store_register_type(store, NULL), STELE_MISUSE);
    assert_status(stele_store_register_type(store, &wrong), STELE_MISUSE);
    assert_status(stele_store_register_type(store, &noted_type), STELE_MISUSE);
    assert_reason_has("'Noted' 1");
    assert_status(stele_store_register_type(store, &same_name), STELE_MISUSE);
    assert_status(stele_store_register_type(NULL, &noted_type), STELE_MISUSE);
    stele_registered registered;
    assert_status(stele_store_registered(store, 1, &registered), STELE_DONE);
    ck_assert_ptr_null(registered.name);
}
END_TEST

/* --- Aliases --- */

START_TEST(tables_and_aliases_are_listed_in_the_order_of_registration)
{
    stele_registered registered;
    char alias[] = "Ordered", type[] = "Placed";
    register_table(&placed_2_type);
    assert_status(stele_store_register_alias(store, alias, type), STELE_OK);
    register_table(&placed_1_type);
    memset(alias, '?', sizeof(alias) - 1);
    memset(type, '?', sizeof(type) - 1);

    assert_status(stele_store_registered(store, 0, &registered), STELE_OK);
    ck_assert_ptr_eq(registered.type, &placed_2_type);
    ck_assert_str_eq(registered.name, "Placed");
    ck_assert_int_eq(registered.schema_version, 2);
    ck_assert_ptr_null(registered.alias_of);
    assert_status(stele_store_registered(store, 1, &registered), STELE_OK);
    ck_assert_ptr_null(registered.type);
    ck_assert_str_eq(registered.name, "Ordered");
    ck_assert_int_eq(registered.schema_version, 0);
    ck_assert_str_eq(registered.alias_of, "Placed");
    assert_status(stele_store_registered(store, 2, &registered), STELE_OK);
    ck_assert_ptr_eq(registered.type, &placed_1_type);
    assert_status(stele_store_registered(store, 3, &registered), STELE_DONE);
    assert_status(stele_store_registered(store, 0, NULL), STELE_MISUSE);
    assert_status(stele_store_registered(NULL, 0, &registered), STELE_MISUSE);
}
END_TEST

START_TEST(alias_stands_for_every_version_of_its_type)
{
    const stele_type *found = NULL;
    register_table(&placed_1_type);
    assert_status(stele_store_register_alias(store, "Ordered", "Placed"), STELE_OK);
    register_table(&placed_2_type);

    for (int64_t version = 1; version <= 2; version++) {
        assert_status(stele_store_type(store, "Ordered", version, &found), STELE_OK);
        ck_assert_int_eq(found->schema_version, version);
    }
    assert_status(stele_store_type(store, "Ordered", 3, &found), STELE_UNKNOWN_TYPE);
    assert_status(stele_store_type(store, "Ordered", 0, &found), STELE_UNKNOWN_TYPE);
}
END_TEST

static stele_status emit_nothing(void *context, const stele_upcast_input *input,
                                 stele_upcast *upcast)
{
    (void)context, (void)input, (void)upcast;
    return STELE_OK;
}

static stele_status register_from(const char *type, int64_t schema_version)
{
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    upcaster.type = type;
    upcaster.schema_version = schema_version;
    upcaster.upcast = emit_nothing;
    return stele_store_register_upcaster(store, &upcaster);
}

START_TEST(registering_a_wrong_alias_is_misuse)
{
    const stele_type_version other = { "Output", 1 };
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    upcaster.type = "Input";
    upcaster.schema_version = 1;
    upcaster.outputs = &other;
    upcaster.output_count = 1;
    upcaster.upcast = emit_nothing;
    assert_status(stele_store_register_upcaster(store, &upcaster), STELE_OK);
    register_table(&placed_1_type);
    assert_status(stele_store_register_alias(store, "Ordered", "Placed"), STELE_OK);
    const char *const wrong[][2] = {
        { NULL, "Placed" },      { "Old", NULL },       { "", "Placed" },    { "Old", "" },
        { "Placed", "Noted" },   { "Old", "Ordered" },  { "Old", "Old" },    { "Ordered", "Noted" },
        { "Ordered", "Placed" }, { "Input", "Placed" }, { "Output", "Old" },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_status(stele_store_register_alias(store, wrong[i][0], wrong[i][1]), STELE_MISUSE);
    /* What has an alias is none, whether it is registered or not. */
    assert_status(stele_store_register_alias(store, "Older", "Later"), STELE_OK);
    assert_status(stele_store_register_alias(store, "Later", "Noted"), STELE_MISUSE);
    assert_status(stele_store_register_alias(NULL, "A", "B"), STELE_MISUSE);

    /* Nor does anything else take an alias's name. */
    stele_type taken = noted_type;
    taken.name = "Ordered";
    assert_status(stele_store_register_type(store, &taken), STELE_MISUSE);
    assert_reason_has("'Ordered' is an alias");
    assert_status(register_from("Ordered", 1), STELE_MISUSE);
    assert_reason_has("'Ordered' is an alias");
    stele_type_version aliased = { "Ordered", 1 };
    upcaster.schema_version = 2;
    upcaster.outputs = &aliased;
    assert_status(stele_store_register_upcaster(store, &upcaster), STELE_MISUSE);
    assert_reason_has("'Ordered' is an alias");
}
END_TEST

/* --- Freezing --- */

static stele_status use_codec(void)
{
    const stele_codec *codec = NULL;
    return stele_store_codec(store, "json", &codec);
}

static stele_status use_codec_at(void)
{
    const char *name = NULL;
    return stele_store_codec_at(store, 0, &name);
}

static stele_status use_check(void)
{
    return stele_store_check_payload(store, "json", "1", 1, 1);
}

static stele_status use_registered(void)
{
    stele_registered registered;
    return stele_store_registered(store, 0, &registered);
}

static stele_status use_type(void)
{
    const stele_type *type = NULL;
    return stele_store_type(store, "Placed", 1, &type);
}

static stele_status use_encode(void)
{
    placed_1 value = { "pen", 1 };
    stele_typed_event typed = { .struct_size = sizeof(stele_typed_event),
                                .type = &placed_1_type,
                                .value = &value };
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_event event;
    stele_status status = stele_event_encode(store, &typed, &buffer, &event, NULL);
    stele_buffer_dispose(&buffer);
    return status;
}

static stele_status use_append(void)
{
    placed_1 value = { "pen", 1 };
    return append_value("a-1", &placed_1_type, &value, NULL);
}

static stele_status use_append_inside(void)
{
    placed_1 value = { "pen", 1 };
    stele_typed_event typed = { .struct_size = sizeof(stele_typed_event),
                                .type = &placed_1_type,
                                .value = &value };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "a-1";
    stele_transaction *transaction = begin();
    stele_status status = stele_transaction_append_typed(transaction, &append, &typed, 1, NULL);
    stele_transaction_end(transaction);
    return status;
}

static stele_status use_decode(void)
{
    return decode_json("Placed", 1, "{\"item\":\"pen\",\"amount\":1}");
}

/* Its gate looks for the codec. */
static stele_status use_gate(void)
{
    return append_bytes("a-1", "noted", "x-zip", "z", 1);
}

static stele_status (*const uses[])(void) = {
    use_codec,  use_codec_at, use_check,         use_registered, use_type,
    use_encode, use_append,   use_append_inside, use_decode,     use_gate,
};

static void assert_frozen(void)
{
    stele_codec codec = marked_codec();
    codec.name = "late";
    const char *const reason = "too late to register";
    assert_status(stele_store_register_codec(store, &codec), STELE_MISUSE);
    assert_reason_has(reason);
    assert_status(stele_store_write_codec(store, "cbor"), STELE_MISUSE);
    assert_reason_has(reason);
    assert_status(stele_store_register_type(store, &noted_type), STELE_MISUSE);
    assert_reason_has(reason);
    assert_status(stele_store_register_alias(store, "Late", "Placed"), STELE_MISUSE);
    assert_reason_has(reason);
    assert_status(register_from("Late", 1), STELE_MISUSE);
    assert_reason_has(reason);
}

START_TEST(first_use_freezes)
{
    register_table(&placed_1_type);
    assert_status(uses[_i](), STELE_OK);
    assert_frozen();
    assert_status(uses[_i](), STELE_OK);
}
END_TEST

/* Also one that fails, of a store with which nothing is registered. */
START_TEST(first_use_freezes_an_empty_registry_too)
{
    stele_status status = uses[_i]();
    ck_assert_int_ne(status, STELE_MISUSE);
    assert_frozen();
    ck_assert_int_eq(uses[_i](), status);
}
END_TEST

START_TEST(appending_json_and_reading_freeze_nothing)
{
    fill_stream("a-1", 3);
    assert_status(append_bytes("a-1", "noted", "raw", "z", 1), STELE_OK);
    stele_read read = STELE_READ_INIT;
    ck_assert_str_eq(positions_of(&read), "1 2 3 4");

    register_table(&placed_1_type);
    register_marked();
    assert_status(use_append(), STELE_OK);
}
END_TEST

START_TEST(stores_have_registries_of_their_own)
{
    const stele_type *type = NULL;
    stele_store *other = open_path(":memory:", NULL);
    register_table(&placed_1_type);
    assert_status(use_type(), STELE_OK);

    assert_status(stele_store_register_type(other, &placed_1_type), STELE_OK);
    assert_status(stele_store_register_type(other, &noted_type), STELE_OK);
    assert_status(stele_store_type(other, "Noted", 1, &type), STELE_OK);
    assert_status(stele_store_type(store, "Noted", 1, &type), STELE_UNKNOWN_TYPE);
    stele_store_close(other);
}
END_TEST

START_TEST(nothing_of_a_registry_is_stored)
{
    const stele_type *type = NULL;
    close_store();
    open_in_file();
    register_table(&placed_1_type);
    assert_status(use_append(), STELE_OK);
    reopen_file();
    assert_status(stele_store_type(store, "Placed", 1, &type), STELE_UNKNOWN_TYPE);
}
END_TEST

static Suite *registry_suite(void)
{
    Suite *suite = suite_create("registry");
    TCase *tables = add_typed_case(suite, "tables");
    tcase_add_test(tables, registered_table_is_found_by_its_name_and_version);
    tcase_add_test(tables, table_that_is_not_registered_is_an_unknown_type);
    tcase_add_test(tables, thousands_of_tables_are_each_found_and_listed_in_order);
    tcase_add_test(tables, registering_a_wrong_table_is_misuse);
    TCase *aliases = add_typed_case(suite, "aliases");
    tcase_add_test(aliases, tables_and_aliases_are_listed_in_the_order_of_registration);
    tcase_add_test(aliases, alias_stands_for_every_version_of_its_type);
    tcase_add_test(aliases, registering_a_wrong_alias_is_misuse);
    TCase *freezing = add_typed_case(suite, "freezing");
    tcase_add_loop_test(freezing, first_use_freezes, 0, (int)COUNT_OF(uses));
    tcase_add_loop_test(freezing, first_use_freezes_an_empty_registry_too, 0, (int)COUNT_OF(uses));
    tcase_add_test(freezing, appending_json_and_reading_freeze_nothing);
    tcase_add_test(freezing, stores_have_registries_of_their_own);
    tcase_add_test(freezing, nothing_of_a_registry_is_stored);
    return suite;
}

int main(void)
{
    return run_suite(registry_suite());
}

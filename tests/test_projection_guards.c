/* Inline projections: what they may not do, which code may be one, and in which stores. */

#include <stele/lifecycle.h>
#include <stele/notify.h>

#include "projections.h"

static model_context model;
static stele_projector *projector;

static void open_with_model(void)
{
    model = (model_context){ 0 };
    open_in_file();
    projector = open_inline(&model, 1);
}

static void close_with_model(void)
{
    stele_projector_close(projector);
    projector = NULL;
    close_and_remove();
}

static TCase *add_model_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_with_model);
    suite_add_tcase(suite, tests);
    return tests;
}

/* --- What it may not do --- */

static stele_status misbehave(model_context *of, const stele_record *record,
                              const stele_projecting *projecting)
{
    static const char *const refused[] = {
        "DELETE FROM events",
        "UPDATE checkpoints SET position = 0",
        "INSERT INTO state(scope) VALUES('x')",
        "COMMIT",
        "ROLLBACK",
        "ATTACH 'other.db' AS other",
        "DROP TABLE streams",
    };
    sqlite3 *handle = stele_transaction_sqlite(projecting->transaction);
    (void)of;
    (void)record;
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        ck_assert_int_ne(sqlite3_exec(handle, refused[i], NULL, NULL, NULL), SQLITE_OK);
    assert_status(append_one("other-1", STELE_ANY, "t", NULL), STELE_MISUSE);
    stele_event event = make_event("t", "{}");
    stele_append append = make_append("other-1", STELE_ANY, &event, 1);
    assert_status(stele_transaction_append(projecting->transaction, &append, NULL), STELE_MISUSE);
    assert_reason_has("an inline projection can't append");
    assert_status(stele_transaction_commit(projecting->transaction), STELE_MISUSE);
    stele_transaction_end(projecting->transaction);
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_MISUSE);
    stele_projector_close(projector); /* logged, and not done */
    char name[STELE_TABLE_NAME_SIZE];
    assert_status(stele_projecting_table(projecting, "streams", name), STELE_MISUSE);
    ck_assert_str_eq(name, "");
    /* And it may read what it is part of. */
    int64_t head = 0;
    assert_status(stele_transaction_head(projecting->transaction, &head), STELE_OK);
    ck_assert_int_eq(head, record->position);
    return STELE_OK;
}

START_TEST(projection_may_not_touch_what_is_ours)
{
    model.hook = misbehave;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
    ck_assert_int_eq(number_of("SELECT count(*) FROM events"), 2);
}
END_TEST

static stele_status roll_back_too_much(model_context *of, const stele_record *record,
                                       const stele_projecting *projecting)
{
    (void)record;
    sqlite3_exec(stele_transaction_sqlite(projecting->transaction), of->hook_context, NULL, NULL,
                 NULL);
    return STELE_OK;
}

/* A savepoint of ours that the user's SQL reaches must not cost an event silently. */
START_TEST(rolling_back_what_isnt_its_own_refuses_the_append)
{
    static char back[] = "ROLLBACK TO stele_fold";
    static char release[] = "RELEASE stele_fold";
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    model.hook = roll_back_too_much;
    model.hook_context = back;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_MISUSE);
    model.hook_context = release;
    ck_assert_int_ne(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    model.hook = NULL;
    assert_status(append_one("a-1", 1, "t", NULL), STELE_OK);
    expect_model(1);
    ck_assert_int_eq(number_of("SELECT count(*) FROM events"), 2);
}
END_TEST

static stele_status change_schema(model_context *of, const stele_record *record,
                                  const stele_projecting *projecting)
{
    (void)of;
    (void)record;
    ck_assert_int_eq(sqlite3_exec(stele_transaction_sqlite(projecting->transaction),
                                  "CREATE TABLE hangs(x REFERENCES events(position))", NULL, NULL,
                                  NULL),
                     SQLITE_OK);
    return STELE_OK;
}

START_TEST(what_would_hang_on_our_tables_refuses_the_append)
{
    model.hook = change_schema;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_MISUSE);
    model.hook = NULL;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
}
END_TEST

static stele_status delete_a_stream(model_context *of, const stele_record *record,
                                    const stele_projecting *projecting)
{
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "other-1";
    (void)record;
    of->answer = stele_transaction_delete(projecting->transaction, &what, NULL);
    return STELE_OK;
}

/* It may have taken the savepoint away that the events hang on: then nothing of all is kept. */
START_TEST(transaction_whose_append_cant_be_undone_is_lost)
{
    static char release[] = "RELEASE stele_fold";
    stele_transaction *transaction = NULL;
    stele_event event = make_event("t", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    model.hook = roll_back_too_much;
    model.hook_context = release;

    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    ck_assert_int_ne(stele_transaction_append(transaction, &append, NULL), STELE_OK);
    ck_assert_int_ne(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);

    ck_assert_int_eq(number_of("SELECT count(*) FROM events"), 1);
    expect_model(1);
}
END_TEST

START_TEST(refused_append_is_no_head_for_who_waits)
{
    stele_transaction *transaction = NULL;
    stele_notifier *notifier = NULL;
    stele_event event = make_event("poison", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    model.poison = "poison";
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(stele_store_notifier(store, &notifier), STELE_OK);

    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_REFUSED);
    assert_status(stele_transaction_checkpoint_save(transaction, "reader", 1), STELE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);

    ck_assert_int_eq(stele_notifier_head(notifier), 1);
}
END_TEST

static stele_status count_call(void *context, const stele_record *record,
                               const stele_projecting *projecting)
{
    (void)record;
    (void)projecting;
    ++*(int *)context;
    return STELE_OK;
}

static stele_projector *open_counter(int *calls)
{
    stele_projector *counter = NULL;
    stele_projection projection = STELE_PROJECTION_INIT;
    projection.name = "counter";
    projection.project = count_call;
    projection.context = calls;
    assert_status(stele_projector_open_inline(store, &projection, NULL, &counter), STELE_OK);
    return counter;
}

/* That one of them is there doesn't make up for another. */
START_TEST(each_of_several_has_to_be_open)
{
    int calls = 0;
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = "a-1";
    stele_projector *counter = open_counter(&calls);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_projector_close(counter);

    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_REFUSED);
    assert_reason_has("the projection 'counter' is kept with every append");
    assert_status(stele_store_archive(store, &archive, NULL), STELE_OK); /* a record of its own */
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_REFUSED);
    ck_assert_int_eq(calls, 1);

    counter = open_counter(&calls);
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    ck_assert_int_eq(calls, 2);
    ck_assert_int_eq(place_of("counter"), place_of("model"));
    stele_projector_close(counter);
}
END_TEST

/* Deleting is recorded by an event. */
START_TEST(deleting_from_inside_refuses_the_append)
{
    assert_status(append_one("other-1", STELE_ANY, "t", NULL), STELE_OK);
    model.hook = delete_a_stream;

    ck_assert_int_ne(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(model.answer, STELE_MISUSE);

    model.hook = NULL;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("other-1", 1, "t", NULL), STELE_OK);
    expect_model(1);
}
END_TEST

/* They would be dropped with the projection. */
START_TEST(tables_of_the_library_are_none_of_a_projection)
{
    static const char *const ours[] = { "events", "Events", "state", "checkpoints" };
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        stele_projection projection = make_projection(&model, 1);
        stele_projector *other = NULL;
        projection.name = "other";
        projection.tables = &ours[i];
        projection.table_count = 1;
        projection.setup = NULL;
        assert_status(stele_projector_open(store, &projection, NULL, &other), STELE_MISUSE);
        assert_reason_has("is the library's");
        ck_assert_ptr_null(other);
    }
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
}
END_TEST

/* --- Versions and kinds --- */

START_TEST(other_version_and_kind_are_a_conflict)
{
    stele_projection projection = make_projection(&model, 2);
    stele_projector *other = NULL;
    model.factor = 1;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(stele_projector_open_inline(store, &projection, NULL, &other), STELE_CONFLICT);
    assert_reason_has("rebuild it");
    projection.version = 1;
    assert_status(stele_projector_open(store, &projection, NULL, &other), STELE_CONFLICT);
    assert_reason_has("is kept inline");
    assert_status(stele_projector_open_inline(store, &projection, NULL, &other), STELE_MISUSE);
    ck_assert_ptr_null(other);
    model.factor = 1;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
}
END_TEST

START_TEST(name_of_a_subscription_is_a_conflict)
{
    stele_projection projection = make_projection(&model, 1);
    stele_projector *other = NULL;
    projection.name = "subscription";
    assert_status(stele_checkpoint_save(store, "subscription", 0), STELE_OK);
    assert_status(stele_projector_open_inline(store, &projection, NULL, &other), STELE_CONFLICT);
    assert_status(stele_projector_open(store, &projection, NULL, &other), STELE_CONFLICT);
}
END_TEST

START_TEST(filters_hold_inline)
{
    static const char *const types[] = { "t", "u" };
    model_context filtered = { 0 };
    stele_projection projection = make_projection(&filtered, 1);
    stele_projector *other = NULL;
    projection.name = "filtered";
    projection.tables = NULL;
    projection.table_count = 0;
    projection.setup = NULL;
    projection.types = types;
    projection.type_count = 2;
    projection.category = "a";
    filtered.factor = 1;
    projection.project = project_model;
    projection.tables = model_tables;
    /* The same names can't be two projections': this one only counts its calls. */
    projection.tables = NULL;
    assert_status(stele_projector_open_inline(store, &projection, NULL, &other), STELE_OK);
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("ab-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "v", NULL), STELE_OK);
    ck_assert_int_eq(filtered.calls, 0);
    assert_status(append_one("a-1", STELE_ANY, "u", NULL), STELE_MISUSE); /* it has no tables */
    ck_assert_int_eq(filtered.calls, 1);
    assert_status(append_one("a", STELE_ANY, "t", NULL), STELE_MISUSE);
    ck_assert_int_eq(filtered.calls, 2);
    ck_assert_int_eq(place_of("filtered"), 3);
    stele_projector_close(other);
}
END_TEST

static void open_model_in_memory(void)
{
    model = (model_context){ 0 };
    open_in_memory();
    projector = open_inline(&model, 1);
}

START_TEST(store_in_memory_has_inline_projections)
{
    model.poison = "poison";
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "poison", NULL), STELE_REFUSED);
    assert_status(append_one("a-1", 1, "t", NULL), STELE_OK);
    ck_assert_int_eq(number_of("SELECT count(*) FROM entries"), 2);
}
END_TEST

static sqlite3 *wrapped;

static void open_model_wrapped(void)
{
    model = (model_context){ 0 };
    ck_assert_int_eq(sqlite3_open(store_path(), &wrapped), SQLITE_OK);
    assert_status(stele_store_wrap(wrapped, NULL, &store), STELE_OK);
    projector = open_inline(&model, 1);
}

START_TEST(wrapped_store_has_inline_projections)
{
    static char back[] = "ROLLBACK TO stele_fold";
    model.poison = "poison";
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "poison", NULL), STELE_REFUSED);
    assert_status(append_one("a-1", 1, "t", NULL), STELE_OK);
    model.hook = roll_back_too_much;
    model.hook_context = back;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_MISUSE);
    model.hook = NULL;
    ck_assert_int_eq(number_of("SELECT count(*) FROM entries"), 2);
    stele_projector_close(projector);
    projector = NULL;
    close_store();
    sqlite3_close(wrapped);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("projection_guards");

    TCase *guarded = add_model_case(suite, "guarded", open_with_model);
    tcase_add_test(guarded, projection_may_not_touch_what_is_ours);
    tcase_add_test(guarded, rolling_back_what_isnt_its_own_refuses_the_append);
    tcase_add_test(guarded, what_would_hang_on_our_tables_refuses_the_append);
    tcase_add_test(guarded, transaction_whose_append_cant_be_undone_is_lost);
    tcase_add_test(guarded, refused_append_is_no_head_for_who_waits);
    tcase_add_test(guarded, each_of_several_has_to_be_open);
    tcase_add_test(guarded, deleting_from_inside_refuses_the_append);
    tcase_add_test(guarded, tables_of_the_library_are_none_of_a_projection);

    TCase *versions = add_model_case(suite, "versions", open_with_model);
    tcase_add_test(versions, other_version_and_kind_are_a_conflict);
    tcase_add_test(versions, name_of_a_subscription_is_a_conflict);
    tcase_add_test(versions, filters_hold_inline);

    TCase *memory = add_model_case(suite, "memory", open_model_in_memory);
    tcase_add_test(memory, store_in_memory_has_inline_projections);
    TCase *wrapping = add_model_case(suite, "wrapped", open_model_wrapped);
    tcase_add_test(wrapping, wrapped_store_has_inline_projections);

    return run_suite(suite);
}

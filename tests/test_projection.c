/* Projections that follow the log, and those that are folded on demand. */
#include <stele/worker.h>

#include "projections.h"

static model_context model;

static void open_with_log(void)
{
    model = (model_context){ 0 };
    open_in_file();
    for (int i = 0; i < 10; i++)
        assert_status(append_one(i % 3 == 0 ? "a-1" : "b-1", STELE_ANY, i < 5 ? "t" : "u", NULL),
                      STELE_OK);
}

/* --- Following --- */

START_TEST(async_projection_folds_each_event_once)
{
    follow_model(&model, 1);
    ck_assert_int_eq(model.calls, 10);
    ck_assert_int_eq(model.setups, 1);
    ck_assert_int_eq(model.effects, 10);
    ck_assert(!model.with_append && !model.rebuilding);
    ck_assert_int_eq(place_of("model"), 10);
    expect_model(1);

    assert_status(append_one("c-1", STELE_ANY, "t", NULL), STELE_OK);
    ck_assert_int_eq(place_of("model"), 10); /* an append doesn't move it */
    follow_model(&model, 1);
    ck_assert_int_eq(model.calls, 11);
    ck_assert_int_eq(model.setups, 1);
    expect_model(1);
}
END_TEST

START_TEST(failure_rolls_the_event_back_and_stops_before_it)
{
    model.poison = "u";
    stele_projector *projector = open_async(&model, 1);
    assert_status(stele_projector_run(projector), STELE_REFUSED);
    assert_reason_has("can't fold 'u' of 'b-1', position 6");
    stele_projector_close(projector);

    ck_assert_int_eq(place_of("model"), 5);
    ck_assert_int_eq(number_of("SELECT count(*) FROM entries"), 5);
    model.poison = NULL;
    assert_status(stele_subscription_clear(store, "model"), STELE_OK);
    follow_model(&model, 1);
    expect_model(1);
}
END_TEST

/* Dropping the projection would drop them. */
START_TEST(tables_of_somebody_else_are_not_taken_over)
{
    stele_projection projection = make_projection(&model, 1);
    stele_projector *projector = NULL;
    for (size_t i = 0; i < projection.table_count; i++) {
        char sql[128];
        snprintf(sql, sizeof(sql), "CREATE TABLE %s(a)", projection.tables[i]);
        run_sql(store_path(), sql);
    }

    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_CONFLICT);

    assert_reason_has("are there already");
    ck_assert_int_eq(model.setups, 0);
    ck_assert_int_eq(place_of("model"), -1);
}
END_TEST

/* What a worker is started with. */
START_TEST(handler_and_options_run_elsewhere)
{
    stele_handler handler;
    stele_subscription_options options;
    stele_subscription *subscription = NULL;
    stele_projector *projector = open_async(&model, 1);
    assert_status(stele_projector_handler(projector, &handler, &options), STELE_OK);
    assert_status(stele_subscription_open(store, &options, &subscription), STELE_OK);
    assert_status(stele_subscription_run(subscription, &handler), STELE_DONE);
    stele_subscription_close(subscription);
    stele_projector_close(projector);
    expect_model(1);
}
END_TEST

START_TEST(worker_runs_a_projection)
{
    stele_handler handler;
    stele_subscription_options options;
    stele_worker *worker = NULL;
    stele_projector *projector = open_async(&model, 1);
    assert_status(stele_projector_handler(projector, &handler, &options), STELE_OK);
    assert_status(stele_worker_start(store, &options, &handler, 1, &worker), STELE_OK);
    assert_status(stele_worker_wait(worker, NULL), STELE_DONE);
    stele_worker_close(worker);
    stele_projector_close(projector);
    expect_model(1);
}
END_TEST

static stele_status try_to_end(model_context *of, const stele_record *record,
                               const stele_projecting *projecting)
{
    (void)of;
    (void)record;
    stele_transaction_end(projecting->transaction);
    return stele_transaction_commit(projecting->transaction) == STELE_MISUSE ? STELE_OK : STELE_IO;
}

START_TEST(transaction_cant_be_ended_from_inside)
{
    model.hook = try_to_end;
    follow_model(&model, 1);
    expect_model(1);
    stele_projection projection = make_projection(&model, 2);
    assert_status(stele_projection_rebuild(store, &projection, NULL, NULL), STELE_OK);
    expect_model(2);
}
END_TEST

START_TEST(code_of_another_version_is_refused_at_opening)
{
    stele_projector *projector = NULL;
    follow_model(&model, 1);
    stele_projection projection = make_projection(&model, 2);
    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_CONFLICT);
    assert_reason_has("of version 1, this code of version 2: rebuild it");
    ck_assert_ptr_null(projector);
}
END_TEST

/* A silent mix of two versions in one table is what nobody finds again. */
START_TEST(replaced_code_that_runs_is_fenced)
{
    model_context newer = { 0 };
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_projection old = make_projection(&model, 1);
    stele_projection projection = make_projection(&newer, 2);
    stele_projector *projector = NULL;
    follow_model(&model, 1);
    assert_status(stele_projector_open(store, &old, &options, &projector), STELE_OK);
    model.calls = 0;
    assert_status(stele_projection_rebuild(store, &projection, NULL, NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);

    assert_status(stele_projector_run(projector), STELE_FENCED);

    assert_reason_has("of version 2 now, this code is of version 1");
    ck_assert_int_eq(model.calls, 0);
    assert_status(stele_projection_drop(store, "model", NULL), STELE_OK);
    stele_projector_close(projector);
}
END_TEST

START_TEST(dropped_projection_leaves_nothing)
{
    bool found = false;
    follow_model(&model, 1);
    assert_status(stele_projection_drop(store, "model", &found), STELE_OK);
    ck_assert(found);
    ck_assert_int_eq(number_of("SELECT count(*) FROM sqlite_schema WHERE name IN ('totals',"
                               " 'entries', 'entries_by_stream')"),
                     0);
    stele_projection_info info;
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    ck_assert(!info.found);
    assert_status(stele_projection_drop(store, "model", &found), STELE_OK);
    ck_assert(!found);
    follow_model(&model, 2);
    expect_model(2);
}
END_TEST

START_TEST(projection_is_described)
{
    stele_projection_info info;
    follow_model(&model, 3);
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    ck_assert(info.found && !info.with_append && !info.building);
    ck_assert_int_eq(info.version, 3);
    ck_assert_int_eq(info.position, 10);
    ck_assert_int_eq(info.effects_after, 0);
}
END_TEST

START_TEST(wrong_descriptions_are_misuse)
{
    static const char *const bad_tables[] = { "", "1st", "a-b", "x_b7", "a b", "\"" };
    stele_projector *projector = NULL;
    stele_projection projection = make_projection(&model, 1);
    assert_status(stele_projector_open(store, NULL, NULL, &projector), STELE_MISUSE);
    assert_status(stele_projector_open(NULL, &projection, NULL, &projector), STELE_MISUSE);
    assert_status(stele_projector_open(store, &projection, NULL, NULL), STELE_MISUSE);
    projection.table_count = 1;
    for (size_t i = 0; i < COUNT_OF(bad_tables); i++) {
        projection.tables = &bad_tables[i];
        assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_MISUSE);
    }
    projection = make_projection(&model, 0);
    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_MISUSE);
    projection = make_projection(&model, 1);
    projection.name = "$mine";
    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_MISUSE);
    projection = make_projection(&model, 1);
    projection.project = NULL;
    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_MISUSE);
    projection = make_projection(&model, 1);
    projection.struct_size = 0;
    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_MISUSE);

    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    projection = make_projection(&model, 1);
    options.lanes = 2;
    assert_status(stele_projector_open(store, &projection, &options, &projector), STELE_MISUSE);
    options = (stele_subscription_options)STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.start = STELE_START_HEAD;
    assert_status(stele_projector_open(store, &projection, &options, &projector), STELE_MISUSE);
    ck_assert_int_eq(model.setups, 0);
}
END_TEST

static stele_status forget_tables(void *context, const stele_projecting *projecting)
{
    (void)context;
    (void)projecting;
    return STELE_OK;
}

START_TEST(setup_that_makes_no_tables_keeps_nothing)
{
    stele_projector *projector = NULL;
    stele_projection projection = make_projection(&model, 1);
    projection.setup = forget_tables;
    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_MISUSE);
    assert_reason_has("'totals' wasn't set up");
    stele_projection_info info;
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    ck_assert(!info.found);
    ck_assert_int_eq(place_of("model"), -1);
}
END_TEST

START_TEST(store_that_may_not_be_written_has_no_projections)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_projector *projector = NULL;
    stele_projection projection = make_projection(&model, 1);
    close_store();
    options.read_only = true;
    store = open_path(store_path(), &options);
    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_READ_ONLY);
    assert_status(stele_projector_open_inline(store, &projection, NULL, &projector),
                  STELE_READ_ONLY);
    assert_status(stele_projection_rebuild(store, &projection, NULL, NULL), STELE_READ_ONLY);
    assert_status(stele_projection_drop(store, "model", NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(projector_outlives_its_store)
{
    stele_projector *projector = open_async(&model, 1);
    close_store();
    assert_status(stele_projector_run(projector), STELE_CLOSED);
    stele_projector_close(projector);
}
END_TEST

/* --- Live --- */

typedef struct live_sum {
    int64_t sum;
    int64_t fails_at;
} live_sum;

static stele_status add_position(void *context, const stele_record *record)
{
    live_sum *of = context;
    if (record->position == of->fails_at)
        return STELE_INVALID;
    of->sum += record->position;
    return STELE_OK;
}

static stele_live make_live(live_sum *of)
{
    stele_live live = STELE_LIVE_INIT;
    live.fold = add_position;
    live.context = of;
    return live;
}

START_TEST(live_projection_folds_as_far_as_the_log_goes)
{
    live_sum of = { 0 };
    stele_lived lived;
    stele_live live = make_live(&of);
    assert_status(stele_projection_live(store, &live, &lived), STELE_OK);
    ck_assert_int_eq(of.sum, 55);
    ck_assert_int_eq(lived.through, 10);
    ck_assert_uint_eq(lived.count, 10);

    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    live.after_position = lived.through;
    assert_status(stele_projection_live(store, &live, &lived), STELE_OK);
    ck_assert_int_eq(of.sum, 66);
    live.after_position = lived.through;
    assert_status(stele_projection_live(store, &live, &lived), STELE_OK);
    ck_assert_uint_eq(lived.count, 0);
    ck_assert_int_eq(lived.through, 11);
}
END_TEST

START_TEST(live_projection_is_filtered_and_ends_where_it_is_told)
{
    static const char *const types[] = { "u" };
    live_sum of = { 0 };
    stele_lived lived;
    stele_live live = make_live(&of);
    live.types = types;
    live.type_count = 1;
    live.to_position = 8;
    assert_status(stele_projection_live(store, &live, &lived), STELE_OK);
    ck_assert_int_eq(of.sum, 6 + 7 + 8);
    live = make_live(&of);
    live.stream = "a-1";
    of.sum = 0;
    live.to_position = 5;
    assert_status(stele_projection_live(store, &live, &lived), STELE_OK);
    ck_assert_int_eq(of.sum, 1 + 4);
    ck_assert_int_eq(lived.through, 5);
}
END_TEST

START_TEST(live_failure_tells_how_far_it_got)
{
    live_sum of = { .fails_at = 4 };
    stele_lived lived;
    stele_live live = make_live(&of);
    assert_status(stele_projection_live(store, &live, &lived), STELE_INVALID);
    ck_assert_int_eq(lived.through, 3);
    ck_assert_uint_eq(lived.count, 3);
    live.epoch = "00000000-0000-0000-0000-000000000000";
    live.after_position = 3;
    assert_status(stele_projection_live(store, &live, &lived), STELE_EPOCH);
    live = make_live(&of);
    live.fold = NULL;
    assert_status(stele_projection_live(store, &live, NULL), STELE_MISUSE);
    assert_status(stele_projection_live(store, NULL, NULL), STELE_MISUSE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("projection");

    TCase *following = add_case(suite, "following", open_with_log);
    tcase_add_test(following, async_projection_folds_each_event_once);
    tcase_add_test(following, failure_rolls_the_event_back_and_stops_before_it);
    tcase_add_test(following, handler_and_options_run_elsewhere);
    tcase_add_test(following, tables_of_somebody_else_are_not_taken_over);
    tcase_add_test(following, worker_runs_a_projection);
    tcase_add_test(following, transaction_cant_be_ended_from_inside);
    tcase_add_test(following, code_of_another_version_is_refused_at_opening);
    tcase_add_test(following, replaced_code_that_runs_is_fenced);
    tcase_add_test(following, dropped_projection_leaves_nothing);
    tcase_add_test(following, projection_is_described);
    tcase_add_test(following, wrong_descriptions_are_misuse);
    tcase_add_test(following, setup_that_makes_no_tables_keeps_nothing);
    tcase_add_test(following, store_that_may_not_be_written_has_no_projections);
    tcase_add_test(following, projector_outlives_its_store);

    TCase *live = add_case(suite, "live", open_with_log);
    tcase_add_test(live, live_projection_folds_as_far_as_the_log_goes);
    tcase_add_test(live, live_projection_is_filtered_and_ends_where_it_is_told);
    tcase_add_test(live, live_failure_tells_how_far_it_got);

    return run_suite(suite);
}

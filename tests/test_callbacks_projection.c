/* docs/callbacks.md, the rows of projections: what `setup`, `project`, `fold` and `differs` may
 * call, inline and async, and in a rebuild. */
#include "callback_actions.h"
#include "projections.h"

/* In the write transaction: reads go elsewhere, and writes would wait for themselves. */
static const stele_status in_transaction[ACTIONS] = {
    [SUBMIT] = STELE_OK, [INSIDE] = STELE_OK, [OTHER] = STELE_OK, [APPEND] = NO,  [FLUSH] = NO,
    [BEGIN] = NO,        [TRANSFER] = NO,     [CHECKPOINT] = NO,  [EXECUTE] = NO,
};

static const stele_status with_append[ACTIONS] = {
    [SUBMIT] = STELE_OK, [INSIDE] = NO,   [OTHER] = STELE_OK, [APPEND] = NO,  [FLUSH] = NO,
    [BEGIN] = NO,        [TRANSFER] = NO, [CHECKPOINT] = NO,  [EXECUTE] = NO,
};

static const stele_status everything[ACTIONS] = { [INSIDE] = NONE };

static model_context model;

static stele_status call_from_project(model_context *of, const stele_record *record,
                                      const stele_projecting *projecting)
{
    (void)of;
    (void)record;
    open_transaction = projecting->transaction;
    try_all();
    open_transaction = NULL;
    return STELE_OK;
}

static stele_status call_from_setup(void *context, const stele_projecting *projecting)
{
    open_transaction = projecting->transaction;
    try_all();
    open_transaction = NULL;
    return set_up_model(context, projecting);
}

static void open_stores(void)
{
    model = (model_context){ 0 };
    setup_stores();
    open_in_file();
    register_table(&movement_type);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
}

START_TEST(inline_project_may_do_all_but_write_around_the_append)
{
    stele_projector *projector = open_inline(&model, 1);
    model.hook = call_from_project;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_answers(with_append);
    model.hook = NULL;
    stele_projector_close(projector);
}
END_TEST

START_TEST(async_project_may_append_through_its_transaction)
{
    model.hook = call_from_project;
    stele_projector *projector = open_async(&model, 1);
    assert_status(stele_projector_run(projector), STELE_DONE);
    expect_answers(in_transaction);
    stele_projector_close(projector);
}
END_TEST

START_TEST(setup_may_do_the_same)
{
    stele_projection projection = make_projection(&model, 1);
    stele_projector *projector = NULL;
    projection.setup = call_from_setup;
    assert_status(stele_projector_open(store, &projection, NULL, &projector), STELE_OK);
    expect_answers(in_transaction);
    stele_projector_close(projector);
}
END_TEST

static stele_status call_from_fold(void *context, const stele_record *record)
{
    (void)context;
    (void)record;
    try_all();
    return STELE_OK;
}

START_TEST(fold_may_call_everything)
{
    stele_live live = STELE_LIVE_INIT;
    live.fold = call_from_fold;
    assert_status(stele_projection_live(store, &live, NULL), STELE_OK);
    expect_answers(everything);
}
END_TEST

static int call_from_differs(void *context, const stele_table_difference *difference)
{
    (void)context;
    (void)difference;
    try_all();
    return 0;
}

START_TEST(differs_may_call_nothing)
{
    model_context newer = { 0 };
    stele_rebuild rebuild = STELE_REBUILD_INIT;
    follow_model(&model, 1);
    stele_projection projection = make_projection(&newer, 2);
    rebuild.differs = call_from_differs;
    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_OK);
    expect_answers(nothing);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("callbacks_projection");
    TCase *tests = tcase_create("projections");
    tcase_add_checked_fixture(tests, open_stores, remove_stores);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, inline_project_may_do_all_but_write_around_the_append);
    tcase_add_test(tests, async_project_may_append_through_its_transaction);
    tcase_add_test(tests, setup_may_do_the_same);
    tcase_add_test(tests, fold_may_call_everything);
    tcase_add_test(tests, differs_may_call_nothing);
    return run_suite(suite);
}

/* Rebuilding the tables of a projection: beside the old ones, and in place. */
#include <stele/lifecycle.h>

#include <pthread.h>
#include <time.h>

#include "projections.h"

#define EVENTS 60

static model_context model;
static model_context newer;

static void open_with_log(void)
{
    model = (model_context){ 0 };
    newer = (model_context){ 0 };
    open_in_file();
    for (int i = 0; i < EVENTS; i++)
        assert_status(append_one(i % 3 == 0 ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
}

static void open_with_model(void)
{
    open_with_log();
    follow_model(&model, 1);
}

static int steps_left;

static int stop_after_steps(void *context, const stele_progress *progress)
{
    ck_assert_str_eq(progress->doing, context);
    return --steps_left < 0;
}

/* Steps of ten events; after so many of them it is cancelled. */
static stele_work make_work(int steps)
{
    static char doing[] = "rebuilding";
    stele_work work = STELE_WORK_INIT;
    steps_left = steps;
    work.step_count_max = 10;
    work.progress = stop_after_steps;
    work.context = doing;
    return work;
}

static stele_status rebuild_to(int64_t version, bool in_place, const stele_work *work,
                               stele_rebuilt *rebuilt)
{
    stele_projection projection = make_projection(&newer, version);
    stele_rebuild rebuild = STELE_REBUILD_INIT;
    rebuild.in_place = in_place;
    rebuild.work = work;
    return stele_projection_rebuild(store, &projection, &rebuild, rebuilt);
}

static int64_t count_build_tables(void)
{
    return number_of("SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                     " AND name GLOB '*_b[0-9]*'");
}

/* --- Beside --- */

START_TEST(new_tables_take_the_place_of_the_old_ones)
{
    stele_rebuilt rebuilt;
    stele_projection_info info;
    assert_status(rebuild_to(2, false, NULL, &rebuilt), STELE_OK);

    ck_assert_uint_eq(rebuilt.count, EVENTS);
    ck_assert_int_eq(rebuilt.position, EVENTS);
    ck_assert_int_eq(rebuilt.old_version, 1);
    ck_assert(!rebuilt.resumed);
    ck_assert(newer.rebuilding);
    expect_model(2);
    ck_assert_int_eq(count_build_tables(), 0);
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    ck_assert_int_eq(info.version, 2);
    ck_assert_int_eq(info.position, EVENTS);
    ck_assert_int_eq(info.effects_after, EVENTS);
    ck_assert(!info.building);
    ck_assert_int_eq(place_of("$build/model"), -1);
}
END_TEST

START_TEST(effects_are_had_once_over_all_versions)
{
    ck_assert_int_eq(model.effects, EVENTS);
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_OK);
    ck_assert_int_eq(newer.effects, 0);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    follow_model(&newer, 2);
    ck_assert_int_eq(newer.effects, 1);
    ck_assert_int_eq(newer.effects_first, EVENTS + 1);
    newer.effects = 0;
    assert_status(rebuild_to(3, true, NULL, NULL), STELE_OK);
    ck_assert_int_eq(newer.effects, 0);
    follow_model(&newer, 3);
    ck_assert_int_eq(newer.effects, 0);
    expect_model(3);
}
END_TEST

START_TEST(builds_never_overtake_the_tables_that_are_live)
{
    for (int i = 0; i < 7; i++)
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_rebuilt rebuilt;
    assert_status(rebuild_to(2, false, NULL, &rebuilt), STELE_OK);
    ck_assert_int_eq(rebuilt.position, EVENTS);
    ck_assert_int_eq(place_of("model"), EVENTS);
    follow_model(&newer, 2);
    ck_assert_int_eq(newer.effects, 7);
    ck_assert_int_eq(newer.effects_first, EVENTS + 1);
    expect_model(2);
}
END_TEST

START_TEST(cancelled_build_leaves_the_old_tables_and_goes_on)
{
    stele_rebuilt rebuilt;
    stele_projection_info info;
    stele_work work = make_work(2);
    assert_status(rebuild_to(2, false, &work, NULL), STELE_CANCELLED);
    expect_model(1);
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    ck_assert(info.building);
    ck_assert_int_eq(info.version, 1);
    ck_assert_int_eq(info.build_version, 2);
    ck_assert_int_eq(info.build_position, 30);
    ck_assert_int_eq(info.build_to, EVENTS);
    ck_assert_int_eq(place_of("$build/model"), 30);
    ck_assert_int_eq(count_build_tables(), 2);

    /* The old code goes on meanwhile, in the old tables. */
    assert_status(append_one("c-1", STELE_ANY, "t", NULL), STELE_OK);
    follow_model(&model, 1);
    expect_model(1);

    work = make_work(1000);
    assert_status(rebuild_to(2, false, &work, &rebuilt), STELE_OK);
    ck_assert(rebuilt.resumed);
    ck_assert_uint_eq(rebuilt.count, EVENTS + 1 - 30);
    expect_model(2);
    ck_assert_int_eq(count_build_tables(), 0);
}
END_TEST

/* The new tables are further than the checkpoint then, and it is taken to where they are. */
START_TEST(checkpoint_that_is_put_back_meanwhile_doubles_nothing)
{
    stele_work work = make_work(3);
    assert_status(rebuild_to(2, false, &work, NULL), STELE_CANCELLED);
    if (_i == 0)
        assert_status(stele_checkpoint_reset(store, "model", NULL), STELE_OK);
    else
        assert_status(stele_checkpoint_save(store, "model", 5), STELE_OK);

    assert_status(rebuild_to(2, false, NULL, NULL), STELE_OK);
    follow_model(&newer, 2);

    expect_model(2);
}
END_TEST

START_TEST(build_of_other_code_is_given_up)
{
    stele_rebuilt rebuilt;
    stele_work work = make_work(2);
    assert_status(rebuild_to(2, false, &work, NULL), STELE_CANCELLED);
    assert_status(rebuild_to(3, false, NULL, &rebuilt), STELE_OK);
    ck_assert(!rebuilt.resumed);
    ck_assert_uint_eq(rebuilt.count, EVENTS);
    expect_model(3);
    ck_assert_int_eq(count_build_tables(), 0);
}
END_TEST

START_TEST(build_can_be_abandoned)
{
    bool found = false;
    stele_work work = make_work(2);
    assert_status(stele_projection_abandon(store, "model", &found), STELE_OK);
    ck_assert(!found);
    assert_status(rebuild_to(2, false, &work, NULL), STELE_CANCELLED);
    assert_status(stele_projection_abandon(store, "model", &found), STELE_OK);
    ck_assert(found);
    ck_assert_int_eq(count_build_tables(), 0);
    expect_model(1);
    assert_status(stele_projection_abandon(store, "none", &found), STELE_NOT_FOUND);
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_OK);
    expect_model(2);
}
END_TEST

/* Somebody else does it: from inside the callback nothing may be called. */
static void *abandon_model(void *context)
{
    bool found = false;
    (void)context;
    assert_status(stele_projection_abandon(store, "model", &found), STELE_OK);
    ck_assert(found);
    return NULL;
}

static int abandon_while_building(void *context, const stele_progress *progress)
{
    pthread_t thread;
    (void)progress;
    (*(int *)context)++;
    ck_assert_int_eq(pthread_create(&thread, NULL, abandon_model, NULL), 0);
    pthread_join(thread, NULL);
    return 0;
}

START_TEST(builder_of_an_abandoned_build_is_fenced)
{
    int calls = 0;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 10;
    work.progress = abandon_while_building;
    work.context = &calls;
    assert_status(rebuild_to(2, false, &work, NULL), STELE_FENCED);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(count_build_tables(), 0);
    expect_model(1);
}
END_TEST

START_TEST(second_builder_is_refused_while_the_lease_lasts)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    stele_work work = make_work(2);
    assert_status(rebuild_to(2, false, &work, NULL), STELE_CANCELLED);
    claim.owner = "another";
    assert_status(stele_checkpoint_claim_take(store, "$build/model", &claim, NULL), STELE_OK);
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_BUSY);
    assert_reason_has("'another' is building");
    claim.lease_ms = 1;
    assert_status(stele_checkpoint_claim_take(store, "$build/model", &claim, NULL), STELE_OK);
    nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_OK);
    expect_model(2);
}
END_TEST

START_TEST(failure_of_the_new_code_leaves_the_old_tables)
{
    newer.poison = "t";
    newer.answer = STELE_PRECISION;
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_PRECISION);
    assert_reason_has("position 1");
    expect_model(1);
    newer.poison = NULL;
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_OK);
    expect_model(2);
}
END_TEST

START_TEST(rebuilding_what_never_was_is_not_found)
{
    close_store();
    remove_test_folder();
    open_in_file();
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_NOT_FOUND);
    assert_status(rebuild_to(2, true, NULL, NULL), STELE_NOT_FOUND);
}
END_TEST

static stele_status set_up_other(void *context, const stele_projecting *projecting)
{
    (void)context;
    return run_model_sql(projecting, "CREATE TABLE", "other", "(position INTEGER)", NULL, 0, 0);
}

static stele_status project_other(void *context, const stele_record *record,
                                  const stele_projecting *projecting)
{
    (void)context;
    return run_model_sql(projecting, "INSERT INTO", "other", " VALUES(?2)", "", record->position,
                         0);
}

static const char *const other_tables[] = { "other" };

START_TEST(new_version_may_have_other_tables)
{
    stele_projection projection = make_projection(&newer, 2);
    projection.tables = other_tables;
    projection.table_count = 1;
    projection.setup = set_up_other;
    projection.project = project_other;
    assert_status(stele_projection_rebuild(store, &projection, NULL, NULL), STELE_OK);
    ck_assert_int_eq(number_of("SELECT count(*) FROM other"), EVENTS);
    ck_assert_int_eq(number_of("SELECT count(*) FROM sqlite_schema WHERE name IN ('totals',"
                               " 'entries')"),
                     0);
    assert_status(rebuild_to(3, false, NULL, NULL), STELE_OK);
    expect_model(3);
    ck_assert_int_eq(number_of("SELECT count(*) FROM sqlite_schema WHERE name = 'other'"), 0);
}
END_TEST

/* The same version, but other tables: what was begun isn't gone on with. */
START_TEST(build_of_other_tables_is_given_up)
{
    stele_rebuilt rebuilt;
    stele_work work = make_work(2);
    stele_projection projection = make_projection(&newer, 2);
    assert_status(rebuild_to(2, false, &work, NULL), STELE_CANCELLED);
    projection.tables = other_tables;
    projection.table_count = 1;
    projection.setup = set_up_other;
    projection.project = project_other;

    assert_status(stele_projection_rebuild(store, &projection, NULL, &rebuilt), STELE_OK);

    ck_assert(!rebuilt.resumed);
    ck_assert_int_eq(number_of("SELECT count(*) FROM other"), EVENTS);
    ck_assert_int_eq(count_build_tables(), 0);
}
END_TEST

/* What can't be read now is not left out. */
START_TEST(archive_that_isnt_attached_ends_a_rebuild)
{
    stele_store *archive = open_path(test_path("archive.db"), NULL);
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = "a-1";
    call.to = archive;
    assert_status(stele_store_archive(store, &call, NULL), STELE_OK);

    assert_status(rebuild_to(2, _i == 1, NULL, NULL), STELE_ARCHIVED);
    if (_i == 0)
        ck_assert_int_eq(number_of("SELECT count(*) FROM entries"), EVENTS);

    assert_status(stele_store_attach(store, archive), STELE_OK);
    assert_status(rebuild_to(2, _i == 1, NULL, NULL), STELE_OK);
    ck_assert_int_eq(number_of("SELECT count(*) FROM entries"), EVENTS);
    stele_store_close(archive);
}
END_TEST

START_TEST(what_the_old_tables_had_parked_is_folded_by_the_new)
{
    stele_rebuilt rebuilt;
    assert_status(append_one("p-1", STELE_ANY, "poison", NULL), STELE_OK);
    assert_status(append_one("p-1", STELE_ANY, "t", NULL), STELE_OK);
    model.poison = "poison";
    stele_projection projection = make_projection(&model, 1);
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    stele_projector *projector = NULL;
    options.stop = STELE_STOP_HEAD;
    options.tries = 1;
    options.on_failure = STELE_ON_FAILURE_PARK;
    assert_status(stele_projector_open(store, &projection, &options, &projector), STELE_OK);
    assert_status(stele_projector_run(projector), STELE_DONE);
    stele_projector_close(projector);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked"), 2);

    assert_status(rebuild_to(2, _i == 1, NULL, &rebuilt), STELE_OK);

    ck_assert_int_eq(rebuilt.dropped_parked, 2);
    ck_assert_int_eq(number_of("SELECT count(*) FROM parked"), 0);
    expect_model(2);
}
END_TEST

/* --- In place --- */

START_TEST(tables_are_filled_anew_in_place)
{
    stele_rebuilt rebuilt;
    assert_status(rebuild_to(2, true, NULL, &rebuilt), STELE_OK);
    ck_assert_uint_eq(rebuilt.count, EVENTS);
    ck_assert_int_eq(rebuilt.old_version, 1);
    expect_model(2);
    ck_assert_int_eq(place_of("model"), EVENTS);
    ck_assert_int_eq(newer.effects, 0);
}
END_TEST

START_TEST(rebuilding_in_place_goes_on_where_it_was_cancelled)
{
    stele_rebuilt rebuilt;
    stele_projection_info info;
    stele_work work = make_work(2);
    assert_status(rebuild_to(2, true, &work, NULL), STELE_CANCELLED);
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    ck_assert(info.building);
    ck_assert_int_eq(info.version, 2);
    ck_assert_int_eq(info.position, 30);
    ck_assert_int_eq(info.build_to, EVENTS);
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_CONFLICT);

    assert_status(rebuild_to(2, true, NULL, &rebuilt), STELE_OK);

    ck_assert(rebuilt.resumed);
    ck_assert_uint_eq(rebuilt.count, 30);
    expect_model(2);
    assert_status(stele_projection_describe(store, "model", &info), STELE_OK);
    ck_assert(!info.building);
}
END_TEST

START_TEST(follower_goes_on_where_a_rebuild_in_place_ended)
{
    stele_work work = make_work(2);
    assert_status(rebuild_to(2, true, &work, NULL), STELE_CANCELLED);
    follow_model(&newer, 2);
    expect_model(2);
    ck_assert_int_eq(newer.effects, 0); /* the gate stays shut for what version 1 had seen */
    stele_rebuilt rebuilt;
    assert_status(rebuild_to(2, true, NULL, &rebuilt), STELE_OK);
    ck_assert_uint_eq(rebuilt.count, 0);
    expect_model(2);
}
END_TEST

/* --- Inline --- */

START_TEST(inline_tables_are_rebuilt_beside_while_appends_go_on)
{
    stele_work work = make_work(2);
    stele_projector *old = open_inline(&model, 1);
    assert_status(rebuild_to(2, false, &work, NULL), STELE_CANCELLED);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
    assert_status(rebuild_to(2, false, NULL, NULL), STELE_OK);
    expect_model(2);

    /* The old code must not fold into the new tables, nor may an append do without. */
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_FENCED);
    assert_reason_has("of version 2 now, this code is of version 1");
    stele_projector_close(old);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_REFUSED);
    stele_projector *projector = open_inline(&newer, 2);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(2);
    stele_projector_close(projector);
}
END_TEST

START_TEST(appends_are_refused_while_inline_tables_are_rebuilt_in_place)
{
    stele_work work = make_work(2);
    stele_projector *projector = open_inline(&model, 1);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(rebuild_to(1, true, &work, NULL), STELE_CANCELLED);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_REFUSED);
    assert_status(rebuild_to(1, true, NULL, NULL), STELE_OK);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    expect_model(1);
    stele_projector_close(projector);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("projection_rebuild");

    TCase *beside = add_case(suite, "beside", open_with_model);
    tcase_add_test(beside, new_tables_take_the_place_of_the_old_ones);
    tcase_add_test(beside, effects_are_had_once_over_all_versions);
    tcase_add_test(beside, builds_never_overtake_the_tables_that_are_live);
    tcase_add_test(beside, cancelled_build_leaves_the_old_tables_and_goes_on);
    tcase_add_loop_test(beside, checkpoint_that_is_put_back_meanwhile_doubles_nothing, 0, 2);
    tcase_add_test(beside, build_of_other_code_is_given_up);
    tcase_add_test(beside, build_can_be_abandoned);
    tcase_add_test(beside, builder_of_an_abandoned_build_is_fenced);
    tcase_add_test(beside, second_builder_is_refused_while_the_lease_lasts);
    tcase_add_test(beside, failure_of_the_new_code_leaves_the_old_tables);
    tcase_add_test(beside, rebuilding_what_never_was_is_not_found);
    tcase_add_test(beside, new_version_may_have_other_tables);
    tcase_add_loop_test(beside, what_the_old_tables_had_parked_is_folded_by_the_new, 0, 2);
    tcase_add_test(beside, build_of_other_tables_is_given_up);
    tcase_add_loop_test(beside, archive_that_isnt_attached_ends_a_rebuild, 0, 2);

    TCase *in_place = add_case(suite, "in place", open_with_model);
    tcase_add_test(in_place, tables_are_filled_anew_in_place);
    tcase_add_test(in_place, rebuilding_in_place_goes_on_where_it_was_cancelled);
    tcase_add_test(in_place, follower_goes_on_where_a_rebuild_in_place_ended);

    TCase *with_append = add_case(suite, "inline", open_with_log);
    tcase_add_test(with_append, inline_tables_are_rebuilt_beside_while_appends_go_on);
    tcase_add_test(with_append, appends_are_refused_while_inline_tables_are_rebuilt_in_place);

    return run_suite(suite);
}

/* What verification tells of the places of inline projections. */
#include "projections.h"

#include <sys/stat.h>

#include <stele/backup.h>
#include <stele/lifecycle.h>
#include <stele/shard_work.h>
#include <stele/verify.h>

#include "projection/own.h"

static model_context model;
static stele_projector *projector;

static void open_with_model(void)
{
    model = (model_context){ 0 };
    open_in_file();
    fill_stream("a-1", 3);
    projector = open_inline(&model, 1);
    fill_stream("a-1", 3);
}

/* How many inline projections were looked at; what was wrong, "" for nothing. */
static uint64_t look_at_projections(char offender[512])
{
    static const char *const name = "projections";
    stele_verify_options options = STELE_VERIFY_INIT;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    options.names = &name;
    options.name_count = 1;
    assert_status(stele_verify_open(store, &options, &verify), STELE_OK);
    assert_status(stele_verify_next(verify, &check), STELE_OK);
    snprintf(offender, 512, "%s", check->offender);
    ck_assert_int_eq(check->failures > 0, offender[0] != '\0');
    uint64_t count = check->count;
    stele_verify_close(verify);
    return count;
}

static void expect_finding(const char *text)
{
    char offender[512];
    ck_assert_uint_eq(look_at_projections(offender), 1);
    ck_assert_str_eq(offender, text);
}

static void close_model(void)
{
    stele_projector_close(projector);
    projector = NULL;
}

static void reopen_after(const char *sql)
{
    close_model();
    close_store();
    run_sql(store_path(), sql);
    open_in_file();
}

START_TEST(inline_projection_at_the_head_is_good)
{
    expect_finding("");
    close_model();
    expect_finding("");
    stele_projection_drop(store, "model", NULL);
    char offender[512];
    ck_assert_uint_eq(look_at_projections(offender), 0);
}
END_TEST

/* Those are let through without it, and folded with the next append. */
START_TEST(records_of_the_library_behind_its_place_are_no_finding)
{
    stele_delete what = STELE_DELETE_INIT;
    int64_t head = 0;
    close_model();
    close_store();
    open_in_file(); /* where nobody folds */
    what.stream = "a-1";
    assert_status(stele_store_delete(store, &what, NULL), STELE_OK);
    assert_status(stele_store_head(store, &head), STELE_OK);
    ck_assert_int_eq(place_of("model"), 6);
    ck_assert_int_gt(head, 6);

    expect_finding("");
}
END_TEST

START_TEST(place_behind_what_was_appended_is_found)
{
    assert_status(stele_checkpoint_save(store, "model", 4), STELE_OK);
    expect_finding(
        "the inline projection 'model' is at 4, but position 5 was appended since: it may"
        " be missing in its tables");
}
END_TEST

START_TEST(place_beyond_the_head_is_found)
{
    reopen_after("DELETE FROM events WHERE position > 4");
    expect_finding("the inline projection 'model' is at 6, beyond the head, 4");
}
END_TEST

/* It is said of the checkpoint that its timeline was lost; this one has no promise to keep. */
START_TEST(place_of_a_lost_timeline_is_no_finding)
{
    bool found = false;
    stele__place place;
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(store, &transaction), STELE_OK);
    assert_status(stele__projection_place(transaction, "model", &place, &found), STELE_OK);
    ck_assert(found);
    place.position = 4;
    snprintf(place.epoch, sizeof(place.epoch), "00000000-0000-4000-8000-000000000000");
    assert_status(stele__projection_place_store(transaction, "model", &place), STELE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_transaction_end(transaction);

    expect_finding("");
}
END_TEST

START_TEST(place_that_is_gone_is_found)
{
    reopen_after("DELETE FROM checkpoints WHERE name = 'model'");
    expect_finding(
        "the inline projection 'model' has no checkpoint: nobody knows how far its tables"
        " are");
}
END_TEST

START_TEST(record_that_is_gone_is_found)
{
    reopen_after("DELETE FROM state WHERE scope = '$projections'");
    expect_finding("the projection 'model' is to be kept with each append, and has no record");
}
END_TEST

/* Of an async one nobody has promised anything. */
START_TEST(async_projection_that_is_behind_is_no_finding)
{
    char offender[512];
    close_model();
    assert_status(stele_projection_drop(store, "model", NULL), STELE_OK);
    follow_model(&model, 1);
    fill_stream("a-1", 3);
    ck_assert_uint_eq(look_at_projections(offender), 0);
    ck_assert_str_eq(offender, "");
}
END_TEST

static int stop_after_a_step(void *context, const stele_progress *progress)
{
    (void)context;
    return progress->done > 0;
}

/* It is behind until that is done, and no append gets past it. */
START_TEST(rebuilding_in_place_is_no_finding)
{
    stele_projection projection = make_projection(&model, 2);
    stele_rebuild rebuild = STELE_REBUILD_INIT;
    stele_work work = STELE_WORK_INIT;
    close_model();
    work.step_count_max = 2;
    work.progress = stop_after_a_step;
    rebuild.in_place = true;
    rebuild.work = &work;
    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_CANCELLED);
    ck_assert_int_lt(place_of("model"), 6);
    expect_finding("");

    work.progress = NULL;
    assert_status(stele_projection_rebuild(store, &projection, &rebuild, NULL), STELE_OK);
    expect_finding("");
    assert_status(stele_checkpoint_save(store, "model", 5), STELE_OK);
    expect_finding(
        "the inline projection 'model' is at 5, but position 6 was appended since: it may"
        " be missing in its tables");
}
END_TEST

/* A checkpoint may be set by hand: that keeps nobody from having a backup, and from using it. */
START_TEST(a_place_that_cannot_be_true_stops_no_backup)
{
    char offender[512];
    stele_backup backup = STELE_BACKUP_INIT;
    stele_recover recover = STELE_RECOVER_INIT;
    assert_status(stele_checkpoint_save(store, "model", 4), STELE_OK);
    backup.path = test_path("backup.db");
    assert_status(stele_store_backup(store, &backup, NULL), STELE_OK);
    recover.backup = test_path("backup.db");
    recover.path = test_path("recovered.db");
    assert_status(stele_recover_backup(&recover, NULL), STELE_OK);

    close_model();
    close_store();
    store = open_path(test_path("recovered.db"), NULL);
    ck_assert_uint_eq(look_at_projections(offender), 1);
}
END_TEST

/* Nor a shard from moving; its verification says what is wrong. */
START_TEST(a_place_that_cannot_be_true_stops_no_move)
{
    stele_shards *shards = NULL;
    stele_shard *shard = NULL;
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    model_context of_shard = { 0 };
    assert_status(stele_shards_open(test_path("root"), NULL, &shards), STELE_OK);
    assert_status(stele_shards_acquire(shards, "acme", "orders", NULL, &shard), STELE_OK);
    stele_projection projection = make_projection(&of_shard, 1);
    stele_projector *inline_there = NULL;
    stele_store *there = stele_shard_store(shard);
    assert_status(stele_projector_open_inline(there, &projection, NULL, &inline_there), STELE_OK);
    for (int i = 0; i < 3; i++)
        assert_status(append_to(there, "a-1", STELE_ANY, "noted", NULL), STELE_OK);
    assert_status(stele_checkpoint_save(there, "model", 1), STELE_OK);
    stele_projector_close(inline_there);
    stele_shard_release(shard);

    assert_status(stele_shards_verify(shards, "acme", "orders", NULL, NULL), STELE_CORRUPT);
    move.organisation = "acme";
    move.name_space = "orders";
    move.root = test_path("new-root");
    ck_assert_int_eq(mkdir(move.root, 0700), 0);
    assert_status(stele_shards_move(shards, &move, NULL), STELE_OK);
    stele_shards_close(shards);
}
END_TEST

static void close_all(void)
{
    close_model();
    close_and_remove();
}

int main(void)
{
    Suite *suite = suite_create("projection_checks");
    TCase *tests = tcase_create("places");
    tcase_add_checked_fixture(tests, open_with_model, close_all);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, inline_projection_at_the_head_is_good);
    tcase_add_test(tests, a_place_that_cannot_be_true_stops_no_backup);
    tcase_add_test(tests, a_place_that_cannot_be_true_stops_no_move);
    tcase_add_test(tests, records_of_the_library_behind_its_place_are_no_finding);
    tcase_add_test(tests, place_behind_what_was_appended_is_found);
    tcase_add_test(tests, place_beyond_the_head_is_found);
    tcase_add_test(tests, place_of_a_lost_timeline_is_no_finding);
    tcase_add_test(tests, place_that_is_gone_is_found);
    tcase_add_test(tests, record_that_is_gone_is_found);
    tcase_add_test(tests, async_projection_that_is_behind_is_no_finding);
    tcase_add_test(tests, rebuilding_in_place_is_no_finding);
    return run_suite(suite);
}

/* Checkpoints whose file gets a second life: copied into another store, or recovered. */
#include "backup_support.h"
#include "checkpoint_rows.h"
#include "copying.h"

/* Events 1 to 6 of two streams; the second becomes nothing, the fourth three events. */
static void fill_source(void)
{
    static const char *const often[] = { "1", "0", "1", "3", "1", "1" };
    open_both_in_files();
    for (size_t i = 0; i < COUNT_OF(often); i++)
        append_data(i % 2 == 0 ? "a-1" : "b-1", "made", often[i]);
}

/* As note_parked() of the target: "4<0 5<4". */
static stele_status note_place_behind(void *context, const stele__parked *parked)
{
    char *text = context;
    size_t used = strlen(text);
    snprintf(text + used, 256 - used, "%s%" PRId64 "<%" PRId64 ":%s", used > 0 ? " " : "",
             parked->position, parked->behind, parked->key);
    ck_assert_str_eq(parked->reason, "no such account");
    return STELE_OK;
}

static const char *parked_in_target(const char *name)
{
    static char text[256];
    stele__connection *connection = NULL;
    text[0] = '\0';
    assert_status(stele__read_begin(target, NULL, &connection), STELE_OK);
    assert_status(stele__parked_each(connection, name, NULL, 0, note_place_behind, text), STELE_OK);
    stele__read_end(target, connection);
    return text;
}

static stele_status note_lane(void *context, const char *name, const stele__place *place)
{
    char *text = context;
    size_t used = strlen(text);
    (void)name;
    snprintf(text + used, 256 - used, "%s%" PRId64 "/%" PRId64 "@%" PRId64, used > 0 ? " " : "",
             place->lane, place->lanes, place->position);
    ck_assert_str_eq(place->owner, "");
    ck_assert_int_eq(place->generation, 0);
    return STELE_OK;
}

static const char *lanes_in_target(const char *name)
{
    static char text[256];
    stele__connection *connection = NULL;
    text[0] = '\0';
    assert_status(stele__read_begin(target, NULL, &connection), STELE_OK);
    assert_status(stele__place_each(connection, name, note_lane, text), STELE_OK);
    stele__read_end(target, connection);
    return text;
}

START_TEST(each_lane_is_carried_by_itself)
{
    stele_copy copy = copy_by(as_often_as_told);
    put_lanes("group", 4, (const int64_t[]){ 6, 3, 4, -1 });

    stele_copied copied = run_copy(&copy);

    /* 1, -, 2, 3 4 5, 6, 7 */
    ck_assert_str_eq(lanes_in_target("group"), "1/4@7 2/4@2 3/4@5 4/4@-1");
    ck_assert_uint_eq(copied.checkpoints, 1);
}
END_TEST

static stele_status note_effects(void *context, const char *name, const stele__place *place)
{
    (void)name;
    *(int64_t *)context = place->effects_after;
    return STELE_OK;
}

/* What was done once isn't done again by who reads the copy. */
START_TEST(end_of_what_had_effects_is_carried_too)
{
    stele_copy copy = copy_by(as_often_as_told);
    stele__connection *connection = NULL;
    stele__place place = { .effects_after = 4 };
    stele__place_move(store, &place, 3);
    assert_status(stele__write_begin(store, NULL, &connection), STELE_OK);
    assert_status(stele__place_store(connection, "reader", &place), STELE_OK);
    assert_status(stele__write_commit(store), STELE_OK);
    stele__write_end(store);

    run_copy(&copy);

    int64_t effects_after = 0;
    ck_assert_str_eq(lanes_in_target("reader"), "0/0@2");
    assert_status(stele__read_begin(target, NULL, &connection), STELE_OK);
    assert_status(stele__place_each(connection, "reader", note_effects, &effects_after), STELE_OK);
    stele__read_end(target, connection);
    ck_assert_int_eq(effects_after, 5);
}
END_TEST

START_TEST(what_is_parked_is_parked_in_the_copy)
{
    stele_copy copy = copy_by(as_often_as_told);
    put_place("reader", 0, 0, 6);
    park("reader", 2, "b-1", 0);
    park("reader", 3, "a-1", 0);
    park("reader", 4, "b-1", 2);
    park("reader", 5, "a-1", 3);

    stele_copied copied = run_copy(&copy);

    ck_assert_str_eq(parked_in_target("reader"), "2<0:a-1 3<0:b-1 4<3:b-1 5<3:b-1 6<2:a-1");
    ck_assert_uint_eq(copied.parked, 5);
}
END_TEST

START_TEST(claims_stay_behind)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    claim.owner = "w-1";
    assert_status(stele_checkpoint_save(store, "reader", 3), STELE_OK);
    assert_status(stele_checkpoint_claim_take(store, "reader", &claim, NULL), STELE_OK);
    assert_status(stele_checkpoint_claim_take(store, "other", &claim, NULL), STELE_OK);

    stele_copied copied = run_copy(NULL);

    ck_assert_str_eq(lanes_in_target("reader"), "0/0@3");
    ck_assert_str_eq(lanes_in_target("other"), "");
    ck_assert_uint_eq(copied.checkpoints, 1);
}
END_TEST

static void park_some(void)
{
    put_place("reader", 0, 0, 6);
    park("reader", 2, "b-1", 0);
    park("reader", 3, "a-1", 0);
    park("reader", 4, "b-1", 2);
    park("reader", 5, "a-1", 3);
}

START_TEST(dry_run_counts_what_would_be_parked)
{
    stele_work work = STELE_WORK_INIT;
    stele_copy copy = copy_by(as_often_as_told);
    work.step_count_max = 2;
    copy.work = &work;
    copy.dry_run = true;
    park_some();

    ck_assert_uint_eq(run_copy(&copy).parked, 5);

    ck_assert_str_eq(parked_in_target("reader"), "");
    copy.checkpoints = false;
    ck_assert_uint_eq(run_copy(&copy).parked, 0);
    copy.checkpoints = true;
    copy.to_position = 3;
    ck_assert_uint_eq(run_copy(&copy).parked, 1);
}
END_TEST

static int stop_after_two_steps(void *context, const stele_progress *progress)
{
    int *left = context;
    (void)progress;
    return --*left < 0;
}

/* Some of it is in the target already, the rest isn't. */
START_TEST(dry_run_of_a_copy_that_was_cut_short_counts_all_that_would_be_parked)
{
    int left = 2;
    stele_work work = STELE_WORK_INIT;
    stele_copied copied;
    stele_copy copy = copy_by(as_often_as_told);
    work.step_count_max = 1;
    work.progress = stop_after_two_steps;
    work.context = &left;
    copy.work = &work;
    park_some();
    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_CANCELLED);
    copy.work = NULL;
    copy.dry_run = true;

    assert_status(stele_store_copy(store, target, &copy, &copied), STELE_OK);

    ck_assert_int_gt(copied.resumed_after, 0);
    ck_assert_uint_eq(copied.parked, 5);
    copy.dry_run = false;
    assert_status(stele_store_copy(store, target, &copy, &copied), STELE_OK);
    ck_assert_uint_eq(copied.parked, 5);
    ck_assert_str_eq(parked_in_target("reader"), "2<0:a-1 3<0:b-1 4<3:b-1 5<3:b-1 6<2:a-1");
}
END_TEST

/* Else a worker of the store that was could go on in the one that is. */
START_TEST(recovered_store_is_owned_by_nobody)
{
    stele_checkpoint_claim claim = STELE_CHECKPOINT_CLAIM_INIT;
    stele_checkpoint_claimed claimed;
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    stele_checkpoint checkpoint;
    claim.owner = "w-1";
    assert_status(stele_checkpoint_save(store, "reader", 3), STELE_OK);
    assert_status(stele_checkpoint_claim_take(store, "reader", &claim, &claimed), STELE_OK);
    put_member("group", "w-1");
    back_up_to(backup_path());
    close_store();
    recover_to(backup_path(), new_path());
    store = open_path(new_path(), NULL);

    move.to = 5;
    move.generation = claimed.generation;
    assert_status(stele_checkpoint_advance(store, "reader", &move, NULL), STELE_FENCED);

    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 3);
    claim.owner = "w-2";
    assert_status(stele_checkpoint_claim_take(store, "reader", &claim, &claimed), STELE_OK);
    ck_assert_int_eq(claimed.generation, 3);
    close_store();
    ck_assert_int_eq(sql_number(new_path(), "SELECT count(*) FROM members"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint copy");
    TCase *tests = add_copy_case(suite, "copy", fill_source);
    tcase_add_test(tests, each_lane_is_carried_by_itself);
    tcase_add_test(tests, end_of_what_had_effects_is_carried_too);
    tcase_add_test(tests, what_is_parked_is_parked_in_the_copy);
    tcase_add_test(tests, claims_stay_behind);
    tcase_add_test(tests, dry_run_counts_what_would_be_parked);
    tcase_add_test(tests, dry_run_of_a_copy_that_was_cut_short_counts_all_that_would_be_parked);
    tcase_add_test(tests, recovered_store_is_owned_by_nobody);
    return run_suite(suite);
}

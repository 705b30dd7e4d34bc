/* Files that are fed by the same frames: equal, whatever else each does, and when a disk is full.
 */
#include "frames.h"

#include <stele/snapshot.h>
#include <stele/work.h>

#include "disk_quota.h"
#include "snapshots.h"

/* --- Two files, the same frames --- */

static int64_t wild_clock(void *context)
{
    (void)context;
    return (int64_t)(next_chance() % 1000000000);
}

static stele_status refuse_payload(void *context, const void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return STELE_INVALID;
}

/* The other node: small limits, a clock of its own, checks of its own. */
static stele_store *open_odd(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.event_size_max = 3;
    options.value_size_max = 3;
    options.durability = STELE_DURABILITY_RELAXED;
    options.clock = wild_clock;
    stele_store *odd = open_path(test_path("odd.db"), &options);
    stele_codec codec = STELE_CODEC_INIT;
    codec.name = "odd";
    codec.check = refuse_payload;
    assert_status(stele_store_register_codec(odd, &codec), STELE_OK);
    return odd;
}

/* What is of one node alone. */
static void busy_itself(stele_store *node)
{
    stele_stream_info info;
    if (one_in(3) && stele_store_stream(node, "order-1", &info) == STELE_OK && info.version > 0
        && info.state != STELE_STREAM_ARCHIVED) {
        stele_snapshot snapshot = make_snapshot("order-1", info.version, "1");
        snapshot.codec = one_in(2) ? "raw" : "odder";
        stele_snapshot_save(node, &snapshot);
    }
    int64_t head = 0;
    if (one_in(3) && stele_store_head(node, &head) == STELE_OK)
        stele_checkpoint_save(node, "reader", head);
    if (one_in(5))
        assert_status(stele_store_resume(node, NULL, NULL), STELE_OK);
}

static void compare_verdicts(const stele__frame_result *a, const stele__frame_result *b)
{
    ck_assert_int_eq(a->outcome, b->outcome);
    ck_assert_uint_eq(a->applied, b->applied);
    ck_assert_uint_eq(a->chain, b->chain);
    ck_assert_uint_eq(a->verdict_count, b->verdict_count);
    for (size_t i = 0; i < a->verdict_count; i++) {
        ck_assert_int_eq(a->verdicts[i].status, b->verdicts[i].status);
        ck_assert_str_eq(a->verdicts[i].error, b->verdicts[i].error);
    }
}

static void make_random_frame(uint64_t number, stele__buffer *frame)
{
    static chance_change made[6];
    stele__change changes[COUNT_OF(made)];
    size_t count = 1 + chance_below(COUNT_OF(made));
    for (size_t i = 0; i < count; i++) {
        make_chance_change(&made[i], (stele__change_kind)0);
        if (made[i].change.kind == STELE__CHANGE_APPENDS && one_in(8))
            made[i].events[0][0].codec = "odd";
        if (made[i].change.kind == STELE__CHANGE_TOMBSTONE && !one_in(4))
            make_chance_change(&made[i], STELE__CHANGE_RESTORE);
        changes[i] = made[i].change;
    }
    stele__frame_header header =
        header_of(one_in(10) ? 1 + chance_below(number + 3) : number,
                  INT64_C(1700000000000000) + (int64_t)number * 1000 - (int64_t)chance_below(5000));
    make_frame_of(&header, changes, count, frame);
}

START_TEST(two_files_fed_by_the_same_frames_are_equal)
{
    uint64_t seed = choose_seed();
    uint64_t frames = effort_is_long() ? 6000 : 400;
    uint64_t writer = 0, refused = 0, verdicts = 0;
    stele_store *odd = open_odd();
    bind_it(odd);
    stele__buffer frame = { 0 };
    for (uint64_t number = 1; number <= frames; number++) {
        stele__frame_result a = { 0 }, b = { 0 };
        make_random_frame(writer + 1, &frame);
        assert_status(apply_to(store, number, &frame, &a), STELE_OK);
        busy_itself(odd);
        assert_status(apply_to(odd, number, &frame, &b), STELE_OK);
        compare_verdicts(&a, &b);
        writer += a.outcome == STELE__FRAME_APPLIED;
        refused += a.refused;
        verdicts += a.verdict_count;
        stele__frame_result_dispose(&a);
        stele__frame_result_dispose(&b);
    }
    assert_status(stele_store_resume(store, NULL, NULL), STELE_OK);
    assert_status(stele_store_resume(odd, NULL, NULL), STELE_OK);
    ck_assert_str_eq(digest_of_store(store), digest_of_store(odd));
    assert_verified(store);
    assert_verified(odd);
    ck_assert_uint_gt(refused, verdicts / 20);
    ck_assert_uint_lt(refused, verdicts - verdicts / 20);
    /* The control: a single write beside the frames shows. */
    assert_status(append_to(odd, "order-0", STELE_ANY, "x", NULL), STELE_OK);
    ck_assert_str_ne(digest_of_store(store), digest_of_store(odd));
    stele_store_close(odd);
    stele__buffer_dispose(&frame);
    printf("two files: seed %" PRIu64 ", %" PRIu64 " frames, %" PRIu64 " verdicts, %" PRIu64
           " refused\n",
           seed, frames, verdicts, refused);
}
END_TEST

/* A key whose content is to be erased answers the same before that was done and after. */
START_TEST(verdicts_do_not_depend_on_how_far_erasing_is)
{
    stele_store *other = open_path(test_path("other.db"), NULL);
    bind_it(other);
    stele_event event = make_event("counted", "{}");
    stele_event another = make_event("counted", "[1]");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    append.idempotency_key = "key";
    stele_append again = append;
    again.events = &another;
    stele_delete deletion = STELE_DELETE_INIT;
    deletion.stream = "a-1";
    stele__change changes[] = { { .kind = STELE__CHANGE_APPENDS, .what = &append, .count = 1 },
                                { .kind = STELE__CHANGE_DELETE, .what = &deletion, .count = 1 },
                                { .kind = STELE__CHANGE_APPENDS, .what = &again, .count = 1 } };
    stele__buffer frame = { 0 };
    for (uint64_t i = 0; i < COUNT_OF(changes); i++) {
        stele__frame_header header = header_of(i + 1, 5);
        stele__frame_result a = { 0 }, b = { 0 };
        make_frame_of(&header, &changes[i], 1, &frame);
        assert_status(apply_to(store, i + 1, &frame, &a), STELE_OK);
        if (i == 2)
            assert_status(stele_store_resume(other, NULL, NULL), STELE_OK);
        assert_status(apply_to(other, i + 1, &frame, &b), STELE_OK);
        compare_verdicts(&a, &b);
        ck_assert_int_eq(a.verdicts[0].status, STELE_OK);
        ck_assert_int_eq(a.deletes, i == 1);
        if (i == 2)
            ck_assert(a.verdicts[0].appended[0].duplicate && a.verdicts[0].appended[0].erased);
        stele__frame_result_dispose(&a);
        stele__frame_result_dispose(&b);
    }
    assert_status(stele_store_resume(store, NULL, NULL), STELE_OK);
    ck_assert_str_eq(digest_of_store(store), digest_of_store(other));
    stele_store_close(other);
    stele__buffer_dispose(&frame);
}
END_TEST

/* --- A full disk --- */

static void remove_quota_and_all(void)
{
    close_and_remove();
    remove_quota();
}

/* A disk that is full is this node's trouble: it is told, nothing stays, and the frame is applied
 * when there is room. */
START_TEST(a_frame_that_fails_on_the_disk_is_applied_later)
{
    uint64_t seed = choose_seed();
    ck_assert(install_quota());
    open_in_file();
    bind_it(store);
    stele_store *whole = open_path(":memory:", NULL);
    bind_it(whole);
    stele__buffer frame = { 0 };
    uint64_t failed = 0, writer = 0;
    for (uint64_t number = 1; number <= 250; number++) {
        stele__frame_result a = { 0 }, b = { 0 };
        make_random_frame(writer + 1, &frame);
        uint64_t before = chain_of(store);
        if (one_in(2))
            quota_bytes = quota_used() + (int64_t)chance_below(9000);
        stele_transaction *transaction = NULL;
        stele_status status = stele_transaction_begin(store, &transaction);
        if (status == STELE_OK)
            status = stele__frame_apply(transaction, number, frame.data, frame.size, NULL, &a);
        if (status == STELE_OK)
            status = stele_transaction_commit(transaction);
        else if (transaction != NULL && a.changed) /* and can't be committed by mistake */
            ck_assert_int_ne(stele_transaction_commit(transaction), STELE_OK);
        stele_transaction_end(transaction);
        quota_bytes = INT64_MAX;
        if (status != STELE_OK) {
            failed++;
            ck_assert_msg(status == STELE_FULL || status == STELE_IO
                              || status == STELE_UNKNOWN_OUTCOME,
                          "%s", stele_status_name(status));
            if (status != STELE_UNKNOWN_OUTCOME)
                ck_assert_uint_eq(chain_of(store), before);
            stele__frame_result_dispose(&a);
            assert_status(apply_to(store, number, &frame, &a), STELE_OK);
        }
        assert_status(apply_to(whole, number, &frame, &b), STELE_OK);
        if (a.outcome != STELE__FRAME_OLD)
            compare_verdicts(&a, &b);
        ck_assert_uint_eq(chain_of(store), chain_of(whole));
        writer += b.outcome == STELE__FRAME_APPLIED;
        stele__frame_result_dispose(&a);
        stele__frame_result_dispose(&b);
    }
    assert_status(stele_store_resume(store, NULL, NULL), STELE_OK);
    assert_status(stele_store_resume(whole, NULL, NULL), STELE_OK);
    ck_assert_str_eq(digest_of_store(store), digest_of_store(whole));
    assert_verified(store);
    ck_assert_uint_gt(failed, 5);
    stele_store_close(whole);
    stele__buffer_dispose(&frame);
    printf("full disk: seed %" PRIu64 ", 250 frames, %" PRIu64 " failed first\n", seed, failed);
}
END_TEST

static Suite *frame_nodes_suite(void)
{
    Suite *suite = suite_create("frame nodes");
    TCase *tests = add_case(suite, "two files", open_bound);
    tcase_set_timeout(tests, effort_is_long() ? 900 : 120);
    tcase_add_test(tests, two_files_fed_by_the_same_frames_are_equal);
    tcase_add_test(tests, verdicts_do_not_depend_on_how_far_erasing_is);

    tests = tcase_create("full disk");
    tcase_add_checked_fixture(tests, NULL, remove_quota_and_all);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_frame_that_fails_on_the_disk_is_applied_later);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(frame_nodes_suite());
}

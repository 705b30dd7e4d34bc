/*
 * The sequencer of a single file: numbers in the same commit as what they number, given frames
 * once, a refusal without a number, and peers that are told of each frame. Some with threads
 * (pthread).
 */
#include "frames.h"

#include "store/store.h"

#include "disk_quota.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static stele__local *local;

static stele__local *open_local_of(stele_store *of, const stele__local_options *options)
{
    stele__local *opened = NULL;
    assert_status(stele__local_open(of, options, &opened), STELE_OK);
    assert_status(stele__sequencer_set(of, stele__local_sequencer(opened)), STELE_OK);
    return opened;
}

static void open_local(void)
{
    open_in_file();
    local = open_local_of(store, NULL);
}

static void close_local(void)
{
    close_store();
    stele__local_close(local);
    local = NULL;
}

static void close_local_and_remove(void)
{
    close_local();
    remove_test_folder();
}

static stele__frame_place place_of(stele_store *of)
{
    stele__frame_place place;
    assert_status(stele__frame_place_find(of, &place), STELE_OK);
    return place;
}

static stele__local_counts counts_now(void)
{
    stele__local_counts counts;
    stele__local_counts_get(local, &counts);
    return counts;
}

/* --- Numbers --- */

START_TEST(each_accepted_change_takes_the_next_number_and_a_refused_one_none)
{
    stele__frame_place before = place_of(store);
    ck_assert(before.bound);
    ck_assert_uint_eq(before.applied, 0);
    assert_status(append_one("a-1", STELE_NO_STREAM, "counted", NULL), STELE_OK);
    stele__frame_place first = place_of(store);
    ck_assert_uint_eq(first.applied, 1);
    ck_assert_uint_ne(first.chain, before.chain);

    assert_status(append_one("a-1", STELE_NO_STREAM, "counted", NULL), STELE_CONFLICT);
    assert_reason_has("stream 'a-1' is at version 1, expected none");
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    tombstone.stream = "z-1";
    tombstone.reason = "x";
    assert_status(stele_store_tombstone(store, &tombstone, NULL), STELE_NOT_FOUND);

    ck_assert_uint_eq(place_of(store).applied, 1);
    ck_assert_uint_eq(place_of(store).chain, first.chain);
    stele__local_counts counts = counts_now();
    ck_assert_uint_eq(counts.proposed, 3);
    ck_assert_uint_eq(counts.accepted, 1);
    ck_assert_uint_eq(counts.refused, 2);
    ck_assert_uint_eq(counts.failed, 0);
    assert_verified(store);
}
END_TEST

START_TEST(numbers_go_on_where_they_were_when_the_file_is_opened_again)
{
    stele__frame_place before = place_of(store);
    for (int i = 0; i < 3; i++) {
        fill_stream("a-1", 2);
        close_local();
        open_local();
    }
    stele__frame_place after = place_of(store);
    ck_assert(stele__frame_id_equal(&before.lane, &after.lane));
    ck_assert(stele__frame_id_equal(&before.shard, &after.shard));
    ck_assert_uint_eq(after.applied, 6);
    assert_verified(store);
    stele__local *other = NULL;
    stele__local_options options = { .lane = { { 1, 2, 3 } } };
    assert_status(stele__local_open(store, &options, &other), STELE_MISUSE);
    ck_assert_ptr_null(other);
}
END_TEST

/* What it writes is in a group's commit as any append is. */
START_TEST(a_change_beyond_the_limit_is_refused_before_it_is_proposed)
{
    static char data[4000];
    stele__local_options options = { .size_max = 1000 };
    close_local();
    open_in_file();
    local = open_local_of(store, &options);
    memset(data, ' ', sizeof(data));
    data[0] = '1';
    stele_event event = { .type = "hauled", .data = data, .data_size = sizeof(data) };
    assert_status(append_event("a-1", &event), STELE_TOO_LARGE);
    ck_assert_uint_eq(place_of(store).applied, 0);
    ck_assert_uint_eq(counts_now().proposed, 0);
    fill_stream("a-1", 1);
}
END_TEST

/* --- Frames that are given --- */

static void make_given(uint64_t writer_sequence, const char *stream, stele__buffer *frame)
{
    stele_event event = make_event("counted", "{}");
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    stele__change change = { .kind = STELE__CHANGE_APPENDS, .what = &append, .count = 1 };
    stele__frame_header header = header_of(writer_sequence, 0);
    make_frame_of(&header, &change, 1, frame);
}

static void propose_given(const stele__buffer *frame, stele__frame_outcome expected)
{
    stele__frame_result result = { 0 };
    assert_status(stele__local_propose(local, frame->data, frame->size, NULL, &result), STELE_OK);
    ck_assert_int_eq(result.outcome, expected);
    stele__frame_result_dispose(&result);
}

START_TEST(a_frame_that_is_given_twice_is_applied_once)
{
    stele__buffer first = { 0 }, second = { 0 }, third = { 0 };
    make_given(1, "a-1", &first);
    make_given(2, "a-1", &second);
    make_given(3, "a-1", &third);
    propose_given(&first, STELE__FRAME_APPLIED);
    propose_given(&first, STELE__FRAME_DUPLICATE);
    propose_given(&third, STELE__FRAME_EARLY);
    ck_assert_uint_eq(place_of(store).applied, 1); /* neither took a number */
    propose_given(&second, STELE__FRAME_APPLIED);
    close_local();
    open_local();
    propose_given(&second, STELE__FRAME_DUPLICATE);
    propose_given(&third, STELE__FRAME_APPLIED);
    ck_assert_int_eq(version_of("a-1"), 3);
    ck_assert_uint_eq(place_of(store).applied, 3);
    ck_assert_uint_eq(counts_now().duplicates, 1);
    stele__buffer_dispose(&first);
    stele__buffer_dispose(&second);
    stele__buffer_dispose(&third);
}
END_TEST

START_TEST(a_given_frame_gets_the_stores_lane_and_time)
{
    stele__buffer frame = { 0 };
    stele__frame_result result = { 0 };
    make_given(1, "a-1", &frame);
    int64_t before = stele__store_now(store);
    assert_status(stele__local_propose(local, frame.data, frame.size, NULL, &result), STELE_OK);
    ck_assert_int_ge(result.header.time, before);
    stele__frame_place place = place_of(store);
    ck_assert(stele__frame_id_equal(&result.header.lane, &place.lane));
    stele__frame_result_dispose(&result);

    frame.data[90] ^= 1;
    assert_status(stele__local_propose(local, frame.data, frame.size, NULL, NULL), STELE_CORRUPT);
    stele__buffer_dispose(&frame);
    static chance_change made[2];
    stele__change changes[2];
    for (size_t i = 0; i < 2; i++) {
        make_chance_change(&made[i], STELE__CHANGE_PUT);
        changes[i] = made[i].change;
    }
    stele__frame_header header = header_of(2, 0);
    make_frame_of(&header, changes, 2, &frame);
    assert_status(stele__local_propose(local, frame.data, frame.size, NULL, NULL),
                  STELE_UNSUPPORTED);
    stele__buffer_dispose(&frame);
}
END_TEST

/* --- Peers --- */

/* A second file, fed with what the first is told to have applied. */
typedef struct peer {
    stele_store *store;
    uint64_t next;
    int gaps;
    int failures;
} peer;

static void feed_peer(void *context, uint64_t sequence, const void *frame, size_t size)
{
    peer *of = context;
    stele_transaction *transaction = NULL;
    stele__frame_result result = { 0 };
    of->gaps += sequence != of->next;
    of->next = sequence + 1;
    stele_status status = stele_transaction_begin(of->store, &transaction);
    if (status == STELE_OK)
        status = stele__frame_apply(transaction, sequence, frame, size, NULL, &result);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    of->failures += status != STELE_OK;
    stele__frame_result_dispose(&result);
}

static peer fed;

static void open_peers(void)
{
    stele__frame_header header = header_of(1, 0);
    stele__local_options options = {
        .lane = header.lane, .shard = header.shard, .observe = feed_peer, .context = &fed
    };
    open_in_file();
    fed = (peer){ .store = open_path(test_path("peer.db"), NULL), .next = 1 };
    assert_status(stele__frame_bind(fed.store, &header.lane, &header.shard), STELE_OK);
    local = open_local_of(store, &options);
}

static void close_peers(void)
{
    stele_store_close(fed.store);
    close_local_and_remove();
}

static void expect_peers_equal(void)
{
    ck_assert_int_eq(fed.failures, 0);
    ck_assert_int_eq(fed.gaps, 0);
    assert_status(stele_store_resume(store, NULL, NULL), STELE_OK);
    assert_status(stele_store_resume(fed.store, NULL, NULL), STELE_OK);
    ck_assert_uint_eq(place_of(store).applied, place_of(fed.store).applied);
    ck_assert_uint_eq(place_of(store).chain, place_of(fed.store).chain);
    ck_assert_str_eq(digest_of_store(store), digest_of_store(fed.store));
    assert_verified(fed.store);
}

static void propose_chance(chance_change *made)
{
    make_chance_change(made, (stele__change_kind)0);
    if (made->change.kind == STELE__CHANGE_TOMBSTONE && !one_in(4))
        make_chance_change(made, STELE__CHANGE_RESTORE);
    stele__sequencer *sequencer = stele__sequencer_enter(store);
    ck_assert_ptr_nonnull(sequencer);
    stele_status status = sequencer->propose(sequencer, store, &made->change);
    stele__sequencer_leave(store, sequencer);
    ck_assert_msg(status == STELE_OK || status == STELE_CONFLICT || status == STELE_NOT_FOUND
                      || status == STELE_ARCHIVED || status == STELE_TOMBSTONED
                      || status == STELE_KEY_REUSED,
                  "%s: %s", stele_status_name(status), stele_error_text());
}

START_TEST(peers_that_are_told_of_each_frame_end_equal)
{
    static chance_change made;
    uint64_t seed = choose_seed();
    int changes = effort_of(600, 10000);
    for (int i = 0; i < changes; i++)
        propose_chance(&made);
    expect_peers_equal();
    ck_assert_uint_gt(counts_now().refused, 0);
    printf("peers: seed %" PRIu64 ", %d changes, %" PRIu64 " frames\n", seed, changes,
           counts_now().accepted);
}
END_TEST

#define PROPOSERS 4

static int rounds;

static void *append_often(void *context)
{
    char stream[16];
    intptr_t failures = 0;
    snprintf(stream, sizeof(stream), "w-%d", *(int *)context);
    for (int64_t i = 0; i < rounds; i++) {
        stele_event event = make_event("counted", "{}");
        stele_append append = make_append(stream, i % 7 == 3 ? i + 99 : i, &event, 1);
        stele_status status = stele_store_append(store, &append, NULL);
        if (i % 7 == 3) {
            failures += status != STELE_CONFLICT;
            append.expected_version = i;
            status = stele_store_append(store, &append, NULL);
        }
        failures += status != STELE_OK;
    }
    *(int *)context = (int)failures;
    return NULL;
}

/* Many at once share commits, and are still told in the order of their numbers. */
START_TEST(threads_share_commits_and_peers_are_told_in_order)
{
    pthread_t threads[PROPOSERS];
    int numbers[PROPOSERS];
    stele_store_info info = STELE_STORE_INFO_INIT;
    rounds = effort_of(200, 5000);
    for (int i = 0; i < PROPOSERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, append_often, &numbers[i]), 0);
    }
    for (int i = 0; i < PROPOSERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(numbers[i], 0);
    }
    expect_peers_equal();
    ck_assert_int_eq(head_of(store), (int64_t)PROPOSERS * rounds);
    ck_assert_uint_eq(place_of(store).applied, (uint64_t)PROPOSERS * (uint64_t)rounds);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    printf("threads: %" PRIu64 " frames, %" PRIu64 " commits\n", place_of(store).applied,
           info.commits);
    ck_assert_uint_le(info.commits, place_of(store).applied);
}
END_TEST

/* --- Failures --- */

static void close_quota(void)
{
    close_local_and_remove();
    remove_quota();
}

/* A failure takes no number, is told, and the next change goes on behind what is there. */
START_TEST(a_failure_of_the_disk_is_told_and_takes_no_number)
{
    uint64_t seed = choose_seed();
    uint64_t stored = 0, failed = 0, unknown = 0;
    ck_assert(install_quota());
    open_in_file();
    local = open_local_of(store, NULL);
    for (int i = 0; i < 300; i++) {
        if (one_in(2))
            quota_bytes = quota_used() + (int64_t)chance_below(6000);
        stele_status status = append_one("a-1", STELE_ANY, "counted", NULL);
        quota_bytes = INT64_MAX;
        stored += status == STELE_OK;
        failed += status != STELE_OK;
        unknown += status == STELE_UNKNOWN_OUTCOME;
        ck_assert_msg(status == STELE_OK || status == STELE_FULL || status == STELE_IO
                          || status == STELE_UNKNOWN_OUTCOME,
                      "%s", stele_status_name(status));
        uint64_t applied = place_of(store).applied;
        ck_assert_uint_ge(applied, stored);
        ck_assert_uint_le(applied, stored + unknown);
        ck_assert_int_eq(head_of(store), (int64_t)applied);
    }
    stele__local_counts counts = counts_now();
    ck_assert_uint_eq(counts.accepted, stored);
    ck_assert_uint_eq(counts.failed, failed);
    ck_assert_uint_eq(counts.unknown, unknown);
    ck_assert_uint_gt(failed, 5);
    assert_verified(store);
    printf("full disk: seed %" PRIu64 ", %" PRIu64 " stored, %" PRIu64 " failed\n", seed, stored,
           failed);
}
END_TEST

/* What was told, in its order. */
static struct {
    int count;
    uint64_t sequences[8];
    size_t sizes[8];
} told;

static void note_told(void *context, uint64_t sequence, const void *frame, size_t size)
{
    (void)context;
    (void)frame;
    if (told.count < 8) {
        told.sequences[told.count] = sequence;
        told.sizes[told.count] = size;
    }
    told.count++;
}

/* An append of so many bytes on a thread of its own, which is kept in its progress callback until
 * it is let go. */
typedef struct kept_append {
    pthread_t thread;
    size_t size;
    atomic_bool waits;
    atomic_bool released;
    stele_status status;
} kept_append;

static int stay_inside(void *context)
{
    kept_append *self = context;
    const struct timespec moment = { 0, 200000 };
    atomic_store(&self->waits, true);
    while (!atomic_load(&self->released))
        nanosleep(&moment, NULL);
    return 0;
}

static void *append_and_stay(void *context)
{
    static char data[500000];
    kept_append *self = context;
    stele_event event = { .type = "hauled", .data = data, .data_size = self->size, .codec = "raw" };
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    stele_wait wait = { sizeof(wait), 600000, stay_inside, self };
    append.wait = &wait;
    self->status = stele_store_append(store, &append, NULL);
    return NULL;
}

static void start_append(kept_append *self)
{
    const struct timespec moment = { 0, 200000 };
    ck_assert_int_eq(pthread_create(&self->thread, NULL, append_and_stay, self), 0);
    while (!atomic_load(&self->waits))
        nanosleep(&moment, NULL);
}

/* Two share a commit for which there is no room, so each has its own; there is room for the first.
 * The other doesn't know yet that its commit failed when the next one takes its number. */
START_TEST(what_could_not_be_stored_is_not_told_in_place_of_the_next)
{
    kept_append small = { .size = 10 };
    kept_append large = { .size = 500000 };
    stele_transaction *holding = NULL;
    stele__local_options options = { .observe = note_told };
    told.count = 0;
    ck_assert(install_quota());
    open_in_file();
    local = open_local_of(store, &options);
    assert_status(stele_transaction_begin(store, &holding), STELE_OK);
    start_append(&small);
    start_append(&large);
    atomic_store(&small.released, true);
    quota_bytes = quota_used() + 200000;
    stele_transaction_end(holding);
    pthread_join(small.thread, NULL);
    quota_bytes = INT64_MAX;

    assert_status(append_one("a-1", STELE_ANY, "counted", NULL), STELE_OK);

    atomic_store(&large.released, true);
    pthread_join(large.thread, NULL);
    ck_assert_int_eq(small.status, STELE_OK);
    ck_assert_int_eq(large.status, STELE_FULL);
    ck_assert_int_eq(told.count, 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(told.sequences[i], (uint64_t)i + 1);
        ck_assert_uint_lt(told.sizes[i], 1000);
    }
}
END_TEST

/* --- Killed --- */

/* Never returns: appends, entries and refusals, each acknowledged through the pipe. */
static void write_until_killed(int pipe_end)
{
    store = open_path(store_path(), NULL);
    local = open_local_of(store, NULL);
    stele_put put = STELE_PUT_INIT;
    put.scope = put.key = "x";
    for (;;) {
        char done = 1;
        assert_status(append_one("a-1", STELE_ANY, "counted", NULL), STELE_OK);
        if (write(pipe_end, &done, 1) != 1)
            _exit(1);
        ck_assert_int_eq(append_one("a-1", STELE_NO_STREAM, "counted", NULL), STELE_CONFLICT);
        assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    }
}

START_TEST(numbers_and_effects_are_in_one_commit_whenever_it_is_killed)
{
    uint64_t seed = choose_seed();
    int kills = effort_of(12, 300);
    int64_t acknowledged = 0;
    ck_assert_ptr_nonnull(store_path()); /* made before the children are */
    for (int i = 0; i < kills; i++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            close(ends[0]);
            write_until_killed(ends[1]);
        }
        close(ends[1]);
        char done;
        size_t some = (i == 0 ? 2 : 1) + chance_below(20);
        for (size_t j = 0; j < some && read(ends[0], &done, 1) == 1; j++)
            acknowledged++;
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        while (read(ends[0], &done, 1) == 1)
            acknowledged++;
        close(ends[0]);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);

        open_in_file();
        stele_entry const *entry = NULL;
        int64_t revision = 0;
        if (stele_state_get(store, "x", "x", &entry) == STELE_OK) {
            revision = entry->revision;
            stele_entry_close(entry);
        }
        int64_t head = head_of(store);
        ck_assert_int_ge(head, acknowledged);
        ck_assert_uint_eq(place_of(store).applied, (uint64_t)(head + revision));
        assert_verified(store);
        close_store();
    }
    printf("killed: seed %" PRIu64 ", %d times, %" PRId64 " acknowledged\n", seed, kills,
           acknowledged);
    ck_assert_int_gt(acknowledged, kills);
}
END_TEST

static Suite *frame_local_suite(void)
{
    Suite *suite = suite_create("frame local");
    TCase *tests = tcase_create("numbers");
    tcase_add_checked_fixture(tests, open_local, close_local_and_remove);
    tcase_add_test(tests, each_accepted_change_takes_the_next_number_and_a_refused_one_none);
    tcase_add_test(tests, numbers_go_on_where_they_were_when_the_file_is_opened_again);
    tcase_add_test(tests, a_change_beyond_the_limit_is_refused_before_it_is_proposed);
    tcase_add_test(tests, a_frame_that_is_given_twice_is_applied_once);
    tcase_add_test(tests, a_given_frame_gets_the_stores_lane_and_time);
    suite_add_tcase(suite, tests);

    tests = tcase_create("peers");
    tcase_add_checked_fixture(tests, open_peers, close_peers);
    tcase_set_timeout(tests, effort_is_long() ? 900 : 120);
    tcase_add_test(tests, peers_that_are_told_of_each_frame_end_equal);
    tcase_add_test(tests, threads_share_commits_and_peers_are_told_in_order);
    suite_add_tcase(suite, tests);

    tests = tcase_create("full disk");
    tcase_add_checked_fixture(tests, NULL, close_quota);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_failure_of_the_disk_is_told_and_takes_no_number);
    tcase_add_test(tests, what_could_not_be_stored_is_not_told_in_place_of_the_next);
    suite_add_tcase(suite, tests);

    tests = tcase_create("killed");
    tcase_add_checked_fixture(tests, NULL, close_local_and_remove);
    tcase_set_timeout(tests, effort_is_long() ? 900 : 120);
    tcase_add_test(tests, numbers_and_effects_are_in_one_commit_whenever_it_is_killed);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(frame_local_suite());
}

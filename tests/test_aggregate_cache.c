/* What is kept of folded states: how much, and that it is never wrong. */
#include "account_calls.h"

#include "effort.h"

#include <stele/lifecycle.h>

static void open_with(stele_decider decider, uint32_t count, uint64_t size)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.cache_count_max = count;
    options.cache_size_max = size;
    close_accounts();
    open_accounts_by(decider, &options);
}

static bool is_cached(const char *stream)
{
    load_account(stream);
    return loaded.fold.cached;
}

/* --- What is read --- */

START_TEST(command_on_a_cached_stream_reads_only_the_tail)
{
    append_moves(store, "a-1", 50);
    expect_balance("a-1", 50);
    ck_assert_int_eq(loaded.fold.folded, 50);
    ck_assert(!loaded.fold.cached);

    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(executed.fold.cached);
    ck_assert_int_eq(executed.fold.folded, 0);
    ck_assert_int_eq(executed.fold.miss, STELE_SNAPSHOT_HIT);
    assert_status(move("a-1", 1), STELE_OK);
    ck_assert_int_eq(executed.fold.folded, 1);
    append_moves(store, "a-1", 7);
    expect_balance("a-1", 59);
    ck_assert_int_eq(loaded.fold.folded, 8);
    expect_balance("a-1", 59);
    ck_assert_int_eq(loaded.fold.folded, 0);
}
END_TEST

START_TEST(what_another_handle_appended_is_folded_into_what_is_cached)
{
    stele_store *beside = open_beside();
    stele_aggregate *there = open_aggregate(beside, account_decider(), NULL);
    command what = { .verb = MOVE, .amount = 10 };
    stele_execute execute = make_execute("a-1", &what);
    for (int i = 1; i <= 5; i++) {
        assert_status(stele_aggregate_execute(there, &execute, NULL), STELE_OK);
        assert_status(move("a-1", -3), STELE_OK);
        expect_balance("a-1", 7 * i);
        ck_assert(loaded.fold.cached || i == 0);
    }
    stele_aggregate_close(there);
    stele_store_close(beside);
}
END_TEST

/* --- Bounds --- */

START_TEST(least_recently_used_goes_first)
{
    open_with(account_decider(), 3, UINT64_MAX);
    for (int i = 1; i <= 4; i++) {
        char stream[8];
        snprintf(stream, sizeof(stream), "a-%d", i);
        append_moves(store, stream, i);
        if (i < 4)
            expect_balance(stream, i);
    }
    ck_assert(is_cached("a-1")); /* used again */
    expect_balance("a-4", 4);

    ck_assert_uint_eq(describe_accounts().cached, 3);
    ck_assert(is_cached("a-1"));
    ck_assert(is_cached("a-3"));
    ck_assert(is_cached("a-4"));
    ck_assert(!is_cached("a-2"));
    ck_assert(!is_cached("a-1"));
}
END_TEST

START_TEST(cache_is_bounded_by_size_too)
{
    open_with(account_decider(), 1000, 4096);
    for (int i = 0; i < 100; i++) {
        char stream[16];
        snprintf(stream, sizeof(stream), "a-%d", i);
        append_moves(store, stream, 1);
        load_account(stream);
    }
    uint64_t cached = describe_accounts().cached;
    ck_assert_uint_ge(cached, 4096 / 512);
    ck_assert_uint_le(cached, 4096 / sizeof(account));
    ck_assert(is_cached("a-99"));
    ck_assert(!is_cached("a-0"));
}
END_TEST

START_TEST(cache_of_no_count_or_no_size_keeps_nothing)
{
    open_with(account_decider(), _i == 0 ? 0 : 10, _i == 0 ? 100000 : _i == 1 ? 0 : 50);
    move_often("a-1", 3);
    ck_assert_uint_eq(describe_accounts().cached, 0);
    ck_assert(!is_cached("a-1"));
    ck_assert(!is_cached("a-1"));
    ck_assert_int_eq(loaded.fold.folded, 3);
}
END_TEST

/* Names in the same chain, and many evictions. */
START_TEST(many_streams_through_a_small_cache_are_always_right)
{
    enum { STREAMS = 40, STEPS = 1500 };
    int64_t balances[STREAMS] = { 0 };
    uint64_t seed = choose_seed();
    printf("small cache: %d steps, seed %" PRIu64 "\n", STEPS, seed);
    open_with(_i == 0 ? account_decider() : ledger_decider(), 7, UINT64_MAX);
    for (int i = 0; i < STREAMS; i++) {
        char stream[16];
        snprintf(stream, sizeof(stream), "a-%d", i);
        balances[i] = (int64_t)(next_chance() % 5 + 1);
        append_moves(store, stream, (int)balances[i]);
    }
    for (int step = 0; step < STEPS; step++) {
        int i = (int)(next_chance() % (one_in(3) ? STREAMS : 9));
        union {
            account account;
            ledger ledger;
        } state;
        char stream[16];
        snprintf(stream, sizeof(stream), "a-%d", i);
        assert_status(stele_aggregate_load(accounts, stream, &state, NULL), STELE_OK);
        int64_t found = _i == 0 ? state.account.balance : state.ledger.balance;
        stele_aggregate_clear(accounts, &state);
        ck_assert_int_eq(found, balances[i]);
        ck_assert_uint_le(describe_accounts().cached, 7);
        if (one_in(50)) {
            append_moves(store, stream, 1);
            balances[i]++;
        }
    }
    stele_aggregate_info info = describe_accounts();
    ck_assert_uint_eq(info.hits + info.misses, STEPS);
    ck_assert_uint_gt(info.hits, 100);
    ck_assert_uint_gt(info.misses, 100);
}
END_TEST

/* --- States that own --- */

/* What is handed out is the caller's alone: it may change it, and free it. */
START_TEST(states_are_never_shared)
{
    ledger first, second;
    open_with(ledger_decider(), 10, UINT64_MAX);
    append_moves(store, "a-1", 3);
    assert_status(stele_aggregate_load(accounts, "a-1", &first, NULL), STELE_OK);
    assert_status(stele_aggregate_load(accounts, "a-1", &second, NULL), STELE_OK);
    ck_assert_ptr_ne(first.ids, second.ids);
    first.ids[0] = 99;
    memcpy(first.owner, "somebod", 7);
    first.balance = 1000;
    stele_aggregate_clear(accounts, &first);
    ck_assert(all_zero(&first, sizeof(first)));

    assert_status(move("a-1", -3), STELE_OK);
    assert_status(stele_aggregate_load(accounts, "a-1", &first, NULL), STELE_OK);
    ck_assert_int_eq(first.balance, 0);
    ck_assert_uint_eq(first.id_count, 4);
    ck_assert_int_eq(second.balance, 3);
    ck_assert_uint_eq(second.id_count, 3);
    stele_aggregate_clear(accounts, &first);
    stele_aggregate_clear(accounts, &second);
}
END_TEST

/* One that can't be copied goes from hand to hand: a load folds a state of its own. */
START_TEST(states_that_cannot_be_copied_are_handed_to_one_user_at_a_time)
{
    memo state;
    stele_decider decider = memo_decider();
    decider.copy = NULL;
    open_with(decider, 10, UINT64_MAX);
    move_often("a-1", 3);
    ck_assert_uint_eq(describe_accounts().cached, 1);
    assert_status(stele_aggregate_load(accounts, "a-1", &state, &loaded), STELE_OK);
    ck_assert(!loaded.fold.cached);
    ck_assert_str_eq(state.text, ":+1+1+1");
    stele_aggregate_clear(accounts, &state);

    assert_status(move("a-1", 1), STELE_OK);
    ck_assert(executed.fold.cached);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_aggregate_load(transaction, accounts, "a-1", &state, &loaded),
                  STELE_OK);
    ck_assert(!loaded.fold.cached);
    stele_aggregate_clear(accounts, &state);
    stele_transaction_end(transaction);

    /* Wanted by who executes, it is that one's. */
    command what = { .verb = MOVE, .amount = 2 };
    stele_execute execute = make_execute("a-1", &what);
    execute.state = &state;
    assert_status(execute_by(&execute), STELE_OK);
    ck_assert_str_eq(state.text, ":+1+1+1+1+2");
    stele_aggregate_clear(accounts, &state);
    ck_assert_uint_eq(describe_accounts().cached, 0);
    ck_assert_int_eq(atomic_load(&teller.copied), 0);
}
END_TEST

/* Larger than what is copied under the lock. */
typedef struct vast {
    int64_t balance;
    char room[100000];
} vast;

static stele_status evolve_vast(void *context, void *state, const stele_folding *event)
{
    (void)context;
    ((vast *)state)->balance += ((const movement *)event->part->value)->amount;
    ((vast *)state)->room[99999] = 'x';
    return STELE_OK;
}

START_TEST(large_plain_states_are_cached_too)
{
    static vast state;
    stele_decider decider = STELE_DECIDER_INIT;
    decider.name = "vast";
    decider.state_size = sizeof(vast);
    decider.evolve = evolve_vast;
    open_with(decider, 10, UINT64_MAX);
    for (int i = 1; i <= 3; i++) {
        append_moves(store, "a-1", 1);
        assert_status(stele_aggregate_load(accounts, "a-1", &state, &loaded), STELE_OK);
        ck_assert_int_eq(state.balance, i);
        ck_assert_int_eq(state.room[99999], 'x');
        ck_assert_int_eq(loaded.fold.folded, 1);
        ck_assert(loaded.fold.cached || i == 1);
    }
}
END_TEST

/* --- What comes in the middle of a fold --- */

static stele_store *beside;

static void delete_from(stele_store *of, const char *stream)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = stream;
    assert_status(stele_store_delete(of, &call, NULL), STELE_OK);
}

static void delete_here(void)
{
    delete_from(store, "a-1");
}

/* Its fold begins later, and ends earlier. */
static void load_newer(void)
{
    append_moves(store, "a-1", 3);
    account newer;
    stele_loaded here;
    assert_status(stele_aggregate_load(accounts, "a-1", &newer, &here), STELE_OK);
    ck_assert_int_eq(here.version, 8);
}

static void load_made_anew(void)
{
    account newer;
    stele_loaded here;
    delete_from(beside, "a-1");
    append_moves(beside, "a-1", 2);
    assert_status(stele_aggregate_load(accounts, "a-1", &newer, &here), STELE_OK);
    ck_assert_int_eq(here.version, 2);
}

static void (*in_the_middle)(void);

static void meddle_at_three(int nth)
{
    if (nth == 3)
        on_another_thread(in_the_middle);
}

/* Loads a stream of five events, and `what` happens in the middle. */
static void load_and_meddle(void (*what)(void))
{
    append_moves(store, "a-1", 5);
    atomic_store(&teller.evolved, 0);
    in_the_middle = what;
    teller.in_evolve = meddle_at_three;
    load_account("a-1");
    teller.in_evolve = NULL;
}

START_TEST(stream_deleted_while_it_is_folded_is_not_cached)
{
    load_and_meddle(delete_here);

    ck_assert_uint_eq(describe_accounts().cached, 0);
    expect_balance("a-1", 0);
}
END_TEST

START_TEST(fold_that_ends_later_does_not_replace_a_newer_one)
{
    load_and_meddle(load_newer);

    ck_assert_int_eq(loaded.version, 5);
    expect_balance("a-1", 8);
    ck_assert(loaded.fold.cached);
    ck_assert_int_eq(loaded.fold.folded, 0);
}
END_TEST

/* It is the longer one, of the stream that was there before. */
START_TEST(fold_of_a_stream_that_is_gone_does_not_replace_that_of_its_heir)
{
    beside = open_beside();
    load_and_meddle(load_made_anew);

    ck_assert_int_eq(loaded.version, 5);
    expect_balance("a-1", 2);
    ck_assert(loaded.fold.cached);
    ck_assert_int_eq(loaded.fold.folded, 0);
    stele_store_close(beside);
}
END_TEST

/* --- Many threads (pthread) --- */

enum { THREADS = 8, STREAMS_OF_THREADS = 3 };

static int rounds_of_thread(void)
{
    return effort_of(48, 400);
}

static void *load_and_execute(void *context)
{
    unsigned chance = (unsigned)(uintptr_t)context * 7919 + 1;
    for (int i = 0; i < rounds_of_thread(); i++) {
        char stream[16];
        memo state;
        chance = chance * 1103515245 + 12345;
        snprintf(stream, sizeof(stream), "a-%u", (chance >> 16) % STREAMS_OF_THREADS);
        command what = { .verb = MOVE, .amount = 1 };
        stele_execute execute = make_execute(stream, &what);
        if (i % 4 == 0)
            assert_status(stele_aggregate_execute(accounts, &execute, NULL), STELE_OK);
        stele_loaded here;
        assert_status(stele_aggregate_load(accounts, stream, &state, &here), STELE_OK);
        ck_assert_int_eq(state.balance, here.version);
        ck_assert_int_eq(state.count, here.version);
        ck_assert_uint_eq(strlen(state.text), 1 + 2 * (size_t)here.version);
        stele_aggregate_clear(accounts, &state);
    }
    return NULL;
}

static void *delete_now_and_then(void *context)
{
    (void)context;
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "b-1";
    for (int i = 0; i < 10; i++) {
        append_moves(store, "b-1", 1);
        assert_status(stele_store_delete(store, &call, NULL), STELE_OK);
    }
    return NULL;
}

/* Each state is a right one of its version, whoever had it before. */
START_TEST(threads_that_load_and_execute_meet_right_states)
{
    pthread_t threads[THREADS + 1];
    stele_decider decider = memo_decider();
    decider.copy = _i == 0 ? copy_memo : NULL;
    open_with(decider, _i == 2 ? 1 : 10, UINT64_MAX);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, load_and_execute, (void *)(uintptr_t)i),
                         0);
    ck_assert_int_eq(pthread_create(&threads[THREADS], NULL, delete_now_and_then, NULL), 0);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);

    int64_t sum = 0;
    for (int i = 0; i < STREAMS_OF_THREADS; i++) {
        char stream[16];
        snprintf(stream, sizeof(stream), "a-%d", i);
        sum += version_of(stream);
    }
    ck_assert_int_eq(sum, THREADS * rounds_of_thread() / 4);
    ck_assert_uint_eq(describe_accounts().conflicts, 0); /* they took turns */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate_cache");
    TCase *tests = add_bank_case(suite, "cache", open_accounts);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, command_on_a_cached_stream_reads_only_the_tail);
    tcase_add_test(tests, what_another_handle_appended_is_folded_into_what_is_cached);
    tcase_add_test(tests, least_recently_used_goes_first);
    tcase_add_test(tests, cache_is_bounded_by_size_too);
    tcase_add_loop_test(tests, cache_of_no_count_or_no_size_keeps_nothing, 0, 3);
    tcase_add_loop_test(tests, many_streams_through_a_small_cache_are_always_right, 0, 2);
    tcase_add_test(tests, states_are_never_shared);
    tcase_add_test(tests, states_that_cannot_be_copied_are_handed_to_one_user_at_a_time);
    tcase_add_test(tests, large_plain_states_are_cached_too);
    tcase_add_test(tests, stream_deleted_while_it_is_folded_is_not_cached);
    tcase_add_test(tests, fold_that_ends_later_does_not_replace_a_newer_one);
    tcase_add_test(tests, fold_of_a_stream_that_is_gone_does_not_replace_that_of_its_heir);
    tcase_add_loop_test(tests, threads_that_load_and_execute_meet_right_states, 0, 3);
    return run_suite(suite);
}

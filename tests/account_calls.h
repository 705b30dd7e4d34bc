/**
 * @file tests/account_calls.h
 * The aggregates of the running test, and short ways to execute, to load and to meddle.
 */
#ifndef STELE_TESTS_ACCOUNT_CALLS_H
#define STELE_TESTS_ACCOUNT_CALLS_H

#include "accounts.h"

static stele_aggregate *accounts;

/* --- Opening --- */

static inline void register_moves(stele_store *of)
{
    assert_status(stele_store_register_type(of, &movement_type), STELE_OK);
}

static inline stele_aggregate *open_aggregate(stele_store *of, stele_decider decider,
                                              const stele_aggregate_options *options)
{
    stele_aggregate *opened = NULL;
    assert_status(stele_aggregate_open(of, &decider, options, &opened), STELE_OK);
    ck_assert_ptr_nonnull(opened);
    return opened;
}

static inline stele_aggregate_options without_cache(void)
{
    stele_aggregate_options options = STELE_AGGREGATE_OPTIONS_INIT;
    options.cache_count_max = 0;
    return options;
}

static inline void open_accounts_by(stele_decider decider, const stele_aggregate_options *options)
{
    accounts = open_aggregate(store, decider, options);
}

static inline void close_accounts(void)
{
    stele_aggregate_close(accounts);
    accounts = NULL;
}

/* The fixture: a store in a file, its types, and nothing opened on it yet. */
static inline void open_bank(void)
{
    reset_teller();
    open_in_file();
    register_moves(store);
}

/* The fixture with accounts. */
static inline void open_accounts(void)
{
    open_bank();
    open_accounts_by(account_decider(), NULL);
}

static inline void close_bank(void)
{
    close_accounts();
    close_and_remove();
}

static inline TCase *add_bank_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, close_bank);
    suite_add_tcase(suite, tests);
    return tests;
}

/* A second handle on the file, with its types. */
static inline stele_store *open_beside(void)
{
    stele_store *beside = open_path(store_path(), NULL);
    register_moves(beside);
    return beside;
}

/* --- Executing --- */

static stele_executed executed;

static inline stele_execute make_execute(const char *stream, const command *what)
{
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = stream;
    execute.command = what;
    return execute;
}

static inline stele_status execute_by(const stele_execute *execute)
{
    memset(&executed, 0xAA, sizeof(executed));
    stele_status status = stele_aggregate_execute(accounts, execute, &executed);
    for (size_t i = 0; i < COUNT_OF(executed.reserved); i++)
        ck_assert_int_eq(executed.reserved[i], 0);
    return status;
}

static inline stele_status execute_command(const char *stream, command what)
{
    stele_execute execute = make_execute(stream, &what);
    return execute_by(&execute);
}

static inline stele_status move(const char *stream, int64_t amount)
{
    return execute_command(stream, (command){ .verb = MOVE, .amount = amount });
}

/* `count` commands of 1, one event each. */
static inline void move_often(const char *stream, int count)
{
    for (int i = 0; i < count; i++)
        assert_status(move(stream, 1), STELE_OK);
}

static inline stele_status move_by_key(const char *stream, int64_t amount, const char *key)
{
    command what = { .verb = MOVE, .amount = amount };
    stele_execute execute = make_execute(stream, &what);
    execute.idempotency_key = key;
    return execute_by(&execute);
}

static inline stele_status move_in(stele_transaction *transaction, const char *stream,
                                   int64_t amount)
{
    command what = { .verb = MOVE, .amount = amount };
    stele_execute execute = make_execute(stream, &what);
    memset(&executed, 0xAA, sizeof(executed));
    return stele_transaction_aggregate_execute(transaction, accounts, &execute, &executed);
}

/* --- Appending behind an aggregate's back --- */

static inline stele_status append_move(stele_store *to, const char *stream, int64_t amount)
{
    char data[64];
    snprintf(data, sizeof(data), "{\"amount\":%" PRId64 ",\"id\":0}", amount);
    stele_event event = make_event("Moved", data);
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    return stele_store_append(to, &append, NULL);
}

/* Each of 1, in one commit. */
static inline void append_moves(stele_store *to, const char *stream, int count)
{
    stele_event *events = calloc((size_t)count, sizeof(*events));
    ck_assert_ptr_nonnull(events);
    for (int i = 0; i < count; i++)
        events[i] = make_event("Moved", "{\"amount\":1,\"id\":0}");
    stele_append append = make_append(stream, STELE_ANY, events, (size_t)count);
    assert_status(stele_store_append(to, &append, NULL), STELE_OK);
    free(events);
}

/* A callback may call nothing of a store, but another thread may. */
static inline void *run_on_thread(void *context)
{
    void (**function)(void) = context;
    (*function)();
    return NULL;
}

static inline void on_another_thread(void (*function)(void))
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_on_thread, &function), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* --- Loading --- */

static stele_loaded loaded;

static inline stele_status try_load_account(const char *stream, account *state)
{
    memset(&loaded, 0xAA, sizeof(loaded));
    memset(state, 0xAA, sizeof(*state));
    return stele_aggregate_load(accounts, stream, state, &loaded);
}

static inline account load_account(const char *stream)
{
    account state;
    assert_status(try_load_account(stream, &state), STELE_OK);
    ck_assert_int_eq(state.begun, 1);
    return state;
}

#define expect_balance(stream, expected) ck_assert_int_eq(load_account(stream).balance, expected)

static inline bool all_zero(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const char *)bytes)[i] != 0)
            return false;
    return true;
}

static inline stele_aggregate_info describe_accounts(void)
{
    stele_aggregate_info info = { .struct_size = sizeof(info) };
    assert_status(stele_aggregate_describe(accounts, &info), STELE_OK);
    return info;
}

#endif

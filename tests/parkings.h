/**
 * @file tests/parkings.h
 * What the tests of parked events share: ten events on two streams, some of them parked, and what
 * is parked as text.
 */
#ifndef STELE_TESTS_PARKINGS_H
#define STELE_TESTS_PARKINGS_H

#include "subscriptions.h"

static seen_events seen;

/* a-1 has the odd positions up to 9, b-1 the even ones. */
static inline void open_with_ten(void)
{
    seen = (seen_events){ .answer = STELE_REFUSED };
    open_in_file();
    make_seen_table();
    for (int i = 0; i < 10; i++)
        assert_status(append_one(i % 2 == 0 ? "a-1" : "b-1", STELE_ANY, "t", NULL), STELE_OK);
}

static inline stele_subscription_options make_parking(const char *name)
{
    stele_subscription_options options = make_catch_up(name);
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 2;
    return options;
}

/* Run to the end, where the event at `poison` fails. */
static inline void park_of(const char *name, int64_t poison)
{
    stele_subscription_options options = make_parking(name);
    seen.poison = poison;
    assert_status(run_through(&options, &seen), STELE_DONE);
    seen.poison = 0;
    seen.count = 0;
    seen.failures = 0;
}

/* Position 5 of a-1 is parked, and 7 and 9 wait behind it. */
static inline void open_with_parked(void)
{
    open_with_ten();
    park_of("s", 5);
}

static inline stele_parked_choice choose(const char *subscription)
{
    stele_parked_choice choice = STELE_PARKED_CHOICE_INIT;
    choice.subscription = subscription;
    return choice;
}

/* What is parked, as "5 7<5 9<5", with '?' behind what is asked for. */
static inline const char *parked_text(const char *subscription)
{
    static char texts[2][512];
    static unsigned next;
    char *text = texts[next++ % 2];
    size_t size = 0;
    stele_parked_list *list = NULL;
    const stele_parked *parked = NULL;
    stele_status status;
    text[0] = '\0';
    assert_status(stele_store_parked(store, subscription, &list), STELE_OK);
    while ((status = stele_parked_next(list, &parked)) == STELE_OK) {
        size += (size_t)snprintf(text + size, 512 - size, "%s%" PRId64, size > 0 ? " " : "",
                                 parked->position);
        if (parked->behind > 0)
            size += (size_t)snprintf(text + size, 512 - size, "<%" PRId64, parked->behind);
        if (parked->asked_at > 0)
            size += (size_t)snprintf(text + size, 512 - size, "?");
        ck_assert_uint_lt(size, 512);
    }
    assert_status(status, STELE_DONE);
    stele_parked_close(list);
    return text;
}

/* The parked event at `position`, with its texts until the next such call. */
static inline stele_parked parked_at(const char *subscription, int64_t position)
{
    static stele_parked_list *list;
    const stele_parked *parked = NULL;
    stele_parked_close(list);
    list = NULL;
    assert_status(stele_store_parked(store, subscription, &list), STELE_OK);
    while (stele_parked_next(list, &parked) == STELE_OK)
        if (parked->position == position) {
            stele_parked found = *parked;
            static char stream[64];
            static char reason[512];
            snprintf(stream, sizeof(stream), "%s", parked->stream);
            snprintf(reason, sizeof(reason), "%s", parked->reason);
            stele_parked_close(list);
            list = NULL;
            found.stream = stream;
            found.reason = reason;
            found.subscription = subscription;
            return found;
        }
    ck_abort_msg("position %" PRId64 " isn't parked", position);
}

/* The positions that handlers have written down, in order. */
static inline const char *seen_text(void)
{
    static char text[4096];
    size_t size = 0;
    sqlite3_stmt *statement = NULL;
    sqlite3 *raw = open_raw(store_path());
    text[0] = '\0';
    ck_assert_int_eq(
        sqlite3_prepare_v2(raw, "SELECT position FROM seen ORDER BY id", -1, &statement, NULL),
        SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%lld", size > 0 ? " " : "",
                                 (long long)sqlite3_column_int64(statement, 0));
        ck_assert_uint_lt(size, sizeof(text));
    }
    sqlite3_finalize(statement);
    sqlite3_close(raw);
    return text;
}

/* Power is lost, and with it the events after `head`; then others are written. See
 * tests/test_epochs.c. */
static inline void lose_events_after(int head)
{
    char sql[256];
    close_store();
    snprintf(sql, sizeof(sql),
             "DELETE FROM events WHERE position > %d;"
             "INSERT OR REPLACE INTO meta(key, value, checksum) VALUES('dirty:a', 'another', 0)",
             head);
    run_sql(store_path(), sql);
    unlink(test_path("store.db-anchor"));
    open_in_file();
    for (int i = 0; i < 3; i++)
        assert_status(append_one("c-1", STELE_ANY, "t", NULL), STELE_OK);
}

/* Replay with a handle of its own. */
static inline stele_status replay_with(const stele_subscription_options *options,
                                       const stele_parked_choice *choice,
                                       stele_parked_counts *counts)
{
    stele_subscription *subscription = open_subscription(options);
    stele_handler handler = seeing(&seen);
    stele_status status = stele_subscription_replay(subscription, choice, &handler, counts);
    stele_subscription_close(subscription);
    return status;
}

#endif

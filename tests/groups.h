/**
 * @file tests/groups.h
 * What the tests of lanes share: a handler that writes down what it is given, in its transaction,
 * and plain SQL that judges the table: each event once, each stream in order and in one lane.
 */
#ifndef STELE_TESTS_GROUPS_H
#define STELE_TESTS_GROUPS_H

#include "subscriptions.h"

#include <time.h>

enum { GROUP_STREAMS = 24 };

static inline void make_handled_table(void)
{
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction,
                            "CREATE TABLE handled(id INTEGER PRIMARY KEY, position INTEGER,"
                            " stream TEXT, lane INTEGER, member INTEGER)"),
                     SQLITE_OK);
    commit_and_end(transaction);
}

static inline stele_status write_down(void *context, const stele_record *record,
                                      const stele_handling *handling)
{
    const int *member = context;
    char sql[256];
    if (handling->transaction == NULL)
        return STELE_OK;
    snprintf(sql, sizeof(sql),
             "INSERT INTO handled(position, stream, lane, member) VALUES(%" PRId64
             ", '%s', %u, %d)",
             record->position, record->stream, handling->batch->lane, member == NULL ? 0 : *member);
    int code = sqlite3_exec(stele_transaction_sqlite(handling->transaction), sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STELE_OK : STELE_IO;
}

static inline stele_handler writing_down(int *member)
{
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = write_down;
    handler.context = member;
    return handler;
}

static inline stele_subscription_options make_group(uint32_t lanes)
{
    stele_subscription_options options = make_subscription("g");
    options.lanes = lanes;
    options.batch_count_max = 7;
    options.skip_flush_ms = 50;
    return options;
}

/* Spread over streams; each append is one event. */
static inline void append_spread(stele_store *target, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        char stream[32];
        snprintf(stream, sizeof(stream), "s-%d", i * 7 % GROUP_STREAMS);
        assert_status(append_to(target, stream, STELE_ANY, "t", NULL), STELE_OK);
    }
}

static inline void sleep_ms(long milliseconds)
{
    nanosleep(&(struct timespec){ .tv_sec = milliseconds / 1000,
                                  .tv_nsec = milliseconds % 1000 * 1000000 },
              NULL);
}

/* All lanes are through the head. */
static inline void wait_until_handled(int64_t head)
{
    for (int i = 0; i < 6000 && saved_position("g") < head; i++)
        sleep_ms(10);
    ck_assert_int_eq(saved_position("g"), head);
}

typedef struct group_flaws {
    int64_t missing;
    int64_t doubled;
    int64_t disordered;
    int64_t split; /* streams in more than one lane */
} group_flaws;

static inline group_flaws find_flaws(const char *path)
{
    return (group_flaws){
        .missing = sql_number(path, "SELECT count(*) FROM events WHERE position NOT IN"
                                    " (SELECT position FROM handled)"),
        .doubled = sql_number(path, "SELECT count(*) - count(DISTINCT position) FROM handled"),
        .disordered = sql_number(path, "SELECT count(*) FROM (SELECT position - lag(position) OVER"
                                       " (PARTITION BY stream ORDER BY id) AS step FROM handled)"
                                       " WHERE step < 0"),
        .split = sql_number(path, "SELECT count(*) FROM (SELECT stream FROM handled GROUP BY stream"
                                  " HAVING count(DISTINCT lane) > 1)"),
    };
}

static inline void expect_handled_once(void)
{
    group_flaws flaws = find_flaws(store_path());
    ck_assert_int_eq(flaws.missing, 0);
    ck_assert_int_eq(flaws.doubled, 0);
    ck_assert_int_eq(flaws.disordered, 0);
    ck_assert_int_eq(flaws.split, 0);
}

static inline int64_t lanes_of(const char *owner)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM checkpoints WHERE name = 'g' AND owner = '%s'",
             owner);
    return sql_number(store_path(), sql);
}

#endif

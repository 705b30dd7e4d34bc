/*
 * Checkpoints while SQLite's memory fails: what failed half-way is not committed with what came
 * before it, and what failed before it had written anything harms nothing.
 */
#include "checkpoint_rows.h"

static sqlite3_mem_methods memory_below;
static int64_t sqlite_calls, sqlite_fails_at; /* 0: never */

static bool sqlite_call_fails(void)
{
    return sqlite_fails_at > 0 && ++sqlite_calls == sqlite_fails_at;
}

static void *allocate_or_fail(int size)
{
    return sqlite_call_fails() ? NULL : memory_below.xMalloc(size);
}

static void *reallocate_or_fail(void *memory, int size)
{
    return sqlite_call_fails() ? NULL : memory_below.xRealloc(memory, size);
}

/* Before anything else uses SQLite. */
static void take_over_sqlite_memory(void)
{
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_below);
    sqlite3_mem_methods methods = memory_below;
    methods.xMalloc = allocate_or_fail;
    methods.xRealloc = reallocate_or_fail;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
        exit(EXIT_FAILURE);
}

/* --- The changes --- */

static stele_status save_inside(stele_transaction *transaction)
{
    return stele_transaction_checkpoint_save(transaction, "group", 2);
}

/* Nothing that is parked is cut: the lanes alone are half-way. */
static stele_status save_forward_inside(stele_transaction *transaction)
{
    return stele_transaction_checkpoint_save(transaction, "group", 6);
}

static stele_status advance_inside(stele_transaction *transaction)
{
    stele_checkpoint_move move = STELE_CHECKPOINT_MOVE_INIT;
    move.to = 2;
    return stele_transaction_checkpoint_advance(transaction, "single", &move, NULL);
}

static stele_status reset_inside(stele_transaction *transaction)
{
    return stele_transaction_checkpoint_reset(transaction, "group", NULL);
}

static stele_status (*const changes[])(stele_transaction *transaction) = {
    save_inside,
    save_forward_inside,
    advance_inside,
    reset_inside,
};

/* All that there is of checkpoints, as one text. Borrowed until the second next call. */
static const char *look(void)
{
    static char texts[2][512];
    static int turn;
    char *text = texts[turn++ % 2];
    stele__connection *connection = NULL;
    text[0] = '\0';
    assert_status(stele__read_begin(store, NULL, &connection), STELE_OK);
    for (int64_t lane = 0; lane <= 3; lane++) {
        stele__place place;
        bool found = false;
        const char *name = lane == 0 ? "single" : "group";
        assert_status(stele__place_load(connection, name, lane, &place, &found), STELE_OK);
        size_t used = strlen(text);
        snprintf(text + used, 512 - used, "%d@%" PRId64 " ", found, place.position);
    }
    stele__read_end(store, connection);
    size_t used = strlen(text);
    snprintf(text + used, 512 - used, "%s", parked_by("group"));
    return text;
}

static void open_with_lanes(void)
{
    store = open_path(":memory:", NULL);
    fill_stream("a-1", 6);
    put_place("single", 0, 0, 1);
    put_lanes("group", 3, (const int64_t[]){ 6, 5, 4 });
    park("group", 1, "a-1", 0);
    park("group", 4, "a-1", 1);
}

static char untouched[512], done[512];

static void learn_both_ends(stele_status (*change)(stele_transaction *transaction))
{
    open_with_lanes();
    snprintf(untouched, sizeof(untouched), "%s", look());
    stele_transaction *transaction = begin();
    assert_status(change(transaction), STELE_OK);
    commit_and_end(transaction);
    snprintf(done, sizeof(done), "%s", look());
    ck_assert_str_ne(untouched, done);
    close_store();
}

START_TEST(failed_allocation_half_way_in_a_transaction_lets_it_not_commit)
{
    int refused = 0;
    int alive = 0;
    bool reached = true;
    learn_both_ends(changes[_i]);
    for (int64_t point = 1; reached; point++) {
        open_with_lanes();
        stele_transaction *transaction = begin();
        assert_status(append_in(transaction, "b-1", STELE_NO_STREAM, NULL), STELE_OK);
        sqlite_calls = 0;
        sqlite_fails_at = point;
        stele_status status = changes[_i](transaction);
        reached = sqlite_calls >= point;
        sqlite_fails_at = 0;
        stele_status committed = stele_transaction_commit(transaction);
        stele_transaction_end(transaction);

        bool both = status == STELE_OK && committed == STELE_OK;
        ck_assert(status == STELE_OK || status == STELE_NO_MEMORY);
        ck_assert_str_eq(look(), both ? done : untouched);
        ck_assert_int_eq(version_of("b-1"), committed == STELE_OK);
        refused += status != STELE_OK;
        alive += status != STELE_OK && committed == STELE_OK;
        close_store();
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_int_gt(alive, 0); /* a look that failed harms nothing */
}
END_TEST

int main(void)
{
    take_over_sqlite_memory();
    Suite *suite = suite_create("checkpoint faults");
    TCase *tests = add_case(suite, "half-way", NULL);
    tcase_add_loop_test(tests, failed_allocation_half_way_in_a_transaction_lets_it_not_commit, 0,
                        (int)COUNT_OF(changes));
    return run_suite(suite);
}

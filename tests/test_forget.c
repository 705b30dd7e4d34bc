/*
 * Who keeps something made of a stream's events in memory is told when the stream is deleted here:
 * its id once, when the deletion is committed; 0 for whatever a transaction deleted.
 */
#include "disk_hooks.h"
#include "lifecycles.h"

#include "store/store.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { TOLD_MOST = 600 };

/* A forgetter, and what it was told. */
typedef struct keeper {
    stele__forgetter forgetter;
    int64_t told[TOLD_MOST];
    size_t count;
    bool left;
    sqlite3 *raw; /* asks the file for the names that are there; NULL: nobody asks */
    int64_t names_left;
} keeper;

static void take_note(void *context, int64_t stream)
{
    keeper *self = context;
    if (self->left || self->count == TOLD_MOST)
        abort(); /* Check's assertions stay on the test's thread */
    self->told[self->count++] = stream;
    if (self->raw != NULL)
        self->names_left = raw_number(self->raw, "SELECT count(*) FROM streams WHERE name = 'a-1'");
}

static void join(keeper *self)
{
    memset(self, 0, sizeof(*self));
    self->forgetter.forget = take_note;
    self->forgetter.context = self;
    stele__forgetter_join(store, &self->forgetter);
}

static void leave(keeper *self)
{
    stele__forgetter_leave(store, &self->forgetter);
    self->left = true;
}

static void assert_told(const keeper *self, size_t count, int64_t last)
{
    ck_assert_uint_eq(self->count, count);
    if (count > 0)
        ck_assert_int_eq(self->told[count - 1], last);
}

static stele_status delete_in(stele_transaction *transaction, const char *stream)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = stream;
    return stele_transaction_delete(transaction, &call, NULL);
}

/* --- Deletions of the store's --- */

START_TEST(deletion_tells_each_forgetter_the_stream_once)
{
    keeper first, second;
    fill_stream("a-1", 5);
    fill_stream("b-1", 1);
    int64_t id = info_of("a-1").id;
    join(&first);
    join(&second);

    assert_status(delete_it("a-1"), STELE_OK);

    assert_told(&first, 1, id);
    assert_told(&second, 1, id);
    id = info_of("b-1").id;
    assert_status(delete_it("b-1"), STELE_OK);
    assert_told(&first, 2, id);
    assert_told(&second, 2, id);
    leave(&first);
    leave(&second);
}
END_TEST

/* Told earlier, it could read the stream once more, and keep that. */
START_TEST(deletion_is_committed_when_it_is_told)
{
    keeper one;
    fill_stream("a-1", 2);
    join(&one);
    one.raw = open_raw(store_path());
    one.names_left = -1;

    assert_status(delete_it("a-1"), STELE_OK);

    ck_assert_uint_eq(one.count, 1);
    ck_assert_int_eq(one.names_left, 0);
    leave(&one);
    sqlite3_close(one.raw);
}
END_TEST

/* The payloads are erased later, the name is gone. */
START_TEST(deletion_that_is_cut_was_told_and_its_resumption_is_not)
{
    keeper one;
    cut at_once = { 0 };
    stele_work work = small_steps(&at_once);
    fill_stream("a-1", 5);
    int64_t id = info_of("a-1").id;
    join(&one);

    assert_status(delete_with("a-1", NULL, &work), STELE_CANCELLED);

    assert_told(&one, 1, id);
    assert_status(stele_store_resume(store, NULL, NULL), STELE_OK);
    assert_told(&one, 1, id);
    leave(&one);
}
END_TEST

START_TEST(what_deletes_nothing_tells_nothing)
{
    keeper one;
    fill_stream("a-1", 2);
    join(&one);
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "a-1";
    call.dry_run = true;
    assert_status(stele_store_delete(store, &call, NULL), STELE_OK);
    call.dry_run = false;
    call.expected_version = 7;
    assert_status(stele_store_delete(store, &call, NULL), STELE_CONFLICT);
    assert_status(delete_it("never-1"), STELE_NOT_FOUND);
    assert_status(tombstone_it("a-1"), STELE_OK);
    fill_stream("b-1", 1);
    assert_status(archive_here("b-1"), STELE_OK);

    assert_told(&one, 0, 0);
    leave(&one);
}
END_TEST

static bool disk_is_broken;

/* The first sync of the WAL fails, and from then on nothing is written to it. */
static int break_at_sync(disk_call call, disk_file file, sqlite3_int64 detail)
{
    static bool broken;
    (void)detail;
    if (!disk_is_broken)
        broken = false;
    else if (file == DISK_WAL && (call == DISK_SYNC || (broken && call == DISK_WRITE)))
        broken = true;
    return broken && file == DISK_WAL && (call == DISK_SYNC || call == DISK_WRITE)
               ? SQLITE_IOERR_FSYNC
               : SQLITE_OK;
}

/* The stream may be gone: what was made of it in memory must not outlive that. */
START_TEST(deletion_with_an_unknown_outcome_is_told)
{
    keeper one;
    close_store();
    install_disk_hooks();
    disk_hook = break_at_sync;
    open_in_file();
    fill_stream("a-1", 2);
    int64_t id = info_of("a-1").id;
    join(&one);

    disk_is_broken = true;
    stele_status status = delete_it("a-1");
    disk_is_broken = false;

    ck_assert_int_eq(status, STELE_UNKNOWN_OUTCOME);
    assert_told(&one, 1, id);
    leave(&one);
    close_store();
    disk_hook = NULL;
    remove_disk_hooks();
}
END_TEST

/* --- Deletions in transactions --- */

START_TEST(transaction_tells_of_all_streams_when_it_is_committed)
{
    keeper one;
    fill_stream("a-1", 2);
    fill_stream("b-1", 2);
    join(&one);
    stele_transaction *transaction = begin();
    assert_status(delete_in(transaction, "a-1"), STELE_OK);
    assert_status(delete_in(transaction, "b-1"), STELE_OK);
    assert_told(&one, 0, 0);

    assert_status(stele_transaction_commit(transaction), STELE_OK);

    assert_told(&one, 1, 0);
    stele_transaction_end(transaction);
    assert_told(&one, 1, 0);
    leave(&one);
}
END_TEST

START_TEST(transaction_that_is_rolled_back_tells_nothing)
{
    keeper one;
    fill_stream("a-1", 2);
    join(&one);
    stele_transaction *transaction = begin();
    assert_status(delete_in(transaction, "a-1"), STELE_OK);

    stele_transaction_end(transaction);

    assert_told(&one, 0, 0);
    ck_assert_int_eq(version_of("a-1"), 2);
    leave(&one);
}
END_TEST

START_TEST(transaction_that_deletes_nothing_tells_nothing)
{
    keeper one;
    fill_stream("a-1", 2);
    join(&one);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    assert_status(delete_in(transaction, "never-1"), STELE_NOT_FOUND);
    commit_and_end(transaction);

    assert_told(&one, 0, 0);
    leave(&one);
}
END_TEST

/* --- Joining and leaving --- */

START_TEST(who_left_is_told_no_more)
{
    keeper keepers[3];
    for (size_t i = 0; i < COUNT_OF(keepers); i++)
        join(&keepers[i]);
    for (size_t gone = 0; gone < COUNT_OF(keepers); gone++) {
        size_t left = (gone + (size_t)_i) % COUNT_OF(keepers); /* first, middle and last */
        leave(&keepers[left]);
        stele__forgetter_leave(store, &keepers[left].forgetter); /* again is harmless */
        fill_stream("a-1", 1);
        assert_status(delete_it("a-1"), STELE_OK);
        ck_assert_uint_eq(keepers[left].count, gone);
        for (size_t i = 0; i < COUNT_OF(keepers); i++)
            ck_assert(keepers[i].left || keepers[i].count == gone + 1);
    }
}
END_TEST

enum { DELETIONS = 40, COMERS = 3 };

static atomic_bool is_over;

static void *come_and_go(void *context)
{
    size_t *told = context;
    while (!atomic_load(&is_over)) {
        keeper one;
        join(&one);
        for (int i = 0; i < 20; i++)
            sched_yield();
        leave(&one);
        *told += one.count;
    }
    return NULL;
}

static void *delete_streams(void *context)
{
    const char *category = context;
    for (int i = 0; i < DELETIONS; i++) {
        char stream[32];
        stele_delete call = STELE_DELETE_INIT;
        snprintf(stream, sizeof(stream), "%s-%d", category, i);
        call.stream = stream;
        if (append_to(store, stream, STELE_NO_STREAM, "opened", NULL) != STELE_OK
            || stele_store_delete(store, &call, NULL) != STELE_OK)
            return context;
    }
    return NULL;
}

/* A call to who has left would find its memory gone, or abort. */
START_TEST(forgetters_come_and_go_while_streams_are_deleted)
{
    static char categories[2][2] = { "a", "b" };
    static keeper stays;
    pthread_t comers[COMERS], deleters[COUNT_OF(categories)];
    size_t told[COMERS] = { 0 };
    void *failed = NULL;
    atomic_store(&is_over, false);
    join(&stays);
    for (size_t i = 0; i < COMERS; i++)
        ck_assert_int_eq(pthread_create(&comers[i], NULL, come_and_go, &told[i]), 0);
    for (size_t i = 0; i < COUNT_OF(deleters); i++)
        ck_assert_int_eq(pthread_create(&deleters[i], NULL, delete_streams, categories[i]), 0);

    for (size_t i = 0; i < COUNT_OF(deleters); i++) {
        ck_assert_int_eq(pthread_join(deleters[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    atomic_store(&is_over, true);
    size_t in_passing = 0;
    for (size_t i = 0; i < COMERS; i++) {
        ck_assert_int_eq(pthread_join(comers[i], NULL), 0);
        in_passing += told[i];
    }

    leave(&stays);
    ck_assert_uint_eq(stays.count, DELETIONS * COUNT_OF(deleters));
    for (size_t i = 0; i < stays.count; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_int_ne(stays.told[i], stays.told[j]);
    printf("# deletions: %zu, %zu told in passing\n", stays.count, in_passing);
}
END_TEST

static Suite *forget_suite(void)
{
    Suite *suite = suite_create("forgetters");
    TCase *tests = add_case(suite, "forgetters", open_in_file);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, deletion_tells_each_forgetter_the_stream_once);
    tcase_add_test(tests, deletion_is_committed_when_it_is_told);
    tcase_add_test(tests, deletion_that_is_cut_was_told_and_its_resumption_is_not);
    tcase_add_test(tests, what_deletes_nothing_tells_nothing);
    tcase_add_test(tests, deletion_with_an_unknown_outcome_is_told);
    tcase_add_test(tests, transaction_tells_of_all_streams_when_it_is_committed);
    tcase_add_test(tests, transaction_that_is_rolled_back_tells_nothing);
    tcase_add_test(tests, transaction_that_deletes_nothing_tells_nothing);
    tcase_add_loop_test(tests, who_left_is_told_no_more, 0, 3);
    tcase_add_test(tests, forgetters_come_and_go_while_streams_are_deleted);
    return suite;
}

int main(void)
{
    return run_suite(forget_suite());
}

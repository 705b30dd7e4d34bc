/* Threads that append, read and move the same shard in one process. */
#define _GNU_SOURCE
#include "shard_moves.h"

#include "effort.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4 };

typedef struct writing {
    pthread_t thread;
    int number;
    int64_t stored;
    int moved;
    stele_status last;
} writing;

static atomic_bool over;
static char goal[512];

static stele_status append_one_more(stele_store *in, const writing *self)
{
    char stream[32];
    char data[600];
    snprintf(stream, sizeof(stream), "w-%d", self->number);
    snprintf(data, sizeof(data), "{\"n\":%" PRId64 ",\"pad\":\"%0500d\"}", self->stored + 1, 0);
    stele_event event = make_event("noted", data);
    stele_append append = make_append(stream, self->stored, &event, 1);
    return stele_store_append(in, &append, NULL);
}

/* By a handle that it holds all the time; after MOVED it goes where the shard went. */
static void *write_and_go_along(void *context)
{
    writing *self = context;
    stele_shards *at = shards;
    stele_shard *shard = NULL;
    while (!atomic_load(&over)) {
        stele_status status = STELE_OK;
        if (shard == NULL)
            status = stele_shards_acquire(at, "acme", "orders", NULL, &shard);
        if (status == STELE_OK)
            status = append_one_more(stele_shard_store(shard), self);
        self->stored += status == STELE_OK;
        self->last = status;
        if (status == STELE_OK)
            continue;
        if (status != STELE_MOVED && status != STELE_BUSY)
            break;
        stele_shard_release(shard);
        shard = NULL;
        self->moved += status == STELE_MOVED;
        if (status == STELE_MOVED)
            at = others;
    }
    stele_shard_release(shard);
    return NULL;
}

static int64_t version_in(stele_store *in, int number)
{
    char stream[32];
    stele_stream_info info = { 0 };
    snprintf(stream, sizeof(stream), "w-%d", number);
    if (stele_store_stream(in, stream, &info) != STELE_OK)
        return 0;
    return info.version;
}

START_TEST(threads_that_append_all_the_time_go_along_and_nothing_is_lost)
{
    writing threads[THREADS] = { 0 };
    stele_work work = STELE_WORK_INIT;
    stele_shard_moved moved;
    atomic_store(&over, false);
    fill_shard(shards, "orders", effort_is_long() ? 5000 : 500);
    for (int i = 0; i < THREADS; i++) {
        threads[i].number = i;
        ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, write_and_go_along, &threads[i]),
                         0);
    }
    usleep(20000);
    stele_shard_move move = move_of("orders", goal);
    snprintf(goal, sizeof(goal), "%s", new_root());
    work.step_count_max = 7;
    move.work = &work;
    assert_status(stele_shards_move(shards, &move, &moved), STELE_OK);
    usleep(50000);
    atomic_store(&over, true);

    int64_t stored = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    stele_shard *shard = acquire_from(others, "orders");
    for (int i = 0; i < THREADS; i++) {
        stored += threads[i].stored;
        ck_assert_int_eq(version_in(stele_shard_store(shard), i), threads[i].stored);
        ck_assert_msg(threads[i].last == STELE_OK || threads[i].last == STELE_MOVED
                          || threads[i].last == STELE_BUSY,
                      "%s", stele_status_name(threads[i].last));
    }
    printf("# %" PRId64 " events by %d threads, up to %" PRId64 " before the fence, which stood"
           " %" PRId64 " us\n",
           stored, THREADS, moved.head, moved.fenced_us);
    stele_shard_release(shard);
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    ck_assert(!is_there(old_root(), "orders.db"));
}
END_TEST

typedef struct trying {
    pthread_t thread;
    stele_status status;
} trying;

static void *move_the_same(void *context)
{
    trying *self = context;
    stele_shards *own = NULL;
    char root[512];
    snprintf(root, sizeof(root), "%s", stele_shards_root(shards));
    self->status = stele_shards_open(root, NULL, &own);
    stele_shard_move move = move_of("orders", goal);
    if (self->status == STELE_OK)
        self->status = stele_shards_move(own, &move, NULL);
    stele_shards_close(own);
    return NULL;
}

START_TEST(several_who_move_the_same_shard_move_it_once)
{
    for (int round = 0; round < 5; round++) {
        trying threads[THREADS];
        int done = 0;
        fill_shard(shards, "orders", 3);
        snprintf(goal, sizeof(goal), "%s", new_root());
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, move_the_same, &threads[i]),
                             0);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i].thread, NULL);
            done += threads[i].status == STELE_OK;
            ck_assert_msg(threads[i].status == STELE_OK || threads[i].status == STELE_MOVED
                              || threads[i].status == STELE_BUSY,
                          "%s", stele_status_name(threads[i].status));
        }
        ck_assert_int_eq(done, 1);
        ck_assert_int_eq(head_in(others, "orders"), 3 * (round + 1));
        assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
        stele_shard_move back = move_of("orders", NULL);
        back.root = old_root();
        assert_status(stele_shards_move(others, &back, NULL), STELE_OK);
    }
}
END_TEST

/* No figure is asserted: it is printed, for docs/decisions/0035-moving-a-shard.md. */
START_TEST(time_without_writers_is_told)
{
    enum { AT_ONCE = 500 };
    stele_event events[AT_ONCE];
    char data[512];
    stele_shard_moved moved;
    int64_t wanted = effort_is_long() ? INT64_C(50000000) : INT64_C(3000000);
    stele_shard *shard = acquire_from(shards, "orders");
    snprintf(data, sizeof(data), "{\"pad\":\"%0400d\"}", 0);
    for (int i = 0; i < AT_ONCE; i++)
        events[i] = make_event("noted", data);
    for (int64_t size = 0; size < wanted; size += AT_ONCE * INT64_C(530)) {
        char stream[32];
        snprintf(stream, sizeof(stream), "s-%" PRId64, size % 50);
        stele_append append = make_append(stream, STELE_ANY, events, AT_ONCE);
        assert_status(stele_store_append(stele_shard_store(shard), &append, NULL), STELE_OK);
    }
    stele_shard_release(shard);

    assert_status(move_over("orders", &moved), STELE_OK);

    ck_assert_int_gt(moved.fenced_us, 0);
    printf("# a shard of %" PRId64 " bytes and %" PRId64 " events was without writers for %" PRId64
           " us\n",
           moved.bytes, moved.head, moved.fenced_us);
}
END_TEST

static void *read_on(void *context)
{
    stele_shard *shard = context;
    while (!atomic_load(&over)) {
        stele_cursor *cursor = NULL;
        const stele_record *record = NULL;
        int64_t last = 0;
        if (stele_store_read(stele_shard_store(shard), NULL, &cursor) != STELE_OK)
            return "reading failed";
        while (stele_cursor_next(cursor, &record) == STELE_OK)
            last = record->position;
        stele_cursor_close(cursor);
        if (last != 50)
            return "an event is missing";
    }
    return NULL;
}

START_TEST(reader_goes_on_while_its_shard_is_moved)
{
    pthread_t thread;
    void *trouble = NULL;
    fill_shard(shards, "orders", 50);
    atomic_store(&over, false);
    stele_shard *shard = acquire_from(shards, "orders");
    ck_assert_int_eq(pthread_create(&thread, NULL, read_on, shard), 0);
    assert_status(move_over("orders", NULL), STELE_OK);
    fill_shard(others, "orders", 2);
    usleep(5000);
    atomic_store(&over, true);
    pthread_join(thread, &trouble);
    ck_assert_msg(trouble == NULL, "%s", (const char *)trouble);
    stele_shard_release(shard);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard_move_threads");
    TCase *tests = add_move_case(suite, "threads");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, threads_that_append_all_the_time_go_along_and_nothing_is_lost);
    tcase_add_test(tests, several_who_move_the_same_shard_move_it_once);
    tcase_add_test(tests, time_without_writers_is_told);
    tcase_add_test(tests, reader_goes_on_while_its_shard_is_moved);
    return run_suite(suite);
}

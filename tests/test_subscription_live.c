/* Subscriptions that are live: on threads, woken by appends, stopped from anywhere. */
#include "subscriptions.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "effort.h"

enum { SUBSCRIBERS_MAX = 50, EACH_MAX = 1000, SOON_MS = 15000 };

/* A thread with a subscription of its own. */
typedef struct subscriber {
    pthread_t thread;
    stele_subscription *subscription;
    stele_subscription_options options;
    char name[32];
    int64_t positions[EACH_MAX];
    atomic_int count;
    int expected; /* it stops itself after so many; 0: never */
    atomic_int caught_up;
    stele_status status;
} subscriber;

static subscriber subscribers[SUBSCRIBERS_MAX];

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static stele_status note_event(void *context, const stele_record *record,
                               const stele_handling *handling)
{
    subscriber *self = context;
    int count = atomic_load(&self->count);
    if (count < EACH_MAX)
        self->positions[count] = record->position;
    atomic_store(&self->count, count + 1);
    if (count + 1 == self->expected)
        stele_subscription_stop(handling->subscription);
    return STELE_OK;
}

static void note_caught_up(void *context, int64_t position)
{
    subscriber *self = context;
    (void)position;
    atomic_fetch_add(&self->caught_up, 1);
}

static void *subscribe(void *context)
{
    subscriber *self = context;
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = note_event;
    handler.caught_up = note_caught_up;
    handler.context = self;
    self->status = stele_subscription_run(self->subscription, &handler);
    return NULL;
}

static subscriber *start_subscriber(int index, int expected)
{
    subscriber *self = &subscribers[index];
    memset(self, 0, sizeof(*self));
    snprintf(self->name, sizeof(self->name), "s-%d", index);
    self->options = make_subscription(self->name);
    self->options.delivery = index % 2 == 0 ? STELE_EXACTLY_ONCE : STELE_AT_LEAST_ONCE;
    self->options.ack_flush_ms = index % 3 == 0 ? 50 : 0;
    self->expected = expected;
    self->subscription = open_subscription(&self->options);
    ck_assert_int_eq(pthread_create(&self->thread, NULL, subscribe, self), 0);
    return self;
}

static void wait_until_live(subscriber *self)
{
    while (atomic_load(&self->caught_up) == 0)
        sleep_ms(1);
}

static void end_subscriber(subscriber *self, stele_status expected)
{
    pthread_join(self->thread, NULL);
    ck_assert_int_eq(self->status, expected);
    stele_subscription_close(self->subscription);
}

START_TEST(a_live_subscription_sees_appends_soon)
{
    subscriber *self = start_subscriber(0, 2);
    wait_until_live(self);

    int64_t began = now_ms();
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    end_subscriber(self, STELE_CANCELLED);

    ck_assert_int_lt(now_ms() - began, SOON_MS);
    ck_assert_int_eq(self->positions[0], 1);
    ck_assert_int_eq(self->positions[1], 2);
}
END_TEST

START_TEST(stopping_ends_a_live_subscription_soon)
{
    subscriber *self = start_subscriber(0, 0);
    wait_until_live(self);

    int64_t began = now_ms();
    stele_subscription_stop(self->subscription);
    end_subscriber(self, STELE_CANCELLED);

    ck_assert_int_lt(now_ms() - began, SOON_MS);
}
END_TEST

/* Where another process holds the write lock, too. */
START_TEST(stopping_ends_one_that_waits_for_another_writer)
{
    stele_options patient = STELE_OPTIONS_INIT;
    patient.busy_timeout_ms = 2 * SOON_MS;
    close_store();
    store = open_path(store_path(), &patient);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    subscriber *self = start_subscriber(0, 0);
    sleep_ms(100);

    int64_t began = now_ms();
    stele_subscription_stop(self->subscription);
    pthread_join(self->thread, NULL);

    ck_assert_int_eq(self->status, STELE_CANCELLED);
    ck_assert_int_eq(atomic_load(&self->count), 0);
    ck_assert_int_lt(now_ms() - began, SOON_MS);
    run_raw(raw, "ROLLBACK");
    sqlite3_close(raw);
    stele_subscription_close(self->subscription);
}
END_TEST

START_TEST(eight_live_subscribers_see_three_events_each)
{
    for (int i = 0; i < 8; i++)
        start_subscriber(i, 3);
    for (int i = 0; i < 8; i++)
        wait_until_live(&subscribers[i]);

    for (int i = 0; i < 3; i++)
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);

    for (int i = 0; i < 8; i++) {
        end_subscriber(&subscribers[i], STELE_CANCELLED);
        ck_assert_int_eq(atomic_load(&subscribers[i].count), 3);
        for (int k = 0; k < 3; k++)
            ck_assert_int_eq(subscribers[i].positions[k], k + 1);
    }
}
END_TEST

/* --- Fifty --- */

static void *append_many(void *context)
{
    char stream[32];
    snprintf(stream, sizeof(stream), "s-%d", *(int *)context);
    for (int i = 0; i < 60; i++)
        if (append_one(stream, STELE_ANY, "t", NULL) != STELE_OK)
            return context;
    return NULL;
}

START_TEST(fifty_subscriptions_beside_appenders_see_each_event_once_in_order)
{
    enum { APPENDERS = 3, ALL = 60 * APPENDERS };
    pthread_t appenders[APPENDERS];
    int numbers[APPENDERS] = { 1, 2, 3 };
    for (int i = 0; i < SUBSCRIBERS_MAX; i++)
        start_subscriber(i, ALL);

    for (int i = 0; i < APPENDERS; i++)
        ck_assert_int_eq(pthread_create(&appenders[i], NULL, append_many, &numbers[i]), 0);
    for (int i = 0; i < APPENDERS; i++) {
        void *failed = NULL;
        pthread_join(appenders[i], &failed);
        ck_assert_ptr_null(failed);
    }

    for (int i = 0; i < SUBSCRIBERS_MAX; i++) {
        end_subscriber(&subscribers[i], STELE_CANCELLED);
        ck_assert_int_eq(atomic_load(&subscribers[i].count), ALL);
        for (int k = 0; k < ALL; k++)
            ck_assert_int_eq(subscribers[i].positions[k], k + 1);
        ck_assert_int_eq(saved_position(subscribers[i].name), ALL);
    }
}
END_TEST

static int64_t size_of(const char *suffix)
{
    char path[600];
    snprintf(path, sizeof(path), "%s%s", store_path(), suffix);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    fseek(file, 0, SEEK_END);
    int64_t size = ftell(file);
    fclose(file);
    return size;
}

/* What the kernel says that this process has written; -1 where it doesn't say. */
static int64_t bytes_written(void)
{
    char line[128];
    int64_t bytes = -1;
    FILE *file = fopen("/proc/self/io", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "wchar: ", 7) == 0)
            bytes = strtoll(line + 7, NULL, 10);
    if (file != NULL)
        fclose(file);
    return bytes;
}

/* What was acknowledged is committed after a while, by each of them. */
static void wait_until_all_saved(void)
{
    for (int i = 0; i < SUBSCRIBERS_MAX; i++)
        while (saved_position(subscribers[i].name) < head_of(store))
            sleep_ms(5);
    for (int64_t before = -2; before != bytes_written();) {
        before = bytes_written();
        sleep_ms(200);
    }
}

START_TEST(fifty_idle_subscriptions_write_nothing_and_need_no_time)
{
    for (int i = 0; i < 3; i++)
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    for (int i = 0; i < SUBSCRIBERS_MAX; i++)
        start_subscriber(i, 0);
    for (int i = 0; i < SUBSCRIBERS_MAX; i++)
        wait_until_live(&subscribers[i]);
    wait_until_all_saved();
    int64_t wal = size_of("-wal");
    int64_t version = sql_number(store_path(), "PRAGMA data_version");
    int64_t sum = sql_number(store_path(), "SELECT sum(checksum) FROM checkpoints");
    int64_t written = bytes_written();
    clock_t cpu = clock();
    long idle_ms = effort_is_long() ? 30000 : 1500;

    sleep_ms(idle_ms);

    double used = (double)(clock() - cpu) / CLOCKS_PER_SEC;
    ck_assert_int_eq(bytes_written(), written);
    ck_assert_int_eq(size_of("-wal"), wal);
    ck_assert_int_eq(sql_number(store_path(), "PRAGMA data_version"), version);
    ck_assert_int_eq(sql_number(store_path(), "SELECT sum(checksum) FROM checkpoints"), sum);
    printf("50 idle subscriptions used %.1f ms of CPU in %ld ms and wrote 0 bytes\n", used * 1000,
           idle_ms);
    ck_assert_msg(used * 1000 < (double)idle_ms / 2, "they are busy: %.3f s", used);
    for (int i = 0; i < SUBSCRIBERS_MAX; i++)
        stele_subscription_stop(subscribers[i].subscription);
    for (int i = 0; i < SUBSCRIBERS_MAX; i++)
        end_subscriber(&subscribers[i], STELE_CANCELLED);
}
END_TEST

/* A head that somebody only claims, a seat that waits to try again: no reason to spin. */
START_TEST(a_wait_does_not_return_at_once_for_ever)
{
    stele_notifier *notifier = NULL;
    stele_subscription_options options = make_subscription("s");
    options.on_failure = STELE_ON_FAILURE_RETRY;
    options.backoff_ms = 60000;
    options.backoff_max_ms = 60000;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_subscription *subscription = open_subscription(&options);
    if (_i == 0) {
        assert_status(stele_store_notifier(store, &notifier), STELE_OK);
        assert_status(stele_notifier_signal(notifier, 1000000), STELE_OK);
        assert_status(stele_subscription_ack(subscription, pull(subscription)->through), STELE_OK);
    } else {
        pull(subscription);
        assert_status(stele_subscription_reject(subscription, 1, "bad"), STELE_OK);
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    }
    const stele_batch *none = NULL;
    stele_wait wait = wait_for_ms(300);
    clock_t cpu = clock();

    assert_status(stele_subscription_next(subscription, &wait, &none), STELE_TIMED_OUT);

    ck_assert_int_lt((int64_t)((clock() - cpu) * 1000 / CLOCKS_PER_SEC), 150);
    stele_subscription_close(subscription);
}
END_TEST

/* --- Signals, and closing in the middle --- */

static _Atomic(stele_subscription *) signalled;

static void stop_signalled(int number)
{
    (void)number;
    stele_subscription_stop(atomic_load(&signalled));
}

START_TEST(a_signal_handler_may_stop_at_any_moment)
{
    struct sigaction action = { .sa_handler = stop_signalled };
    sigaction(SIGUSR1, &action, NULL);
    uint64_t seed = choose_seed();
    for (int round = 0; round < effort_of(30, 1000); round++) {
        subscriber *self = start_subscriber(1, 0);
        atomic_store(&signalled, self->subscription);
        if (one_in(2))
            assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
        nanosleep(&(struct timespec){ .tv_nsec = (long)(next_chance() % 3000000) }, NULL);
        pthread_kill(self->thread, SIGUSR1);
        end_subscriber(self, STELE_CANCELLED);
        int count = atomic_load(&self->count);
        if (count > 0)
            ck_assert_int_eq(saved_position(self->name), self->positions[count - 1]);
    }
    printf("seed %" PRIu64 "\n", seed);
}
END_TEST

/* The calls end, close returns, and what was acknowledged is there. */
START_TEST(the_store_may_be_closed_in_the_middle)
{
    uint64_t seed = choose_seed();
    int64_t last = 0;
    for (int round = 0; round < effort_of(20, 500); round++) {
        for (int i = 0; i < 6; i++)
            start_subscriber(i, 0);
        for (int i = 0; i < 5; i++)
            assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
        nanosleep(&(struct timespec){ .tv_nsec = (long)(next_chance() % 4000000) }, NULL);
        last += 5;
        close_store();
        for (int i = 0; i < 6; i++) {
            end_subscriber(&subscribers[i], STELE_CLOSED);
            const subscriber *self = &subscribers[i];
            for (int k = 1; k < atomic_load(&self->count) && k < EACH_MAX; k++)
                ck_assert_int_eq(self->positions[k], self->positions[k - 1] + 1);
        }
        open_in_file();
        for (int i = 0; i < 6; i++) { /* their leases haven't ended: the next round takes over */
            char sql[128];
            snprintf(sql, sizeof(sql), "s-%d", i);
            assert_status(stele_checkpoint_reset(store, sql, NULL), STELE_OK);
        }
    }
    ck_assert_int_eq(head_of(store), last);
    printf("seed %" PRIu64 "\n", seed);
}
END_TEST

static void *set_place_back(void *context)
{
    sleep_ms(1300); /* when it has looked at what its own commit has changed */
    return stele_checkpoint_save(store, context, 0) == STELE_OK ? context : NULL;
}

START_TEST(a_place_that_is_set_back_is_seen_by_who_waits)
{
    char name[] = "s";
    pthread_t operator_thread;
    void *done = NULL;
    stele_subscription_options options = make_subscription(name);
    assert_status(append_one("a", STELE_ANY, "t", NULL), STELE_OK);
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_ack(subscription, pull(subscription)->through), STELE_OK);
    expect_nothing(subscription);

    ck_assert_int_eq(pthread_create(&operator_thread, NULL, set_place_back, name), 0);

    ck_assert_int_eq(pull(subscription)->records[0]->position, 1);
    pthread_join(operator_thread, &done);
    ck_assert_ptr_nonnull(done);
    stele_subscription_close(subscription);
}
END_TEST

static Suite *subscription_live_1(void)
{
    Suite *suite = suite_create("subscription live");
    TCase *live = add_case(suite, "live", open_in_file);
    tcase_set_timeout(live, 120);
    tcase_add_test(live, a_live_subscription_sees_appends_soon);
    tcase_add_test(live, eight_live_subscribers_see_three_events_each);
    tcase_add_loop_test(live, a_wait_does_not_return_at_once_for_ever, 0, 2);
    return suite;
}

static Suite *subscription_live_2(void)
{
    Suite *suite = suite_create("subscription live");
    TCase *live = add_case(suite, "live", open_in_file);
    tcase_set_timeout(live, 120);
    tcase_add_test(live, stopping_ends_a_live_subscription_soon);
    tcase_add_test(live, fifty_subscriptions_beside_appenders_see_each_event_once_in_order);
    tcase_add_test(live, a_signal_handler_may_stop_at_any_moment);
    return suite;
}

static Suite *subscription_live_3(void)
{
    Suite *suite = suite_create("subscription live");
    TCase *live = add_case(suite, "live", open_in_file);
    tcase_set_timeout(live, 120);
    tcase_add_test(live, stopping_ends_one_that_waits_for_another_writer);
    tcase_add_test(live, fifty_idle_subscriptions_write_nothing_and_need_no_time);
    tcase_add_test(live, the_store_may_be_closed_in_the_middle);
    tcase_add_test(live, a_place_that_is_set_back_is_seen_by_who_waits);
    return suite;
}

static Suite *subscription_live_memory(void)
{
    Suite *suite = suite_create("subscription live");
    TCase *memory = add_case(suite, "in memory", open_in_memory);
    tcase_add_test(memory, a_live_subscription_sees_appends_soon);
    tcase_add_test(memory, stopping_ends_a_live_subscription_soon);
    tcase_add_test(memory, eight_live_subscribers_see_three_events_each);
    return suite;
}

/* Mostly they wait. */
int main(void)
{
    static Suite *(*const suites[])(void) = { subscription_live_1, subscription_live_2,
                                              subscription_live_3, subscription_live_memory };
    return run_suites_together(suites, COUNT_OF(suites));
}

/* Who only reads learns that the shard has moved: nobody waits for ever at the old place. */
#define _GNU_SOURCE
#include "shard_moves.h"

#include <stele/subscription.h>

#include <pthread.h>

/* Subscriptions wait on a thread of their own. */
typedef struct follower {
    pthread_t thread;
    stele_store *store;
    stele_subscription *subscription;
    int64_t last; /* that it was given */
    stele_status ended;
    char reason[512];
} follower;

static void *follow_on(void *context)
{
    follower *self = context;
    const stele_batch *batch = NULL;
    while ((self->ended = stele_subscription_next(self->subscription, NULL, &batch)) == STELE_OK) {
        self->last = batch->through;
        self->ended = stele_subscription_ack(self->subscription, batch->through);
        if (self->ended != STELE_OK)
            break;
    }
    snprintf(self->reason, sizeof(self->reason), "%s", stele_error_text());
    return NULL;
}

static void begin_to_follow(follower *self, stele_shard *shard, const char *name)
{
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.name = name;
    options.delivery = STELE_AT_LEAST_ONCE;
    assert_status(stele_subscription_open(stele_shard_store(shard), &options, &self->subscription),
                  STELE_OK);
    ck_assert_int_eq(pthread_create(&self->thread, NULL, follow_on, self), 0);
}

/* In this process the shards are moved by one handle, and followed by another one as well, which
 * is to the first as another process is. */
static void check_followers(const char *name)
{
    stele_shards *apart = open_root(old_root());
    follower followers[2] = { 0 };
    fill_shard(shards, "orders", 3);
    stele_shard *held[2] = { acquire_from(shards, "orders"), acquire_from(apart, "orders") };
    size_t count = name == NULL ? 2 : 1; /* of a name one is at work */
    for (size_t i = 0; i < count; i++)
        begin_to_follow(&followers[i], held[2 - count + i], name);
    usleep(20000);

    assert_status(move_over("orders", NULL), STELE_OK);

    for (size_t i = 0; i < count; i++) {
        pthread_join(followers[i].thread, NULL);
        ck_assert_msg(followers[i].ended == STELE_MOVED, "%s: %s",
                      stele_status_name(followers[i].ended), followers[i].reason);
        ck_assert_ptr_nonnull(strstr(followers[i].reason, file_in(new_root(), "orders.db")));
        ck_assert_int_eq(followers[i].last, 3);
        stele_subscription_close(followers[i].subscription);
    }
    for (size_t i = 0; i < 2; i++)
        stele_shard_release(held[i]);
    stele_shards_close(apart);
    assert_status(stele_shards_resume(shards, NULL, NULL), STELE_OK);
    ck_assert(!is_there(old_root(), "orders.db"));
}

START_TEST(subscription_without_a_name_ends_as_moved_when_all_was_given)
{
    check_followers(NULL);
}
END_TEST

START_TEST(subscription_with_a_name_ends_as_moved_when_all_was_given)
{
    check_followers("reader");
}
END_TEST

START_TEST(subscription_that_stops_at_the_head_is_done_and_not_moved)
{
    const stele_batch *batch = NULL;
    stele_subscription *subscription = NULL;
    stele_subscription_options options = STELE_SUBSCRIPTION_OPTIONS_INIT;
    options.stop = STELE_STOP_HEAD;
    fill_shard(shards, "orders", 3);
    stele_shard *held = acquire_from(shards, "orders");
    assert_status(stele_subscription_open(stele_shard_store(held), &options, &subscription),
                  STELE_OK);
    assert_status(move_over("orders", NULL), STELE_OK);

    assert_status(stele_subscription_next(subscription, NULL, &batch), STELE_OK);
    ck_assert_uint_eq(batch->count, 3);
    assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    assert_status(stele_subscription_next(subscription, NULL, &batch), STELE_DONE);

    stele_subscription_close(subscription);
    stele_shard_release(held);
}
END_TEST

static void *wait_for_reader(void *context)
{
    static const char *const names[] = { "reader" };
    follower *self = context;
    self->ended = stele_subscription_wait_for(self->store, names, 1, 4, NULL);
    return NULL;
}

START_TEST(who_waits_for_a_subscription_is_told)
{
    follower self = { 0 };
    fill_shard(shards, "orders", 3);
    stele_shard *held = acquire_from(shards, "orders");
    self.store = stele_shard_store(held);
    assert_status(stele_checkpoint_save(self.store, "reader", 2), STELE_OK);
    ck_assert_int_eq(pthread_create(&self.thread, NULL, wait_for_reader, &self), 0);
    usleep(20000);

    assert_status(move_over("orders", NULL), STELE_OK);

    pthread_join(self.thread, NULL);
    ck_assert_int_eq(self.ended, STELE_MOVED);
    stele_shard_release(held);
}
END_TEST

START_TEST(who_acquires_again_and_again_only_to_read_learns_it_too)
{
    fill_shard(shards, "orders", 3);
    stele_shards *apart = open_root(old_root());
    stele_status status = try_acquire(apart, "orders");
    assert_status(status, STELE_OK);
    assert_status(move_over("orders", NULL), STELE_OK);
    while ((status = try_acquire(apart, "orders")) == STELE_OK)
        usleep(10000);
    assert_status(status, STELE_MOVED);
    assert_reason_has(file_in(new_root(), "orders.db"));

    assert_status(stele_shards_maintain(shards, NULL, NULL), STELE_OK);
    ck_assert(!is_there(old_root(), "orders.db"));
    stele_shards_close(apart);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard_move_followers");
    TCase *tests = add_move_case(suite, "followers");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, subscription_without_a_name_ends_as_moved_when_all_was_given);
    tcase_add_test(tests, subscription_with_a_name_ends_as_moved_when_all_was_given);
    tcase_add_test(tests, subscription_that_stops_at_the_head_is_done_and_not_moved);
    tcase_add_test(tests, who_waits_for_a_subscription_is_told);
    tcase_add_test(tests, who_acquires_again_and_again_only_to_read_learns_it_too);
    return run_suite(suite);
}

/*
 * The order of writers of one process when some of them yield: subscriptions do, so that however
 * many are at work, every other turn is an appender's.
 */
#include "contract.h"

#include "store/store.h"

#include <pthread.h>
#include <time.h>

/* Writers, each a thread of its own, and the order in which they had their turns. */
typedef struct writer {
    char name;
    bool yields;
    pthread_t thread;
} writer;

static char order[8];
static size_t order_size; /* with the turn held */

static stele_status begin_turn(bool yields, stele__connection **connection_out)
{
    return yields ? stele__write_begin_yielding(store, NULL, connection_out)
                  : stele__write_begin(store, NULL, connection_out);
}

static void *take_turn(void *context)
{
    const writer *self = context;
    stele__connection *connection = NULL;
    if (begin_turn(self->yields, &connection) != STELE_OK)
        return NULL;
    order[order_size++] = self->name;
    stele__write_end(store);
    return NULL;
}

static size_t count_waiters(void)
{
    size_t count = 0;
    pthread_mutex_lock(&store->mutex);
    for (const stele__waiter *waiter = store->first_waiter; waiter != NULL; waiter = waiter->next)
        count++;
    pthread_mutex_unlock(&store->mutex);
    return count;
}

/* While one who yields, or not, has the turn, these ask for it, one after the other. */
static const char *order_after(bool yields, writer *writers, size_t count)
{
    stele__connection *connection = NULL;
    memset(order, 0, sizeof(order));
    order_size = 0;
    assert_status(begin_turn(yields, &connection), STELE_OK);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, take_turn, &writers[i]), 0);
        while (count_waiters() < i + 1)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    stele__write_end(store);
    for (size_t i = 0; i < count; i++)
        pthread_join(writers[i].thread, NULL);
    return order;
}

START_TEST(who_does_not_yield_has_every_other_turn)
{
    writer writers[] = { { .name = 'a', .yields = true },
                         { .name = 'b', .yields = true },
                         { .name = 'c', .yields = false },
                         { .name = 'd', .yields = false },
                         { .name = 'e', .yields = true } };

    ck_assert_str_eq(order_after(true, writers, COUNT_OF(writers)), "cadbe");
    ck_assert_str_eq(order_after(false, writers, COUNT_OF(writers)), "acbde");
}
END_TEST

START_TEST(among_equals_the_order_is_that_of_asking)
{
    writer writers[] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' } };
    ck_assert_str_eq(order_after(false, writers, COUNT_OF(writers)), "abc");
    ck_assert_str_eq(order_after(true, writers, COUNT_OF(writers)), "abc");

    for (size_t i = 0; i < COUNT_OF(writers); i++)
        writers[i].yields = true;
    ck_assert_str_eq(order_after(false, writers, COUNT_OF(writers)), "abc");
    ck_assert_str_eq(order_after(true, writers, COUNT_OF(writers)), "abc");
}
END_TEST

static Suite *turns_yielding_suite(void)
{
    Suite *suite = suite_create("turns_yielding");
    TCase *tests = add_case(suite, "turns_yielding", open_in_file);
    tcase_add_test(tests, who_does_not_yield_has_every_other_turn);
    tcase_add_test(tests, among_equals_the_order_is_that_of_asking);
    return suite;
}

int main(void)
{
    return run_suite(turns_yielding_suite());
}

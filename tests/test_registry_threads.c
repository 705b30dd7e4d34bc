/* The registry among threads: pthread after pthread uses it without a lock, one freezes it. */
#include "upcasters.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 8 };

static atomic_int ready;

/* All begin at the same moment, as nearly as that goes. */
static void meet(int count)
{
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < count)
        sched_yield();
}

static void run_threads(void *(*run)(void *), void *arguments, size_t size, int count)
{
    pthread_t threads[THREADS + 1];
    atomic_store(&ready, 0);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, run, (char *)arguments + (size_t)i * size), 0);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* --- Decoding on all of them --- */

typedef struct decoder {
    int rounds;
    stele_status status;
    char reason[300];
    int64_t wrong;
} decoder;

static stele_status decode_all_versions(decoder *self, stele_decoded **own_decoded, int round)
{
    static const char *const data[] = { "{\"item\":\"pen\",\"amount\":3}",
                                        "{\"item\":\"pen\",\"cents\":300}",
                                        "{\"item\":\"pen\",\"cents\":300,\"currency\":\"EUR\"}" };
    stele_record record = make_record("Ordered", 1 + round % 3, "json", data[round % 3]);
    stele_status status = stele_record_decode(store, &record, own_decoded);
    const stele_part *part = stele_decoded_part(*own_decoded, 0);
    if (status == STELE_OK)
        self->wrong +=
            part->type != &placed_3_type || ((const placed_3 *)part->value)->cents != 300;
    return status;
}

static stele_status encode_one(int round)
{
    noted value = { round };
    stele_typed_event typed = { .struct_size = sizeof(stele_typed_event),
                                .type = &noted_type,
                                .value = &value };
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_event event;
    typed.codec = round % 2 == 0 ? "marked" : NULL;
    stele_status status = stele_event_encode(store, &typed, &buffer, &event, NULL);
    if (status == STELE_OK)
        status = stele_store_check_payload(store, event.codec, event.data, event.data_size, 100);
    stele_buffer_dispose(&buffer);
    return status;
}

static void *decode_many(void *argument)
{
    decoder *self = argument;
    stele_decoded *own_decoded = NULL;
    meet(THREADS);
    for (int i = 0; i < self->rounds && self->status == STELE_OK; i++) {
        self->status = decode_all_versions(self, &own_decoded, i);
        if (self->status == STELE_OK)
            self->status = encode_one(i);
    }
    snprintf(self->reason, sizeof(self->reason), "%s", stele_error_text());
    stele_decoded_close(own_decoded);
    return NULL;
}

START_TEST(any_number_of_threads_decode_and_encode_at_once)
{
    decoder decoders[THREADS] = { { 0 } };
    register_placed();
    register_marked();
    register_table(&noted_type);
    assert_status(stele_store_register_alias(store, "Ordered", "Placed"), STELE_OK);
    for (int i = 0; i < THREADS; i++)
        decoders[i].rounds = 300;

    run_threads(decode_many, decoders, sizeof(decoders[0]), THREADS);

    for (int i = 0; i < THREADS; i++) {
        ck_assert_msg(decoders[i].status == STELE_OK, "%s", decoders[i].reason);
        ck_assert_int_eq(decoders[i].wrong, 0);
    }
}
END_TEST

/* --- The first use --- */

static void *use_it(void *argument)
{
    const char *name = NULL;
    *(stele_status *)argument = stele_store_codec_at(store, 0, &name);
    return NULL;
}

START_TEST(first_use_on_another_thread_freezes)
{
    stele_status status = STELE_CLOSED;
    run_threads(use_it, &status, sizeof(status), 1);
    assert_status(status, STELE_OK);
    assert_status(stele_store_register_type(store, &noted_type), STELE_MISUSE);
    assert_reason_has("too late");
}
END_TEST

typedef struct racer {
    int number;
    stele_type type;
    char name[16];
    stele_status status;
    size_t seen; /* registered ones, by who uses it */
} racer;

static void *race(void *argument)
{
    racer *self = argument;
    stele_registered registered;
    meet(THREADS);
    if (self->number % 2 == 0) {
        self->status = stele_store_register_type(store, &self->type);
        return NULL;
    }
    while ((self->status = stele_store_registered(store, self->seen, &registered)) == STELE_OK)
        self->seen++;
    return NULL;
}

/* Whoever came before is seen by everybody, whoever came after is told so. */
START_TEST(registration_that_races_with_the_first_use_is_seen_or_refused)
{
    for (int round = 0; round < 200; round++) {
        racer racers[THREADS] = { { 0 } };
        size_t registered = 0;
        stele_store_close(store);
        open_in_memory();
        for (int i = 0; i < THREADS; i++) {
            racers[i].number = i;
            racers[i].type = noted_type;
            racers[i].type.name = racers[i].name;
            snprintf(racers[i].name, sizeof(racers[i].name), "Type%d", i);
        }

        run_threads(race, racers, sizeof(racers[0]), THREADS);

        for (int i = 0; i < THREADS; i += 2) {
            ck_assert(racers[i].status == STELE_OK || racers[i].status == STELE_MISUSE);
            registered += racers[i].status == STELE_OK;
        }
        for (int i = 1; i < THREADS; i += 2) {
            ck_assert_int_eq(racers[i].status, STELE_DONE);
            ck_assert_uint_eq(racers[i].seen, registered);
        }
    }
}
END_TEST

/* --- The end --- */

static atomic_bool closed;

static void *decode_until_closed(void *argument)
{
    decoder *self = argument;
    stele_decoded *own_decoded = NULL;
    stele_store *kept = store;
    stele_record record = make_record("Placed", 1, "json", "{\"item\":\"pen\",\"amount\":3}");
    self->status = stele_record_decode(kept, &record, &own_decoded);
    meet(THREADS + 1);
    while (self->status == STELE_OK)
        self->status = stele_record_decode(kept, &record, &own_decoded);
    /* What it last held is still there. */
    const stele_part *part = stele_decoded_part(own_decoded, 0);
    self->wrong = part == NULL || ((const placed_3 *)part->value)->cents != 300;
    stele_decoded_close(own_decoded);
    return NULL;
}

static void *close_it(void *argument)
{
    (void)argument;
    meet(THREADS + 1);
    stele_store_close(store);
    atomic_store(&closed, true);
    return NULL;
}

static void *decode_or_close(void *argument)
{
    decoder *self = argument;
    return self->rounds == 1 ? close_it(self) : decode_until_closed(self);
}

START_TEST(closing_ends_the_decoding_of_all_threads)
{
    decoder decoders[THREADS + 1] = { { 0 } };
    register_placed();
    decoders[THREADS].rounds = 1;

    run_threads(decode_or_close, decoders, sizeof(decoders[0]), THREADS + 1);

    store = NULL;
    ck_assert(atomic_load(&closed));
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(decoders[i].status, STELE_CLOSED);
        ck_assert_int_eq(decoders[i].wrong, 0);
    }
}
END_TEST

static Suite *registry_threads_suite(void)
{
    Suite *suite = suite_create("registry_threads");
    TCase *tests = add_typed_case(suite, "threads");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, any_number_of_threads_decode_and_encode_at_once);
    tcase_add_test(tests, first_use_on_another_thread_freezes);
    tcase_add_test(tests, registration_that_races_with_the_first_use_is_seen_or_refused);
    tcase_add_test(tests, closing_ends_the_decoding_of_all_threads);
    return suite;
}

int main(void)
{
    return run_suite(registry_threads_suite());
}

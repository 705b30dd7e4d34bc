/* Session memory under many threads and processes: nobody sees another's turns, none is lost, and
 * nothing is left behind. */
#include "resources.h"
#include "sessions.h"

#include <pthread.h>

enum {
    THREADS_MAX = 128,
    OPERATIONS = 16,
    TENANTS = 17,
    USERS = 41,
    FILE_THREADS = 64,
    FILE_OPERATIONS = 20,
    BLEED_TENANTS = 32,
    BLEED_TURNS = 8,
    PROCESSES = 4,
    PROCESS_TURNS = 30
};

typedef struct talker {
    pthread_t thread;
    int number;
    int failures;
    char reason[300];
} talker;

static talker talkers[THREADS_MAX];

static void open_patiently_at(const char *path)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    options.busy_timeout_ms = 60000;
    store = open_path(path, &options);
    memory = open_memory_of(store, "truncation");
}

static void open_patiently(void)
{
    open_patiently_at(store_path());
}

static void open_patiently_in_memory(void)
{
    open_patiently_at(":memory:");
}

static void note(talker *self, bool good, const char *what)
{
    if (!good && self->failures++ == 0)
        snprintf(self->reason, sizeof(self->reason), "%s: %s", what, stele_error_text());
}

static void run_talkers(int count, void *(*talk)(void *self))
{
    for (int i = 0; i < count; i++) {
        talkers[i] = (talker){ .number = i };
        ck_assert_int_eq(pthread_create(&talkers[i].thread, NULL, talk, &talkers[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(talkers[i].thread, NULL);
    for (int i = 0; i < count; i++)
        ck_assert_msg(talkers[i].failures == 0, "thread %d, %d failures: %s", i,
                      talkers[i].failures, talkers[i].reason);
}

/* Names of their own, so that an identity outlives its function. */
typedef struct names {
    char tenant[16], user[16], session[16];
} names;

static stele_identity name_identity(names *into, int tenant, int user, int session)
{
    snprintf(into->tenant, sizeof(into->tenant), "tenant-%d", tenant);
    snprintf(into->user, sizeof(into->user), "user/%d", user);
    snprintf(into->session, sizeof(into->session), "s%d", session);
    return identity_of(into->tenant, into->user, into->session);
}

/* All turns are of `text`, as they ought to be. */
static bool has_only(const stele_identity *identity, const char *text, size_t *count_out)
{
    const stele_session_turns *turns = NULL;
    bool right = stele_session_read(memory, identity, &turns) == STELE_OK;
    for (size_t i = 0; right && i < turns->count; i++)
        right = strcmp(turns->turns[i].text, text) == 0;
    *count_out = right ? turns->count : 0;
    stele_session_turns_close(turns);
    return right;
}

/* Every slot gets turns of its own text alone: what else is found there came from elsewhere. */
static void operate(talker *self, const stele_identity *identity, const char *text, int operation)
{
    size_t count = 0;
    stele_session_state state = STELE_SESSION_DEGRADED;
    stele_buffer buffer = STELE_BUFFER_INIT;
    switch (operation % 8) {
    case 3: note(self, has_only(identity, text, &count), "read"); break;
    case 4:
        note(self, stele_session_snapshot(memory, identity, &buffer) == STELE_OK, "snapshot");
        note(self, stele_session_restore(memory, identity, buffer.data, buffer.size) == STELE_OK,
             "restore");
        break;
    case 5:
        note(self,
             stele_session_health(memory, identity, &state, NULL) == STELE_OK
                 && state == STELE_SESSION_HEALTHY,
             "health");
        break;
    case 7: note(self, stele_session_flush(memory, identity) == STELE_OK, "flush"); break;
    default:
        note(self, stele_session_add(memory, identity, "user", text) == STELE_OK, "add");
        break;
    }
    stele_buffer_dispose(&buffer);
}

static void *mix_operations(void *context)
{
    talker *self = context;
    for (int i = 0; i < OPERATIONS; i++) {
        names of;
        char text[48];
        int tenant = (self->number * 7 + i) % TENANTS, user = (self->number * 5 + i * 3) % USERS;
        stele_identity identity = name_identity(&of, tenant, user, user % 2);
        snprintf(text, sizeof(text), "%d/%d", tenant, user);
        operate(self, &identity, text, self->number + i);
    }
    return NULL;
}

START_TEST(mixed_calls_of_many_threads_all_work_and_leave_nothing_behind)
{
    int64_t blocks = atomic_load(&own.blocks);
    if (_i == 0)
        open_patiently();
    else
        open_patiently_in_memory();
    resources before = count_resources();

    run_talkers(THREADS_MAX, mix_operations);

    for (int tenant = 0; tenant < TENANTS; tenant++)
        for (int user = 0; user < USERS; user++) {
            names of;
            char text[48];
            size_t count = 0;
            stele_identity identity = name_identity(&of, tenant, user, user % 2);
            snprintf(text, sizeof(text), "%d/%d", tenant, user);
            ck_assert(has_only(&identity, text, &count));
        }
    ck_assert_int_eq(count_resources_of(before.threads).threads, before.threads);
    close_memory();
    close_store();
    ck_assert_int_eq(atomic_load(&own.blocks), blocks);
}
END_TEST

static void *talk_in_own_session(void *context)
{
    talker *self = context;
    names of;
    char text[16];
    size_t count = 0;
    stele_identity identity = name_identity(&of, self->number % TENANTS, self->number, 1);
    snprintf(text, sizeof(text), "%d", self->number);
    for (int i = 0; i < FILE_OPERATIONS; i++) {
        note(self, stele_session_add(memory, &identity, "user", text) == STELE_OK, "add");
        note(self, has_only(&identity, text, &count) && count == (size_t)i + 1, "read");
    }
    return NULL;
}

START_TEST(many_threads_that_write_one_file_wait_for_each_other)
{
    open_patiently();
    run_talkers(FILE_THREADS, talk_in_own_session);
}
END_TEST

/* One slot: read, added to and written in one transaction, or a turn would be lost. */
static void *talk_in_the_same_session(void *context)
{
    talker *self = context;
    for (int i = 0; i < BLEED_TURNS; i++)
        note(self, stele_session_add(memory, &ada, "user", "hello") == STELE_OK, "add");
    return NULL;
}

START_TEST(no_turn_is_lost_that_is_added_at_the_same_time)
{
    size_t count = 0;
    open_patiently();
    close_memory();
    open_truncating(10000, 1000000);

    run_talkers(BLEED_TENANTS, talk_in_the_same_session);

    ck_assert(has_only(&ada, "hello", &count));
    ck_assert_uint_eq(count, BLEED_TENANTS * BLEED_TURNS);
}
END_TEST

/* The same user and session for all, so that only the tenant keeps them apart. */
static void *talk_as_tenant(void *context)
{
    talker *self = context;
    names of;
    char text[16];
    size_t count = 0;
    stele_identity identity = name_identity(&of, self->number, 1, 1);
    snprintf(text, sizeof(text), "%d", self->number);
    for (int i = 0; i < BLEED_TURNS; i++)
        note(self, stele_session_add(memory, &identity, "user", text) == STELE_OK, "add");
    note(self, has_only(&identity, text, &count) && count == BLEED_TURNS, "read");
    return NULL;
}

START_TEST(tenants_see_nothing_of_each_other)
{
    open_patiently();
    run_talkers(BLEED_TENANTS, talk_as_tenant);
}
END_TEST

/* The control. */
START_TEST(turn_of_somebody_else_is_noticed)
{
    size_t count = 0;
    open_patiently();
    say(&ada, "user", "mine");
    ck_assert(has_only(&ada, "mine", &count));
    say(&ada, "user", "theirs");

    ck_assert(!has_only(&ada, "mine", &count));
    ck_assert_uint_eq(count, 0);
}
END_TEST

/* --- Processes --- */

static int talk_in_a_process(int number)
{
    names of;
    stele_identity own_identity = name_identity(&of, number, 1, 1);
    open_patiently();
    for (int i = 0; i < PROCESS_TURNS; i++)
        if (stele_session_add(memory, &ada, "user", "shared") != STELE_OK
            || stele_session_add(memory, &own_identity, "user", of.tenant) != STELE_OK)
            return 1;
    close_memory();
    close_store();
    return 0;
}

START_TEST(no_turn_is_lost_between_processes)
{
    pid_t children[PROCESSES];
    size_t count = 0;
    open_patiently();
    close_memory();
    close_store();
    fflush(NULL);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(talk_in_a_process(i));
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }

    open_patiently();
    ck_assert(has_only(&ada, "shared", &count));
    ck_assert_uint_eq(count, 100); /* the bound; 120 were added */
    const stele_session_turns *turns = NULL;
    assert_status(stele_session_read(memory, &ada, &turns), STELE_OK);
    ck_assert_int_eq(turns->revision, PROCESSES * PROCESS_TURNS);
    stele_session_turns_close(turns);
    for (int i = 0; i < PROCESSES; i++) {
        names of;
        stele_identity identity = name_identity(&of, i, 1, 1);
        ck_assert(has_only(&identity, of.tenant, &count));
        ck_assert_uint_eq(count, PROCESS_TURNS);
    }
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("session_threads");
    TCase *tests = add_session_case(suite, "threads", NULL);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, mixed_calls_of_many_threads_all_work_and_leave_nothing_behind, 0, 2);
    tcase_add_test(tests, many_threads_that_write_one_file_wait_for_each_other);
    tcase_add_test(tests, no_turn_is_lost_that_is_added_at_the_same_time);
    tcase_add_test(tests, tenants_see_nothing_of_each_other);
    tcase_add_test(tests, turn_of_somebody_else_is_noticed);
    tcase_add_test(tests, no_turn_is_lost_between_processes);
    return run_suite(suite);
}

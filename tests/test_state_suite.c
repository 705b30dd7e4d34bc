/*
 * What agents' session stores are tested by elsewhere, asked of ours: sixteen cases, from one save
 * to 128 threads. Beyond it: two processes, and a store that is closed in the middle.
 *
 * Check's assertions must not leave a thread that isn't its own, so threads only take notes.
 */
#include "states.h"
#include "resources.h"

#include <pthread.h>
#include <time.h>

enum { THREADS_MAX = 128, TENANTS = 17, USERS = 41 };

static char scope_text[STELE_SCOPE_SIZE_MAX + 1];

/* On a slow disk who comes last of so many threads waits for long. */
static void open_for_crowds(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    store = open_path(store_path(), &options);
}

static const char *scope_of_session(const char *tenant, const char *user, const char *session,
                                    const char *run)
{
    stele_identity identity = make_identity(tenant, user, session, run);
    assert_status(stele_identity_scope(&identity, scope_text, sizeof(scope_text)), STELE_OK);
    return scope_text;
}

static const char *usual_scope(void)
{
    return scope_of_session("tenant", "user", "session", "run");
}

/* --- One after the other --- */

START_TEST(saved_record_is_loaded)
{
    put_with_id(usual_scope(), "memory", "bytes", "e-1");
    expect_text(usual_scope(), "memory", "bytes", 1);
}
END_TEST

START_TEST(same_id_and_content_is_saved_once)
{
    put_with_id(usual_scope(), "memory", "bytes", "e-1");
    ck_assert(put_with_id(usual_scope(), "memory", "bytes", "e-1").duplicate);
    expect_text(usual_scope(), "memory", "bytes", 1);
}
END_TEST

START_TEST(same_id_with_other_bytes_or_of_another_kind_conflicts)
{
    put_with_id(usual_scope(), "memory", "bytes", "e-1");
    stele_put put = make_put(scope_text, "memory", "others");
    put.write_id = "e-1";
    assert_status(stele_state_put(store, &put, NULL), STELE_KEY_REUSED);
    put = make_put(scope_text, "other-kind", "bytes");
    put.write_id = "e-1";
    assert_status(stele_state_put(store, &put, NULL), STELE_KEY_REUSED);
    expect_text(usual_scope(), "memory", "bytes", 1);
}
END_TEST

/* There an overwritten id is forgotten, and its late replay overwrites what is newer. */
START_TEST(overwriting_does_not_forget_the_id_before)
{
    put_with_id(usual_scope(), "memory", "one", "e-1");
    put_with_id(usual_scope(), "memory", "two", "e-2");
    stele_written replayed = put_with_id(usual_scope(), "memory", "one", "e-1");
    ck_assert(replayed.duplicate && replayed.superseded);
    expect_text(usual_scope(), "memory", "two", 2);
}
END_TEST

START_TEST(missing_entry_and_missing_id_are_not_found)
{
    stele_write write;
    expect_gone(usual_scope(), "memory", 0);
    assert_status(stele_state_write(store, usual_scope(), "e-1", &write), STELE_OK);
    ck_assert(!write.found);
}
END_TEST

START_TEST(id_leads_to_its_entry)
{
    stele_write write;
    put_with_id(usual_scope(), "memory", "bytes", "e-1");
    assert_status(stele_state_write(store, usual_scope(), "e-1", &write), STELE_OK);
    expect_text(usual_scope(), write.key, "bytes", write.revision);
}
END_TEST

START_TEST(incomplete_identity_fails_closed_in_every_call)
{
    const stele_identity incomplete[] = {
        make_identity("", "u", "s", "r"),
        make_identity("t", "", "s", "r"),
        make_identity("t", "u", "", "r"),
        make_identity("", "", "", ""),
    };
    for (size_t i = 0; i < COUNT_OF(incomplete); i++) {
        const stele_entry *entry = NULL;
        stele_entries *entries = NULL;
        stele_entries_read read = STELE_ENTRIES_READ_INIT;
        stele_remove what = STELE_REMOVE_INIT;
        stele_write write;
        assert_status(stele_identity_scope(&incomplete[i], scope_text, sizeof(scope_text)),
                      STELE_MISUSE);
        stele_put put = make_put(scope_text, "memory", "bytes");
        read.scope = what.scope = scope_text;
        what.key = "memory";
        assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
        assert_status(stele_state_get(store, scope_text, "memory", &entry), STELE_MISUSE);
        assert_status(stele_state_delete(store, &what, NULL), STELE_MISUSE);
        assert_status(stele_state_write(store, scope_text, "e-1", &write), STELE_MISUSE);
        assert_status(stele_state_list(store, &read, &entries), STELE_MISUSE);
        assert_status(stele_state_clear(store, scope_text, NULL, NULL, NULL), STELE_MISUSE);
    }
    ck_assert_str_eq(keys_of(NULL), "");
}
END_TEST

START_TEST(tenants_and_sessions_do_not_see_each_other)
{
    put_with_id(scope_of_session("a", "u", "s", NULL), "memory", "of a", "e-1");
    put_with_id(scope_of_session("b", "u", "s", NULL), "memory", "of b", "e-1");
    put_with_id(scope_of_session("a", "u", "s2", NULL), "memory", "of s2", "e-1");
    delete_key(scope_of_session("b", "u", "s", NULL), "memory", NULL);
    expect_text(scope_of_session("a", "u", "s", NULL), "memory", "of a", 1);
    expect_text(scope_of_session("a", "u", "s2", NULL), "memory", "of s2", 1);
    expect_gone(scope_of_session("b", "u", "s", NULL), "memory", 2);
}
END_TEST

START_TEST(empty_run_is_an_identity_of_its_own)
{
    put_text(scope_of_session("t", "u", "s", ""), "memory", "none");
    put_text(scope_of_session("t", "u", "s", "r"), "memory", "r");
    expect_text(scope_of_session("t", "u", "s", NULL), "memory", "none", 1);
    expect_text(scope_of_session("t", "u", "s", "r"), "memory", "r", 1);
}
END_TEST

START_TEST(deleting_is_idempotent_and_its_ids_still_answer)
{
    put_with_id(usual_scope(), "memory", "bytes", "e-1");
    ck_assert(delete_key(usual_scope(), "memory", NULL).found);
    ck_assert(!delete_key(usual_scope(), "memory", NULL).found);
    expect_gone(usual_scope(), "memory", 2);
    ck_assert(put_with_id(usual_scope(), "memory", "bytes", "e-1").superseded);
    expect_gone(usual_scope(), "memory", 2);
}
END_TEST

/* A program may keep the handle that it closed for as long as it holds something of it. */
START_TEST(handles_of_a_closed_store_are_closed)
{
    const stele_entry *entry = NULL;
    stele_entries *entries = NULL;
    put_text(usual_scope(), "memory", "bytes");
    assert_status(stele_state_list(store, NULL, &entries), STELE_OK);
    stele_transaction *transaction = begin();
    stele_put put = make_put(scope_text, "memory", "later");
    stele_remove what = STELE_REMOVE_INIT;
    stele_write write;
    what.scope = scope_text;
    what.key = "memory";
    stele_store *closed = store;

    close_store();

    assert_status(stele_entries_next(entries, &entry), STELE_CLOSED);
    assert_status(stele_state_put(closed, &put, NULL), STELE_CLOSED);
    assert_status(stele_state_delete(closed, &what, NULL), STELE_CLOSED);
    assert_status(stele_state_get(closed, scope_text, "memory", &entry), STELE_CLOSED);
    assert_status(stele_state_write(closed, scope_text, "e-1", &write), STELE_CLOSED);
    assert_status(stele_state_clear(closed, scope_text, NULL, NULL, NULL), STELE_CLOSED);
    assert_status(stele_state_forget(closed, 0, NULL, NULL), STELE_CLOSED);
    stele_entries *none = entries;
    assert_status(stele_state_list(closed, NULL, &none), STELE_CLOSED);
    ck_assert_ptr_null(none);
    assert_status(stele_transaction_state_put(transaction, &put, NULL), STELE_CLOSED);
    assert_status(stele_transaction_state_get(transaction, scope_text, "memory", &entry),
                  STELE_CLOSED);
    stele_transaction_end(transaction);
    stele_entries_close(entries); /* the last that holds it */
}
END_TEST

/* There both would be the same database. */
START_TEST(stores_in_memory_share_nothing)
{
    put_text(usual_scope(), "memory", "mine");
    stele_store *other = open_path(":memory:", NULL);
    const stele_entry *entry = NULL;
    assert_status(stele_state_get(other, scope_text, "memory", &entry), STELE_OK);
    ck_assert(!entry->found);
    stele_entry_close(entry);
    stele_store_close(other);
}
END_TEST

/* --- Threads --- */

typedef struct hand {
    pthread_t thread;
    int index;
    int rounds;
    stele_store *store;
    int errors;
    bool closed;
    atomic_bool waits; /* or did, to put something */
    char reason[256];
} hand;

static hand hands[THREADS_MAX];

static void note(hand *self, const char *what, stele_status status)
{
    if (status == STELE_OK || self->closed)
        return;
    if (status == STELE_CLOSED) {
        self->closed = true;
        return;
    }
    if (self->errors++ == 0)
        snprintf(self->reason, sizeof(self->reason), "%s: %s: %s", what, stele_status_name(status),
                 stele_error_text());
}

static void blame(hand *self, const char *what)
{
    if (!self->closed && self->errors++ == 0)
        snprintf(self->reason, sizeof(self->reason), "%s", what);
}

static int note_waiting(void *context)
{
    atomic_store(&((hand *)context)->waits, true);
    return 0;
}

static int count_waiting(int count)
{
    int waiting = 0;
    for (int i = 0; i < count; i++)
        waiting += atomic_load(&hands[i].waits);
    return waiting;
}

/* Save, load, look the id up, and every fourth time delete: on an entry of the thread's own, in a
 * scope that others use, too. */
static void mix_operations(hand *self, const char *scope, int round)
{
    char key[32], id[48], data[32];
    const stele_entry *entry = NULL;
    stele_write write;
    stele_written written;
    snprintf(key, sizeof(key), "key-%d", self->index);
    snprintf(id, sizeof(id), "e-%d-%d", self->index, round);
    snprintf(data, sizeof(data), "round %d", round);
    stele_put put = STELE_PUT_INIT;
    put.scope = scope;
    put.key = key;
    put.data = data;
    put.data_size = strlen(data);
    put.write_id = id;
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = note_waiting;
    wait.context = self;
    put.wait = &wait;
    note(self, "put", stele_state_put(self->store, &put, &written));
    int64_t revision = written.revision;
    note(self, "put again", stele_state_put(self->store, &put, &written));
    if (!written.duplicate || written.revision != revision)
        blame(self, "the retry was none");
    note(self, "get", stele_state_get(self->store, scope, key, &entry));
    if (entry == NULL || !entry->found || entry->revision != revision
        || strcmp(entry->data, data) != 0)
        blame(self, "another value was got");
    stele_entry_close(entry);
    note(self, "look up", stele_state_write(self->store, scope, id, &write));
    if (!write.found || write.revision != revision)
        blame(self, "another write was found");
    if (round % 4 == 3) {
        stele_remove what = STELE_REMOVE_INIT;
        what.scope = scope;
        what.key = key;
        what.expected_revision = revision;
        note(self, "delete", stele_state_delete(self->store, &what, &written));
        if (!written.found)
            blame(self, "nothing was deleted");
    }
}

static void *run_hand(void *context)
{
    hand *self = context;
    char scope[STELE_SCOPE_SIZE_MAX + 1], tenant[16], user[16];
    snprintf(tenant, sizeof(tenant), "tenant-%d", self->index % TENANTS);
    snprintf(user, sizeof(user), "user-%d", self->index % USERS);
    stele_identity identity = make_identity(tenant, user, "session", NULL);
    note(self, "scope", stele_identity_scope(&identity, scope, sizeof(scope)));
    for (int round = 0; round < self->rounds && !self->closed; round++)
        mix_operations(self, scope, round);
    return NULL;
}

static void start_hands(int count, int rounds, void *(*work)(void *))
{
    for (int i = 0; i < count; i++) {
        hands[i] = (hand){ .index = i, .rounds = rounds, .store = store };
        ck_assert_int_eq(pthread_create(&hands[i].thread, NULL, work, &hands[i]), 0);
    }
}

static void join_hands(int count)
{
    for (int i = 0; i < count; i++)
        pthread_join(hands[i].thread, NULL);
    for (int i = 0; i < count; i++)
        ck_assert_msg(hands[i].errors == 0, "thread %d: %d errors, first %s", i, hands[i].errors,
                      hands[i].reason);
}

START_TEST(threads_of_many_tenants_mix_operations_without_an_error)
{
    start_hands(THREADS_MAX, 16, run_hand);
    join_hands(THREADS_MAX);
    /* 16 rounds end with a deletion. */
    ck_assert_str_eq(keys_of(NULL), "");
}
END_TEST

START_TEST(threads_on_a_file_mix_operations_without_an_error)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    start_hands(64, 20, run_hand);
    while (count_waiting(64) < 2)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    run_raw(raw, "ROLLBACK");
    sqlite3_close(raw);
    join_hands(64);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM state_writes"), 64 * 20);
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_uint_lt(info.commits, info.appends); /* those that waited shared theirs */
}
END_TEST

START_TEST(nothing_is_left_open_when_the_store_is_closed)
{
    close_store();
    resources before = count_resources();
    open_for_crowds();
    start_hands(16, 8, run_hand);
    join_hands(16);
    close_store();
    expect_resources(before, "after closing");
}
END_TEST

/* One counter, and the revision as what each increment is made of: none may be lost. */
static void *count_up(void *context)
{
    hand *self = context;
    for (int done = 0; done < self->rounds;) {
        const stele_entry *entry = NULL;
        stele_written written;
        char data[32];
        note(self, "get", stele_state_get(self->store, "scope", "counter", &entry));
        if (entry == NULL)
            return NULL;
        snprintf(data, sizeof(data), "%ld", entry->found ? strtol(entry->data, NULL, 10) + 1 : 1L);
        stele_put put = make_put("scope", "counter", data);
        put.expected_revision = entry->found ? entry->revision : STELE_NO_ENTRY;
        stele_entry_close(entry);
        stele_status status = stele_state_put(self->store, &put, &written);
        if (status == STELE_CONFLICT)
            continue;
        note(self, "put", status);
        done++;
    }
    return NULL;
}

START_TEST(expected_revision_admits_one_winner_among_threads)
{
    start_hands(8, 25, count_up);
    join_hands(8);
    expect_text("scope", "counter", "200", 200);
}
END_TEST

/* `rounds` says afterwards whether it was told to be a retry. */
static void *retry_one_write(void *context)
{
    hand *self = context;
    stele_written written;
    stele_put put = make_put("scope", "key", "x");
    put.write_id = "e-1";
    note(self, "put", stele_state_put(self->store, &put, &written));
    if (written.revision != 1)
        blame(self, "another revision");
    self->rounds = written.duplicate;
    return NULL;
}

START_TEST(retries_of_one_write_by_many_threads_are_written_once)
{
    int duplicates = 0;
    start_hands(32, 0, retry_one_write);
    join_hands(32);
    for (int i = 0; i < 32; i++)
        duplicates += hands[i].rounds;
    ck_assert_int_eq(duplicates, 31);
    expect_text("scope", "key", "x", 1);
}
END_TEST

/* --- Processes --- */

static int write_in_child(void *context)
{
    (void)context;
    hand self = { .index = 200, .rounds = 200 };
    if (stele_store_open(store_path(), NULL, &self.store) != STELE_OK)
        return 1;
    count_up(&self);
    self.rounds = 40;
    run_hand(&self);
    stele_store_close(self.store);
    return self.errors == 0 ? 0 : 2;
}

START_TEST(two_processes_write_to_one_file)
{
    /* The child comes first: a store must not go through fork(). */
    close_store();
    test_path("x");
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(write_in_child(NULL));
    open_in_file();
    hand self = { .index = 100, .rounds = 200, .store = store };
    count_up(&self);
    self.rounds = 40;
    run_hand(&self);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_msg(self.errors == 0, "%s", self.reason);
    expect_text("scope", "counter", "400", 400);
}
END_TEST

/* --- Closing in the middle --- */

static void *list_for_ever(void *context)
{
    hand *self = context;
    while (!self->closed) {
        stele_entries *entries = NULL;
        const stele_entry *entry = NULL;
        stele_status status = stele_state_list(self->store, NULL, &entries);
        while (status == STELE_OK)
            status = stele_entries_next(entries, &entry);
        note(self, "list", status == STELE_DONE ? STELE_OK : status);
        stele_entries_close(entries);
    }
    return NULL;
}

static void *clear_for_ever(void *context)
{
    hand *self = context;
    while (!self->closed) {
        note(self, "clear", stele_state_clear(self->store, "scope", NULL, NULL, NULL));
        note(self, "forget", stele_state_forget(self->store, 1, NULL, NULL));
    }
    return NULL;
}

/* The handle stays alive as long as an entry list holds it. */
START_TEST(store_closed_in_the_middle_ends_every_call_with_closed)
{
    for (int i = 0; i < 600; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        put_text("scope", key, "x");
    }
    stele_entries *entries = NULL;
    assert_status(stele_state_list(store, NULL, &entries), STELE_OK);
    void *(*const kinds[])(void *) = { run_hand, list_for_ever, clear_for_ever };
    for (int i = 0; i < 12; i++) {
        hands[i] = (hand){ .index = i, .rounds = 1000000, .store = store };
        ck_assert_int_eq(
            pthread_create(&hands[i].thread, NULL, kinds[(size_t)i % COUNT_OF(kinds)], &hands[i]),
            0);
    }
    nanosleep(&(struct timespec){ .tv_nsec = 50 * 1000 * 1000 }, NULL);

    close_store();

    join_hands(12);
    for (int i = 0; i < 12; i++)
        ck_assert(hands[i].closed);
    stele_entries_close(entries);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("state_suite");
    TCase *cases = add_case(suite, "cases", open_in_memory);
    tcase_add_test(cases, saved_record_is_loaded);
    tcase_add_test(cases, same_id_and_content_is_saved_once);
    tcase_add_test(cases, same_id_with_other_bytes_or_of_another_kind_conflicts);
    tcase_add_test(cases, overwriting_does_not_forget_the_id_before);
    tcase_add_test(cases, missing_entry_and_missing_id_are_not_found);
    tcase_add_test(cases, id_leads_to_its_entry);
    tcase_add_test(cases, incomplete_identity_fails_closed_in_every_call);
    tcase_add_test(cases, tenants_and_sessions_do_not_see_each_other);
    tcase_add_test(cases, empty_run_is_an_identity_of_its_own);
    tcase_add_test(cases, deleting_is_idempotent_and_its_ids_still_answer);
    tcase_add_test(cases, handles_of_a_closed_store_are_closed);
    tcase_add_test(cases, stores_in_memory_share_nothing);
    TCase *crowds = add_case(suite, "threads", open_in_memory);
    tcase_set_timeout(crowds, 120);
    tcase_add_test(crowds, threads_of_many_tenants_mix_operations_without_an_error);
    TCase *files = add_case(suite, "files", open_for_crowds);
    tcase_set_timeout(files, 240);
    tcase_add_test(files, threads_on_a_file_mix_operations_without_an_error);
    tcase_add_test(files, nothing_is_left_open_when_the_store_is_closed);
    tcase_add_test(files, expected_revision_admits_one_winner_among_threads);
    tcase_add_test(files, retries_of_one_write_by_many_threads_are_written_once);
    tcase_add_test(files, two_processes_write_to_one_file);
    tcase_add_test(files, store_closed_in_the_middle_ends_every_call_with_closed);
    return run_suite(suite);
}

/* Shards: handles, what is in which file, closing, and doing without memory. */
#include "effort.h"
#include "shard_resources.h"

#include "shard/shard.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t head_of(stele_shard *shard)
{
    int64_t head = -1;
    expect_fine(stele_store_head(stele_shard_store(shard), &head));
    return head;
}

/* --- What is in which file --- */

START_TEST(namespaces_of_one_organisation_share_nothing)
{
    stele_shards *shards = open_root(0);
    stele_shard *left = acquire(shards, "acme", "left");
    stele_shard *right = acquire(shards, "acme", "right");

    expect_fine(append_data(stele_shard_store(left), "only here"));

    ck_assert_int_eq(head_of(left), 1);
    ck_assert_int_eq(head_of(right), 0);
    ck_assert_str_ne(stele_shard_path(left), stele_shard_path(right));
    stele_shard_release(left);
    stele_shard_release(right);
    stele_shards_close(shards);
}
END_TEST

START_TEST(namespaces_of_one_name_in_two_organisations_share_nothing)
{
    stele_shards *shards = open_root(0);
    stele_shard *some[] = { acquire(shards, "acme", "main"), acquire(shards, "other", "main"),
                            acquire(shards, "", "main"), acquire(shards, "_", "main") };

    expect_fine(append_data(stele_shard_store(some[0]), "only here"));

    ck_assert_int_eq(head_of(some[0]), 1);
    for (int i = 1; i < 4; i++)
        ck_assert_int_eq(head_of(some[i]), 0);
    for (int i = 0; i < 4; i++)
        stele_shard_release(some[i]);
    stele_shards_close(shards);
}
END_TEST

START_TEST(what_was_stored_is_there_after_closing_and_opening)
{
    stele_shards *shards = open_root(0);
    stele_shard *shard = acquire(shards, "acme", "main");
    expect_fine(append_data(stele_shard_store(shard), "kept"));
    stele_shard_release(shard);
    stele_shards_close(shards);

    shards = open_root(0);
    expect_fine(try_acquire(shards, "acme", "main", &shard));

    int same = 0, other = 0;
    count_data(stele_shard_store(shard), "kept", &same, &other);
    ck_assert_int_eq(same, 1);
    ck_assert_int_eq(other, 0);
    ck_assert_uint_eq(describe(shards).created, 0);
    stele_shard_release(shard);
    stele_shards_close(shards);
}
END_TEST

static const struct {
    const char *organisation;
    const char *name_space;
    const char *path;
} paths[] = {
    { "acme", "main", "acme/main.db" },
    { "", "main", "_/main.db" },
    { "_", "_", "%5f/_.db" },
    { "Acme", "MAIN", "%41cme/%4d%41%49%4e.db" },
    { "a b", "c/d", "a%20b/c%2fd.db" },
    { "..", "..", "%2e%2e/%2e%2e.db" },
    { ".a.", "a.b", "%2ea%2e/a.b.db" },
    { "con", "nul.txt", "%63on/%6eul.txt.db" },
    { "com0", "com1", "com0/%63om1.db" },
    { "lpt9.x.y", "lpt10", "%6cpt9.x.y/lpt10.db" },
    { "%", "%%", "%25/%25%25.db" },
    { "\xc3\xa9", "e\xcc\x81", "%c3%a9/e%cc%81.db" },
    { "\n", "\x7f", "%0a/%7f.db" },
};

START_TEST(paths_follow_from_the_names)
{
    stele_shards *shards = open_root(0);
    char path[512], expected[512];

    expect_fine(stele_shards_path(shards, paths[_i].organisation, paths[_i].name_space, path,
                                  sizeof(path)));

    snprintf(expected, sizeof(expected), "%s/%s", test_path("root"), paths[_i].path);
    ck_assert_str_eq(path, expected);
    ck_assert_str_eq(stele_shards_root(shards), test_path("root"));
    ck_assert_int_ne(access(path, F_OK), 0);
    stele_shard *shard = acquire(shards, paths[_i].organisation, paths[_i].name_space);
    ck_assert_str_eq(stele_shard_path(shard), expected);
    ck_assert_str_eq(stele_shard_organisation(shard), paths[_i].organisation);
    ck_assert_str_eq(stele_shard_namespace(shard), paths[_i].name_space);
    ck_assert_int_eq(access(path, F_OK), 0);
    stele_shard_release(shard);
    stele_shards_close(shards);
}
END_TEST

START_TEST(files_are_for_their_owner_alone)
{
    mode_t umask_before = umask(0277);
    stele_shards *shards = open_root(0);
    stele_shard *shard = acquire(shards, "acme", "main");
    expect_fine(append_data(stele_shard_store(shard), "private"));
    struct stat facts;

    static const char *const files[] = { "root/acme/main.db", "root/acme/main.db-wal",
                                         "root/acme/main.db-lock", "root/acme/main.db-anchor" };
    static const char *const folders[] = { "root", "root/acme" };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        ck_assert_msg(stat(test_path(files[i]), &facts) == 0, "no %s", files[i]);
        ck_assert_uint_eq(facts.st_mode & 0777, 0600);
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        ck_assert_msg(stat(test_path(folders[i]), &facts) == 0, "no %s", folders[i]);
        ck_assert_uint_eq(facts.st_mode & 0777, 0700);
    }
    stele_shard_release(shard);
    stele_shards_close(shards);
    umask(umask_before);
}
END_TEST

/* --- Handles --- */

START_TEST(all_who_ask_for_a_shard_get_one_store)
{
    stele_shards *shards = open_root(0);
    stele_shard *first = acquire(shards, "acme", "main");
    stele_shard *second = acquire(shards, "acme", "main");

    ck_assert_ptr_eq(stele_shard_store(first), stele_shard_store(second));
    stele_shards_info info = describe(shards);
    ck_assert_uint_eq(info.open, 1);
    ck_assert_uint_eq(info.held, 1);
    ck_assert_uint_eq(info.handles, 2);
    ck_assert_uint_eq(info.opened, 1);
    ck_assert_uint_eq(info.created, 1);

    stele_store *store = stele_shard_store(second);
    stele_shard_release(first);
    expect_fine(append_data(store, "still open"));
    stele_shard_release(second);
    info = describe(shards);
    ck_assert_uint_eq(info.held, 0);
    ck_assert_uint_eq(info.open, 1);
    second = acquire(shards, "acme", "main");
    ck_assert_ptr_eq(stele_shard_store(second), store);
    stele_shard_release(second);
    stele_shards_close(shards);
}
END_TEST

START_TEST(a_shard_that_must_exist_is_not_created)
{
    stele_shards *shards = open_root(0);
    stele_shard *shard = NULL;

    expect_status(try_acquire(shards, "acme", "main", &shard), STELE_NOT_FOUND);
    ck_assert_ptr_null(shard);
    ck_assert_int_ne(access(test_path("root/acme"), F_OK), 0);

    stele_shard_release(acquire(shards, "acme", "other"));
    expect_status(try_acquire(shards, "acme", "main", &shard), STELE_NOT_FOUND);
    ck_assert_uint_eq(describe(shards).open, 1);
    stele_shards_close(shards);
}
END_TEST

START_TEST(stores_for_reading_are_not_created)
{
    stele_shards *shards = open_root(0);
    stele_shard *shard = acquire(shards, "acme", "main");
    expect_fine(append_data(stele_shard_store(shard), "kept"));
    stele_shard_release(shard);
    stele_shards_close(shards);

    stele_options reading = STELE_OPTIONS_INIT;
    reading.read_only = true;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    options.store = &reading;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    reading.read_only = false; /* it was copied */

    expect_status(stele_shards_acquire(shards, "acme", "none", NULL, &shard), STELE_NOT_FOUND);
    expect_status(stele_shards_acquire(shards, "none", "main", NULL, &shard), STELE_NOT_FOUND);
    expect_fine(stele_shards_acquire(shards, "acme", "main", NULL, &shard));
    ck_assert_int_eq(head_of(shard), 1);
    expect_status(append_data(stele_shard_store(shard), "no"), STELE_READ_ONLY);
    stele_shard_release(shard);
    expect_fine(stele_shards_maintain(shards, NULL, NULL));
    stele_shards_close(shards);
}
END_TEST

/* --- Closing --- */

START_TEST(handles_outlive_the_shards)
{
    stele_shards *shards = open_root(0);
    stele_shard *held = acquire(shards, "acme", "held");
    stele_shard *twice = acquire(shards, "acme", "held");
    stele_shard_release(acquire(shards, "acme", "free"));

    stele_shards_close(shards);

    int64_t head = 0;
    expect_status(stele_store_head(stele_shard_store(held), &head), STELE_CLOSED);
    expect_status(append_data(stele_shard_store(held), "no"), STELE_CLOSED);
    ck_assert_str_eq(stele_shard_organisation(held), "acme");
    ck_assert_str_eq(stele_shard_namespace(twice), "held");
    stele_shard_release(held);
    stele_shard_release(twice);
}
END_TEST

START_TEST(a_cursor_outlives_the_shards)
{
    stele_shards *shards = open_root(0);
    stele_shard *held = acquire(shards, "acme", "held");
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    expect_fine(append_data(stele_shard_store(held), "first"));
    expect_fine(stele_store_read(stele_shard_store(held), &read, &cursor));

    stele_shards_close(shards);

    expect_status(stele_cursor_next(cursor, &record), STELE_CLOSED);
    stele_shard_release(held);
    stele_cursor_close(cursor);
}
END_TEST

typedef struct blocked {
    stele_shards *shards;
    stele_status status;
    char text[200];
} blocked;

static void *acquire_when_full(void *context)
{
    blocked *call = context;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 600000;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.wait = &wait;
    stele_shard *shard = NULL;
    call->status = stele_shards_acquire(call->shards, "acme", "second", &how, &shard);
    snprintf(call->text, sizeof(call->text), "%s", stele_error_text());
    stele_shard_release(shard);
    return NULL;
}

START_TEST(closing_ends_those_who_wait)
{
    stele_shards *shards = open_root(1);
    stele_shard *held = acquire(shards, "acme", "first");
    blocked calls[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        calls[i] = (blocked){ .shards = shards };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, acquire_when_full, &calls[i]), 0);
    }
    while (describe(shards).waited < 4)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);

    stele_shards_close(shards);

    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(calls[i].status, STELE_CLOSED);
        ck_assert_str_eq(calls[i].text, "the shards were closed");
    }
    stele_shard_release(held);
}
END_TEST

START_TEST(a_child_of_fork_only_frees)
{
    stele_shards *shards = open_root(0);
    stele_shard *held = acquire(shards, "acme", "held");
    stele_shard_release(acquire(shards, "acme", "free"));

    pid_t child = fork();
    if (child == 0) {
        stele_shard *shard = NULL;
        stele_shards_info info;
        char path[512];
        int wrong = 0;
        wrong += stele_shards_acquire(shards, "acme", "held", NULL, &shard) != STELE_MISUSE;
        wrong += stele_shards_describe(shards, &info) != STELE_MISUSE;
        wrong += stele_shards_path(shards, "a", "b", path, sizeof(path)) != STELE_MISUSE;
        wrong += stele_shards_maintain(shards, NULL, NULL) != STELE_MISUSE;
        stele_shards_close(shards);
        wrong += append_data(stele_shard_store(held), "no") != STELE_MISUSE;
        stele_shard_release(held);
        _exit(wrong);
    }
    int exit_status = -1;
    ck_assert_int_eq(waitpid(child, &exit_status, 0), child);

    ck_assert_int_eq(exit_status, 0);
    expect_fine(append_data(stele_shard_store(held), "here"));
    stele_shard_release(held);
    stele_shards_close(shards);
}
END_TEST

static int call_back(void *context)
{
    stele_shards *shards = context;
    stele_shard *shard = NULL;
    stele_shards_info info;
    ck_assert_int_eq(stele_shards_acquire(shards, "acme", "x", NULL, &shard), STELE_MISUSE);
    ck_assert_int_eq(stele_shards_describe(shards, &info), STELE_MISUSE);
    return 1;
}

START_TEST(waiting_is_cancelled_by_its_callback_which_may_call_nothing)
{
    stele_shards *shards = open_root(1);
    stele_shard *held = acquire(shards, "acme", "first");
    stele_shard *shard = NULL;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 600000;
    wait.progress = call_back;
    wait.context = shards;
    stele_acquire how = STELE_ACQUIRE_INIT;
    how.wait = &wait;

    expect_status(stele_shards_acquire(shards, "acme", "second", &how, &shard), STELE_CANCELLED);

    ck_assert_ptr_null(shard);
    stele_shard_release(held);
    stele_shards_close(shards);
}
END_TEST

/* --- Without memory --- */

static stele_status use_once(const char *name_space)
{
    stele_shards *opened = NULL;
    stele_shard *shard = NULL;
    char path[512];
    stele_maintained maintained;
    stele_status status = stele_shards_open(test_path("root"), NULL, &opened);
    if (status == STELE_OK)
        status = stele_shards_path(opened, "acme", name_space, path, sizeof(path));
    if (status == STELE_OK)
        status = stele_shards_acquire(opened, "acme", name_space, NULL, &shard);
    stele_shard_release(shard);
    if (status == STELE_OK)
        status = stele_shards_maintain(opened, NULL, &maintained);
    stele_shards_close(opened);
    return status;
}

/* Each call for memory fails once; `step` leaves some out. Returns how many there were. */
static int fail_each(const char *const *names, int name_count, int step)
{
    for (int n = 1;; n += step) {
        resources start = count_resources();
        int64_t first = atomic_load(&own.calls) + n;
        atomic_store(&own.fail_last, first);
        atomic_store(&own.fail_first, first);
        stele_status status = use_once(names[n / step % name_count]);
        bool failed = atomic_load(&own.calls) >= first;
        atomic_store(&own.fail_first, 0);
        ck_assert_msg(status == STELE_OK || (failed && status == STELE_NO_MEMORY),
                      "call %d for memory: %s: %s", n, stele_status_name(status),
                      stele_error_text());
        expect_resources(start, "after a call without memory");
        if (!failed)
            return n;
    }
}

START_TEST(every_call_for_memory_may_fail)
{
    static char names[200][32];
    static const char *fresh[200];
    static const char *const opened[] = { "main" };
    expect_fine(use_once("main"));

    int calls = fail_each(opened, 1, 1);
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        fresh[i] = names[i];
    }
    int calls_creating = fail_each(fresh, 200, effort_is_long() ? 2 : 11);

    ck_assert_int_gt(calls, 30);
    ck_assert_int_gt(calls_creating, calls);
    for (int i = 0; i < 200; i += 40)
        expect_fine(use_once(names[i]));
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_test(files, namespaces_of_one_organisation_share_nothing);
    tcase_add_test(files, namespaces_of_one_name_in_two_organisations_share_nothing);
    tcase_add_test(files, what_was_stored_is_there_after_closing_and_opening);
    tcase_add_loop_test(files, paths_follow_from_the_names, 0,
                        (int)(sizeof(paths) / sizeof(paths[0])));
    tcase_add_test(files, files_are_for_their_owner_alone);
    suite_add_tcase(suite, files);
    TCase *handles = tcase_create("handles");
    tcase_set_timeout(handles, 60);
    tcase_add_checked_fixture(handles, set_up, tear_down);
    tcase_add_test(handles, all_who_ask_for_a_shard_get_one_store);
    tcase_add_test(handles, a_shard_that_must_exist_is_not_created);
    tcase_add_test(handles, stores_for_reading_are_not_created);
    tcase_add_test(handles, handles_outlive_the_shards);
    tcase_add_test(handles, a_cursor_outlives_the_shards);
    tcase_add_test(handles, closing_ends_those_who_wait);
    tcase_add_test(handles, a_child_of_fork_only_frees);
    tcase_add_test(handles, waiting_is_cancelled_by_its_callback_which_may_call_nothing);
    suite_add_tcase(suite, handles);
    TCase *memory = tcase_create("memory");
    tcase_set_timeout(memory, 300);
    tcase_add_checked_fixture(memory, set_up, tear_down);
    tcase_add_test(memory, every_call_for_memory_may_fail);
    suite_add_tcase(suite, memory);
    return run_suite(suite);
}

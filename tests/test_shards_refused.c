/* Shards: wrong arguments, options and roots, and what each call answers to them. */
#include "shard_resources.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(wrong_arguments_are_refused)
{
    stele_shards *shards = open_root(0);
    stele_shard *shard = NULL;
    char path[512], name[300];
    stele_acquire how = STELE_ACQUIRE_INIT;
    stele_wait wait = STELE_WAIT_INIT;
    memset(name, 'x', sizeof(name));
    name[256] = '\0';

    expect_status(stele_shards_acquire(NULL, "a", "b", NULL, &shard), STELE_MISUSE);
    expect_status(stele_shards_acquire(shards, NULL, "b", NULL, &shard), STELE_MISUSE);
    expect_status(stele_shards_acquire(shards, "a", NULL, NULL, &shard), STELE_MISUSE);
    expect_status(stele_shards_acquire(shards, "a", "", NULL, &shard), STELE_MISUSE);
    ck_assert_str_eq(stele_error_text(), "the namespace is empty");
    expect_status(stele_shards_acquire(shards, "a", "b", NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_acquire(shards, name, "b", NULL, &shard), STELE_TOO_LARGE);
    expect_status(stele_shards_acquire(shards, "a", name, NULL, &shard), STELE_TOO_LARGE);
    expect_status(stele_shards_acquire(shards, "\xff", "b", NULL, &shard), STELE_INVALID);
    expect_status(stele_shards_acquire(shards, "a", "\xc0\x80", NULL, &shard), STELE_INVALID);
    how.struct_size = 0;
    expect_status(stele_shards_acquire(shards, "a", "b", &how, &shard), STELE_MISUSE);
    stele_acquire_init(&how);
    wait.struct_size = 0;
    how.wait = &wait;
    expect_status(stele_shards_acquire(shards, "a", "b", &how, &shard), STELE_MISUSE);

    expect_status(stele_shards_path(NULL, "a", "b", path, sizeof(path)), STELE_MISUSE);
    expect_status(stele_shards_path(shards, "a", "b", NULL, 0), STELE_MISUSE);
    expect_status(stele_shards_path(shards, "a", "b", path, 5), STELE_MISUSE);
    expect_status(stele_shards_path(shards, "a", "", path, sizeof(path)), STELE_MISUSE);
    expect_status(stele_shards_path(shards, "a", name, path, sizeof(path)), STELE_TOO_LARGE);
    expect_status(stele_shards_path(shards, "a", "\xff", path, sizeof(path)), STELE_INVALID);
    expect_status(stele_shards_describe(shards, NULL), STELE_MISUSE);
    expect_status(stele_shards_describe(NULL, &(stele_shards_info){ 0 }), STELE_MISUSE);
    expect_status(stele_shards_maintain(NULL, NULL, NULL), STELE_MISUSE);
    stele_work work = { 0 };
    expect_status(stele_shards_maintain(shards, &work, NULL), STELE_MISUSE);

    name[255] = '\0';
    shard = acquire(shards, name, name);
    ck_assert_str_eq(stele_shard_namespace(shard), name);
    stele_shard_release(shard);
    stele_shard_release(NULL);
    stele_shards_close(NULL);
    ck_assert_str_eq(stele_shards_root(NULL), "");
    ck_assert_str_eq(stele_shard_path(NULL), "");
    ck_assert_str_eq(stele_shard_organisation(NULL), "");
    ck_assert_str_eq(stele_shard_namespace(NULL), "");
    ck_assert_ptr_null(stele_shard_store(NULL));
    stele_shards_close(shards);
}
END_TEST

static stele_status try_options(const stele_shards_options *options)
{
    stele_shards *shards = NULL;
    stele_status status = stele_shards_open(test_path("root"), options, &shards);
    ck_assert(status == STELE_OK ? shards != NULL : shards == NULL);
    stele_shards_close(shards);
    return status;
}

START_TEST(wrong_options_are_refused_at_opening)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_options store = STELE_OPTIONS_INIT;

    options.open_max = 0;
    expect_status(try_options(&options), STELE_MISUSE);
    stele_shards_options_init(&options);
    options.maintenance_interval_ms = 0;
    expect_status(try_options(&options), STELE_MISUSE);
    stele_shards_options_init(&options);
    options.struct_size = 0;
    expect_status(try_options(&options), STELE_MISUSE);
    stele_shards_options_init(&options);
    store.poll_floor_ms = 0;
    options.store = &store;
    expect_status(try_options(&options), STELE_MISUSE);
    static const char *const bad_kinds[][2] = { { "a", "" }, { "a", "b/c" }, { "a", NULL } };
    for (size_t i = 0; i < 3; i++) {
        stele_shards_options_init(&options);
        options.cross_kinds = bad_kinds[i];
        options.cross_kind_count = 2;
        expect_status(try_options(&options), STELE_MISUSE);
    }
    options.cross_kind_count = 1;
    expect_fine(try_options(&options));
    expect_fine(try_options(NULL));
}
END_TEST

START_TEST(roots_are_made_followed_and_refused)
{
    stele_shards *shards = NULL;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    options.must_exist = true;
    char path[1024];

    expect_status(stele_shards_open(NULL, NULL, &shards), STELE_MISUSE);
    expect_status(stele_shards_open("", NULL, &shards), STELE_MISUSE);
    expect_status(stele_shards_open("root", NULL, NULL), STELE_MISUSE);
    expect_status(stele_shards_open(test_path("root"), &options, &shards), STELE_NOT_FOUND);
    expect_status(stele_shards_open(test_path("no/root"), NULL, &shards), STELE_NOT_FOUND);
    int descriptor = open(test_path("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    expect_status(stele_shards_open(test_path("file"), NULL, &shards), STELE_MISUSE);

    expect_fine(stele_shards_open(test_path("root/"), NULL, &shards));
    ck_assert_str_eq(stele_shards_root(shards), test_path("root"));
    stele_shards_close(shards);
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    stele_shards_close(shards);
    ck_assert_int_eq(symlink(test_path("root"), test_path("link")), 0);
    expect_fine(stele_shards_open(test_path("link"), &options, &shards));
    ck_assert_str_eq(stele_shards_root(shards), test_path("root"));
    stele_shards_close(shards);

    size_t size = (size_t)snprintf(path, sizeof(path), "%s/", test_path("root"));
    while (size < STELE_SHARDS_ROOT_MAX - 1) {
        path[size++] = 'x';
        path[size] = '\0';
    }
    path[size] = 'y';
    path[size + 1] = '\0';
    expect_fine(stele_shards_open(path, NULL, &shards));
    ck_assert_uint_eq(strlen(stele_shards_root(shards)), STELE_SHARDS_ROOT_MAX);
    char longest[STELE_SHARD_NAME_MAX + 1];
    memset(longest, 'n', STELE_SHARD_NAME_MAX);
    longest[STELE_SHARD_NAME_MAX] = '\0';
    stele_shard *shard = acquire(shards, longest, longest);
    expect_fine(append_data(stele_shard_store(shard), "deep down"));
    stele_shard_release(shard);
    stele_shards_close(shards);
    path[size + 1] = 'z';
    path[size + 2] = '\0';
    expect_status(stele_shards_open(path, NULL, &shards), STELE_TOO_LARGE);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_status(stele_shards_open(path, NULL, &shards), STELE_TOO_LARGE);
    /* So long that the system doesn't look for it either. */
    char endless[6000];
    memset(endless, 'x', sizeof(endless) - 1);
    endless[0] = '/';
    endless[sizeof(endless) - 1] = '\0';
    expect_status(stele_shards_open(endless, NULL, &shards), STELE_TOO_LARGE);
    ck_assert_ptr_null(shards);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards_refused");
    TCase *refused = tcase_create("refused");
    tcase_add_checked_fixture(refused, set_up, tear_down);
    tcase_add_test(refused, wrong_arguments_are_refused);
    tcase_add_test(refused, wrong_options_are_refused_at_opening);
    tcase_add_test(refused, roots_are_made_followed_and_refused);
    suite_add_tcase(suite, refused);
    return run_suite(suite);
}

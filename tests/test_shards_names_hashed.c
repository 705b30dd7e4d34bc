/* Names that are hashed for their length: those of one hash are told apart by files beside them. */
#include "shard_marks.h"
#include "shard_resources.h"

#include "shard/shard.h"

#include <unistd.h>

START_TEST(names_of_one_hash_get_files_of_their_own)
{
    char names[4][STELE_SHARD_NAME_MAX + 1];
    void (*hash)(const char *name, uint64_t hashes_out[2]) = stele__hash_shard_name;
    stele__hash_shard_name = hash_alike;
    stele_shards *shards = open_root(2);
    for (int i = 0; i < 4; i++)
        make_long(names[i], (char)('a' + i));
    for (int i = 0; i < 4; i++) {
        mark_shard(shards, names[i], names[3 - i]);
        mark_shard(shards, names[i], names[i]);
        mark_shard(shards, names[i], "short");
    }
    stele_shards_close(shards);

    shards = open_root(0);
    for (int i = 3; i >= 0; i--) {
        expect_mark(shards, names[i], names[3 - i], 1);
        expect_mark(shards, names[i], names[i], 1);
        expect_mark(shards, names[i], "short", 1);
    }
    ck_assert_uint_eq(describe(shards).created, 0);
    stele_shards_close(shards);
    stele__hash_shard_name = hash;
}
END_TEST

/* The store is gone, its name stays: so the next one is still found behind it. */
START_TEST(a_name_behind_one_whose_store_is_gone_is_found)
{
    char names[2][STELE_SHARD_NAME_MAX + 1];
    char path[512];
    void (*hash)(const char *name, uint64_t hashes_out[2]) = stele__hash_shard_name;
    stele__hash_shard_name = hash_alike;
    stele_shards *shards = open_root(0);
    make_long(names[0], 'a');
    make_long(names[1], 'b');
    mark_shard(shards, "acme", names[0]);
    mark_shard(shards, "acme", names[1]);
    stele_shards_close(shards);
    shards = open_root(0);
    expect_fine(stele_shards_path(shards, "acme", names[0], path, sizeof(path)));
    ck_assert_int_eq(unlink(path), 0);

    expect_mark(shards, "acme", names[1], 1);
    expect_mark(shards, "acme", names[0], 0);
    stele_shards_close(shards);
    stele__hash_shard_name = hash;
}
END_TEST

START_TEST(who_only_reads_writes_no_name_that_is_gone)
{
    char name[STELE_SHARD_NAME_MAX + 1], path[512], sidecar[600];
    stele_options store = STELE_OPTIONS_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_shards *shards = open_root(0);
    make_long(name, 'a');
    mark_shard(shards, name, "main");
    expect_fine(stele_shards_path(shards, name, "main", path, sizeof(path)));
    snprintf(sidecar, sizeof(sidecar), "%.*s/.name", (int)(strrchr(path, '/') - path), path);
    stele_shards_close(shards);
    ck_assert_int_eq(unlink(sidecar), 0);

    store.read_only = true;
    options.store = &store;
    expect_fine(stele_shards_open(test_path("root"), &options, &shards));
    stele_shard_release(acquire(shards, name, "main"));
    ck_assert_int_ne(access(sidecar, F_OK), 0);
    stele_shards_close(shards);

    shards = open_root(0);
    stele_shard_release(acquire(shards, name, "main"));
    ck_assert_int_eq(access(sidecar, F_OK), 0);
    stele_shards_close(shards);
}
END_TEST

START_TEST(a_name_beside_that_is_damaged_is_found_out)
{
    char name[STELE_SHARD_NAME_MAX + 1], path[512], sidecar[600];
    stele_shards *shards = open_root(0);
    stele_shard *shard = NULL;
    make_long(name, 'a');
    mark_shard(shards, "acme", name);
    expect_fine(stele_shards_path(shards, "acme", name, path, sizeof(path)));
    snprintf(sidecar, sizeof(sidecar), "%.*s.name", (int)strlen(path) - 3, path);
    FILE *file = fopen(sidecar, "r+");
    ck_assert_ptr_nonnull(file);
    fseek(file, 100, SEEK_SET);
    fputc('x', file);
    fclose(file);
    stele_shards_close(shards);

    shards = open_root(0);
    expect_status(stele_shards_acquire(shards, "acme", name, NULL, &shard), STELE_CORRUPT);
    stele_shards_close(shards);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards_names_hashed");
    TCase *hashed = tcase_create("hashed");
    tcase_set_timeout(hashed, 60);
    tcase_add_checked_fixture(hashed, set_up, tear_down);
    tcase_add_test(hashed, names_of_one_hash_get_files_of_their_own);
    tcase_add_test(hashed, a_name_behind_one_whose_store_is_gone_is_found);
    tcase_add_test(hashed, who_only_reads_writes_no_name_that_is_gone);
    tcase_add_test(hashed, a_name_beside_that_is_damaged_is_found_out);
    suite_add_tcase(suite, hashed);
    return run_suite(suite);
}

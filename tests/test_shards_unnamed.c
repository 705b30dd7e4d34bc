/* Names of which an empty file is all there is: where a file can't have two names, it is so for a
 * moment, and after a cut. */
#include "shard_marks.h"
#include "shard_resources.h"

#include "shard/shard.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static void empty_file(const char *path)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
}

/* `path` is that of the shard. */
static void path_of_name(const char *path, bool organisation, char out[600])
{
    if (organisation)
        snprintf(out, 600, "%.*s/.name", (int)(strrchr(path, '/') - path), path);
    else
        snprintf(out, 600, "%.*s.name", (int)strlen(path) - 3, path);
}

/* Two names of which neither has a shard, and the empty file of the first one's. */
static void begin_of_names(stele_shards *shards, char names[2][STELE_SHARD_NAME_MAX + 1],
                           bool organisation, char sidecar[600])
{
    char path[512];
    make_long(names[0], 'a');
    make_long(names[1], 'b');
    const char *of = organisation ? names[0] : "acme";
    expect_fine(stele_shards_path(shards, of, organisation ? "main" : names[0], path, 512));
    path_of_name(path, organisation, sidecar);
    if (!organisation)
        stele_shard_release(acquire(shards, "acme", "main"));
    *strrchr(path, '/') = '\0';
    ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
    empty_file(sidecar);
}

static void expect_name(const char *sidecar, const char *name)
{
    char found[STELE_SHARD_NAME_MAX + 1];
    expect_status(stele__shard_name_read(sidecar, found), STELE_OK);
    ck_assert_str_eq(found, name);
}

START_TEST(an_empty_name_is_none_yet)
{
    char names[2][STELE_SHARD_NAME_MAX + 1];
    char sidecar[600];
    char found[STELE_SHARD_NAME_MAX + 1];
    void (*hash)(const char *name, uint64_t hashes_out[2]) = stele__hash_shard_name;
    stele_shard *shard = NULL;
    stele__hash_shard_name = hash_alike;
    stele_shards *shards = open_root(0);
    begin_of_names(shards, names, false, sidecar);

    expect_status(stele__shard_name_read(sidecar, found), STELE_DONE);
    expect_status(try_acquire(shards, "acme", names[0], &shard), STELE_NOT_FOUND);
    mark_shard(shards, "acme", names[1]);
    mark_shard(shards, "acme", names[0]);

    expect_name(sidecar, names[1]);
    expect_mark(shards, "acme", names[0], 1);
    expect_mark(shards, "acme", names[1], 1);
    stele_shards_close(shards);
    stele__hash_shard_name = hash;
}
END_TEST

START_TEST(an_empty_name_of_an_organisation_is_none_yet)
{
    char names[2][STELE_SHARD_NAME_MAX + 1];
    char sidecar[600];
    void (*hash)(const char *name, uint64_t hashes_out[2]) = stele__hash_shard_name;
    stele_shard *shard = NULL;
    stele__hash_shard_name = hash_alike;
    stele_shards *shards = open_root(0);
    begin_of_names(shards, names, true, sidecar);

    expect_status(try_acquire(shards, names[0], "main", &shard), STELE_NOT_FOUND);
    expect_fine(stele_shards_resume(shards, NULL, NULL));
    mark_shard(shards, names[1], "main");
    mark_shard(shards, names[0], "main");

    expect_name(sidecar, names[1]);
    expect_mark(shards, names[0], "main", 1);
    expect_mark(shards, names[1], "main", 1);
    stele_shards_close(shards);
    stele__hash_shard_name = hash;
}
END_TEST

/* Whoever is in the folder may just be putting it there. */
START_TEST(an_empty_name_is_replaced_by_who_is_alone_in_the_folder)
{
    for (int organisation = 0; organisation < 2; organisation++) {
        char names[2][STELE_SHARD_NAME_MAX + 1];
        char sidecar[600], folder[600];
        stele__folder_lock lock = { -1 };
        stele__patience patience;
        stele_wait wait = STELE_WAIT_INIT;
        stele_acquire how = STELE_ACQUIRE_INIT;
        stele_shard *shard = NULL;
        stele_shards *shards = open_root(0);
        begin_of_names(shards, names, organisation, sidecar);
        const char *of = organisation ? names[0] : "acme";
        const char *name = organisation ? "main" : names[0];
        snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(sidecar, '/') - sidecar), sidecar);
        expect_fine(stele__patience_begin(&patience, NULL, 20, NULL));
        expect_fine(stele__folder_lock_take(folder, false, &patience, &lock));
        wait.timeout_ms = 20;
        how.wait = &wait;

        expect_status(stele_shards_acquire(shards, of, name, &how, &shard), STELE_BUSY);
        stele__folder_lock_drop(&lock);
        stele_shard_release(acquire(shards, of, name));

        expect_name(sidecar, names[0]);
        stele_shards_close(shards);
    }
}
END_TEST

/* Without its name, a store is still the one that says so. */
START_TEST(a_store_whose_name_is_empty_is_found)
{
    char name[STELE_SHARD_NAME_MAX + 1], path[512], sidecar[600];
    stele_shards *shards = open_root(0);
    make_long(name, 'a');
    mark_shard(shards, "acme", name);
    expect_fine(stele_shards_path(shards, "acme", name, path, sizeof(path)));
    path_of_name(path, false, sidecar);
    stele_shards_close(shards);
    empty_file(sidecar);

    shards = open_root(0);
    expect_mark(shards, "acme", name, 1);
    stele_shards_close(shards);
}
END_TEST

/* What a cut left where a backup comes back to. */
START_TEST(an_empty_file_does_not_keep_a_backup_out)
{
    char path[600], name[STELE_SHARD_NAME_MAX + 1], place[512], sidecar[600];
    stele_backup backup = STELE_BACKUP_INIT;
    stele_recover recover = STELE_RECOVER_INIT;
    int same = 0, other = 0;
    stele_shards *shards = open_root(0);
    snprintf(path, sizeof(path), "%s", test_path("backup.db"));
    backup.path = path;
    recover.backup = path;
    make_long(name, 'a');
    mark_shard(shards, "acme", "main");
    expect_fine(stele_shards_backup(shards, "acme", "main", &backup, NULL));
    expect_fine(stele_shards_path(shards, "acme", name, place, sizeof(place)));
    path_of_name(place, false, sidecar);
    empty_file(place);
    empty_file(sidecar);

    expect_fine(stele_shards_recover(shards, "acme", name, &recover, NULL));

    stele_shard *shard = acquire(shards, "acme", name);
    count_data(stele_shard_store(shard), "4 acmemain", &same, &other); /* its mark, of before */
    ck_assert_int_eq(same, 1);
    expect_name(sidecar, name);
    stele_shard_release(shard);
    stele_shards_close(shards);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards_unnamed");
    TCase *unnamed = tcase_create("unnamed");
    tcase_set_timeout(unnamed, 60);
    tcase_add_checked_fixture(unnamed, set_up, tear_down);
    tcase_add_test(unnamed, an_empty_name_is_none_yet);
    tcase_add_test(unnamed, an_empty_name_of_an_organisation_is_none_yet);
    tcase_add_test(unnamed, an_empty_name_is_replaced_by_who_is_alone_in_the_folder);
    tcase_add_test(unnamed, a_store_whose_name_is_empty_is_found);
    tcase_add_test(unnamed, an_empty_file_does_not_keep_a_backup_out);
    suite_add_tcase(suite, unnamed);
    return run_suite(suite);
}

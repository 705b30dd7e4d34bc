/* A store belongs on a filesystem of its own host. */
#include "contract.h"

#include "base/platform.h"

#define EXT4 0xef53u
#define NFS  0x6969u

static uint64_t (*asked_before)(const char *path);
static uint64_t answer;
static bool file_is_missing;
static char asked[4096];
static int asked_count;

static uint64_t answer_for_system(const char *path)
{
    asked_count++;
    snprintf(asked, sizeof(asked), "%s", path);
    return file_is_missing && asked_count == 1 ? 0 : answer;
}

static void answer_with(uint64_t magic)
{
    answer = magic;
    asked_count = 0;
    stele__ask_filesystem = answer_for_system;
}

static void take_the_question(void)
{
    asked_before = stele__ask_filesystem;
    file_is_missing = false;
}

static void give_it_back(void)
{
    stele__ask_filesystem = asked_before;
}

static const struct {
    uint64_t magic;
    const char *name;
} known[] = {
    { NFS, "NFS" },         { 0x517b, "SMB" },        { 0xfe534d42, "SMB" },
    { 0xff534d42, "CIFS" }, { 0x01021997, "9P" },     { 0x65735546, "FUSE" },
    { 0x00c36400, "Ceph" }, { 0x5346414f, "AFS" },    { 0x0bd00bd0, "Lustre" },
    { 0x47504653, "GPFS" }, { 0x786f4256, "vboxsf" },
};

/* ext4, tmpfs, overlay, xfs, btrfs, zfs, f2fs, squashfs, bcachefs; and what nobody has. */
static const uint64_t local[] = { EXT4,       0x01021994, 0x794c7630, 0x58465342,
                                  0x9123683e, 0x2fc12fc1, 0xf2f52010, 0x73717368,
                                  0xca451a4e, 0,          1,          UINT64_MAX };

START_TEST(filesystems_are_known_by_their_number)
{
    for (size_t i = 0; i < COUNT_OF(known); i++)
        ck_assert_str_eq(stele__filesystem_name(known[i].magic), known[i].name);
    for (size_t i = 0; i < COUNT_OF(local); i++)
        ck_assert_ptr_null(stele__filesystem_name(local[i]));
}
END_TEST

START_TEST(store_on_a_network_is_refused_by_name_and_nothing_made)
{
    answer_with(known[_i].magic);

    refuse_path(store_path(), NULL, STELE_UNSUPPORTED);

    char named[32];
    snprintf(named, sizeof(named), "lies on %s:", known[_i].name);
    assert_reason_has(named);
    assert_reason_has(store_path());
    ck_assert(!file_exists(store_path()));
    ck_assert_str_eq(asked, store_path());
    assert_status(stele_store_migrate(store_path(), NULL), STELE_UNSUPPORTED);
    ck_assert(!file_exists(store_path()));
}
END_TEST

START_TEST(existing_store_on_a_network_stays_as_it_is)
{
    open_in_file();
    fill_stream("a-1", 1);
    close_store();
    file_copy before = load_file(store_path());
    answer_with(NFS);
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;

    refuse_path(store_path(), NULL, STELE_UNSUPPORTED);
    refuse_path(store_path(), &options, STELE_UNSUPPORTED);

    expect_unchanged(store_path(), before);
    /* Nobody writes, so there is nothing to go wrong. */
    options.immutable = true;
    store = open_path(store_path(), &options);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(store_on_a_network_opens_when_asked_for_by_name)
{
    answer_with(NFS);
    stele_options options = STELE_OPTIONS_INIT;
    options.network_filesystem = true;

    store = open_path(store_path(), &options);

    fill_stream("a-1", 1);
}
END_TEST

START_TEST(folder_answers_for_a_file_that_is_not_there_yet)
{
    file_is_missing = true;
    answer_with(NFS);

    ck_assert_str_eq(stele__network_filesystem("/some/folder/store.db"), "NFS");

    ck_assert_int_eq(asked_count, 2);
    ck_assert_str_eq(asked, "/some/folder");
    answer_with(NFS);
    ck_assert_str_eq(stele__network_filesystem("/store.db"), "NFS");
    ck_assert_str_eq(asked, "/");
}
END_TEST

START_TEST(no_answer_refuses_nothing)
{
    answer_with(0);
    open_in_file();
    fill_stream("a-1", 1);
}
END_TEST

START_TEST(store_in_memory_asks_nobody)
{
    answer_with(NFS);
    open_in_memory();
    ck_assert_int_eq(asked_count, 0);
}
END_TEST

START_TEST(system_answers_for_the_folder_of_the_tests)
{
    ck_assert_uint_ne(stele__ask_filesystem(test_folder()), 0);
    ck_assert_uint_eq(stele__ask_filesystem(test_path("no/such/file")), 0);
    ck_assert_ptr_null(stele__network_filesystem(store_path()));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filesystem");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_checked_fixture(tests, take_the_question, give_it_back);
    tcase_add_test(tests, filesystems_are_known_by_their_number);
    tcase_add_loop_test(tests, store_on_a_network_is_refused_by_name_and_nothing_made, 0,
                        (int)COUNT_OF(known));
    tcase_add_test(tests, existing_store_on_a_network_stays_as_it_is);
    tcase_add_test(tests, store_on_a_network_opens_when_asked_for_by_name);
    tcase_add_test(tests, folder_answers_for_a_file_that_is_not_there_yet);
    tcase_add_test(tests, no_answer_refuses_nothing);
    tcase_add_test(tests, store_in_memory_asks_nobody);
    tcase_add_test(tests, system_answers_for_the_folder_of_the_tests);
    return run_suite(suite);
}

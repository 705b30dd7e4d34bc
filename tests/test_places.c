/* What may stand where a store should, and what its files and folder may be allowed to. */
#define _DEFAULT_SOURCE /* chroot, mknod */

#include "contract.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void make_file(void)
{
    open_in_file();
    fill_stream("a-1", 3);
    close_store();
}

/* Refused, with these words, whether to write or to read. */
static void expect_refused(const char *path, const char *named)
{
    for (int reading = 0; reading < 2; reading++) {
        stele_options options = STELE_OPTIONS_INIT;
        options.read_only = reading;
        refuse_path(path, &options, STELE_MISUSE);
        assert_reason_has(named);
    }
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
    close(descriptor);
}

/* --- Something else at its path --- */

START_TEST(what_is_no_regular_file_is_misuse)
{
    const char *path = store_path();

    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refused(path, "not a regular file");
    ck_assert_int_eq(rmdir(path), 0);

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refused(path, "not a regular file");
    ck_assert_int_eq(unlink(path), 0);

    make_socket(path);
    expect_refused(path, "not a regular file");
    ck_assert_int_eq(unlink(path), 0);

    expect_refused("/dev/null", "not a regular file");
    expect_refused("/dev/zero", "not a regular file");
}
END_TEST

START_TEST(link_is_misuse_wherever_it_leads)
{
    make_file();
    file_copy before = load_file(store_path());
    const char *const targets[] = { store_path(),  test_path("nowhere"), test_path("link.db"),
                                    test_folder(), "/dev/null",          "" };
    for (size_t i = 0; i + 1 < COUNT_OF(targets); i++) {
        ck_assert_int_eq(symlink(targets[i], test_path("link.db")), 0);
        expect_refused(test_path("link.db"), "is a link");
        ck_assert_int_eq(unlink(test_path("link.db")), 0);
    }
    ck_assert(!file_exists(test_path("nowhere")));
    expect_unchanged(store_path(), before);
}
END_TEST

START_TEST(folder_on_the_way_may_be_a_link)
{
    make_file();
    ck_assert_int_eq(symlink(test_folder(), test_path("way")), 0);
    char path[4200];
    snprintf(path, sizeof(path), "%s/store.db", test_path("way"));

    store = open_path(path, NULL);

    ck_assert_int_eq(head_of(store), 3);
}
END_TEST

START_TEST(folder_on_the_way_that_leads_nowhere_is_not_found)
{
    ck_assert_int_eq(symlink(test_path("nowhere"), test_path("way")), 0);
    char path[4200];
    snprintf(path, sizeof(path), "%s/store.db", test_path("way"));
    refuse_path(path, NULL, STELE_NOT_FOUND);

    ck_assert_int_eq(unlink(test_path("way")), 0);
    ck_assert_int_eq(symlink(test_path("way"), test_path("way")), 0);
    refuse_path(path, NULL, STELE_IO);
}
END_TEST

/* SQLite follows no link there either, but waits for ever at a pipe. */
START_TEST(files_beside_the_store_are_regular_or_missing)
{
    static const char *const beside[] = { "store.db-wal", "store.db-shm", "store.db-journal" };
    const char *name = beside[_i % (int)COUNT_OF(beside)];
    if (_i < (int)COUNT_OF(beside))
        make_file();
    save_file(test_path("victim"), "precious", 8);
    file_copy victim = load_file(test_path("victim"));

    ck_assert_int_eq(symlink(test_path("victim"), test_path(name)), 0);
    expect_refused(store_path(), name);
    ck_assert_int_eq(unlink(test_path(name)), 0);
    ck_assert_int_eq(mkfifo(test_path(name), 0600), 0);
    expect_refused(store_path(), name);
    ck_assert_int_eq(unlink(test_path(name)), 0);

    expect_unchanged(test_path("victim"), victim);
    ck_assert_int_eq(file_exists(store_path()), _i < (int)COUNT_OF(beside));
    open_in_file();
    fill_stream("a-1", 1);
}
END_TEST

/* --- What it may be allowed to --- */

enum { NOBODY = 65534, CAN_NOT_TRY = 77 };

/* How another user fares with a file and folder of these modes: to write, to read, and to read
 * with `immutable`. */
static const struct place {
    mode_t folder, file;
    gid_t group;
    const char *name;
    struct {
        stele_status status;
        const char *named;
    } expected[3];
} places[] = {
    { 0777, 0666, 0, "store.db", { { STELE_OK, "" }, { STELE_OK, "" }, { STELE_OK, "" } } },
    { 0777, 0660, NOBODY, "store.db", { { STELE_OK, "" }, { STELE_OK, "" }, { STELE_OK, "" } } },
    { 0777,
      0444,
      0,
      "store.db",
      { { STELE_READ_ONLY, "may not be written" }, { STELE_OK, "" }, { STELE_OK, "" } } },
    { 0777,
      0000,
      0,
      "store.db",
      { { STELE_IO, "can't open" }, { STELE_IO, "can't open" }, { STELE_IO, "can't open" } } },
    { 0777,
      0222,
      0,
      "store.db",
      { { STELE_IO, "can't open" }, { STELE_IO, "can't open" }, { STELE_IO, "can't open" } } },
    { 0555,
      0666,
      0,
      "store.db",
      { { STELE_READ_ONLY, "readonly" }, { STELE_UNSUPPORTED, "immutable" }, { STELE_OK, "" } } },
    { 0555,
      0444,
      0,
      "store.db",
      { { STELE_READ_ONLY, "may not be written" },
        { STELE_UNSUPPORTED, "immutable" },
        { STELE_OK, "" } } },
    { 0111,
      0666,
      0,
      "store.db",
      { { STELE_READ_ONLY, "readonly" }, { STELE_UNSUPPORTED, "immutable" }, { STELE_OK, "" } } },
    { 0000,
      0666,
      0,
      "store.db",
      { { STELE_IO, "denied" }, { STELE_IO, "denied" }, { STELE_IO, "denied" } } },
    { 0555,
      0666,
      0,
      "new.db",
      { { STELE_READ_ONLY, "folder" }, { STELE_NOT_FOUND, "" }, { STELE_NOT_FOUND, "" } } },
};

typedef struct visit {
    const struct place *place;
    int way;
} visit;

/* Root is denied nothing, so it becomes somebody else first; chroot, since the folders above are
 * closed to others. */
static int visit_as_stranger(void *context)
{
    const visit *self = context;
    char path[4200];
    snprintf(path, sizeof(path), "%s/inner/%s", geteuid() == 0 ? "" : test_folder(),
             self->place->name);
    if (geteuid() == 0
        && (chroot(test_folder()) != 0 || chdir("/") != 0 || setgroups(0, NULL) != 0
            || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return CAN_NOT_TRY;

    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = self->way > 0;
    options.immutable = self->way > 1;
    stele_store *opened = NULL;
    stele_status status = stele_store_open(path, &options, &opened);
    int64_t head = 0;
    if (status == STELE_OK)
        status = stele_store_head(opened, &head);
    if (status == STELE_OK && self->way == 0)
        status = append_to(opened, "b-1", STELE_ANY, "opened", NULL);
    stele_store_close(opened);

    if (status == self->place->expected[self->way].status
        && (status == STELE_OK
                ? head == 3
                : strstr(stele_error_text(), self->place->expected[self->way].named) != NULL))
        return 0;
    fprintf(stderr, "modes %o and %o, way %d: %s: %s\n", (unsigned)self->place->folder,
            (unsigned)self->place->file, self->way, stele_status_name(status),
            status < 0 ? stele_error_text() : "");
    return 1;
}

START_TEST(each_place_has_its_answer_and_what_is_refused_stays)
{
    const struct place *place = &places[_i / 3];
    visit stranger = { place, _i % 3 };
    make_file();
    ck_assert_int_eq(chmod(test_folder(), 0755), 0);
    ck_assert_int_eq(mkdir(test_path("inner"), 0700), 0);
    char path[4200];
    snprintf(path, sizeof(path), "%s/store.db", test_path("inner"));
    copy_file(store_path(), path);
    file_copy before = load_file(path);
    if (geteuid() == 0)
        ck_assert_int_eq(chown(path, 0, place->group), 0);
    ck_assert_int_eq(chmod(path, place->file), 0);
    ck_assert_int_eq(chmod(test_path("inner"), place->folder), 0);

    int result = run_in_child(visit_as_stranger, &stranger);

    ck_assert_int_eq(chmod(test_path("inner"), 0700), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
    if (result == CAN_NOT_TRY) {
        free(before.data);
        skip_test("this process can't become another user");
    }
    ck_assert_int_eq(result, 0);
    if (place->expected[stranger.way].status == STELE_OK && stranger.way == 0)
        free(before.data);
    else
        expect_unchanged(path, before);
}
END_TEST

/* -wal and -shm are made as open as the file is, and not more. */
START_TEST(files_beside_have_the_modes_of_the_file)
{
    static const mode_t modes[] = { 0600, 0640, 0660 };
    struct stat facts;
    make_file();
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        ck_assert_int_eq(chmod(store_path(), modes[i]), 0);
        mode_t mask = umask(0);
        open_in_file();
        fill_stream("a-1", 1);
        umask(mask);
        ck_assert_int_eq(stat(test_path("store.db-wal"), &facts), 0);
        ck_assert_int_eq(facts.st_mode & 0777, modes[i]);
        ck_assert_int_eq(stat(test_path("store.db-shm"), &facts), 0);
        ck_assert_int_eq(facts.st_mode & 0777, modes[i]);
        close_store();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("places");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_test(tests, what_is_no_regular_file_is_misuse);
    tcase_add_test(tests, link_is_misuse_wherever_it_leads);
    tcase_add_test(tests, folder_on_the_way_may_be_a_link);
    tcase_add_test(tests, folder_on_the_way_that_leads_nowhere_is_not_found);
    tcase_add_loop_test(tests, files_beside_the_store_are_regular_or_missing, 0, 6);
    tcase_add_loop_test(tests, each_place_has_its_answer_and_what_is_refused_stays, 0,
                        3 * (int)COUNT_OF(places));
    tcase_add_test(tests, files_beside_have_the_modes_of_the_file);
    return run_suite(suite);
}

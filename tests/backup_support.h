/**
 * @file tests/backup_support.h
 * What the tests of backups share: making one, looking at it, and recovering it.
 */
#ifndef STELE_TESTS_BACKUP_SUPPORT_H
#define STELE_TESTS_BACKUP_SUPPORT_H

#include "contract.h"

#include <stele/backup.h>
#include <stele/verify.h>

static inline const char *backup_path(void)
{
    return test_path("backup.stele");
}

static inline const char *new_path(void)
{
    return test_path("new.stele");
}

static inline stele_status try_backup(const char *path, stele_backed_up *out)
{
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = path;
    return stele_store_backup(store, &backup, out);
}

static inline stele_backed_up back_up_to(const char *path)
{
    stele_backed_up made;
    memset(&made, 0xAA, sizeof(made));
    assert_status(try_backup(path, &made), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(made.reserved); i++)
        ck_assert_uint_eq(made.reserved[i], 0);
    return made;
}

static inline stele_status try_recover(const char *from, const char *to, stele_recovered *out)
{
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = from;
    recover.path = to;
    return stele_recover_backup(&recover, out);
}

static inline stele_recovered recover_to(const char *from, const char *to)
{
    stele_recovered made;
    memset(&made, 0xAA, sizeof(made));
    assert_status(try_recover(from, to, &made), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(made.reserved); i++)
        ck_assert_uint_eq(made.reserved[i], 0);
    return made;
}

static inline stele_options looking_only(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    options.immutable = true;
    return options;
}

/* How many checks of `target` fail; the first by name in `first`. */
static inline int count_failed_checks(stele_store *target, char first[64])
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    int failed = 0;
    first[0] = '\0';
    assert_status(stele_verify_open(target, NULL, &verify), STELE_OK);
    stele_status status;
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        if (check->failures > 0 && failed++ == 0)
            snprintf(first, 64, "%s", check->name);
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
    return failed;
}

/* The file is complete by itself, opens for reading, and passes each check. Returns its head. */
static inline int64_t expect_whole_file(const char *path)
{
    char beside[4300];
    char first[64];
    static const char *const suffixes[] = { "-wal",        "-shm",         "-journal",
                                            "-partial",    "-partial-wal", "-partial-journal",
                                            "-partial-shm" };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        snprintf(beside, sizeof(beside), "%s%s", path, suffixes[i]);
        ck_assert_msg(!file_exists(beside), "'%s' is there", beside);
    }
    stele_options options = looking_only();
    stele_store *opened = open_path(path, &options);
    int64_t head = head_of(opened);
    int failed = count_failed_checks(opened, first);
    ck_assert_msg(failed == 0, "'%s': the check '%s' fails", path, first);
    stele_store_close(opened);
    return head;
}

/* Neither the file nor anything that was to become it. */
static inline void expect_nothing_at(const char *path)
{
    char partial[4300];
    static const char *const suffixes[] = { "", "-partial", "-partial-wal", "-partial-journal",
                                            "-partial-shm" };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        snprintf(partial, sizeof(partial), "%s%s", path, suffixes[i]);
        ck_assert_msg(!file_exists(partial), "'%s' is there", partial);
    }
}

static inline void digest_of(stele_store *target, char digest[17])
{
    assert_status(stele_store_digest(target, digest), STELE_OK);
}

/* Many pages, in few commits. */
static inline void fill_pages(const char *stream, int count)
{
    enum { SIZE = 3000 };
    char *data = malloc(SIZE);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', SIZE);
    data[0] = data[SIZE - 1] = '"';
    stele_event events[100];
    for (int done = 0; done < count; done += 100) {
        for (size_t i = 0; i < COUNT_OF(events); i++) {
            events[i] = make_event("filled", "");
            events[i].data = data;
            events[i].data_size = SIZE;
        }
        stele_append append = make_append(stream, STELE_ANY, events, COUNT_OF(events));
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
    free(data);
}

#endif

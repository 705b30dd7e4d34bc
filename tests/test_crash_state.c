/*
 * Power cuts while entries are put and deleted: whatever is left is a state that there was between
 * two commits, nothing acknowledged is undone, and no revision is given to another value.
 *
 * The oracle of the harness knows nothing of entries, so these images have a judge of their own.
 */
#include "crash/cutting.h"
#include "support.h"

#include <stele/state.h>
#include <stele/verify.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENTRIES = 4, CHANGES_MAX = 1000, MOVES = 60, BOOT = 2000 };

static const char *const entry_keys[ENTRIES] = { "k-1", "k-2", "k-3", "k-4" };

/* What a commit left behind. */
typedef struct change {
    size_t acked_at;
    bool there[ENTRIES];
    int64_t revisions[ENTRIES];
    size_t writes; /* ids that are known: each change but the first has one */
} change;

static struct {
    change changes[CHANGES_MAX]; /* the first: nothing */
    size_t count;
} done;

/* --- The work --- */

static int make_value(char value[600], size_t entry, int64_t revision)
{
    int size = snprintf(value, 600, "%s at %" PRId64 " ", entry_keys[entry], revision);
    for (int64_t i = 0; i < revision * 37 % 500; i++)
        value[size++] = (char)('a' + (revision + i) % 26);
    value[size] = '\0';
    return size;
}

/* The name of the write that made change number `number`. */
static void name_write(char name[32], size_t number)
{
    snprintf(name, 32, "w-%zu", number);
}

static void change_entry(stele_store *store, size_t entry, bool deletes)
{
    char value[600];
    char name[32];
    change *last = &done.changes[done.count - 1];
    int64_t revision = last->revisions[entry] + 1;
    stele_written written;
    stele_status status;
    name_write(name, done.count);
    if (deletes) {
        stele_remove what = STELE_REMOVE_INIT;
        what.scope = "scope";
        what.key = entry_keys[entry];
        what.expected_revision = revision - 1;
        what.write_id = name;
        status = stele_state_delete(store, &what, &written);
    } else {
        stele_put put = STELE_PUT_INIT;
        put.scope = "scope";
        put.key = entry_keys[entry];
        put.data = value;
        put.data_size = (size_t)make_value(value, entry, revision);
        put.write_id = name;
        status = stele_state_put(store, &put, &written);
    }
    if (status != STELE_OK || written.revision != revision)
        ck_abort_msg("writing: %s", stele_error_text());
    ck_assert_uint_lt(done.count, CHANGES_MAX);
    change *next = &done.changes[done.count++];
    *next = *last;
    next->acked_at = recorder_now();
    next->there[entry] = !deletes;
    next->revisions[entry] = revision;
    next->writes = done.count - 1;
}

static void put_and_delete(crash_run *run)
{
    memset(&done, 0, sizeof(done));
    done.count = 1;
    stele_store *store = crash_open(run);
    for (int i = 0; i < MOVES; i++) {
        size_t entry = (size_t)random_below(&run->random, ENTRIES);
        change_entry(store, entry,
                     done.changes[done.count - 1].there[entry]
                         && random_chance(&run->random, 1, 4));
    }
    crash_close(run, store);
}

static const crash_workload entries = { .name = "state", .work = put_and_delete, .cuts = 300 };

static const crash_workload unsynced = {
    .name = "state-control-wal-sync-ignored",
    .work = put_and_delete,
    .faults = { .wal_sync_ignored = true },
    .cuts = 100,
};

/* --- What is left --- */

static bool entry_is(stele_store *store, size_t entry, bool there, int64_t revision)
{
    char value[600];
    const stele_entry *found = NULL;
    if (stele_state_get(store, "scope", entry_keys[entry], &found) != STELE_OK)
        return false;
    int size = make_value(value, entry, revision);
    bool right = found->found == there && found->revision == revision;
    if (there && right)
        right = found->data_size == (size_t)size && memcmp(found->data, value, (size_t)size) == 0;
    stele_entry_close(found);
    return right;
}

static bool write_is_known(stele_store *store, size_t number)
{
    char name[32];
    stele_write write;
    name_write(name, number);
    return stele_state_write(store, "scope", name, &write) == STELE_OK && write.found;
}

static bool state_is(stele_store *store, const change *expected)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (!entry_is(store, i, expected->there[i], expected->revisions[i]))
            return false;
    return (expected->writes == 0 || write_is_known(store, expected->writes))
           && !write_is_known(store, expected->writes + 1);
}

static void expect_whole(stele_store *store, const char *where)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s: %s", where, check->name, check->offender);
    ck_assert_msg(status == STELE_DONE, "%s: verify: %s", where, stele_error_text());
    stele_verify_close(verify);
}

/* Each goes on with the revision behind its last one, never with one that was given before. */
static void go_on(stele_store *store, const change *found, const char *where)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        stele_written written = { 0 };
        stele_put put = STELE_PUT_INIT;
        put.scope = "scope";
        put.key = entry_keys[i];
        stele_status status = stele_state_put(store, &put, &written);
        ck_assert_msg(status == STELE_OK && written.revision == found->revisions[i] + 1,
                      "%s: '%s' goes on at revision %" PRId64, where, entry_keys[i],
                      written.revision);
    }
    expect_whole(store, where);
}

/* The last change that there is, from the newest that can be; -1 for none. */
static int64_t find_state(stele_store *store, size_t newest)
{
    for (size_t i = newest + 1; i > 0; i--)
        if (state_is(store, &done.changes[i - 1]))
            return (int64_t)i - 1;
    return -1;
}

static void judge_image(const crash_workload *workload, const char *path, size_t cut,
                        const char *where)
{
    (void)workload;
    size_t acked = 0;
    while (acked + 1 < done.count && done.changes[acked + 1].acked_at <= cut)
        acked++;
    size_t newest = acked + 1 < done.count ? acked + 1 : acked;
    stele_store *store = NULL;
    recorder_set_boot(BOOT);
    stele_status status = stele_store_open(path, NULL, &store);
    ck_assert_msg(status == STELE_OK, "%s: opening: %s", where, stele_error_text());
    int64_t found = find_state(store, newest);
    ck_assert_msg(found >= 0, "%s: this state there never was", where);
    if (found < (int64_t)acked && acknowledged_lost++ == 0)
        snprintf(first_loss, sizeof(first_loss),
                 "%s: change %zu was acknowledged, %" PRId64 " is left", where, acked, found);
    if (acknowledged_lost == 0) {
        expect_whole(store, where);
        go_on(store, &done.changes[found], where);
    }
    stele_store_close(store);
}

/* --- The cuts --- */

START_TEST(putting_and_deleting_may_be_cut_anywhere)
{
    cut_workload(&entries, judge_image, &done.count);
    ck_assert_msg(acknowledged_lost == 0, "%s", first_loss);
}
END_TEST

/* The control: then writes that were acknowledged are not there. */
START_TEST(disk_that_ignores_the_sync_of_the_wal_loses_entries)
{
    cut_workload(&unsynced, judge_image, &done.count);
    ck_assert_int_gt(acknowledged_lost, 0);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_state");
    TCase *tests = crash_case(suite, "state");
    tcase_add_test(tests, putting_and_deleting_may_be_cut_anywhere);
    tests = crash_case(suite, "control-wal-sync-ignored");
    tcase_add_test(tests, disk_that_ignores_the_sync_of_the_wal_loses_entries);
    return run_suite(suite);
}

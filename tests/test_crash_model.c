/* The machinery of the power cuts itself: what it records, and what a cut may leave. */
#include "crash/disk_image.h"
#include "crash/harness.h"
#include "support.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 400

static void append_for_a_while(crash_run *run)
{
    stele_store *store = crash_open(run);
    crash_append_and_transfer(run, store, 20, CRASH_BATCHES | CRASH_MANY | CRASH_KEYS);
    crash_close(run, store);
}

static const crash_workload sample = { .name = "model", .work = append_for_a_while };

/* --- The recorder --- */

START_TEST(same_seed_records_the_same)
{
    uint64_t digests[2];
    for (int i = 0; i < 2; i++) {
        crash_run run;
        recording recorded = crash_record(&sample, 7, &run);
        digests[i] = recording_digest(&recorded);
        recording_dispose(&recorded);
        history_dispose(&run.past);
    }
    ck_assert(digests[0] == digests[1]);
}
END_TEST

static size_t find_operation(const recording *recorded, operation_kind kind, const char *name)
{
    for (size_t i = 0; i < recorded->count; i++)
        if (recorded->operations[i].kind == kind && recorded->operations[i].name != NULL
            && strcmp(recorded->operations[i].name, name) == 0)
            return i;
    return recorded->count;
}

static size_t count_writes(const recording *recorded, int file)
{
    size_t count = 0;
    for (size_t i = 0; i < recorded->count; i++)
        count +=
            recorded->operations[i].kind == OPERATION_WRITE && recorded->operations[i].file == file;
    return count;
}

/* Both sides tell: the library creates the file by itself, SQLite writes it. */
START_TEST(library_and_sqlite_are_both_recorded)
{
    crash_run run;
    recording recorded = crash_record(&sample, 7, &run);

    size_t created = find_operation(&recorded, OPERATION_CREATE, "store.db");
    size_t wal = find_operation(&recorded, OPERATION_CREATE, "store.db-wal");
    ck_assert_uint_lt(created, recorded.count);
    ck_assert_uint_lt(wal, recorded.count);
    ck_assert_int_eq(recorded.operations[created + 1].kind, OPERATION_SYNC);
    ck_assert_int_eq(recorded.operations[created + 2].kind, OPERATION_SYNC_FOLDER);
    ck_assert_uint_gt(count_writes(&recorded, recorded.operations[created].file), 10);
    ck_assert_uint_gt(count_writes(&recorded, recorded.operations[wal].file), 20);
    ck_assert_uint_eq(find_operation(&recorded, OPERATION_CREATE, "store.db-shm"), recorded.count);

    recording_dispose(&recorded);
    history_dispose(&run.past);
}
END_TEST

/* SQLite gives no name to its temporary files, and none of their pages belongs to the store. */
START_TEST(temporary_files_are_not_recorded)
{
    ck_assert_int_eq(mkdir(test_path("disk"), 0700), 0);
    recorder_start(test_path("disk"), 1, (recorder_faults){ 0 });
    sqlite3 *plain = NULL;
    ck_assert_int_eq(sqlite3_open(test_path("disk/plain.db"), &plain), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(plain, "CREATE TABLE kept(x)", NULL, NULL, NULL), SQLITE_OK);
    size_t before = recorder_now();
    ck_assert_int_eq(
        sqlite3_exec(plain,
                     "PRAGMA temp_store=FILE; PRAGMA temp.cache_size=10;"
                     "CREATE TEMP TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                     " SELECT i + 1 FROM n WHERE i < 500) SELECT i, randomblob(2000) FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    ck_assert_uint_eq(recorder_now(), before);
    sqlite3_close(plain);
    recording recorded = recorder_stop();
    ck_assert_uint_gt(before, 0);
    recording_dispose(&recorded);
}
END_TEST

/* --- The oracle: that each of its questions can be answered with no --- */

/* What it says of the sample, not cut at all, when `spoil` has changed what it expects. */
static verdict judge_spoiled(void (*spoil)(history *past))
{
    crash_run run;
    recording recorded = crash_record(&sample, 7, &run);
    disk *state = disk_open(&recorded);
    disk_advance(state, recorded.count);
    image made = disk_cut(state, 1);
    image_save(&made, test_path("image"));
    if (spoil != NULL)
        spoil(&run.past);
    const oracle judge = { .past = &run.past };
    verdict found = oracle_judge(&judge, test_path("image/store.db"), recorded.count, 99, true);
    image_dispose(&made);
    disk_close(state);
    recording_dispose(&recorded);
    history_dispose(&run.past);
    return found;
}

static void expect_broken(void (*spoil)(history *past), const char *reason)
{
    verdict found = judge_spoiled(spoil);
    ck_assert_msg(found.broken && strstr(found.reason, reason) != NULL, "'%s' lacks '%s'",
                  found.reason, reason);
}

static void change_payload(history *past)
{
    past->events[3].data[2] ^= 1;
}

static void change_version(history *past)
{
    past->events[3].version++;
}

static void forget_key(history *past)
{
    for (size_t i = 0; i < past->event_count; i++) {
        free(past->events[i].key);
        past->events[i].key = NULL;
    }
}

static void attempt_less(history *past)
{
    past->units[past->unit_count - 1].begun_at = SIZE_MAX;
    past->units[past->unit_count - 1].acked_at = SIZE_MAX;
}

static void make_last_batch_longer(history *past)
{
    past->units[past->unit_count - 1].last_position++;
}

static void change_epoch(history *past)
{
    past->epoch[0] = past->epoch[0] == '0' ? '1' : '0';
}

static void acknowledge_more(history *past)
{
    history_unit *last = &past->units[past->unit_count - 1];
    past->units = realloc(past->units, (past->unit_count + 1) * sizeof(*last));
    last = &past->units[past->unit_count - 1];
    past->units[past->unit_count++] =
        (history_unit){ last->begun_at, last->acked_at, last->last_position + 1,
                        last->last_position + 2 };
    past->closing_count = 0;
}

START_TEST(oracle_finds_what_it_looks_for)
{
    verdict whole = judge_spoiled(NULL);
    ck_assert_msg(!whole.broken && whole.lost == 0 && whole.kept == 0, "%s", whole.reason);

    expect_broken(change_payload, "position 4 is");
    expect_broken(change_version, "position 4 is");
    expect_broken(forget_key, "key -");
    expect_broken(attempt_less, "attempted were");
    expect_broken(make_last_batch_longer, "only a part");
    expect_broken(change_epoch, "epoch");
    ck_assert_int_eq(judge_spoiled(acknowledge_more).lost, 2);
}
END_TEST

/* --- Images --- */

static int create(const char *name)
{
    int file = open(test_path(name), O_RDWR | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(file, 0);
    return file;
}

static void put(int file, int letter, size_t size, off_t offset)
{
    char data[8192];
    memset(data, letter, size);
    ck_assert_int_eq(pwrite(file, data, size, offset), (ssize_t)size);
}

static void sync_folder(const char *name)
{
    int folder = open(test_path(name), O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(folder, 0);
    ck_assert_int_eq(fsync(folder), 0);
    ck_assert_int_eq(close(folder), 0);
}

static void begin_recording(void)
{
    ck_assert_int_eq(mkdir(test_path("disk"), 0700), 0);
    recorder_start(test_path("disk"), 1, (recorder_faults){ 0 });
}

static const image_file *find_file(const image *made, const char *name)
{
    for (size_t i = 0; i < made->count; i++)
        if (strcmp(made->files[i].name, name) == 0)
            return &made->files[i];
    return NULL;
}

/* Cut at the end of `recorded`, and count in how many images `holds` says yes. */
static int count_images(const recording *recorded, bool (*holds)(const image *made))
{
    int count = 0;
    disk *state = disk_open(recorded);
    disk_advance(state, recorded->count);
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        image made = disk_cut(state, seed);
        count += holds(&made);
        image_dispose(&made);
    }
    disk_close(state);
    return count;
}

static bool has_file(const image *made)
{
    return find_file(made, "a") != NULL;
}

static bool has_all_synced_bytes(const image *made)
{
    const image_file *file = find_file(made, "a");
    return file != NULL && file->size >= 2048 && file->data[0] == 's' && file->data[2047] == 's';
}

static bool has_no_later_byte(const image *made)
{
    const image_file *file = find_file(made, "a");
    return file != NULL && file->size == 2048;
}

static bool has_all_later_bytes(const image *made)
{
    const image_file *file = find_file(made, "a");
    if (file == NULL || file->size != 6144)
        return false;
    for (size_t i = 2048; i < file->size; i++)
        if (file->data[i] != (i < 4096 ? 'x' : 'y'))
            return false;
    return true;
}

/* The second write without the first. */
static bool has_changed_order(const image *made)
{
    const image_file *file = find_file(made, "a");
    return file != NULL && file->size == 6144 && file->data[2048] != 'x' && file->data[4096] == 'y'
           && file->data[6143] == 'y';
}

/* Of the first write some sectors are there, and others aren't. */
static bool is_torn(const image *made)
{
    const image_file *file = find_file(made, "a");
    int sectors = 0;
    for (size_t at = 2048; file != NULL && at < 4096 && at < file->size; at += 512)
        sectors += file->data[at] == 'x';
    return sectors > 0 && sectors < 4;
}

START_TEST(synced_bytes_stay_and_others_are_kept_dropped_torn_and_reordered)
{
    begin_recording();
    int file = create("disk/a");
    put(file, 's', 2048, 0);
    ck_assert_int_eq(fdatasync(file), 0);
    sync_folder("disk");
    put(file, 'x', 2048, 2048);
    put(file, 'y', 2048, 4096);
    close(file);
    recording recorded = recorder_stop();

    ck_assert_int_eq(count_images(&recorded, has_all_synced_bytes), TRIES);
    ck_assert_int_gt(count_images(&recorded, has_no_later_byte), TRIES / 20);
    ck_assert_int_gt(count_images(&recorded, has_all_later_bytes), TRIES / 20);
    ck_assert_int_gt(count_images(&recorded, has_changed_order), TRIES / 40);
    ck_assert_int_gt(count_images(&recorded, is_torn), TRIES / 40);
    recording_dispose(&recorded);
}
END_TEST

/* The content alone isn't enough: nobody finds a file without its name. */
START_TEST(name_is_durable_only_after_the_sync_of_its_folder)
{
    begin_recording();
    int file = create("disk/a");
    put(file, 's', 2048, 0);
    ck_assert_int_eq(fsync(file), 0);
    close(file);
    recording recorded = recorder_stop();

    int found = count_images(&recorded, has_file);
    ck_assert_int_gt(found, TRIES / 10);
    ck_assert_int_lt(found, TRIES - TRIES / 10);
    ck_assert_int_eq(count_images(&recorded, has_all_synced_bytes), found);
    recording_dispose(&recorded);
}
END_TEST

static bool has_old_or_new(const image *made)
{
    const image_file *file = find_file(made, "a");
    return file != NULL && file->size == 1000 && (file->data[0] == 'o' || file->data[0] == 'n');
}

static bool has_new(const image *made)
{
    const image_file *file = find_file(made, "a");
    return file != NULL && file->size == 1000 && file->data[0] == 'n';
}

START_TEST(synced_file_moved_over_another_is_the_old_or_the_new_one)
{
    begin_recording();
    int file = create("disk/a");
    put(file, 'o', 1000, 0);
    fsync(file);
    close(file);
    sync_folder("disk");
    file = create("disk/b");
    put(file, 'n', 1000, 0);
    fsync(file);
    close(file);
    ck_assert_int_eq(rename(test_path("disk/b"), test_path("disk/a")), 0);
    recording recorded = recorder_stop();

    ck_assert_int_eq(count_images(&recorded, has_old_or_new), TRIES);
    int moved = count_images(&recorded, has_new);
    ck_assert_int_gt(moved, TRIES / 10);
    ck_assert_int_lt(moved, TRIES - TRIES / 10);
    recording_dispose(&recorded);
}
END_TEST

static bool has_second_name(const image *made)
{
    const image_file *file = find_file(made, "b");
    return file != NULL && file->size == 1000 && file->data[0] == 'o';
}

static bool has_any_second_name(const image *made)
{
    return find_file(made, "b") != NULL;
}

static bool has_both_names(const image *made)
{
    return has_second_name(made) && find_file(made, "a") != NULL;
}

static bool has_no_name(const image *made)
{
    return find_file(made, "a") == NULL && find_file(made, "b") == NULL;
}

START_TEST(second_name_of_a_synced_file_is_kept_or_dropped_by_itself)
{
    begin_recording();
    int file = create("disk/a");
    put(file, 'o', 1000, 0);
    fsync(file);
    close(file);
    sync_folder("disk");
    ck_assert_int_eq(link(test_path("disk/a"), test_path("disk/b")), 0);
    ck_assert_int_eq(unlink(test_path("disk/a")), 0);
    recording recorded = recorder_stop();

    int named = count_images(&recorded, has_second_name);
    ck_assert_int_gt(named, TRIES / 10);
    ck_assert_int_lt(named, TRIES - TRIES / 10);
    ck_assert_int_eq(count_images(&recorded, has_any_second_name), named);
    ck_assert_int_gt(count_images(&recorded, has_both_names), TRIES / 40);
    ck_assert_int_gt(count_images(&recorded, has_no_name), TRIES / 40);
    recording_dispose(&recorded);
}
END_TEST

static bool has_file_in_folder(const image *made)
{
    return find_file(made, "shard/a") != NULL;
}

/* Both names, the folder's and the file's, need the sync of the folder they are in. */
START_TEST(file_in_a_new_folder_needs_both_folders_synced)
{
    begin_recording();
    ck_assert_int_eq(mkdir(test_path("disk/shard"), 0700), 0);
    int file = create("disk/shard/a");
    fsync(file);
    close(file);
    sync_folder("disk/shard");
    size_t before = recorder_now();
    sync_folder("disk");
    recording recorded = recorder_stop();

    ck_assert_int_eq(count_images(&recorded, has_file_in_folder), TRIES);
    size_t all = recorded.count;
    recorded.count = before;
    int found = count_images(&recorded, has_file_in_folder);
    recorded.count = all;
    ck_assert_int_gt(found, TRIES / 10);
    ck_assert_int_lt(found, TRIES - TRIES / 10);
    recording_dispose(&recorded);
}
END_TEST

int main(void)
{
    crash_setup();
    Suite *suite = suite_create("crash_model");
    TCase *tests = crash_case(suite, "recorder");
    tcase_add_test(tests, same_seed_records_the_same);
    tcase_add_test(tests, library_and_sqlite_are_both_recorded);
    tcase_add_test(tests, temporary_files_are_not_recorded);
    tests = crash_case(suite, "oracle");
    tcase_add_test(tests, oracle_finds_what_it_looks_for);
    tests = crash_case(suite, "images");
    tcase_add_test(tests, synced_bytes_stay_and_others_are_kept_dropped_torn_and_reordered);
    tcase_add_test(tests, name_is_durable_only_after_the_sync_of_its_folder);
    tcase_add_test(tests, synced_file_moved_over_another_is_the_old_or_the_new_one);
    tcase_add_test(tests, second_name_of_a_synced_file_is_kept_or_dropped_by_itself);
    tcase_add_test(tests, file_in_a_new_folder_needs_both_folders_synced);
    return run_suite(suite);
}

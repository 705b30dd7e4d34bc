/*
 * Bits that turn over on the disk, and sectors and ends that go missing: whatever is then read is
 * what was written, or an error. STELE_EFFORT=long tries many more places.
 */
#include "log_text.h"

#include <stele/verify.h>

#include <sys/stat.h>

/* The same places each time, so that a failure can be looked into. */
static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int effort(int usual)
{
    const char *wanted = getenv("STELE_EFFORT");
    return wanted != NULL && strcmp(wanted, "long") == 0 ? 20 * usual : usual;
}

static stele_options read_only(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    return options;
}

/* make_rich_file(), with enough events for trees of some depth and one payload of many pages. */
static void make_large_file(void)
{
    make_rich_file();
    open_in_file();
    static char data[20000];
    memset(data, '7', sizeof(data));
    stele_event large = { .type = "enlarged", .data = data, .data_size = sizeof(data) };
    assert_status(append_event("large-1", &large), STELE_OK);
    for (int i = 0; i < 120; i++) {
        char stream[32], key[32];
        snprintf(stream, sizeof(stream), "many-%d", i % 5);
        snprintf(key, sizeof(key), "key-many-%d", i);
        large.data_size = (size_t)i * 5 + 1;
        stele_append append = make_append(stream, STELE_ANY, &large, 1);
        append.idempotency_key = i % 3 == 0 ? key : NULL;
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
    close_store();
}

static log_text read_original(void)
{
    stele_options options = read_only();
    store = open_path(store_path(), &options);
    log_text original = read_log_text(store);
    assert_status(original.status, STELE_OK);
    close_store();
    return original;
}

static bool verify_finds_fault(stele_store *damaged)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(damaged, &verify);
    uint64_t failures = 0;
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        failures += check->failures;
    stele_verify_close(verify);
    return failures > 0 || status < 0;
}

typedef enum outcome { UNHARMED, REFUSED, FAILED, FOUND_BY_VERIFY, REWOUND, SILENT } outcome;

/* The size of the line at `text`, with its end. */
static size_t line_size(const char *text, const char *end)
{
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    return newline == NULL ? (size_t)(end - text) : (size_t)(newline - text) + 1;
}

/* Whether each record of `now` is one of `original`, in the same order. */
static bool only_true_records(const log_text *now, const log_text *original)
{
    const char *at = now->text, *end = now->text + now->size;
    const char *from = original->text, *original_end = original->text + original->size;
    for (size_t size = 0; at < end; at += size) {
        size = line_size(at, end);
        if (*at < '0' || *at > '9')
            continue; /* a fact about a stream or type */
        size_t size_there = 0;
        for (; from < original_end; from += size_there) {
            size_there = line_size(from, original_end);
            if (size_there == size && memcmp(from, at, size) == 0)
                break;
        }
        if (from == original_end)
            return false;
        from += size_there;
    }
    return true;
}

/* Only the last line is missing, that of the checkpoint. */
static bool lacks_the_checkpoint(const log_text *now, const log_text *original)
{
    const char *last = original->text + now->size;
    return now->size < original->size && strncmp(last, "checkpoint ", 11) == 0;
}

/*
 * Look at the damaged file as a user would. What the end of a log or stream is said by has no
 * sum of its own (the last row of a tree), so that an end too early is left to verification; but
 * a record that never was is never given. A checkpoint that is gone looks like one that was never
 * saved: its reader begins again, which costs time and no truth.
 */
static outcome judge_damage(const char *path, const log_text *original)
{
    stele_options options = read_only();
    stele_store *damaged = NULL;
    if (stele_store_open(path, &options, &damaged) != STELE_OK)
        return REFUSED;
    log_text now = read_log_text(damaged);
    outcome result = SILENT;
    bool begins_alike =
        now.size <= original->size && memcmp(now.text, original->text, now.size) == 0;
    if (now.status != STELE_OK && begins_alike)
        result = FAILED;
    else if (now.status == STELE_OK && same_text(&now, original))
        result = UNHARMED;
    else if (now.status == STELE_OK && begins_alike && lacks_the_checkpoint(&now, original))
        result = REWOUND;
    else if (only_true_records(&now, original) && verify_finds_fault(damaged))
        result = FOUND_BY_VERIFY;
    stele_store_close(damaged);
    free(now.text);
    return result;
}

/* The same by SQL, as a library without checksums would see it: true when the answer is another,
 * and nothing said so. */
static char *read_by_sql(const char *path)
{
    sqlite3 *raw = open_raw(path);
    sqlite3_stmt *statement = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    int result = sqlite3_prepare_v2(
        raw,
        "SELECT quote(position), quote(version), quote(schema_version), quote(recorded_at),"
        " quote(occurred_at), quote(data), quote(metadata), quote(stream), quote(type)"
        " FROM events ORDER BY position",
        -1, &statement, NULL);
    if (result == SQLITE_OK)
        while ((result = sqlite3_step(statement)) == SQLITE_ROW)
            for (int i = 0; i < sqlite3_column_count(statement); i++)
                fprintf(out, "%s|", (const char *)sqlite3_column_text(statement, i));
    sqlite3_finalize(statement);
    sqlite3_close(raw);
    fclose(out);
    if (result == SQLITE_DONE)
        return text;
    free(text);
    return NULL;
}

/* --- Bits --- */

static void expect_nothing_silent(const int counts[], int flips)
{
    ck_assert_msg(counts[SILENT] == 0, "%d of %d flips changed what is read, unseen",
                  counts[SILENT], flips);
    ck_assert_int_le(counts[FOUND_BY_VERIFY] + counts[REWOUND], flips / 100);
    /* Most bits are somebody's: were nearly all harmless, nothing would have been tried. */
    ck_assert_int_gt(counts[REFUSED] + counts[FAILED], flips / 10);
}

START_TEST(flipped_bit_gives_the_original_or_an_error)
{
    make_large_file();
    log_text original = read_original();
    file_copy file = load_file(store_path());
    const char *path = test_path("damaged.db");
    int flips = effort(300), counts[SILENT + 1] = { 0 };
    random_state = 20260101;

    for (int i = 0; i < flips; i++) {
        size_t at = next_random() % file.size;
        unsigned char bit = (unsigned char)(1u << next_random() % 8);
        file.data[at] ^= bit;
        save_file(path, file.data, file.size);
        file.data[at] ^= bit;
        outcome result = judge_damage(path, &original);
        counts[result]++;
        if (result == SILENT)
            fprintf(stderr, "silent: byte %zu, bit %u\n", at, bit);
    }

    expect_nothing_silent(counts, flips);
    free(file.data);
    free(original.text);
}
END_TEST

/* The control: the same flips do change data unseen where nothing sums it up. */
START_TEST(flipped_bit_changes_data_unseen_without_checksums)
{
    make_large_file();
    file_copy file = load_file(store_path());
    const char *path = test_path("damaged.db");
    char *original = read_by_sql(store_path());
    int flips = effort(300), silent = 0;
    random_state = 20260101;

    for (int i = 0; i < flips; i++) {
        size_t at = next_random() % file.size;
        unsigned char bit = (unsigned char)(1u << next_random() % 8);
        file.data[at] ^= bit;
        save_file(path, file.data, file.size);
        file.data[at] ^= bit;
        char *now = read_by_sql(path);
        silent += now != NULL && strcmp(now, original) != 0;
        free(now);
    }

    ck_assert_int_gt(silent, flips / 10);
    free(original);
    free(file.data);
}
END_TEST

/* --- Pages and ends --- */

START_TEST(zeroed_page_gives_the_original_or_an_error)
{
    make_large_file();
    log_text original = read_original();
    file_copy file = load_file(store_path());
    const char *path = test_path("damaged.db");
    unsigned char page[4096];

    for (size_t at = 0; at < file.size; at += sizeof(page)) {
        memcpy(page, file.data + at, sizeof(page));
        memset(file.data + at, 0, sizeof(page));
        save_file(path, file.data, file.size);
        memcpy(file.data + at, page, sizeof(page));
        ck_assert_int_ne(judge_damage(path, &original), SILENT);
    }
    free(file.data);
    free(original.text);
}
END_TEST

/* A disk that wrote a page to another one's place: each page is whole, the file is not. */
START_TEST(misplaced_page_gives_the_original_or_an_error)
{
    make_large_file();
    log_text original = read_original();
    file_copy file = load_file(store_path());
    const char *path = test_path("damaged.db");
    unsigned char page[4096];
    size_t pages = file.size / sizeof(page);
    random_state = 20260102;

    for (int i = 0; i < effort(60); i++) {
        size_t from = next_random() % pages, to = next_random() % pages;
        memcpy(page, file.data + to * sizeof(page), sizeof(page));
        memcpy(file.data + to * sizeof(page), file.data + from * sizeof(page), sizeof(page));
        save_file(path, file.data, file.size);
        memcpy(file.data + to * sizeof(page), page, sizeof(page));
        ck_assert_msg(judge_damage(path, &original) != SILENT, "page %zu over page %zu", from + 1,
                      to + 1);
    }
    free(file.data);
    free(original.text);
}
END_TEST

START_TEST(truncated_file_gives_an_error)
{
    make_large_file();
    log_text original = read_original();
    file_copy file = load_file(store_path());
    const char *path = test_path("damaged.db");

    for (size_t size = 1; size < file.size; size += 2048) {
        save_file(path, file.data, size);
        outcome result = judge_damage(path, &original);
        ck_assert_msg(result != SILENT && result != UNHARMED, "%zu bytes: outcome %d", size,
                      (int)result);
    }
    free(file.data);
    free(original.text);
}
END_TEST

/* --- The WAL --- */

static int append_ten_and_vanish(void *context)
{
    stele_store *opened = NULL;
    if (stele_store_open(context, NULL, &opened) != STELE_OK)
        return 1;
    for (int i = 0; i < 10; i++)
        if (append_to(opened, "wal-1", i, "left in the WAL", NULL) != STELE_OK)
            return 1;
    return 0;
}

/* A frame that is damaged ends the WAL: later commits are gone, but never wrong or in part. */
START_TEST(flipped_bit_in_the_wal_leaves_a_beginning_of_the_log)
{
    char path[4096], wal_path[4096];
    make_rich_file();
    snprintf(path, sizeof(path), "%s", store_path());
    ck_assert_int_eq(run_in_child(append_ten_and_vanish, path), 0);
    file_copy wal = load_file(test_path("store.db-wal"));
    const char *damaged = test_path("damaged.db");
    snprintf(wal_path, sizeof(wal_path), "%s-wal", damaged);
    random_state = 20260103;

    int64_t lowest = 16, highest = 0;
    for (int i = 0; i < effort(100); i++) {
        size_t at = next_random() % wal.size;
        copy_file(store_path(), damaged);
        wal.data[at] ^= 4;
        save_file(wal_path, wal.data, wal.size);
        wal.data[at] ^= 4;
        char shm[4096];
        snprintf(shm, sizeof(shm), "%s-shm", damaged);
        unlink(shm);

        stele_options options = read_only();
        store = open_path(damaged, &options);
        log_text now = read_log_text(store);
        assert_status(now.status, STELE_OK);
        int64_t head = head_of(store);
        ck_assert(!verify_finds_fault(store));
        lowest = head < lowest ? head : lowest;
        highest = head > highest ? head : highest;
        close_store();
        free(now.text);
    }

    ck_assert_int_ge(lowest, 6);
    ck_assert_int_lt(lowest, 16);
    ck_assert_int_le(highest, 16);
    free(wal.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bit rot");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_set_timeout(tests, 1800);
    tcase_add_test(tests, flipped_bit_gives_the_original_or_an_error);
    tcase_add_test(tests, flipped_bit_changes_data_unseen_without_checksums);
    tcase_add_test(tests, zeroed_page_gives_the_original_or_an_error);
    tcase_add_test(tests, misplaced_page_gives_the_original_or_an_error);
    tcase_add_test(tests, truncated_file_gives_an_error);
    tcase_add_test(tests, flipped_bit_in_the_wal_leaves_a_beginning_of_the_log);
    return run_suite(suite);
}

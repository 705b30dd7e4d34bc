/*
 * Bits that turn over on the disk, and sectors and ends that go missing: whatever is then read of
 * the file is what was written, or an error. STELE_EFFORT=long tries many more places.
 */
#include "bit_rot.h"

enum { EVENTS = 60 };

/* make_rich_file(), with events enough for several pages, and one payload of its own pages. */
static void make_larger_file(void)
{
    make_rich_file();
    open_in_file();
    static char data[9000];
    memset(data, '7', sizeof(data));
    stele_event large = { .type = "enlarged", .data = data, .data_size = sizeof(data) };
    assert_status(append_event("large-1", &large), STELE_OK);
    for (int i = 0; i < EVENTS; i++) {
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

/* What the whole file says: its events, and everything that can be read. */
typedef struct truth {
    log_text events;
    log_text all;
} truth;

static truth read_truth(void)
{
    stele_options options = for_reading();
    store = open_path(store_path(), &options);
    truth of = { read_events(store), read_log_text(store) };
    assert_status(of.events.status, STELE_OK);
    assert_status(of.all.status, STELE_OK);
    ck_assert(!verify_finds_fault(store));
    close_store();
    return of;
}

static void forget_truth(truth *of)
{
    free(of->events.text);
    free(of->all.text);
}

/* The copy that is damaged, with the anchor beside it. */
static const char *make_copy(void)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s", test_path("damaged.db"));
    copy_file(store_path(), path);
    copy_file(test_path("store.db-anchor"), test_path("damaged.db-anchor"));
    return path;
}

/* --- What is read of it --- */

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
 * Beyond the events themselves: streams, types, a checkpoint. What a stream's end is said by has no
 * sum of its own (the last row of an index), so that an end too early is left to verification; but
 * a record that never was is never given. A checkpoint that is gone looks like one that was never
 * saved: its reader begins again, which costs time and no truth.
 */
static verdict judge_the_rest(stele_store *damaged, const log_text *original)
{
    log_text now = read_log_text(damaged);
    verdict result = SILENT;
    bool begins_alike = begins_with(original, &now);
    if (now.status != STELE_OK && begins_alike)
        result = FAILED;
    else if (now.status == STELE_OK && same_text(&now, original))
        result = UNHARMED;
    else if (now.status == STELE_OK && begins_alike && lacks_the_checkpoint(&now, original))
        result = REWOUND;
    else if (only_true_records(&now, original) && verify_finds_fault(damaged))
        result = FOUND_BY_VERIFY;
    free(now.text);
    return result;
}

/* Look at the damaged file as a reader would. All events in order are either there, or it is said
 * that they aren't: no verification is needed for that. */
static verdict judge_reading(const char *path, const truth *original, tally *to)
{
    stele_options options = for_reading();
    stele_store *damaged = NULL;
    if (stele_store_open(path, &options, &damaged) != STELE_OK)
        return REFUSED;
    log_text events = read_events(damaged);
    verdict result = SILENT;
    if (events.status != STELE_OK && begins_with(&original->events, &events))
        result = FAILED;
    else if (events.status == STELE_OK && same_text(&events, &original->events))
        result = judge_the_rest(damaged, &original->all);
    else if (begins_with(&original->events, &events) && tells_of_loss(damaged))
        result = TOLD_LOST;
    to->read_some += events.size > 0;
    stele_store_close(damaged);
    free(events.text);
    return result;
}

/* A writer, on a copy of the copy: where it may write, no event is missing. */
static verdict judge_writing(const char *path, const truth *original)
{
    const char *copy = test_path("written.db");
    copy_file(path, copy);
    copy_file(test_path("store.db-anchor"), test_path("written.db-anchor"));
    unlink(test_path("written.db-wal"));
    unlink(test_path("written.db-shm"));
    stele_store *damaged = NULL;
    if (stele_store_open(copy, NULL, &damaged) != STELE_OK)
        return REFUSED;
    stele_status status = append_to(damaged, "new-1", STELE_NO_STREAM, "went on", NULL);
    log_text events = read_events(damaged);
    verdict result = SILENT;
    if (status == STELE_OK && events.status == STELE_OK && begins_with(&events, &original->events))
        result = UNHARMED;
    else if (events.status != STELE_OK && begins_with(&original->events, &events))
        result = FAILED;
    else if (status == STELE_READ_ONLY && begins_with(&original->events, &events))
        result = TOLD_LOST;
    else if (status != STELE_OK && same_text(&events, &original->events))
        result = FAILED;
    stele_store_close(damaged);
    free(events.text);
    return result;
}

/* --- Bits and sectors --- */

static void damage_many(damage_kind kind, int tries)
{
    make_larger_file();
    truth original = read_truth();
    const char *path = make_copy();
    patient of = take_patient(path);
    uint64_t seed = choose_seed();
    tally read = { 0 };
    tally written = { 0 };
    for (int i = 0; i < tries; i++) {
        damage done = do_damage(&of, kind);
        note_outcome(&read, judge_reading(path, &original, &read), &done);
        if (i % 20 == 0)
            note_outcome(&written, judge_writing(path, &original), &done);
        undo_damage(&of, &done);
    }
    print_tally(damage_names[kind], seed, &read);
    print_tally("  of these opened for writing", seed, &written);

    ck_assert_int_eq(read.counts[SILENT], 0);
    ck_assert_int_eq(written.counts[SILENT], 0);
    ck_assert_int_le(read.counts[FOUND_BY_VERIFY] + read.counts[REWOUND], tries / 20 + 10);
    /* Neither was nearly all harmless, nor is refusing everything the way. */
    ck_assert_int_gt(read.counts[REFUSED] + read.counts[FAILED], tries / 10);
    ck_assert_int_gt(read.read_some, tries / 4);
    tally whole = { 0 };
    ck_assert_int_eq(judge_reading(path, &original, &whole), UNHARMED);
    dismiss_patient(&of);
    forget_truth(&original);
}

START_TEST(flipped_bit_gives_the_original_or_an_error)
{
    damage_many(FLIPPED_BIT, effort_of(2500, 70000));
}
END_TEST

START_TEST(damaged_sector_gives_the_original_or_an_error)
{
    damage_many((damage_kind)_i, effort_of(250, 5000));
}
END_TEST

/* The same by SQL, as a library without checksums would see it; NULL when it says that something is
 * wrong. */
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

/* The control: the same damage does change data unseen where nothing sums it up. */
START_TEST(damage_changes_data_unseen_without_checksums)
{
    make_larger_file();
    const char *path = make_copy();
    char *original = read_by_sql(store_path());
    patient of = take_patient(path);
    uint64_t seed = choose_seed();
    int tries = effort_of(500, 5000), silent = 0;
    for (int i = 0; i < tries; i++) {
        damage done = do_damage(&of, (damage_kind)_i);
        char *now = read_by_sql(path);
        silent += now != NULL && strcmp(now, original) != 0;
        free(now);
        undo_damage(&of, &done);
    }
    printf("without checksums, %s: seed %" PRIu64 ", %d tries, %d silent\n", damage_names[_i], seed,
           tries, silent);
    ck_assert_int_gt(silent, 0);
    dismiss_patient(&of);
    free(original);
}
END_TEST

/* --- Ends --- */

START_TEST(truncated_file_gives_an_error)
{
    make_larger_file();
    truth original = read_truth();
    const char *path = make_copy();
    file_copy file = load_file(store_path());
    tally read = { 0 };

    for (size_t size = 1; size < file.size; size += 2048) {
        save_file(path, file.data, size);
        verdict result = judge_reading(path, &original, &read);
        ck_assert_msg(result != SILENT && result != UNHARMED, "%zu bytes: outcome %d", size,
                      (int)result);
    }
    free(file.data);
    forget_truth(&original);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bit rot");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_set_timeout(tests, 3600);
    tcase_add_test(tests, flipped_bit_gives_the_original_or_an_error);
    tcase_add_loop_test(tests, damaged_sector_gives_the_original_or_an_error, ZEROED_512,
                        DAMAGE_KINDS);
    tcase_add_loop_test(tests, damage_changes_data_unseen_without_checksums, FLIPPED_BIT,
                        DAMAGE_KINDS);
    tcase_add_test(tests, truncated_file_gives_an_error);
    return run_suite(suite);
}

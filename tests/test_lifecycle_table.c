/*
 * docs/lifecycle.md, cell by cell: what each operation answers on a stream in each state. The
 * document's table is the table of this test: a cell that isn't so fails.
 */
#include "lifecycles.h"

#define EVENTS 6

/* --- The states --- */

static void be_none(void)
{
}

static void be_active(void)
{
    fill_varied("loan-1", EVENTS);
}

static void be_archived_here(void)
{
    be_active();
    assert_status(archive_here("loan-1"), STELE_OK);
}

static void be_moving(void)
{
    cut at = { "replacing", 1, 0 };
    stele_work work = small_steps(&at);
    be_active();
    assert_status(archive_to("loan-1", archive, &work), STELE_CANCELLED);
    ck_assert(info_of("loan-1").unfinished);
}

static void be_moved(void)
{
    be_active();
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
}

static void be_returning(void)
{
    cut at = { "bringing back", 1, 0 };
    stele_work work = small_steps(&at);
    be_moved();
    assert_status(restore_from("loan-1", archive, &work), STELE_CANCELLED);
    ck_assert(info_of("loan-1").unfinished);
}

static void be_tombstoned(void)
{
    be_active();
    assert_status(tombstone_it("loan-1"), STELE_OK);
}

static void be_deleting(void)
{
    cut at = { "erasing", 1, 0 };
    stele_work work = small_steps(&at);
    be_active();
    assert_status(delete_with("loan-1", NULL, &work), STELE_CANCELLED);
    ck_assert(changed.changed && !changed.finished);
}

static void be_deleted(void)
{
    be_active();
    assert_status(delete_it("loan-1"), STELE_OK);
}

static const struct state {
    const char *name;
    void (*make)(void);
} states[] = {
    { "none", be_none },
    { "active", be_active },
    { "archived in place", be_archived_here },
    { "being moved", be_moving },
    { "moved", be_moved },
    { "being restored", be_returning },
    { "tombstoned", be_tombstoned },
    { "being deleted", be_deleting },
    { "deleted", be_deleted },
};

/* --- The operations: each writes its answer as the document has it --- */

#define ANSWER_SIZE 128

static void answer_append(stele_status status, const stele_appended *appended, char *answer)
{
    if (status == STELE_OK)
        snprintf(answer, ANSWER_SIZE, "version %" PRId64, appended->stream_version);
    else if (status == STELE_CONFLICT)
        snprintf(answer, ANSWER_SIZE, "CONFLICT: %" PRId64, appended->stream_version);
    else
        snprintf(answer, ANSWER_SIZE, "%s", stele_status_name(status));
}

static void append_expecting(int64_t expected, char *answer)
{
    stele_appended appended = { 0 };
    answer_append(append_one("loan-1", expected, "noted", &appended), &appended, answer);
}

static void append_any(char *answer)
{
    append_expecting(STELE_ANY, answer);
}

static void append_exact(char *answer)
{
    append_expecting(EVENTS, answer);
}

static void append_none(char *answer)
{
    append_expecting(STELE_NO_STREAM, answer);
}

static void append_with_condition(char *answer)
{
    stele_condition condition = { STELE_CONDITION_STREAM_VERSION, "loan-1", EVENTS };
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("other-1", STELE_ANY, &event, 1);
    append.conditions = &condition;
    append.condition_count = 1;
    stele_appended appended = { 0 };
    answer_append(stele_store_append(store, &append, &appended), &appended, answer);
}

static void retry_append(char *answer)
{
    stele_event event = make_event("counted", "{\"of\":\"loan-1\",\"n\":2}");
    event.metadata = "{\"by\":\"ann\"}";
    event.metadata_size = 12;
    event.schema_version = 3;
    stele_append append = make_append("loan-1", STELE_ANY, &event, 1);
    append.idempotency_key = "loan-1/2";
    stele_appended appended = { 0 };
    answer_append(stele_store_append(store, &append, &appended), &appended, answer);
    if (appended.duplicate)
        snprintf(answer, ANSWER_SIZE, "duplicate%s", appended.erased ? ", erased" : "");
}

static void answer_read(const char *stream, char *answer)
{
    stele_skipped skipped = { 0 };
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = NULL;
    stele_status status;
    int count = 0;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
        count++;
    skipped = stele_cursor_skipped(cursor);
    stele_cursor_close(cursor);
    size_t size = (size_t)snprintf(answer, ANSWER_SIZE, "%d", count);
    if (skipped.archived > 0)
        size += (size_t)snprintf(answer + size, ANSWER_SIZE - size, ", %" PRId64 " archived",
                                 skipped.archived);
    if (skipped.erased > 0)
        size += (size_t)snprintf(answer + size, ANSWER_SIZE - size, ", %" PRId64 " erased",
                                 skipped.erased);
    if (status != STELE_DONE)
        snprintf(answer + size, ANSWER_SIZE - size, ", then %s", stele_status_name(status));
}

static void read_stream(char *answer)
{
    answer_read("loan-1", answer);
}

static void read_all(char *answer)
{
    answer_read(NULL, answer);
}

static void read_stream_attached(char *answer)
{
    assert_status(stele_store_attach(store, archive), STELE_OK);
    answer_read("loan-1", answer);
}

static void read_all_attached(char *answer)
{
    assert_status(stele_store_attach(store, archive), STELE_OK);
    answer_read(NULL, answer);
}

static void ask_info(char *answer)
{
    static const char *const names[] = { "active", "archived", "tombstoned" };
    stele_stream_info info = { 0 };
    stele_status status = stele_store_stream(store, "loan-1", &info);
    if (status == STELE_OK)
        snprintf(answer, ANSWER_SIZE, "%s%s%s", names[info.state], info.moved ? ", moved" : "",
                 info.unfinished ? ", unfinished" : "");
    else
        snprintf(answer, ANSWER_SIZE, "%s", stele_status_name(status));
}

static void answer_change(stele_status status, char *answer)
{
    snprintf(answer, ANSWER_SIZE, "%s", stele_status_name(status));
    if (status == STELE_OK)
        snprintf(answer, ANSWER_SIZE, "%s%s", changed.changed ? "changed" : "no change",
                 changed.finished ? "" : ", unfinished");
    else if (status == STELE_CONFLICT)
        snprintf(answer, ANSWER_SIZE, "CONFLICT: %" PRId64, changed.version);
}

static void archive_in_place(char *answer)
{
    answer_change(archive_here("loan-1"), answer);
}

static void archive_elsewhere(char *answer)
{
    answer_change(archive_to("loan-1", archive, NULL), answer);
}

static void archive_to_second(char *answer)
{
    stele_store *second = open_path(test_path("second.db"), NULL);
    answer_change(archive_to("loan-1", second, NULL), answer);
    stele_store_close(second);
}

static void archive_at_wrong_version(char *answer)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = "loan-1";
    call.expected_version = EVENTS - 1;
    answer_change(stele_store_archive(store, &call, &changed), answer);
}

static void restore_it(char *answer)
{
    answer_change(restore_from("loan-1", archive, NULL), answer);
}

static void restore_by_path(char *answer)
{
    answer_change(restore_from("loan-1", NULL, NULL), answer);
}

static void restore_without_archive(char *answer)
{
    lose_archive();
    answer_change(restore_from("loan-1", NULL, NULL), answer);
}

static void restore_at_wrong_version(char *answer)
{
    stele_restore call = STELE_RESTORE_INIT;
    call.stream = "loan-1";
    call.expected_version = EVENTS - 1;
    call.from = archive;
    answer_change(stele_store_restore(store, &call, &changed), answer);
}

static void tombstone_stream(char *answer)
{
    answer_change(tombstone_it("loan-1"), answer);
}

static void tombstone_at_wrong_version(char *answer)
{
    stele_tombstone call = STELE_TOMBSTONE_INIT;
    call.stream = "loan-1";
    call.expected_version = EVENTS - 1;
    call.reason = "by order";
    answer_change(stele_store_tombstone(store, &call, &changed), answer);
}

static void delete_stream(char *answer)
{
    answer_change(delete_with("loan-1", archive, NULL), answer);
}

static void delete_without_archive(char *answer)
{
    lose_archive();
    answer_change(delete_it("loan-1"), answer);
}

static void delete_leaving_archived(char *answer)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "loan-1";
    call.leave_archived = true;
    lose_archive();
    answer_change(stele_store_delete(store, &call, &changed), answer);
}

static void delete_at_wrong_version(char *answer)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "loan-1";
    call.expected_version = EVENTS - 1;
    call.archive = archive;
    answer_change(stele_store_delete(store, &call, &changed), answer);
}

static void answer_resumed(stele_resumed resumed, char *answer)
{
    snprintf(answer, ANSWER_SIZE, "%s",
             resumed.found == 0      ? "nothing to do"
             : resumed.finished == 1 ? "finished"
             : resumed.waiting == 1  ? "waits"
                                     : "?");
}

static void resume_it(char *answer)
{
    answer_resumed(resume_with(archive), answer);
}

static void resume_without_archive(char *answer)
{
    lose_archive();
    answer_resumed(resume_with(NULL), answer);
}

static const struct operation {
    const char *name;
    void (*run)(char *answer);
} operations[] = {
    { "append, expecting any version", append_any },
    { "append, expecting version 6", append_exact },
    { "append, expecting no stream", append_none },
    { "append again, with its key", retry_append },
    { "append to another stream, if this is at 6", append_with_condition },
    { "read the stream", read_stream },
    { "read the stream, archive attached", read_stream_attached },
    { "read all", read_all },
    { "read all, archive attached", read_all_attached },
    { "stream info", ask_info },
    { "archive in place", archive_in_place },
    { "archive to another store", archive_elsewhere },
    { "archive to a second other store", archive_to_second },
    { "archive, expecting version 5", archive_at_wrong_version },
    { "restore, archive given", restore_it },
    { "restore, archive where it was", restore_by_path },
    { "restore, archive gone", restore_without_archive },
    { "restore, expecting version 5", restore_at_wrong_version },
    { "tombstone", tombstone_stream },
    { "tombstone, expecting version 5", tombstone_at_wrong_version },
    { "delete", delete_stream },
    { "delete, archive gone", delete_without_archive },
    { "delete, archive gone, leave_archived", delete_leaving_archived },
    { "delete, expecting version 5", delete_at_wrong_version },
    { "resume", resume_it },
    { "resume, archive gone", resume_without_archive },
};

#define STATE_COUNT     ((int)COUNT_OF(states))
#define OPERATION_COUNT ((int)COUNT_OF(operations))

/* --- The document --- */

static char *load_document(void)
{
    FILE *file = fopen("docs/lifecycle.md", "r");
    ck_assert_msg(file != NULL, "run from the project's folder: docs/lifecycle.md isn't here");
    static char text[65536];
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    ck_assert_int_eq(fclose(file), 0);
    text[size] = '\0';
    return text;
}

/* Cell `column` of the line of the table whose first cell is `first`; "" when there is none. */
static const char *find_cell(const char *first, int column)
{
    static char cell[2][ANSWER_SIZE];
    static unsigned next;
    char start[ANSWER_SIZE];
    snprintf(start, sizeof(start), "\n| %s |", first);
    const char *at = strstr(load_document(), start);
    char *found = cell[next++ % 2];
    found[0] = '\0';
    if (at == NULL)
        return found;
    at += strlen(start);
    for (int i = 0; i < column; i++)
        at += strcspn(at, "|\n") + 1;
    size_t size = strcspn(at, "|\n");
    while (size > 0 && *at == ' ') {
        at++;
        size--;
    }
    while (size > 0 && at[size - 1] == ' ')
        size--;
    ck_assert_uint_lt(size, ANSWER_SIZE);
    memcpy(found, at, size);
    found[size] = '\0';
    return found;
}

static void answer_of(int operation, int state, char *answer)
{
    states[state].make();
    operations[operation].run(answer);
}

/* STELE_PRINT_TABLE=1 prints the table as it is. */
static void print_line(const char *first, int state, const char *answer)
{
    if (getenv("STELE_PRINT_TABLE") == NULL)
        return;
    if (state == 0)
        printf("| %s |", first);
    printf(" %s |%s", answer, state + 1 == STATE_COUNT ? "\n" : "");
    fflush(stdout);
}

START_TEST(operation_answers_in_each_state_as_the_document_says)
{
    int operation = _i / STATE_COUNT;
    int state = _i % STATE_COUNT;
    char answer[ANSWER_SIZE] = "";
    answer_of(operation, state, answer);
    print_line(operations[operation].name, state, answer);
    ck_assert_msg(strcmp(find_cell(operations[operation].name, state), answer) == 0,
                  "%s, %s: '%s', but the document says '%s'", operations[operation].name,
                  states[state].name, answer, find_cell(operations[operation].name, state));
}
END_TEST

START_TEST(documents_columns_are_the_states)
{
    for (int i = 0; i < STATE_COUNT; i++)
        ck_assert_str_eq(find_cell("operation", i), states[i].name);
}
END_TEST

/* What the document lists and nobody tries would be a claim. */
START_TEST(documents_lines_are_the_operations)
{
    const char *at = strstr(load_document(), "\n|---|");
    ck_assert_ptr_nonnull(at);
    at = strchr(at + 1, '\n');
    for (int i = 0; i < OPERATION_COUNT; i++) {
        char start[ANSWER_SIZE];
        int size = snprintf(start, sizeof(start), "\n| %s |", operations[i].name);
        ck_assert_msg(strncmp(at, start, (size_t)size) == 0, "not '%s': %.60s", start, at);
        at = strchr(at + 1, '\n');
    }
    ck_assert_msg(at[1] != '|', "nobody tries this: %.60s", at);
}
END_TEST

/* Whatever was asked for in whatever state, at the end all that is unfinished can be finished, and
 * the store is whole. */
START_TEST(after_every_operation_the_store_is_whole)
{
    char answer[ANSWER_SIZE];
    answer_of(_i / STATE_COUNT, _i % STATE_COUNT, answer);
    if (archive == NULL)
        find_archive();
    stele_resumed resumed = resume_with(archive);
    ck_assert_int_eq(resumed.waiting, 0);
    ck_assert_int_eq(resumed.finished, resumed.found);
    assert_whole(store);
    assert_whole(archive);
}
END_TEST

static Suite *lifecycle_table_suite(void)
{
    Suite *suite = suite_create("lifecycle_table");
    TCase *tests = add_lifecycle_case(suite, "cells", open_both);
    tcase_add_loop_test(tests, operation_answers_in_each_state_as_the_document_says, 0,
                        OPERATION_COUNT * STATE_COUNT);
    tcase_add_loop_test(tests, after_every_operation_the_store_is_whole, 0,
                        OPERATION_COUNT * STATE_COUNT);
    tests = add_lifecycle_case(suite, "document", NULL);
    tcase_add_test(tests, documents_columns_are_the_states);
    tcase_add_test(tests, documents_lines_are_the_operations);
    return suite;
}

int main(void)
{
    return run_suite(lifecycle_table_suite());
}

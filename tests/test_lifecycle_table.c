/*
 * docs/lifecycle.md, cell by cell: what each operation answers on a stream in each state. The
 * document's table is the table of this test: a cell that isn't so fails.
 */
#include "lifecycles.h"
#include "subscriptions.h"

#define EVENTS 6

/* --- The states --- */

static void be_none(void)
{
}

/* The operation is about events that were parked before the stream came into its state. */
static bool with_parked;

/* The first event fails, the others wait behind it. */
static void park_events(void)
{
    static seen_events events;
    stele_subscription_options options = make_catch_up("parker");
    options.delivery = STELE_AT_LEAST_ONCE;
    options.on_failure = STELE_ON_FAILURE_PARK;
    options.tries = 1;
    events = (seen_events){ .poison = 1, .answer = STELE_REFUSED };
    assert_status(run_through(&options, &events), STELE_DONE);
}

static void be_active(void)
{
    fill_varied("loan-1", EVENTS);
    if (with_parked)
        park_events();
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

static void answer_events(int count, const stele_skipped *skipped, stele_status end, char *answer)
{
    size_t size = (size_t)snprintf(answer, ANSWER_SIZE, "%d", count);
    if (skipped->archived > 0)
        size += (size_t)snprintf(answer + size, ANSWER_SIZE - size, ", %" PRId64 " archived",
                                 skipped->archived);
    if (skipped->erased > 0)
        size += (size_t)snprintf(answer + size, ANSWER_SIZE - size, ", %" PRId64 " erased",
                                 skipped->erased);
    if (end != STELE_DONE)
        snprintf(answer + size, ANSWER_SIZE - size, ", then %s", stele_status_name(end));
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
    answer_events(count, &skipped, status, answer);
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

/* Events of loan-1, up to one of another stream that comes last. */
static void answer_subscription(bool skip_archived, char *answer)
{
    stele_subscription_options options = make_catch_up(NULL);
    const stele_batch *batch = NULL;
    stele_skipped skipped = { 0 };
    stele_status status;
    int count = 0;
    options.skip_archived = skip_archived;
    assert_status(append_one("other-1", STELE_ANY, "noted", NULL), STELE_OK);
    stele_subscription *subscription = open_subscription(&options);
    while ((status = stele_subscription_next(subscription, NULL, &batch)) == STELE_OK) {
        for (size_t i = 0; i < batch->count; i++)
            count += strcmp(batch->records[i]->stream, "loan-1") == 0;
        skipped.archived += batch->skipped.archived;
        skipped.erased += batch->skipped.erased;
        assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
    }
    stele_subscription_close(subscription);
    answer_events(count, &skipped, status, answer);
}

static void subscribe(char *answer)
{
    answer_subscription(false, answer);
}

static void subscribe_attached(char *answer)
{
    assert_status(stele_store_attach(store, archive), STELE_OK);
    answer_subscription(false, answer);
}

static void subscribe_skipping(char *answer)
{
    answer_subscription(true, answer);
}

static void count_parked_events(char *answer)
{
    stele_parked_choice choice = STELE_PARKED_CHOICE_INIT;
    stele_parked_counts counts = { 0 };
    choice.subscription = "parker";
    choice.dry_run = true;
    assert_status(stele_parked_drop(store, &choice, &counts), STELE_OK);
    snprintf(answer, ANSWER_SIZE, "%d", (int)counts.chosen);
}

static stele_status count_event(void *context, const stele_record *record,
                                const stele_handling *handling)
{
    int *count = context;
    ck_assert_str_eq(record->stream, "loan-1");
    ck_assert(handling->replay);
    (*count)++;
    return STELE_OK;
}

static void replay_parked_events(char *answer)
{
    int count = 0;
    stele_subscription_options options = make_catch_up("parker");
    stele_handler handler = STELE_HANDLER_INIT;
    handler.event = count_event;
    handler.context = &count;
    stele_subscription *subscription = open_subscription(&options);
    stele_status status = stele_subscription_replay(subscription, NULL, &handler, NULL);
    stele_subscription_close(subscription);
    int size = snprintf(answer, ANSWER_SIZE, "%d", count);
    if (status != STELE_OK)
        snprintf(answer + size, ANSWER_SIZE - (size_t)size, ", then %s", stele_status_name(status));
}

static void replay_parked_attached(char *answer)
{
    assert_status(stele_store_attach(store, archive), STELE_OK);
    replay_parked_events(answer);
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
    bool parks; /* see with_parked */
} operations[] = {
    { "append, expecting any version", append_any, false },
    { "append, expecting version 6", append_exact, false },
    { "append, expecting no stream", append_none, false },
    { "append again, with its key", retry_append, false },
    { "append to another stream, if this is at 6", append_with_condition, false },
    { "read the stream", read_stream, false },
    { "read the stream, archive attached", read_stream_attached, false },
    { "read all", read_all, false },
    { "read all, archive attached", read_all_attached, false },
    { "subscribe", subscribe, false },
    { "subscribe, archive attached", subscribe_attached, false },
    { "subscribe, skip_archived", subscribe_skipping, false },
    { "events parked before", count_parked_events, true },
    { "replay of those", replay_parked_events, true },
    { "replay of those, archive attached", replay_parked_attached, true },
    { "stream info", ask_info, false },
    { "archive in place", archive_in_place, false },
    { "archive to another store", archive_elsewhere, false },
    { "archive to a second other store", archive_to_second, false },
    { "archive, expecting version 5", archive_at_wrong_version, false },
    { "restore, archive given", restore_it, false },
    { "restore, archive where it was", restore_by_path, false },
    { "restore, archive gone", restore_without_archive, false },
    { "restore, expecting version 5", restore_at_wrong_version, false },
    { "tombstone", tombstone_stream, false },
    { "tombstone, expecting version 5", tombstone_at_wrong_version, false },
    { "delete", delete_stream, false },
    { "delete, archive gone", delete_without_archive, false },
    { "delete, archive gone, leave_archived", delete_leaving_archived, false },
    { "delete, expecting version 5", delete_at_wrong_version, false },
    { "resume", resume_it, false },
    { "resume, archive gone", resume_without_archive, false },
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
    with_parked = operations[operation].parks;
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

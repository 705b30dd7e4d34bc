/*
 * Resume points and session memory when memory, the disk or the lock fails: a call that isn't OK
 * has changed nothing, what was acknowledged is there, nothing leaks, and all goes on afterwards.
 */
#include "disk_hooks.h"
#include "disk_quota.h"
#include "resources.h"
#include "resume_points.h"
#include "sessions.h"

enum { PAYLOAD = 9000, TEXT = 700, STEPS_MAX = 40 };

static char payload[PAYLOAD];
static char text[TEXT + 1];

/* --- What is done, and what must then be there --- */

/* What was acknowledged, and what may be there since its outcome isn't known. */
static struct {
    int64_t iteration, maybe_iteration;
    int64_t attempt, maybe_attempt;
    size_t turns, maybe_turns;
    bool unknown_turn;
} told;

static int statuses_seen[32];
static char wrong[400];

static void blame(const char *what, const char *reason)
{
    if (wrong[0] == '\0')
        snprintf(wrong, sizeof(wrong), "%s: %s", what, reason);
}

/* The faults under test; anything else is wrong. */
static const stele_status *allowed;

static stele_status take(const char *what, stele_status status)
{
    if (status >= 0)
        return status;
    statuses_seen[-status]++;
    bool found = false;
    for (size_t i = 0; allowed[i] != STELE_OK; i++)
        found |= allowed[i] == status;
    char reason[300];
    snprintf(reason, sizeof(reason), "%s: %s", stele_status_name(status), stele_error_text());
    if (!found || stele_error_text()[0] == '\0')
        blame(what, reason);
    return status;
}

static stele_status try_save(int64_t iteration)
{
    static const stele_attribute attributes[] = { { "host", "a" }, { "agent", "b" } };
    stele_resume_point point = make_point("run-1", iteration);
    point.payload = payload;
    point.payload_size = PAYLOAD;
    point.attributes = attributes;
    point.attribute_count = 2;
    stele_status status = take("save", stele_resume_point_save(store, &point, NULL));
    if (status == STELE_OK)
        told.iteration = iteration;
    if (status == STELE_OK || status == STELE_UNKNOWN_OUTCOME)
        told.maybe_iteration = iteration;
    if (told.maybe_iteration >= 0 && told.maybe_attempt == 0)
        told.maybe_attempt = 1;
    if (told.iteration >= 0 && told.attempt == 0)
        told.attempt = 1;
    return status;
}

static stele_status try_resume(void)
{
    stele_resumption resumption = resumption_of("run-1", NULL);
    stele_resume_answer answer = STELE_RESUME_FRESH;
    int64_t attempt = 0;
    const stele_resume_record *record = NULL;
    stele_status status =
        take("resume", stele_resume_point_resume(store, &resumption, &answer, &attempt, &record));
    if ((status == STELE_OK) != (record != NULL))
        blame("resume", "a record without a success, or a success without one");
    if (status == STELE_OK && answer == STELE_RESUME_GO_ON)
        told.attempt = told.maybe_attempt = attempt;
    if (status == STELE_UNKNOWN_OUTCOME)
        told.maybe_attempt++;
    stele_resume_record_close(record);
    return status;
}

static stele_status try_list(void)
{
    stele_resume_points *points = NULL;
    const stele_resume_record *record = NULL;
    stele_status status = take("list", stele_resume_point_list(store, NULL, 0, &points));
    while (status == STELE_OK)
        status = take("next", stele_resume_points_next(points, &record));
    stele_resume_points_close(points);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status try_load(void)
{
    const stele_resume_record *record = NULL;
    stele_status status = take("load", stele_resume_point_load(store, NULL, "run-1", &record));
    if (status == STELE_OK && told.iteration == told.maybe_iteration
        && (record->found ? record->iteration : -1) != told.iteration)
        blame("load", "another iteration than was saved");
    stele_resume_record_close(record);
    return status;
}

/* One that isn't the last one's: it is never there afterwards. */
static stele_status try_delete(void)
{
    stele_resume_point point = make_point("short", 1);
    stele_status status = take("save short", stele_resume_point_save(store, &point, NULL));
    if (status == STELE_OK)
        status = take("delete", stele_resume_point_delete(store, NULL, "short", NULL));
    return status;
}

static stele_status try_add(void)
{
    stele_status status = take("add", stele_session_add(memory, &ada, "user", text));
    told.turns += status == STELE_OK;
    told.maybe_turns += status == STELE_OK || status == STELE_UNKNOWN_OUTCOME;
    return status;
}

static stele_status try_snapshot(void)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_identity other = identity_of("acme", "bob", "s1");
    stele_session_state state;
    stele_status status = take("snapshot", stele_session_snapshot(memory, &ada, &buffer));
    if (status != STELE_OK && buffer.size > 0)
        blame("snapshot", "a part of it");
    if (status == STELE_OK)
        status = take("restore", stele_session_restore(memory, &other, buffer.data, buffer.size));
    if (status == STELE_OK)
        status = take("flush", stele_session_flush(memory, &other));
    if (status == STELE_OK)
        status = take("health", stele_session_health(memory, &ada, &state, NULL));
    stele_buffer_dispose(&buffer);
    return status;
}

static stele_status try_read(void)
{
    const stele_session_turns *turns = NULL;
    stele_status status = take("read", stele_session_read(memory, &ada, &turns));
    stele_session_turns_close(turns);
    return status;
}

/* Refused whatever fails. */
static void try_nobody(void)
{
    stele_identity nobody = STELE_IDENTITY_INIT;
    if (stele_session_flush(memory, &nobody) != STELE_MISUSE)
        blame("flush", "nobody isn't refused");
}

/* Goes on after failures. */
static void do_everything(int64_t iteration)
{
    stele_session_memory *second = NULL;
    take("open", stele_session_open(store, NULL, &second));
    stele_session_close(second);
    try_save(iteration);
    try_load();
    try_resume();
    try_save(iteration + 1);
    try_list();
    try_delete();
    try_add();
    try_read();
    try_snapshot();
    try_nobody();
    try_add();
}

static void expect_what_was_told(void)
{
    const stele_resume_record *record = load_point(NULL, "run-1");
    int64_t iteration = record->found ? record->iteration : -1;
    ck_assert_int_ge(iteration, told.iteration);
    ck_assert_int_le(iteration, told.maybe_iteration);
    ck_assert_int_ge(record->attempt, told.attempt);
    ck_assert_int_le(record->attempt, told.maybe_attempt);
    if (record->found) {
        ck_assert_uint_eq(record->payload_size, PAYLOAD);
        ck_assert_mem_eq(record->payload, payload, PAYLOAD);
        ck_assert_uint_eq(record->attribute_count, 2);
    }
    /* From here on it is known. */
    told.iteration = told.maybe_iteration = iteration;
    told.attempt = told.maybe_attempt = record->attempt;
    stele_resume_record_close(record);
    const stele_session_turns *turns = NULL;
    assert_status(stele_session_read(memory, &ada, &turns), STELE_OK);
    ck_assert_uint_ge(turns->count, told.turns);
    ck_assert_uint_le(turns->count, told.maybe_turns);
    for (size_t i = 0; i < turns->count; i++)
        ck_assert_str_eq(turns->turns[i].text, text);
    told.turns = told.maybe_turns = turns->count;
    stele_session_turns_close(turns);
}

static void begin_anew(void)
{
    memset(&told, 0, sizeof(told));
    told.iteration = told.maybe_iteration = -1;
    wrong[0] = '\0';
    memset(statuses_seen, 0, sizeof(statuses_seen));
    memset(payload, '7', sizeof(payload));
    memset(text, 'x', TEXT);
}

static void expect_nothing_wrong(void)
{
    ck_assert_msg(wrong[0] == '\0', "%s", wrong);
}

/* --- Memory --- */

static const stele_status no_memory_only[] = { STELE_NO_MEMORY, STELE_OK };

/* Everything, with the n-th allocation failing, for every n. */
START_TEST(failed_allocation_is_no_memory_and_changes_nothing)
{
    int64_t point = 1, iteration = 0;
    begin_anew();
    allowed = no_memory_only;
    open_in_memory();
    open_truncating(100000, 1000000);
    try_save(0);
    for (bool reached = true; reached; point++) {
        int64_t blocks = atomic_load(&own.blocks);
        atomic_store(&own.calls, 0);
        atomic_store(&own.fail_last, _i == 0 ? point : INT64_MAX);
        atomic_store(&own.fail_first, point);
        do_everything(iteration += 2);
        atomic_store(&own.fail_first, 0);
        reached = atomic_load(&own.calls) >= point;
        expect_nothing_wrong();
        expect_what_was_told();
        assert_status(stele_session_flush(memory, &ada), STELE_OK);
        told.turns = told.maybe_turns = 0;
        /* Caches may grow by a few; a leak would grow with every point. */
        ck_assert_int_le(atomic_load(&own.blocks), blocks + 8);
    }
    printf("resume and session: %" PRId64 " points, %d refused\n", point,
           statuses_seen[-STELE_NO_MEMORY]);
    ck_assert_int_gt(statuses_seen[-STELE_NO_MEMORY], 20);
    do_everything(iteration + 2);
    expect_nothing_wrong();
}
END_TEST

/* A text that is written piece by piece must not stay there in part. */
START_TEST(buffer_is_as_it_was_when_memory_fails_half_way)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    int refused = 0;
    bool reached = true;
    begin_anew();
    open_in_memory();
    open_truncating(10, 1000);
    ck_assert_int_eq(stele_session_snapshot(memory, &ada, &buffer), STELE_OK);
    size_t whole = buffer.size;
    for (int64_t point = 1; reached; point++) {
        while (buffer.size < buffer.capacity - whole / 2) /* room for the first pieces */
            ck_assert_int_eq(stele_buffer_add(&buffer, ".", 1), STELE_OK);
        buffer.size = buffer.capacity - whole / 2;
        size_t before = buffer.size;
        atomic_store(&own.calls, 0);
        atomic_store(&own.fail_last, INT64_MAX);
        atomic_store(&own.fail_first, point);
        stele_status status = stele_session_snapshot(memory, &ada, &buffer);
        atomic_store(&own.fail_first, 0);
        reached = atomic_load(&own.calls) >= point;
        refused += status == STELE_NO_MEMORY;
        ck_assert_int_eq(status, reached ? STELE_NO_MEMORY : STELE_OK);
        ck_assert_uint_eq(buffer.size, status == STELE_OK ? before + whole : before);
    }
    ck_assert_int_gt(refused, 1);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(nothing_is_left_behind_when_memory_and_store_are_closed)
{
    begin_anew();
    allowed = no_memory_only;
    resources before = count_resources();
    open_in_file();
    open_truncating(100, 100000);
    do_everything(1);
    close_memory();
    close_store();

    expect_resources(before, "closed");
    expect_nothing_wrong();
}
END_TEST

/* --- A full disk --- */

static const stele_status full_only[] = { STELE_FULL, STELE_OK };

START_TEST(full_disk_fails_what_is_written_and_reads_go_on)
{
    begin_anew();
    allowed = full_only;
    ck_assert(install_quota());
    open_in_file();
    open_truncating(100000, 1000000);
    do_everything(1);
    for (int i = 0; i < STEPS_MAX; i++) {
        quota_bytes = quota_used() + (int64_t)i * 1500;
        do_everything(3 + 2 * i);
        expect_what_was_told();
        quota_bytes = INT64_MAX;
        ck_assert_int_eq(try_save(4 + 2 * i), STELE_OK);
        ck_assert_int_eq(try_add(), STELE_OK);
        expect_what_was_told();
    }

    expect_nothing_wrong();
    ck_assert_int_gt(statuses_seen[-STELE_FULL], STEPS_MAX);
    close_memory();
    close_store();
    remove_quota();
}
END_TEST

/* --- A disk that fails --- */

static const stele_status disk_failures[] = { STELE_IO,   STELE_UNKNOWN_OUTCOME,
                                              STELE_FULL, STELE_NO_MEMORY,
                                              STELE_BUSY, STELE_OK };

static struct {
    int64_t at, count;
} disk_fault;

static int fail_the_nth(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    bool counts =
        file != DISK_OTHER && (call == DISK_READ || call == DISK_WRITE || call == DISK_SYNC);
    if (!counts || disk_fault.at == 0 || ++disk_fault.count != disk_fault.at)
        return SQLITE_OK;
    return call == DISK_READ    ? SQLITE_IOERR_READ
           : call == DISK_WRITE ? SQLITE_IOERR_WRITE
                                : SQLITE_IOERR_FSYNC;
}

START_TEST(failing_disk_loses_nothing_that_was_acknowledged)
{
    begin_anew();
    allowed = disk_failures;
    install_disk_hooks();
    disk_skips_syncs = true;
    disk_hook = fail_the_nth;
    open_in_file();
    open_truncating(100000, 1000000);
    try_save(0);
    int64_t iteration = 0;
    for (int64_t at = 1; at == 1 || disk_fault.count >= at - 1; at++) {
        disk_fault.at = at;
        disk_fault.count = 0;
        do_everything(iteration += 2);
        disk_fault.at = 0;
        expect_nothing_wrong();
        expect_what_was_told();
        told.turns = told.maybe_turns = 0;
        assert_status(stele_session_flush(memory, &ada), STELE_OK);
        ck_assert_int_eq(try_save(iteration + 1), STELE_OK); /* harmless once more */
    }
    ck_assert_int_gt(statuses_seen[-STELE_UNKNOWN_OUTCOME], 0);
    ck_assert_int_gt(statuses_seen[-STELE_IO], 0);
    close_memory();
    close_store();
    disk_hook = NULL;
    remove_disk_hooks();
}
END_TEST

/* --- Another writer --- */

static const stele_status busy_only[] = { STELE_BUSY, STELE_OK };

START_TEST(other_writer_makes_writes_busy_and_reads_go_on)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_transaction *transaction = NULL;
    begin_anew();
    allowed = busy_only;
    options.busy_timeout_ms = 10;
    store = open_path(store_path(), &options);
    open_truncating(100, 100000);
    do_everything(1);
    stele_store *other = open_path(store_path(), NULL);
    assert_status(stele_transaction_begin(other, &transaction), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(session_calls); i++)
        assert_status(session_calls[i].make(&ada), session_calls[i].writes ? STELE_BUSY : STELE_OK);

    do_everything(3);

    stele_transaction_end(transaction);
    stele_store_close(other);
    expect_nothing_wrong();
    ck_assert_int_ge(statuses_seen[-STELE_BUSY], 5);
    expect_what_was_told();
    do_everything(5);
    expect_nothing_wrong();
}
END_TEST

/* --- Controls --- */

START_TEST(loss_and_wrong_answers_are_noticed)
{
    begin_anew();
    allowed = busy_only;
    open_in_memory();
    open_truncating(100, 100000);
    do_everything(1);
    expect_nothing_wrong();
    ck_assert_int_eq(told.iteration, 2);
    ck_assert_int_eq(told.attempt, 2);

    assert_status(stele_resume_point_delete(store, NULL, "run-1", NULL), STELE_OK);
    try_load();

    ck_assert_str_ne(wrong, "");
    wrong[0] = '\0';
    take("a call", STELE_NO_MEMORY);
    ck_assert_str_ne(wrong, "");
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("resume_session_faults");
    TCase *tests = add_session_case(suite, "faults", NULL);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, failed_allocation_is_no_memory_and_changes_nothing, 0, 2);
    tcase_add_test(tests, buffer_is_as_it_was_when_memory_fails_half_way);
    tcase_add_test(tests, nothing_is_left_behind_when_memory_and_store_are_closed);
    tcase_add_test(tests, full_disk_fails_what_is_written_and_reads_go_on);
    tcase_add_test(tests, failing_disk_loses_nothing_that_was_acknowledged);
    tcase_add_test(tests, other_writer_makes_writes_busy_and_reads_go_on);
    tcase_add_test(tests, loss_and_wrong_answers_are_noticed);
    return run_suite(suite);
}

/* The fence in the file: what was committed was committed before it, and nothing is afterwards. */
#define _GNU_SOURCE
#include "wrap.h"

#include "effort.h"

#include <stele/backup.h>
#include <stele/lifecycle.h>
#include <stele/snapshot.h>
#include <stele/state.h>
#include <stele/submit.h>

#include "store/fence.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define MOVE_ID  "11111111-2222-4333-8444-555555555555"
#define OTHER_ID "99999999-2222-4333-8444-555555555555"

static stele__fence fence_of(stele__fence_kind kind, const char *id)
{
    stele__fence fence = { .kind = kind };
    snprintf(fence.id, sizeof(fence.id), "%s", id);
    snprintf(fence.where, sizeof(fence.where), "%s", "/new/root/acme/orders.db");
    return fence;
}

static stele_status raise_on(stele_store *on, stele__fence_kind kind, const char *id)
{
    stele__fence fence = fence_of(kind, id);
    return stele__fence_raise(on, NULL, &fence);
}

static void raise_move(void)
{
    assert_status(raise_on(store, STELE__FENCE_MOVE, MOVE_ID), STELE_OK);
}

static stele_status add_to(stele_store *to, const char *stream)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    return stele_store_append(to, &append, NULL);
}

/* --- Who is stopped --- */

static stele_status try_append_many(void)
{
    stele_event event = make_event("noted", "{}");
    stele_append appends[2] = { make_append("a-1", STELE_ANY, &event, 1),
                                make_append("b-1", STELE_ANY, &event, 1) };
    return stele_store_append_many(store, appends, 2, NULL, NULL);
}

static stele_status try_transaction(void)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    stele_transaction_end(transaction);
    return status;
}

static stele_status try_submit(void)
{
    stele_ticket *ticket = NULL;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);
    const stele_verdict *verdict = NULL;
    assert_status(stele_ticket_wait(ticket, NULL, &verdict), STELE_OK);
    stele_status status = verdict->status;
    if (status == STELE_MOVED)
        ck_assert_ptr_nonnull(strstr(verdict->error, "/new/root/acme/orders.db"));
    stele_ticket_close(ticket);
    return status;
}

static stele_status try_append(void)
{
    return add_to(store, "a-1");
}

static stele_status try_checkpoint(void)
{
    return stele_checkpoint_save(store, "reader", 1);
}

static stele_status try_put(void)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = "s";
    put.key = "k";
    put.data = "v";
    put.data_size = 1;
    return stele_state_put(store, &put, NULL);
}

static stele_status try_clear(void)
{
    return stele_state_clear(store, "s", NULL, NULL, NULL);
}

static stele_status try_snapshot(void)
{
    stele_snapshot snapshot = STELE_SNAPSHOT_INIT;
    snapshot.stream = "a-1";
    snapshot.version = 1;
    snapshot.data = "{}";
    snapshot.data_size = 2;
    return stele_snapshot_save(store, &snapshot);
}

static stele_status try_archive(void)
{
    stele_archive archive = STELE_ARCHIVE_INIT;
    archive.stream = "a-1";
    return stele_store_archive(store, &archive, NULL);
}

static stele_status try_tombstone(void)
{
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    tombstone.stream = "a-1";
    tombstone.reason = "over";
    return stele_store_tombstone(store, &tombstone, NULL);
}

static stele_status try_delete(void)
{
    stele_delete what = STELE_DELETE_INIT;
    what.stream = "a-1";
    return stele_store_delete(store, &what, NULL);
}

static stele_status (*const writes[])(void) = {
    try_append, try_append_many, try_transaction, try_submit,    try_checkpoint, try_put,
    try_clear,  try_snapshot,    try_archive,     try_tombstone, try_delete,
};

static void expect_all_writes(stele_status expected)
{
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        stele_status status = writes[i]();
        ck_assert_msg(status == expected, "write %zu is %s, not %s: %s", i,
                      stele_status_name(status), stele_status_name(expected),
                      status < 0 ? stele_error_text() : "no reason");
    }
}

static void fill_one(void)
{
    open_in_file();
    assert_status(add_to(store, "a-1"), STELE_OK);
}

START_TEST(every_write_is_moved_and_its_text_says_where_to)
{
    raise_move();

    expect_all_writes(STELE_MOVED);

    assert_status(add_to(store, "a-1"), STELE_MOVED);
    assert_reason_has("/new/root/acme/orders.db");
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(every_write_is_fenced_when_the_store_is_being_dropped)
{
    assert_status(raise_on(store, STELE__FENCE_DROP, MOVE_ID), STELE_OK);

    expect_all_writes(STELE_FENCED);

    assert_status(add_to(store, "a-1"), STELE_FENCED);
    assert_reason_has("being dropped");
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(reading_goes_on_behind_a_fence)
{
    raise_move();

    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    assert_status(stele_store_read(store, NULL, &cursor), STELE_OK);
    assert_status(stele_cursor_next(cursor, &record), STELE_OK);
    ck_assert_str_eq(record->stream, "a-1");
    assert_status(stele_cursor_next(cursor, &record), STELE_DONE);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(what_waits_since_before_the_fence_is_moved_and_not_stored)
{
    stele_ticket *ticket = NULL;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);
    raise_move();

    const stele_verdict *verdict = NULL;
    assert_status(stele_ticket_wait(ticket, NULL, &verdict), STELE_OK);
    ck_assert_int_eq(verdict->status, STELE_MOVED);

    stele_ticket_close(ticket);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(another_handle_is_stopped_at_its_next_write)
{
    stele_store *other = open_path(store_path(), NULL);
    assert_status(add_to(other, "b-1"), STELE_OK);
    raise_move();

    assert_status(add_to(other, "b-1"), STELE_MOVED);
    assert_status(add_to(other, "b-1"), STELE_MOVED);

    assert_status(stele__fence_lower(other, NULL, MOVE_ID), STELE_OK);
    assert_status(add_to(other, "b-1"), STELE_OK);
    assert_status(add_to(store, "b-1"), STELE_OK);
    stele_store_close(other);
}
END_TEST

START_TEST(store_on_a_wrapped_handle_is_stopped_too)
{
    close_store();
    open_handle(store_path(), "");
    wrap_with(NULL);
    stele_store *other = open_path(store_path(), NULL);
    assert_status(add_to(store, "b-1"), STELE_OK);
    assert_status(raise_on(other, STELE__FENCE_MOVE, MOVE_ID), STELE_OK);

    expect_all_writes(STELE_MOVED);

    assert_status(stele__fence_lower(other, NULL, MOVE_ID), STELE_OK);
    stele_store_close(other);
    assert_status(add_to(store, "b-1"), STELE_OK);
    raise_move();
    expect_all_writes(STELE_MOVED);
    close_handle();
}
END_TEST

START_TEST(fence_survives_closing_and_reopening)
{
    raise_move();
    reopen_file();

    assert_status(add_to(store, "a-1"), STELE_MOVED);

    stele__fence fence;
    assert_status(stele__fence_read(store, &fence), STELE_OK);
    ck_assert(fence.found);
    ck_assert_int_eq(fence.kind, STELE__FENCE_MOVE);
    ck_assert_str_eq(fence.id, MOVE_ID);
    ck_assert_str_eq(fence.where, "/new/root/acme/orders.db");
}
END_TEST

/* --- Raising and lowering --- */

START_TEST(raising_again_by_the_same_id_is_fine_and_by_another_a_conflict)
{
    raise_move();
    raise_move();

    assert_status(raise_on(store, STELE__FENCE_DROP, OTHER_ID), STELE_CONFLICT);
    assert_reason_has(MOVE_ID);

    assert_status(add_to(store, "a-1"), STELE_MOVED);
}
END_TEST

START_TEST(lowering_by_another_id_changes_nothing)
{
    raise_move();
    assert_status(stele__fence_lower(store, NULL, OTHER_ID), STELE_OK);
    assert_status(add_to(store, "a-1"), STELE_MOVED);

    assert_status(stele__fence_lower(store, NULL, MOVE_ID), STELE_OK);
    assert_status(stele__fence_lower(store, NULL, MOVE_ID), STELE_OK);

    assert_status(add_to(store, "a-1"), STELE_OK);
    assert_status(try_put(), STELE_OK);
    stele__fence fence;
    assert_status(stele__fence_read(store, &fence), STELE_OK);
    ck_assert(!fence.found);
}
END_TEST

START_TEST(place_with_a_line_end_or_without_utf8_is_misuse)
{
    static const char *const wrong[] = { "/a\nb", "/a\xff" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        stele__fence fence = fence_of(STELE__FENCE_MOVE, MOVE_ID);
        snprintf(fence.where, sizeof(fence.where), "%s", wrong[i]);
        assert_status(stele__fence_raise(store, NULL, &fence), STELE_MISUSE);
    }
    assert_status(add_to(store, "a-1"), STELE_OK);
}
END_TEST

START_TEST(store_opened_for_reading_can_not_be_fenced)
{
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);

    assert_status(raise_on(store, STELE__FENCE_MOVE, MOVE_ID), STELE_READ_ONLY);
    assert_status(stele__fence_lower(store, NULL, MOVE_ID), STELE_READ_ONLY);
}
END_TEST

START_TEST(fence_can_not_be_put_up_from_inside_a_transaction)
{
    stele_transaction *transaction = begin();

    assert_status(raise_on(store, STELE__FENCE_MOVE, MOVE_ID), STELE_MISUSE);

    commit_and_end(transaction);
    assert_status(add_to(store, "a-1"), STELE_OK);
}
END_TEST

/* Also where it would read well: nobody is sent to a place that nobody wrote. */
START_TEST(damaged_fence_stops_writers_as_damage)
{
    static const char *const damages[] = {
        "UPDATE meta SET value = replace(value, 'orders', 'others') WHERE key = 'fence'",
        "UPDATE meta SET value = 'move nonsense' WHERE key = 'fence'",
    };
    raise_move();
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        close_store();
        run_sql(store_path(), damages[i]);
        open_in_file();

        assert_status(add_to(store, "a-1"), STELE_CORRUPT);
        stele__fence fence;
        assert_status(stele__fence_read(store, &fence), STELE_CORRUPT);
    }
}
END_TEST

START_TEST(relaxed_store_has_all_before_the_fence_on_disk_and_is_stopped)
{
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    store = open_path(store_path(), &options);
    assert_status(add_to(store, "a-1"), STELE_OK);

    raise_move();

    expect_all_writes(STELE_MOVED);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

START_TEST(store_recovered_from_a_backup_of_a_fenced_one_takes_appends)
{
    char backup_path[512];
    char new_path[512];
    snprintf(backup_path, sizeof(backup_path), "%s", test_path("backup.db"));
    snprintf(new_path, sizeof(new_path), "%s", test_path("new.db"));
    raise_move();
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = backup_path;
    assert_status(stele_store_backup(store, &backup, NULL), STELE_OK);
    stele_recover recover = STELE_RECOVER_INIT;
    recover.backup = backup_path;
    recover.path = new_path;
    assert_status(stele_recover_backup(&recover, NULL), STELE_OK);

    stele_store *recovered = open_path(new_path, NULL);

    assert_status(add_to(recovered, "a-1"), STELE_OK);
    stele_store_close(recovered);
}
END_TEST

/* --- Who writes at the same time --- */

enum { WRITERS = 4 };

typedef struct writing {
    pthread_t thread;
    char stream[16];
    int64_t stored;
    stele_status last;
} writing;

static void *write_until_stopped(void *context)
{
    writing *self = context;
    while ((self->last = add_to(store, self->stream)) == STELE_OK)
        self->stored++;
    return NULL;
}

START_TEST(threads_that_append_all_the_time_end_at_the_fence)
{
    writing threads[WRITERS] = { 0 };
    for (int i = 0; i < WRITERS; i++) {
        snprintf(threads[i].stream, sizeof(threads[i].stream), "w-%d", i);
        ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, write_until_stopped, &threads[i]),
                         0);
    }
    usleep(30000);
    raise_move();
    int64_t head = head_of(store);

    int64_t stored = 1;
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i].thread, NULL);
        ck_assert_int_eq(threads[i].last, STELE_MOVED);
        stored += threads[i].stored;
    }
    ck_assert_int_eq(stored, head);
    ck_assert_int_eq(head_of(store), head);
}
END_TEST

/* What a writing process shares with the test. */
typedef struct shared_page {
    _Atomic(int64_t) last_position; /* that it was told of */
    _Atomic(int) ended_with;
    atomic_bool stop;
} shared_page;

static shared_page *page;

static void append_in_process(const char *path, bool heedless)
{
    stele_store *own = NULL;
    stele_status status = stele_store_open(path, NULL, &own);
    if (status == STELE_OK)
        own->no_fence = heedless;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("p-1", STELE_ANY, &event, 1);
    while (status == STELE_OK && !atomic_load(&page->stop)) {
        stele_appended appended = { 0 };
        status = stele_store_append(own, &append, &appended);
        if (status == STELE_OK)
            atomic_store(&page->last_position, appended.last_position);
    }
    atomic_store(&page->ended_with, status);
    stele_store_close(own);
}

/* Behind the fence that stands at `head`: whether it was refused, or is well past it. */
static bool has_gone_on(bool heedless, int64_t head)
{
    return heedless ? atomic_load(&page->last_position) >= head + 20
                    : atomic_load(&page->ended_with) != STELE_OK;
}

/* How many events another process stored behind the fence. */
static int64_t count_behind_fence(bool heedless)
{
    char path[512];
    snprintf(path, sizeof(path), "%s", store_path());
    close_store(); /* a child can't use what is open at fork() */
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
    fflush(NULL);
    pid_t process = fork();
    ck_assert_int_ge(process, 0);
    if (process == 0) {
        append_in_process(path, heedless);
        _exit(0);
    }
    open_in_file();
    while (atomic_load(&page->last_position) < 20)
        usleep(1000);
    raise_move();
    int64_t head = head_of(store);
    for (int i = 0; i < 60000 && !has_gone_on(heedless, head); i++)
        usleep(1000);
    atomic_store(&page->stop, true);
    waitpid(process, NULL, 0);
    int64_t behind = head_of(store) - head;
    ck_assert_int_eq(atomic_load(&page->ended_with), heedless ? STELE_OK : STELE_MOVED);
    ck_assert_int_le(atomic_load(&page->last_position), head + behind);
    munmap(page, sizeof(*page));
    return behind;
}

START_TEST(process_that_appends_all_the_time_ends_at_the_fence)
{
    int rounds = effort_is_long() ? 50 : 4;
    for (int i = 0; i < rounds; i++) {
        ck_assert_int_eq(count_behind_fence(false), 0);
        assert_status(stele__fence_lower(store, NULL, MOVE_ID), STELE_OK);
    }
}
END_TEST

/* The control: who doesn't look at the fence. */
START_TEST(process_that_does_not_look_goes_past_the_fence)
{
    ck_assert_int_gt(count_behind_fence(true), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fence");
    TCase *tests = add_case(suite, "stopping", fill_one);
    tcase_add_test(tests, every_write_is_moved_and_its_text_says_where_to);
    tcase_add_test(tests, every_write_is_fenced_when_the_store_is_being_dropped);
    tcase_add_test(tests, reading_goes_on_behind_a_fence);
    tcase_add_test(tests, what_waits_since_before_the_fence_is_moved_and_not_stored);
    tcase_add_test(tests, another_handle_is_stopped_at_its_next_write);
    tcase_add_test(tests, store_on_a_wrapped_handle_is_stopped_too);
    tcase_add_test(tests, fence_survives_closing_and_reopening);
    tests = add_case(suite, "raising", fill_one);
    tcase_add_test(tests, raising_again_by_the_same_id_is_fine_and_by_another_a_conflict);
    tcase_add_test(tests, lowering_by_another_id_changes_nothing);
    tcase_add_test(tests, place_with_a_line_end_or_without_utf8_is_misuse);
    tcase_add_test(tests, store_opened_for_reading_can_not_be_fenced);
    tcase_add_test(tests, fence_can_not_be_put_up_from_inside_a_transaction);
    tcase_add_test(tests, damaged_fence_stops_writers_as_damage);
    tcase_add_test(tests, relaxed_store_has_all_before_the_fence_on_disk_and_is_stopped);
    tcase_add_test(tests, store_recovered_from_a_backup_of_a_fenced_one_takes_appends);
    tests = add_case(suite, "at-the-same-time", fill_one);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, threads_that_append_all_the_time_end_at_the_fence);
    tcase_add_test(tests, process_that_appends_all_the_time_ends_at_the_fence);
    tcase_add_test(tests, process_that_does_not_look_goes_past_the_fence);
    return run_suite(suite);
}

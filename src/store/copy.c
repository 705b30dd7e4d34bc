#include "store/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/platform.h"
#include "sqlite/backup.h"
#include "store/schema.h"

/* So often it begins again because of other processes before it goes over to a snapshot. */
#define RESTARTS_MAX 3
/* So many times what the store held at first may be copied before that. */
#define GROWTH_MAX     4
#define RETRY_PAUSE_US 1000

/* Of a SQLite file. */
#define HEADER_SIZE       100
#define APPLICATION_ID_AT 68

/* --- The file --- */

/* Without memory of its own: it also tidies up where there is none. */
static void remove_beside(const char *path, const char *suffix)
{
    char beside[4200];
    int size = snprintf(beside, sizeof(beside), "%s%s", path, suffix);
    if (size > 0 && (size_t)size < sizeof(beside))
        stele__remove_file(beside);
}

static stele_status remove_copy(const char *path)
{
    remove_beside(path, "-wal");
    remove_beside(path, "-journal");
    remove_beside(path, "-shm");
    return stele__remove_file(path);
}

/* By how it begins: as a store, or with nothing, since SQLite writes the first page last. */
static bool looks_left_over(const unsigned char *bytes, size_t size)
{
    static const char magic[16] = "SQLite format 3";
    static const unsigned char zeros[HEADER_SIZE];
    const unsigned char application[] = { STELE__APPLICATION_ID >> 24,
                                          (STELE__APPLICATION_ID >> 16) & 0xff,
                                          (STELE__APPLICATION_ID >> 8) & 0xff,
                                          STELE__APPLICATION_ID & 0xff };
    if (memcmp(bytes, zeros, size) == 0)
        return true;
    return size == HEADER_SIZE && memcmp(bytes, magic, sizeof(magic)) == 0
           && memcmp(bytes + APPLICATION_ID_AT, application, sizeof(application)) == 0;
}

/* Else another copy to the same place has taken it away, or given it its name: what fails then is
 * no failure of the disk. */
static bool is_as_it_was(const char *path, const stele__file_stamp *before)
{
    stele__file_stamp now;
    return stele__stamp_file(path, &now) == STELE_OK && now.exists
           && stele__stamp_equal(before, &now);
}

/* Whether the file was left by a copy that was cut short: nobody has it locked, and it begins as
 * one does. */
static stele_status look_into_left_over(const char *path)
{
    stele__database *database = NULL;
    const stele__database_options settings = { .cache_size_kb = 64 };
    unsigned char bytes[HEADER_SIZE];
    size_t size = 0;
    stele_status status = stele__database_open(path, &settings, &database);
    if (status == STELE_OK)
        status = stele__database_execute(database, "BEGIN EXCLUSIVE; ROLLBACK");
    stele__database_close(database);
    if (status == STELE_BUSY)
        return stele__fail(STELE_BUSY, "another copy to '%s' is in progress", path);
    if (status != STELE_OK && status != STELE_CORRUPT)
        return status;
    /* The lock was free, so nobody has it open whose locks our closing could drop. */
    status = stele__file_peek(path, bytes, sizeof(bytes), &size);
    if (status != STELE_OK || looks_left_over(bytes, size))
        return status;
    return stele__fail(STELE_MISUSE,
                       "'%s' is in the way, and no copy that was cut short: move it away", path);
}

static stele_status judge_left_over(const char *path)
{
    char error[STELE__ERROR_SIZE];
    stele__file_stamp before;
    stele_status status = stele__stamp_file(path, &before);
    if (status == STELE_OK)
        status = look_into_left_over(path);
    if (status == STELE_OK || status == STELE_BUSY || status == STELE_MISUSE)
        return status;
    stele__keep_error(error);
    if (!is_as_it_was(path, &before))
        return stele__fail(STELE_BUSY, "another copy to '%s' is in progress", path);
    stele__restore_error(error);
    return status;
}

static stele_status claim_copy(const char *path)
{
    stele__file_facts facts;
    bool claimed = false;
    stele_status status = stele__look_at_file(path, &facts);
    if (status == STELE_OK && facts.exists && !facts.regular)
        return stele__fail(STELE_MISUSE, "'%s' is in the way: it is not a regular file", path);
    if (status == STELE_OK && facts.exists) /* also an empty one: what is copied may be in memory */
        status = judge_left_over(path);
    if (status == STELE_OK)
        status = remove_copy(path);
    if (status == STELE_OK)
        status = stele__claim_file(path, &claimed);
    if (status == STELE_OK && !claimed)
        status = stele__fail(STELE_BUSY, "another copy to '%s' has just begun", path);
    return status;
}

stele_status stele__copy_open(const char *path, stele__database **target_out)
{
    char error[STELE__ERROR_SIZE];
    stele__file_stamp claimed;
    *target_out = NULL;
    stele_status status = claim_copy(path);
    if (status == STELE_OK)
        status = stele__stamp_file(path, &claimed);
    if (status != STELE_OK)
        return status;
    status = stele__page_copy_target(path, target_out);
    if (status == STELE_OK)
        return STELE_OK;
    stele__keep_error(error);
    if (!is_as_it_was(path, &claimed))
        return stele__fail(STELE_BUSY, "another copy took the place of this one");
    stele__restore_error(error);
    stele__copy_discard(path, NULL);
    return status;
}

stele_status stele__copy_change(stele__database *target)
{
    stele_status status = stele__page_copy_harden(target);
    return status == STELE_OK ? stele__database_begin(target) : status;
}

stele_status stele__copy_settle(stele__database *target)
{
    stele_status status = stele__settle_outcome(stele__database_commit(target));
    return status == STELE_OK ? stele__page_copy_settle(target) : status;
}

stele_status stele__copy_check_name(stele__database *target)
{
    if (stele__database_has_name(target))
        return STELE_OK;
    return stele__fail(STELE_BUSY, "another copy took the place of this one");
}

void stele__copy_discard(const char *path, stele__database *target)
{
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    /* The name first, while the lock still keeps others off it. */
    bool ours = target == NULL || stele__database_has_name(target);
    if (ours)
        remove_copy(path);
    stele__database_close(target);
    stele__restore_error(error);
}

void stele__copy_leave(const char *path, stele__database *target)
{
    /* Under its own name nobody takes it for left over, and SQLite forgets the WAL of a file that
     * has lost its name. */
    stele__database_close(target);
    remove_copy(path);
}

/* --- Its content --- */

/* One copy of a store. */
typedef struct store_copy {
    stele_store *store;
    stele__work *work;
    stele__page_copy pages;
    stele__database *target;
    stele__copy_facts *facts;
    const stele__copy_hook *hook; /* not called yet; NULL: none */
    int64_t page_size;
    uint32_t step;       /* pages */
    int64_t told;        /* of the pages, since it last began; -1: it begins */
    int64_t first_total; /* pages that the store had at first */
} store_copy;

/* How large pages are, and how many make a step. */
static stele_status choose_step(store_copy *copy, stele__database *database)
{
    const stele_work *options = &copy->work->options;
    if (copy->step > 0)
        return STELE_OK;
    stele_status status = stele__database_number(database, "PRAGMA page_size", &copy->page_size);
    if (status == STELE_OK && copy->page_size < 1)
        status = stele__fail(STELE_CORRUPT, "the store's pages have no size");
    if (status != STELE_OK)
        return status;
    int64_t most = options->step_size_max / copy->page_size;
    copy->step = most < options->step_count_max ? (uint32_t)most : options->step_count_max;
    if (copy->step < 1)
        copy->step = 1;
    return STELE_OK;
}

/* From `source`, a step. The source can't change under it. */
static stele_status copy_pages(store_copy *copy, stele__database *source, uint32_t step)
{
    int64_t before = copy->pages.done;
    stele_status status = STELE_OK;
    if (copy->pages.handle == NULL) {
        before = 0;
        status = stele__page_copy_begin(&copy->pages, source, copy->target);
    }
    if (status == STELE_OK)
        status = stele__page_copy_step(&copy->pages, step);
    if (status < 0)
        return status;
    if (copy->pages.restarted)
        copy->facts->restarts++;
    int64_t done = copy->pages.restarted ? copy->pages.done : copy->pages.done - before;
    copy->facts->pages += done > 0 ? (uint64_t)done : 0;
    if (copy->first_total == 0)
        copy->first_total = copy->pages.total;
    return status;
}

/* Between two steps. */
static stele_status tell_pages(store_copy *copy)
{
    int64_t done = copy->pages.done;
    if (copy->told < 0 || copy->pages.restarted) {
        stele__work_part(copy->work, "copying", 0);
        copy->told = 0;
    }
    uint64_t more = done > copy->told ? (uint64_t)(done - copy->told) : 0;
    copy->told = done;
    copy->work->progress.total = (uint64_t)copy->pages.total;
    return stele__work_step(copy->work, more, more * (uint64_t)copy->page_size);
}

/* The writer's connection can be used: its turn is ours. */
static stele_status prepare_writer(store_copy *copy, stele__patience *patience)
{
    stele_store *store = copy->store;
    stele_status status = stele__write_mend(store, patience);
    if (status == STELE_OK && store->wrapped != NULL)
        status = stele__wrap_check(store->writer.database);
    if (status != STELE_OK)
        return status;
    /* It was replaced since: what is copied so far was the other one's. */
    if (copy->pages.handle != NULL
        && !stele__page_copy_is_from(&copy->pages, store->writer.database)) {
        stele__page_copy_end(&copy->pages);
        copy->facts->restarts++;
        copy->told = -1;
    }
    return choose_step(copy, store->writer.database);
}

/* Without a WAL another process's commit locks the file for moments. Keeps the error text. */
static bool may_try_again(stele__patience *patience)
{
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    if (stele__patience_check(patience, "copying") != STELE_OK) {
        stele__restore_error(error);
        return false;
    }
    stele__patience_sleep(patience, RETRY_PAUSE_US);
    return true;
}

/* A step in the writer's turn. DONE when all is copied. */
static stele_status step_in_turn(store_copy *copy, bool to_the_end)
{
    stele_store *store = copy->store;
    stele__patience patience;
    stele_status status = stele__patience_begin(&patience, copy->work->options.wait,
                                                store->options.busy_timeout_ms, &store->closing);
    if (status == STELE_OK)
        status = stele__turn_take(store, &patience);
    if (status != STELE_OK)
        return status;
    status = prepare_writer(copy, &patience);
    if (status == STELE_OK) /* so that a transaction of the user's on a handle is found out */
        status = stele__database_begin_read(store->writer.database);
    if (status == STELE_OK) {
        do {
            status = copy_pages(copy, store->writer.database, to_the_end ? UINT32_MAX : copy->step);
        } while (status == STELE_BUSY && may_try_again(&patience));
        stele__database_rollback(store->writer.database);
    }
    stele__turn_pass(store);
    return status;
}

/* In the writer's turn, however long that takes: commits write to the target until then. */
static void end_in_turn(store_copy *copy)
{
    char error[STELE__ERROR_SIZE];
    stele__patience patience;
    if (copy->pages.handle == NULL)
        return;
    stele__keep_error(error);
    stele__patience_begin(&patience, NULL, UINT32_MAX, NULL);
    stele_status status = stele__turn_take(copy->store, &patience);
    stele__page_copy_end(&copy->pages);
    if (status == STELE_OK)
        stele__turn_pass(copy->store);
    stele__restore_error(error);
}

static bool is_overtaken(const store_copy *copy)
{
    return copy->facts->restarts >= RESTARTS_MAX
           || copy->facts->pages
                  > (uint64_t)copy->first_total * GROWTH_MAX + (uint64_t)4 * copy->step;
}

static stele_status call_hook(store_copy *copy)
{
    const stele__copy_hook *hook = copy->hook;
    copy->hook = NULL;
    return hook == NULL ? STELE_OK : hook->nearly_done(hook->context);
}

/* Whether the next step may be the last. Once all is copied, nothing comes along any more. */
static bool is_nearly_done(const store_copy *copy)
{
    return copy->pages.handle != NULL && copy->pages.total - copy->pages.done <= copy->step;
}

/* A store that one step could hold is copied in the first. */
static stele_status ask_at_first(store_copy *copy)
{
    stele__connection *connection = NULL;
    int64_t pages = 0;
    if (copy->hook == NULL)
        return STELE_OK;
    stele_status status = stele__read_begin(copy->store, copy->work->options.wait, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__database_number(connection->database, "PRAGMA page_count", &pages);
    stele__read_end(copy->store, connection);
    if (status == STELE_OK && pages <= (int64_t)copy->work->options.step_count_max)
        status = call_hook(copy);
    return status;
}

/* A step, and the user is told. DONE when all is copied. */
static stele_status take_step(store_copy *copy, bool to_the_end)
{
    stele_status status = STELE_OK;
    if (to_the_end || is_nearly_done(copy))
        status = call_hook(copy);
    if (status == STELE_OK)
        status = step_in_turn(copy, to_the_end);
    stele_status told = status < 0 ? status : tell_pages(copy);
    if (told != STELE_OK)
        return told;
    if (status != STELE_DONE || copy->hook == NULL)
        return status;
    /* It has shrunk, and was done before anybody was asked: once more. */
    end_in_turn(copy);
    copy->facts->restarts++;
    copy->told = -1;
    return call_hook(copy);
}

static stele_status copy_in_turns(store_copy *copy)
{
    stele_status status = ask_at_first(copy);
    while (status == STELE_OK && (copy->store->memory || !is_overtaken(copy))) {
        /* In memory there is no snapshot; but nobody else commits, either. */
        status = take_step(copy, is_overtaken(copy));
    }
    end_in_turn(copy);
    return status;
}

/* Over one snapshot of a connection of our own, which isn't one of the pool: those are waited for
 * whenever the WAL is moved. */
static stele_status copy_snapshot(store_copy *copy)
{
    stele_store *store = copy->store;
    stele__connection own = { 0 };
    int64_t ignored = 0;
    copy->facts->snapshot = true;
    copy->told = -1;
    stele_status status = stele__store_connect(store, true, &own.database);
    if (status != STELE_OK)
        return status;
    status = stele__database_begin_read(own.database);
    if (status == STELE_OK) /* the snapshot begins with the first thing that is read */
        status =
            stele__database_number(own.database, "SELECT count(*) FROM sqlite_schema", &ignored);
    if (status == STELE_OK)
        status = choose_step(copy, own.database);
    while (status == STELE_OK) {
        status = copy_pages(copy, own.database, copy->step);
        stele_status told = status < 0 ? status : tell_pages(copy);
        if (told != STELE_OK)
            status = told;
    }
    stele__page_copy_end(&copy->pages);
    stele__database_rollback(own.database);
    stele__connection_dispose(store, &own);
    return status;
}

stele_status stele__copy_run_with(stele_store *store, stele__work *work, stele__database *target,
                                  const stele__copy_hook *hook, stele__copy_facts *facts_out)
{
    *facts_out = (stele__copy_facts){ 0 };
    store_copy copy = {
        .store = store, .work = work, .target = target, .facts = facts_out, .hook = hook, .told = -1
    };
    stele_status status = store->options.read_only ? STELE_OK : copy_in_turns(&copy);
    if (status == STELE_OK)
        status = call_hook(&copy);
    if (status == STELE_OK)
        status = copy_snapshot(&copy);
    return status == STELE_DONE ? stele__copy_check_name(target) : status;
}

stele_status stele__copy_run(stele_store *store, stele__work *work, stele__database *target,
                             stele__copy_facts *facts_out)
{
    return stele__copy_run_with(store, work, target, NULL, facts_out);
}

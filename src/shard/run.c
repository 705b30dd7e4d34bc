/* A function for every shard, on as many threads as the caller asked for. */
#include <stele/shard_list.h>

#include <string.h>

#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"
#include "shard/scan.h"

#define PARALLEL_MAX 64
/* How often who waits for the threads asks whether to go on. */
#define RUN_ASK_US 20000

typedef struct run_row {
    char *organisation;
    char *name_space;
    bool moved;
    bool ended;
    bool skipped;
    stele_status status;
    char *error; /* NULL: no memory was left for it */
} run_row;

/* What the threads share. */
typedef struct shard_run {
    stele_shards *shards;
    stele_shards_run options;
    stele_work work;
    stele_wait asked; /* as the caller gave it */
    stele_wait wait;  /* of each acquire: its `progress` is ours */
    stele_shard_function function;
    void *context;
    run_row *rows;
    size_t row_count;

    pthread_mutex_t mutex; /* guards what follows, and what the rows have become */
    pthread_cond_t changed;
    size_t row_next;
    size_t ended;
    size_t working;      /* threads */
    atomic_bool stopped; /* begin no more */
    bool cancelled;
    bool closed;
    char reason[STELE__ERROR_SIZE]; /* of these two */
} shard_run;

void stele_shards_run_init(stele_shards_run *run)
{
    *run = (stele_shards_run)STELE_SHARDS_RUN_INIT;
}

/* --- What there is --- */

static stele_status take_function(shard_run *run)
{
    const stele_shards_run *options = &run->options;
    if (run->function != NULL && options->function != NULL)
        return stele__fail(STELE_MISUSE, "a function to run is given, and has no meaning here");
    if (run->function != NULL)
        return STELE_OK;
    if (options->function == NULL)
        return stele__fail(STELE_MISUSE, "there is no function to run");
    run->function = options->function;
    run->context = options->context;
    return STELE_OK;
}

static stele_status take_run(const stele_shards_run *given, shard_run *run)
{
    run->options = (stele_shards_run)STELE_SHARDS_RUN_INIT;
    run->work = (stele_work)STELE_WORK_INIT;
    run->asked = (stele_wait)STELE_WAIT_INIT;
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "run is NULL");
    stele_status status =
        stele__options_take("stele_shards_run", given, &run->options, sizeof(run->options));
    if (status == STELE_OK)
        status =
            stele__options_take("stele_work", run->options.work, &run->work, sizeof(run->work));
    if (status == STELE_OK)
        status = stele__options_take("stele_wait", run->work.wait, &run->asked, sizeof(run->asked));
    if (status == STELE_OK && (run->options.parallel < 1 || run->options.parallel > PARALLEL_MAX))
        status = stele__fail(STELE_MISUSE, "parallel is %u, and goes from 1 to %d",
                             run->options.parallel, PARALLEL_MAX);
    run->wait = run->asked;
    run->wait.context = run;
    return status == STELE_OK ? take_function(run) : status;
}

static stele_status read_run_rows(shard_run *run)
{
    const stele_shard_entry *entry = NULL;
    stele_shard_list *list = NULL;
    size_t capacity = 0;
    stele_status status = stele_shards_list(run->shards, run->options.read, &list);
    while (status == STELE_OK && (status = stele_shard_list_next(list, &entry)) == STELE_OK) {
        if (run->row_count == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            run_row *grown = stele__reallocate(run->rows, capacity * sizeof(*grown));
            if (grown == NULL) {
                status = stele__fail(STELE_NO_MEMORY, "no memory for %zu shards", capacity);
                break;
            }
            run->rows = grown;
        }
        run_row *row = &run->rows[run->row_count++];
        *row = (run_row){ .organisation = stele__copy_text(entry->organisation),
                          .name_space = stele__copy_text(entry->name_space),
                          .moved = entry->moved };
        if (row->organisation == NULL || row->name_space == NULL)
            status = stele__fail(STELE_NO_MEMORY, "no memory for a list of shards");
    }
    stele_shard_list_close(list);
    return status == STELE_DONE ? STELE_OK : status;
}

/* --- One shard --- */

/* A failure while a handle is got. Those that say that the shard isn't here are no failures. */
static void end_unacquired(shard_run *run, run_row *row, stele_status status)
{
    bool over = status == STELE_CANCELLED && atomic_load(&run->stopped);
    row->skipped = over || status == STELE_MOVED || status == STELE_NOT_FOUND
                   || status == STELE_FENCED || status == STELE_CLOSED;
    if (status == STELE_CLOSED && !run->closed) {
        run->closed = true;
        stele__keep_error(run->reason);
        atomic_store(&run->stopped, true);
    }
}

static void run_on_row(shard_run *run, run_row *row)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    stele_shard *shard = NULL;
    how.must_exist = true;
    how.wait = &run->wait;
    stele_status status = STELE_OK;
    if (!row->moved)
        status =
            stele_shards_acquire(run->shards, row->organisation, row->name_space, &how, &shard);
    if (shard != NULL)
        status = run->function(run->context, shard);
    char *error = status == STELE_OK ? NULL
                                     : stele__copy_text(status < 0 ? stele_error_text()
                                                                   : stele_status_text(status));
    pthread_mutex_lock(&run->mutex);
    row->ended = true;
    row->status = status;
    row->error = error;
    if (row->moved)
        row->skipped = true;
    else if (shard == NULL)
        end_unacquired(run, row, status);
    if (status != STELE_OK && !row->skipped && run->options.stop_at_failure)
        atomic_store(&run->stopped, true);
    pthread_mutex_unlock(&run->mutex);
    stele_shard_release(shard);
}

/* The next one to do; NULL for none. */
static run_row *take_run_row(shard_run *run)
{
    run_row *row = NULL;
    pthread_mutex_lock(&run->mutex);
    if (!atomic_load(&run->stopped) && run->row_next < run->row_count)
        row = &run->rows[run->row_next++];
    pthread_mutex_unlock(&run->mutex);
    return row;
}

/* --- Asking --- */

static void cancel_run(shard_run *run, const char *who, int answer)
{
    pthread_mutex_lock(&run->mutex);
    if (!run->cancelled) {
        stele__fail(STELE_CANCELLED, "cancelled by the progress callback of %s (%d)", who, answer);
        stele__keep_error(run->reason);
    }
    run->cancelled = true;
    atomic_store(&run->stopped, true);
    pthread_mutex_unlock(&run->mutex);
}

/* On the calling thread, which holds nothing. */
static void ask_run_progress(shard_run *run, size_t ended)
{
    stele_progress progress = { .doing = "shards", .done = ended, .total = run->row_count };
    int answer = 0;
    const char *outer = stele__callback_begin("a progress callback");
    if (run->work.progress != NULL)
        answer = run->work.progress(run->work.context, &progress);
    stele__callback_end(outer);
    if (answer != 0)
        cancel_run(run, "the work", answer);
}

static void ask_run_wait(shard_run *run)
{
    int answer = 0;
    const char *outer = stele__callback_begin("a progress callback");
    if (run->asked.progress != NULL)
        answer = run->asked.progress(run->asked.context);
    stele__callback_end(outer);
    if (answer != 0)
        cancel_run(run, "the wait", answer);
}

/* While a thread waits for a handle: the user is asked on the calling thread alone. */
static int is_run_stopped(void *context)
{
    shard_run *run = context;
    return atomic_load(&run->stopped);
}

/* Where the calling thread waits for a handle itself. */
static int ask_in_acquire(void *context)
{
    ask_run_wait(context);
    return is_run_stopped(context);
}

/* --- All of them --- */

static void run_in_order(shard_run *run)
{
    run_row *row = NULL;
    size_t ended = 0;
    run->wait.progress = ask_in_acquire;
    while ((row = take_run_row(run)) != NULL) {
        run_on_row(run, row);
        ask_run_progress(run, ++ended);
    }
}

static void *run_thread(void *context)
{
    shard_run *run = context;
    run_row *row = NULL;
    while ((row = take_run_row(run)) != NULL) {
        run_on_row(run, row);
        pthread_mutex_lock(&run->mutex);
        run->ended++;
        pthread_cond_signal(&run->changed);
        pthread_mutex_unlock(&run->mutex);
    }
    pthread_mutex_lock(&run->mutex);
    run->working--;
    pthread_cond_signal(&run->changed);
    pthread_mutex_unlock(&run->mutex);
    return NULL;
}

/* Until the threads have ended, the caller is told and asked. */
static void watch_threads(shard_run *run)
{
    size_t told = 0;
    pthread_mutex_lock(&run->mutex);
    while (run->working > 0) {
        stele__condition_wait(&run->changed, &run->mutex, stele__clock_monotonic_us() + RUN_ASK_US);
        size_t ended = run->ended;
        pthread_mutex_unlock(&run->mutex);
        ask_run_wait(run);
        do {
            told += told < ended;
            ask_run_progress(run, told);
        } while (told < ended);
        pthread_mutex_lock(&run->mutex);
    }
    size_t ended = run->ended;
    pthread_mutex_unlock(&run->mutex);
    while (told < ended)
        ask_run_progress(run, ++told);
}

static stele_status run_on_threads(shard_run *run)
{
    pthread_t threads[PARALLEL_MAX];
    size_t wanted = run->options.parallel < run->row_count ? run->options.parallel : run->row_count;
    size_t count = 0;
    stele_status status = STELE_OK;
    run->wait.progress = is_run_stopped;
    pthread_mutex_lock(&run->mutex);
    for (; count < wanted && status == STELE_OK; count += status == STELE_OK)
        status = stele__thread_start(&threads[count], "stele-shards", run_thread, run);
    run->working = count;
    pthread_mutex_unlock(&run->mutex);
    /* Fewer also do it. */
    if (count == 0)
        return status;
    watch_threads(run);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return STELE_OK;
}

/* --- The report --- */

static stele_status report_run(const shard_run *run, stele_shards_ran *ran)
{
    const run_row *first = NULL;
    ran->shards = run->row_count;
    for (size_t i = 0; i < run->row_count; i++) {
        const run_row *row = &run->rows[i];
        if (!row->ended || row->skipped) {
            ran->skipped++;
        } else if (row->status == STELE_OK) {
            ran->succeeded++;
        } else {
            ran->failed++;
            first = first == NULL ? row : first;
            const stele_shard_failure failure = { .organisation = row->organisation,
                                                  .name_space = row->name_space,
                                                  .status = row->status,
                                                  .error = row->error == NULL ? "" : row->error };
            if (run->options.failed != NULL)
                run->options.failed(run->options.context, &failure);
        }
    }
    if (run->cancelled || run->closed) {
        stele__restore_error(run->reason);
        return run->cancelled ? STELE_CANCELLED : STELE_CLOSED;
    }
    if (first == NULL)
        return STELE_OK;
    return stele__fail(first->status, "the shard '%s' of '%s': %s", first->name_space,
                       first->organisation, first->error == NULL ? "" : first->error);
}

static void dispose_run(shard_run *run)
{
    for (size_t i = 0; i < run->row_count; i++) {
        stele__free(run->rows[i].organisation);
        stele__free(run->rows[i].name_space);
        stele__free(run->rows[i].error);
    }
    stele__free(run->rows);
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->mutex);
}

stele_status stele__shards_run(stele_shards *shards, const stele_shards_run *given,
                               stele_shard_function function, void *context,
                               stele_shards_ran *ran_out)
{
    shard_run run = { .shards = shards, .function = function, .context = context };
    stele_shards_ran ran = { 0 };
    stele_status status = stele__shards_enter(shards);
    if (status != STELE_OK)
        return status;
    pthread_mutex_init(&run.mutex, NULL);
    stele__condition_init(&run.changed);
    status = take_run(given, &run);
    if (status == STELE_OK)
        status = read_run_rows(&run);
    if (status == STELE_OK && run.options.parallel == 1)
        run_in_order(&run);
    else if (status == STELE_OK && run.row_count > 0)
        status = run_on_threads(&run);
    if (status == STELE_OK)
        status = report_run(&run, &ran);
    dispose_run(&run);
    stele__shards_leave(shards);
    if (ran_out != NULL)
        *ran_out = ran;
    return status;
}

stele_status stele_shards_run_each(stele_shards *shards, const stele_shards_run *run,
                                   stele_shards_ran *ran_out)
{
    return stele__shards_run(shards, run, NULL, NULL, ran_out);
}

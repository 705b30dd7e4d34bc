/* Opening: what must hold before anybody trusts the file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"
#include "sqlite/authorizer.h"
#include "store/anchoring.h"
#include "store/group.h"
#include "store/schema.h"
#include "store/stamp.h"
#include "store/store.h"

#define EVENT_SIZE_LIMIT       (64u * 1024 * 1024)
#define POLL_INTERVAL_LIMIT_MS 60000u

/* One file is created and first opened at a time: closing a second descriptor of a file that is
 * already open would drop the locks of this process on it. */
static pthread_mutex_t create_mutex = PTHREAD_MUTEX_INITIALIZER;

void stele_options_init(stele_options *options)
{
    *options = (stele_options)STELE_OPTIONS_INIT;
}

static stele_status check_open_options(const stele_options *options)
{
    if (options->event_size_max < 1 || options->event_size_max > EVENT_SIZE_LIMIT)
        return stele__fail(STELE_MISUSE, "event_size_max is %" PRIu32 ", not within 1 and %u",
                           options->event_size_max, EVENT_SIZE_LIMIT);
    if (options->value_size_max < 1 || options->value_size_max > EVENT_SIZE_LIMIT)
        return stele__fail(STELE_MISUSE, "value_size_max is %" PRIu32 ", not within 1 and %u",
                           options->value_size_max, EVENT_SIZE_LIMIT);
    if (options->busy_timeout_ms > INT32_MAX)
        return stele__fail(STELE_MISUSE, "busy_timeout_ms is %" PRIu32 ", beyond %d",
                           options->busy_timeout_ms, INT32_MAX);
    if (options->reader_max < 1)
        return stele__fail(STELE_MISUSE, "reader_max is 0");
    if (options->wal_soft_pages < 1)
        return stele__fail(STELE_MISUSE, "wal_soft_pages is 0");
    if (options->group_count_max < 1 || options->submit_count_max < 1)
        return stele__fail(STELE_MISUSE, "%s is 0",
                           options->group_count_max < 1 ? "group_count_max" : "submit_count_max");
    if (options->durability != STELE_DURABILITY_FULL
        && options->durability != STELE_DURABILITY_RELAXED)
        return stele__fail(STELE_MISUSE, "durability is %d, which is none", options->durability);
    if (options->poll_interval_ms < 1 || options->poll_interval_ms > POLL_INTERVAL_LIMIT_MS)
        return stele__fail(STELE_MISUSE, "poll_interval_ms is %" PRIu32 ", not within 1 and %u",
                           options->poll_interval_ms, POLL_INTERVAL_LIMIT_MS);
    if (options->poll_floor_ms < 1 || options->poll_floor_ms > options->poll_interval_ms)
        return stele__fail(STELE_MISUSE,
                           "poll_floor_ms is %" PRIu32
                           ", not within 1 and poll_interval_ms, %" PRIu32,
                           options->poll_floor_ms, options->poll_interval_ms);
    if (options->immutable && !options->read_only)
        return stele__fail(STELE_MISUSE, "immutable needs read_only");
    return STELE_OK;
}

void stele__store_settings(const stele_store *store, bool reader,
                           stele__database_options *settings_out)
{
    *settings_out = (stele__database_options){
        .busy_timeout_ms = store->options.busy_timeout_ms,
        .durability = store->options.durability,
        .read_only = store->options.read_only,
        .immutable = store->options.immutable,
        .query_only = reader && !store->options.read_only,
        .cache_size_kb = reader ? 2048 : 8192,
        .vfs = store->vfs,
        .keep_journal = store->wrapped != NULL,
    };
}

static stele_status connect_with(stele_store *store, const stele__database_options *settings,
                                 stele__database **database_out)
{
    stele_status status = stele__database_open(store->path, settings, database_out);
    if (status != STELE_OK)
        return status;
    status = stele__authorizer_install(*database_out, stele__schema_is_ours);
    if (status == STELE_OK)
        status = stele__database_settle(*database_out, settings, false);
    if (status != STELE_OK) {
        stele__database_close(*database_out);
        *database_out = NULL;
    } else {
        atomic_fetch_add(&store->connection_count, 1);
    }
    return status;
}

stele_status stele__store_connect(stele_store *store, bool reader, stele__database **database_out)
{
    stele__database_options settings;
    stele__store_settings(store, reader, &settings);
    return connect_with(store, &settings, database_out);
}

stele_status stele__store_connect_at_once(stele_store *store, bool reader,
                                          stele__database **database_out)
{
    stele__database_options settings;
    stele__store_settings(store, reader, &settings);
    settings.busy_timeout_ms = 0;
    return connect_with(store, &settings, database_out);
}

/* The size of what lies at `path` + `suffix`; 0 when nothing does. A pipe there would make SQLite
 * wait for ever. */
static stele_status measure_beside(const char *path, const char *suffix, int64_t *size_out)
{
    *size_out = 0;
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *beside = stele__allocate(size);
    if (beside == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
    snprintf(beside, size, "%s%s", path, suffix);
    stele__file_facts facts;
    stele_status status = stele__look_at_file(beside, &facts);
    if (status == STELE_OK && facts.exists && !facts.regular)
        status = stele__fail(STELE_MISUSE, "'%s' is %s, not a regular file", beside,
                             facts.link ? "a link" : "something else");
    if (status == STELE_OK && facts.exists)
        *size_out = facts.size;
    stele__free(beside);
    return status;
}

/* WAL keeps its index in memory that the processes of one host share. Nothing to share, nothing to
 * refuse: an immutable file is only read. */
stele_status stele__store_refuse_network(const stele_store *store)
{
    if (store->options.network_filesystem || store->options.immutable)
        return STELE_OK;
    const char *name = stele__network_filesystem(store->path);
    if (name == NULL)
        return STELE_OK;
    return stele__fail(STELE_UNSUPPORTED,
                       "'%s' lies on %s: two hosts would damage it (when only one ever uses it, set"
                       " `network_filesystem`)",
                       store->path, name);
}

/* Look at the file before SQLite does, and create it when it may be. */
static stele_status prepare_path(stele_store *store)
{
    const stele_options *options = &store->options;
    stele__file_facts facts;
    int64_t wal_size = 0;
    int64_t ignored = 0;
    /* The WAL first: another process that creates the file makes it before its WAL. */
    stele_status status = measure_beside(store->path, "-wal", &wal_size);
    if (status == STELE_OK)
        status = measure_beside(store->path, "-shm", &ignored);
    if (status == STELE_OK)
        status = measure_beside(store->path, "-journal", &ignored);
    if (status == STELE_OK)
        status = stele__look_at_file(store->path, &facts);
    if (status != STELE_OK)
        return status;

    if (facts.link)
        return stele__fail(STELE_MISUSE, "'%s' is a link: name the file itself", store->path);
    if (facts.exists && !facts.regular)
        return stele__fail(STELE_MISUSE, "'%s' is not a regular file", store->path);
    /* SQLite would take the database for new, and delete the WAL with all that is in it. */
    if (facts.size == 0 && wal_size > 0)
        return stele__fail(STELE_CORRUPT,
                           "'%s' is %s beside a WAL of %" PRId64
                           " bytes: put the database back where the WAL is",
                           store->path, facts.exists ? "empty" : "missing", wal_size);
    /* SQLite would take so short a file for an empty database, and write over it. */
    if (facts.size > 0 && facts.size < 512)
        return stele__fail(STELE_CORRUPT, "'%s' has %" PRId64 " bytes: not a SQLite file",
                           store->path, facts.size);
    if (options->immutable && wal_size > 0)
        return stele__fail(STELE_UNSUPPORTED,
                           "immutable would ignore the WAL of %" PRId64 " bytes beside '%s'",
                           wal_size, store->path);
    if (facts.exists)
        return STELE_OK;
    if (options->must_exist || options->read_only)
        return stele__fail(STELE_NOT_FOUND, "there is no file '%s'", store->path);
    if (options->no_migrate)
        return stele__fail(STELE_UNSUPPORTED, "there is no file '%s', and no_migrate is set",
                           store->path);
    stele__anchoring_forget(store->path);
    return stele__create_file(store->path);
}

/* Whoever made them may count on them. */
static stele_status warn_of_silenced(const stele_store *store, stele__database *database)
{
    int64_t count = 0;
    stele_status status = stele__schema_count_silenced(database, &count);
    if (status == STELE_OK && count > 0)
        stele__log(STELE_LOG_WARNING,
                   "'%s' has %" PRId64 " trigger(s) or view(s) of others: they don't run on"
                   " connections of the store",
                   store->path, count);
    return status;
}

/* In one snapshot: another process may be making the file into a store just now. */
static stele_status look_at_kind(stele__database *database, stele__file_kind *kind_out)
{
    stele_status status = stele__database_begin_read(database);
    if (status == STELE_OK)
        status = stele__schema_recognize(database, kind_out);
    stele__database_rollback(database);
    return status;
}

/* An anchor is never ahead of its file. So one that knows of events was read of an empty file, or
 * the file was made and written to since we looked, which another look tells. */
static stele_status judge_empty_file(const stele_store *store, stele__database *database,
                                     stele__file_kind *kind)
{
    char error[STELE__ERROR_SIZE];
    stele_status status = stele__anchoring_judge_empty(store->path);
    if (status != STELE_CORRUPT)
        return status;
    stele__keep_error(error);
    status = look_at_kind(database, kind);
    if (status != STELE_OK || *kind != STELE__FILE_EMPTY)
        return status;
    stele__restore_error(error);
    return STELE_CORRUPT;
}

stele_status stele__store_settle_file(stele_store *store, stele__database *database,
                                      const stele__database_options *settings)
{
    stele__file_kind kind = STELE__FILE_EMPTY;
    stele_status status = look_at_kind(database, &kind);
    if (status != STELE_OK)
        return status;
    if (kind == STELE__FILE_EMPTY && (store->options.read_only || store->options.no_migrate))
        return stele__fail(STELE_UNSUPPORTED, "it is empty: it was not migrated to format %d",
                           STELE_FORMAT);
    if (kind == STELE__FILE_EMPTY && !store->memory && store->wrapped == NULL
        && !store->options.accept_loss) {
        status = judge_empty_file(store, database, &kind);
        if (status != STELE_OK)
            return status;
    }
    bool fresh = kind == STELE__FILE_EMPTY;

    /* Nothing of an existing file is changed before it is known to be ours. */
    bool strict = store->options.strict_schema;
    if (!fresh)
        status = stele__schema_compare(database, strict, &store->foreign_objects);
    if (status == STELE_OK)
        status = stele__database_settle(database, settings, fresh);
    if (status == STELE_OK && fresh)
        status = stele__schema_migrate(database);
    if (status == STELE_OK && fresh)
        status = stele__schema_compare(database, strict, &store->foreign_objects);
    if (status == STELE_OK && store->foreign_objects && store->wrapped == NULL)
        status = warn_of_silenced(store, database);
    if (status == STELE_OK)
        status = stele__meta_load(store, database);
    return status;
}

/* What is refused is not changed: closing its only connection would move the WAL into the file, and
 * that may be another's. Keeps the error text. */
static void leave_refused_wal(const stele_store *store, stele__database *database)
{
    char error[STELE__ERROR_SIZE];
    int64_t size = 0;
    stele__keep_error(error);
    if (measure_beside(store->path, "-wal", &size) != STELE_OK || size > 0)
        stele__database_leave_wal(database);
    stele__restore_error(error);
}

static stele_status open_first_connection(stele_store *store, stele__database **database_out)
{
    stele__database_options settings;
    stele__store_settings(store, false, &settings);
    stele_status status = stele__database_open(store->path, &settings, database_out);
    if (status == STELE_OK)
        status = stele__authorizer_install(*database_out, stele__schema_is_ours);
    bool opened = status == STELE_OK;
    if (opened)
        status = stele__store_settle_file(store, *database_out, &settings);
    if (status == STELE_OK)
        return STELE_OK;
    if (opened && status == STELE_CORRUPT)
        leave_refused_wal(store, *database_out);
    stele__database_close(*database_out);
    *database_out = NULL;
    status = stele__fail_within(status, "can't open '%s'", store->path);
    /* SQLite can't make the -shm that reading a WAL database needs. */
    if (store->options.read_only && !store->options.immutable
        && ((opened && status == STELE_IO) || status == STELE_READ_ONLY))
        return stele__fail_within(STELE_UNSUPPORTED,
                                  "reading needs a writable folder, or `immutable` when nobody"
                                  " writes");
    return status;
}

stele_status stele__store_adopt(stele_store *store, stele__database *database)
{
    atomic_store(&store->connection_count, 1);
    if (!store->options.read_only) {
        store->writer.database = database;
        store->writer.remembers = true;
        store->writer.data_version = stele__database_data_version(database);
        stele__database_limit_wait(database, 0);
        return STELE_OK;
    }
    stele__connection *reader = stele__allocate_array(1, sizeof(*reader));
    if (reader == NULL) {
        stele__database_close(database);
        return stele__fail(STELE_NO_MEMORY, "no memory for a connection");
    }
    reader->database = database;
    store->idle_readers = reader;
    store->reader_count = 1;
    return STELE_OK;
}

static stele_status open_resolved(stele_store *store)
{
    stele__database *database = NULL;
    stele_status status = STELE_OK;
    if (store->memory) {
        status = open_first_connection(store, &database);
        return status == STELE_OK ? stele__store_adopt(store, database) : status;
    }
    if (stele__fork_tainted())
        return stele__fail(STELE_MISUSE,
                           "this process was forked while a store was open: fork before opening"
                           " any, or exec");
    pthread_mutex_lock(&create_mutex);
    status = stele__store_refuse_network(store);
    if (status == STELE_OK)
        status = prepare_path(store);
    if (status == STELE_OK)
        status = stele__anchoring_judge_wal(store->path, store->options.read_only);
    if (status == STELE_OK)
        status = open_first_connection(store, &database);
    pthread_mutex_unlock(&create_mutex);
    if (status == STELE_OK)
        status = stele__store_adopt(store, database);
    if (status == STELE_OK)
        stele__fork_guard(1);
    return status;
}

/* Writers of several processes take turns; where that can't be, they go without. */
static stele_status open_turnstile(stele_store *store)
{
    size_t size = strlen(store->path) + sizeof("-lock");
    char *path = stele__allocate(size);
    if (path == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", store->path);
    snprintf(path, size, "%s-lock", store->path);
    stele_status status = stele__turnstile_open(path, &store->turnstile);
    stele__free(path);
    if (status == STELE_OK || status == STELE_NO_MEMORY)
        return status;
    stele__log(STELE_LOG_WARNING, "no fair turns between processes: %s", stele_error_text());
    return STELE_OK;
}

stele_status stele__store_surround(stele_store *store)
{
    stele_status status = STELE_OK;
    if (!store->memory && !store->options.read_only)
        status = open_turnstile(store);
    if (status == STELE_OK && !store->memory && store->wrapped == NULL)
        status = stele__anchoring_open(store);
    if (status == STELE_OK)
        status = stele__stamp_judge(store);
    if (status == STELE_OK && !store->options.read_only && store->lost[0] == '\0')
        status = stele__meta_judge_marks(store);
    if (status == STELE_OK)
        status = stele__committer_start(store);
    if (status == STELE_OK)
        status = stele__maintenance_start(store);
    return status;
}

static stele_status resolve_store_path(stele_store *store, const char *path)
{
    if (strncmp(path, "file:", 5) == 0)
        return stele__fail(STELE_MISUSE,
                           "'%s' is a URI: give the plain path, and settings as options", path);
    store->memory = strcmp(path, ":memory:") == 0;
    if (!store->memory)
        return stele__resolve_path(path, &store->path);
    if (store->options.read_only || store->options.must_exist || store->options.no_migrate)
        return stele__fail(STELE_MISUSE, "a ':memory:' store is always new");
    store->path = stele__copy_text(path);
    return store->path == NULL ? stele__fail(STELE_NO_MEMORY, "no memory for the path") : STELE_OK;
}

stele_status stele__store_make(const stele_options *options, stele_store **store_out)
{
    stele_options taken = STELE_OPTIONS_INIT;
    stele_status status = stele__options_take("stele_options", options, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = check_open_options(&taken);
    if (status != STELE_OK)
        return status;

    stele_store *store = stele__allocate_array(1, sizeof(*store));
    if (store == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a store");
    store->options = taken;
    stele__hooks_freeze();
    stele__fork_watch();
    store->fork_count = stele__fork_count();
    store->reference_count = 1;
    store->transfer_at_pages = taken.wal_soft_pages;
    if (taken.wal_hard_pages < taken.wal_soft_pages)
        store->options.wal_hard_pages = taken.wal_soft_pages;
    pthread_mutex_init(&store->mutex, NULL);
    stele__condition_init(&store->changed);
    store->completions =
        (stele__completions){ .last = &store->completions.first, .event = { -1, -1 } };
    status = stele__group_open(store);
    if (status == STELE_OK)
        *store_out = store;
    else
        stele__store_release(store);
    return status;
}

stele_status stele__store_open(const char *path, const stele_options *options,
                               stele_store **store_out)
{
    if (store_out == NULL)
        return stele__fail(STELE_MISUSE, "store_out is NULL");
    *store_out = NULL;
    if (path == NULL || *path == '\0')
        return stele__fail(STELE_MISUSE, "the path is %s", path == NULL ? "NULL" : "empty");

    stele_store *store = NULL;
    stele_status status = stele__store_make(options, &store);
    if (status != STELE_OK)
        return status;
    status = resolve_store_path(store, path);
    if (status == STELE_OK)
        status = open_resolved(store);
    if (status != STELE_OK) {
        stele__store_release(store);
        return status;
    }
    status = stele__store_surround(store);
    if (status == STELE_OK)
        *store_out = store;
    else
        stele_store_close(store); /* keeps the error text */
    return status;
}

stele_status stele_store_migrate(const char *path, const stele_options *options)
{
    stele_options taken = STELE_OPTIONS_INIT;
    stele_status status = stele__options_take("stele_options", options, &taken, sizeof(taken));
    if (status != STELE_OK)
        return status;
    if (taken.no_migrate || taken.read_only)
        return stele__fail(STELE_MISUSE, "migrating with %s",
                           taken.no_migrate ? "no_migrate" : "read_only");
    stele_store *store = NULL;
    status = stele__store_open(path, &taken, &store);
    stele_store_close(store);
    return status;
}

/* The life of a stream, as a scenario of memory_scenarios.h, which includes it. */
#ifndef STELE_TESTS_MEMORY_LIFECYCLE_H
#define STELE_TESTS_MEMORY_LIFECYCLE_H

#include <stele/lifecycle.h>

static inline stele_status read_all_of(stele_store *from, const char *stream)
{
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    read.stream = stream;
    stele_status status = stele_store_read(from, &read, &cursor);
    while (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    stele_cursor_close(cursor);
    return status == STELE_DONE ? STELE_OK : status;
}

static int life_count;

/* An event in `$stele` for each change, whatever came of the work that it began. */
static inline stele_status count_change(attempt *run, stele_status status, stele_changed changed)
{
    run->stored += changed.changed && changed.position > 0;
    return status;
}

/* A stream is closed, opened, moved to an archive, read through it, and deleted. */
static inline stele_status try_lifecycle(attempt *run)
{
    char name[32];
    snprintf(name, sizeof(name), "life-%d", ++life_count);
    stele_append append = append_of(name, 3);
    stele_archive close = STELE_ARCHIVE_INIT;
    stele_restore open = STELE_RESTORE_INIT;
    stele_delete gone = STELE_DELETE_INIT;
    stele_changed changed[4] = { 0 };
    stele_store *archive = NULL;
    close.stream = open.stream = gone.stream = name;
    close.reason = "tried";
    stele_status status = stele_store_append(run->store, &append, NULL);
    run->stored += status == STELE_OK ? 3 : 0;
    if (status == STELE_OK)
        status =
            count_change(run, stele_store_archive(run->store, &close, &changed[0]), changed[0]);
    if (status == STELE_OK)
        status = count_change(run, stele_store_restore(run->store, &open, &changed[1]), changed[1]);
    if (status == STELE_OK)
        status = stele_store_open(test_path("archive.db"), NULL, &archive);
    close.to = gone.archive = archive;
    if (status == STELE_OK)
        status =
            count_change(run, stele_store_archive(run->store, &close, &changed[2]), changed[2]);
    if (status == STELE_OK)
        status = stele_store_attach(run->store, archive);
    if (status == STELE_OK)
        status = read_all_of(run->store, name);
    if (status == STELE_OK)
        status = count_change(run, stele_store_delete(run->store, &gone, &changed[3]), changed[3]);
    if (archive != NULL)
        stele_store_detach(run->store, archive);
    stele_store_close(archive);
    return status;
}

#endif

/**
 * @file tests/lifecycle_probes.h
 * The probes of tests/test_modes_matrix.c for the lifecycle of streams and for work. Each makes the
 * streams that it changes, so that it finds them in every way to open a store that is written.
 */
#ifndef STELE_TESTS_LIFECYCLE_PROBES_H
#define STELE_TESTS_LIFECYCLE_PROBES_H

/* A stream of the probe's own; where nothing can be written, one that is there. */
static const char *make_probed(const char *name)
{
    return append_one(name, STELE_ANY, "opened", NULL) == STELE_OK ? name : "a-1";
}

static stele_status probe_archive(void)
{
    stele_archive call;
    stele_archive_init(&call);
    call.stream = make_probed("life-1");
    return stele_store_archive(store, &call, NULL);
}

static stele_status probe_restore(void)
{
    stele_restore call;
    stele_restore_init(&call);
    call.stream = make_probed("life-2");
    return stele_store_restore(store, &call, NULL);
}

static stele_status probe_tombstone(void)
{
    stele_tombstone call;
    stele_tombstone_init(&call);
    call.stream = make_probed("life-3");
    call.reason = "probed";
    return stele_store_tombstone(store, &call, NULL);
}

static stele_status probe_delete(void)
{
    stele_delete call;
    stele_delete_init(&call);
    call.stream = make_probed("life-4");
    return stele_store_delete(store, &call, NULL);
}

static stele_status probe_attach(void)
{
    stele_store *archive = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &archive);
    if (status == STELE_OK)
        status = stele_store_attach(store, archive);
    if (status == STELE_OK)
        status = stele_store_detach(store, archive);
    stele_store_close(archive);
    return status;
}

static stele_status probe_archives(void)
{
    stele_archives *archives = NULL;
    const stele_archived *archived = NULL;
    stele_status status = stele_store_archives(store, &archives);
    while (status == STELE_OK)
        status = stele_archives_next(archives, &archived);
    stele_archives_close(archives);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_resume(void)
{
    stele_resume call;
    stele_resume_init(&call);
    return stele_store_resume(store, &call, NULL);
}

static stele_status probe_skipped(void)
{
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(store, NULL, &cursor);
    stele_skipped skipped = stele_cursor_skipped(cursor);
    stele_cursor_close(cursor);
    return status == STELE_OK && skipped.archived != 0 ? STELE_CORRUPT : status;
}

static stele_status probe_shrink(void)
{
    return stele_store_shrink(store, NULL, NULL);
}

static stele_status probe_scrub(void)
{
    return stele_store_scrub(store, NULL);
}

/* --- Inside a transaction, which rolls back --- */

static stele_status begin_with_stream(void)
{
    stele_status status = begin_probe();
    return status == STELE_OK ? append_in(open_transaction, "life-5", STELE_ANY, NULL) : status;
}

static stele_status probe_archive_in(void)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = "life-5";
    stele_status status = begin_with_stream();
    return end_probe(status == STELE_OK ? stele_transaction_archive(open_transaction, &call, NULL)
                                        : status);
}

static stele_status probe_restore_in(void)
{
    stele_restore call = STELE_RESTORE_INIT;
    call.stream = "life-5";
    stele_status status = begin_with_stream();
    return end_probe(status == STELE_OK ? stele_transaction_restore(open_transaction, &call, NULL)
                                        : status);
}

static stele_status probe_tombstone_in(void)
{
    stele_tombstone call = STELE_TOMBSTONE_INIT;
    call.stream = "life-5";
    call.reason = "probed";
    stele_status status = begin_with_stream();
    return end_probe(status == STELE_OK ? stele_transaction_tombstone(open_transaction, &call, NULL)
                                        : status);
}

static stele_status probe_delete_in(void)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = "life-5";
    stele_status status = begin_with_stream();
    return end_probe(status == STELE_OK ? stele_transaction_delete(open_transaction, &call, NULL)
                                        : status);
}

static stele_status probe_archives_in(void)
{
    stele_archives *archives = NULL;
    stele_status status = begin_with_stream();
    if (status == STELE_OK)
        status = stele_transaction_archives(open_transaction, &archives);
    stele_archives_close(archives);
    return end_probe(status);
}

static stele_status probe_archive_around(void)
{
    stele_archive call = STELE_ARCHIVE_INIT;
    call.stream = "a-1";
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? stele_store_archive(store, &call, NULL) : status);
}

static stele_status probe_shrink_around(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? stele_store_shrink(store, NULL, NULL) : status);
}

#endif

/* Proving entries, and what is remembered of writes to them. */
#include "state/checks.h"

#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "state/own.h"
#include "state/state.h"
#include "store/names.h"

/* What a whole row must be, beyond its checksum. `found` is where its name leads to. */
static stele_status judge_entry(const stele__state_row *row, int64_t found)
{
    const stele_entry *entry = NULL;
    stele_status status = stele__check_scope(row->scope);
    if (status == STELE_OK)
        status = stele__check_name("key", row->key);
    if (status == STELE_OK)
        status = stele__entry_copy(row, true, &entry);
    stele_entry_close(entry);
    if (status == STELE_OK && (row->revision < 0 || (row->there && row->revision < 1)))
        status = stele__fail(STELE_CORRUPT, "the revision is %" PRId64, row->revision);
    if (status == STELE_OK && found != row->id)
        status = stele__fail(STELE_CORRUPT, "its name leads elsewhere");
    if (status != STELE_OK && status != STELE_NO_MEMORY)
        return stele__fail_within(STELE_CORRUPT, "the entry '%s' of scope '%s'", row->key,
                                  row->scope);
    return status;
}

static stele_status visit_entry(stele__connection *connection, stele__statement *statement,
                                stele__walk *walk)
{
    stele__state_row row;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    stele_status status = stele__state_row_read(connection, statement, &row);
    if (status == STELE_OK)
        status = judge_entry(&row, stele__column_number(statement, 9));
    if (status != STELE_CORRUPT)
        return status;
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status check_entries(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings,
                         .first = INT64_MIN,
                         .begin = stele__names_begin,
                         .total = "SELECT count(*) FROM state" };
    return stele__walk_rows(store,
                            "SELECT " STELE__STATE_COLUMNS
                            ", (SELECT i.id FROM state i WHERE i.scope = state.scope"
                            " AND i.key = state.key) FROM state"
                            " WHERE id > ?1 AND ?2 = 0 ORDER BY id LIMIT ?3",
                            visit_entry, &walk);
}

/* `found` is where its name leads to; the rest is of its entry, NULL when that isn't there. */
static stele_status judge_write(const stele__write_row *row, stele__statement *statement)
{
    const char *scope = stele__column_text(statement, 10);
    int64_t found = stele__column_number(statement, 9);
    int64_t revision = stele__column_number(statement, 11);
    const char *what = NULL;
    if (row->kind != STELE__WRITE_PUT && row->kind != STELE__WRITE_DELETION)
        what = "is of no known kind";
    else if (found != row->id)
        what = "leads elsewhere";
    else if (scope == NULL)
        what = "belongs to no entry";
    else if (strcmp(scope, row->scope) != 0)
        what = "belongs to an entry of another scope";
    else if (row->revision < 0 || row->revision > revision)
        what = "has a revision that its entry never had";
    if (what == NULL)
        return STELE_OK;
    return stele__fail(STELE_CORRUPT, "the write id '%s' of scope '%s' %s", row->write_id,
                       row->scope, what);
}

static stele_status visit_write(stele__connection *connection, stele__statement *statement,
                                stele__walk *walk)
{
    (void)connection;
    stele__write_row row;
    walk->first = stele__column_number(statement, 0);
    walk->findings->count++;
    stele_status status = stele__write_row_read(statement, &row);
    if (status == STELE_OK)
        status = judge_write(&row, statement);
    if (status != STELE_CORRUPT)
        return status;
    stele__findings_add_error(walk->findings);
    return STELE_OK;
}

static stele_status check_writes(stele_store *store, stele__findings *findings)
{
    stele__walk walk = { .findings = findings,
                         .first = INT64_MIN,
                         .total = "SELECT count(*) FROM state_writes" };
    return stele__walk_rows(store,
                            "SELECT w.id, w.scope, w.write_id, w.entry, w.revision, w.kind,"
                            " w.digest, w.written_at, w.checksum,"
                            " (SELECT i.id FROM state_writes i WHERE i.scope = w.scope"
                            " AND i.write_id = w.write_id), s.scope, s.revision"
                            " FROM state_writes w LEFT JOIN state s ON s.id = w.entry"
                            " WHERE w.id > ?1 AND ?2 = 0 ORDER BY w.id LIMIT ?3",
                            visit_write, &walk);
}

/* Without the ids: rows that are of this file alone have some of them. */
stele_status stele__state_digest(stele__database *database, uint64_t *hash)
{
    stele_status status = stele__digest_rows(
        database,
        "SELECT scope, key, revision, (SELECT name FROM codecs WHERE id = codec), updated_at,"
        " attributes, data FROM state WHERE scope NOT GLOB '" STELE__LOCAL_SCOPES "*'"
        " ORDER BY scope, key",
        hash);
    if (status == STELE_OK)
        status = stele__digest_rows(
            database,
            "SELECT w.scope, w.write_id, s.key, w.revision, w.kind, w.digest, w.written_at"
            " FROM state_writes w LEFT JOIN state s ON s.id = w.entry"
            " WHERE w.scope NOT GLOB '" STELE__LOCAL_SCOPES "*' ORDER BY w.scope, w.write_id",
            hash);
    return status;
}

const stele__check *stele__state_checks(size_t *count_out)
{
    static const stele__check state_checks[] = {
        { "state", check_entries, NULL },
        { "state writes", check_writes, NULL },
    };
    *count_out = sizeof(state_checks) / sizeof(state_checks[0]);
    return state_checks;
}

/* The checks that need no knowledge of the log: SQLite's own, the schema, the facts in `meta`. */
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "sqlite/statement.h"
#include "store/check.h"
#include "store/schema.h"

void stele__findings_add_error(stele__findings *findings)
{
    if (findings->failures++ == 0)
        snprintf(findings->offender, sizeof(findings->offender), "%s", stele_error_text());
}

static stele_status check_sqlite(stele_store *store, stele__findings *findings)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(connection->database, "PRAGMA integrity_check", &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        const char *text = stele__column_text(statement, 0);
        findings->count++;
        if (text != NULL && strcmp(text, "ok") == 0)
            continue;
        stele__fail(STELE_CORRUPT, "%s", text == NULL ? "no answer" : text);
        stele__findings_add_error(findings);
    }
    stele__statement_end(statement);
    stele__read_end(store, connection);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status check_schema(stele_store *store, stele__findings *findings)
{
    stele__connection *connection = NULL;
    bool foreign = false;
    int64_t count = 0;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    status =
        stele__database_number(connection->database, "SELECT count(*) FROM sqlite_schema", &count);
    if (status == STELE_OK)
        status =
            stele__schema_compare(connection->database, store->options.strict_schema, &foreign);
    findings->count = (uint64_t)count;
    stele__read_end(store, connection);
    return status;
}

static stele_status check_meta(stele_store *store, stele__findings *findings)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(connection->database, "SELECT key, value, checksum FROM meta",
                                    &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        const char *key = stele__column_text(statement, 0);
        const char *value = stele__column_text(statement, 1);
        findings->count++;
        if (key != NULL && value != NULL
            && stele__meta_checksum(key, value) == stele__column_number(statement, 2))
            continue;
        stele__fail(STELE_CORRUPT, "the row '%s' of meta is damaged", key == NULL ? "" : key);
        stele__findings_add_error(findings);
    }
    stele__statement_end(statement);
    stele__read_end(store, connection);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status check_epochs(stele_store *store, stele__findings *findings)
{
    stele__connection *connection = NULL;
    stele__statement *statement = NULL;
    int64_t last = 0;
    stele_status status = stele__read_begin_to_check(store, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__statement_begin(
        connection->database,
        "SELECT id, epoch, starts_after, started_at, checksum FROM epochs ORDER BY id", &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        int64_t id = stele__column_number(statement, 0);
        findings->count++;
        if (id == ++last
            && stele__epoch_checksum(id, stele__column_text(statement, 1),
                                     stele__column_number(statement, 2),
                                     stele__column_number(statement, 3))
                   == stele__column_number(statement, 4))
            continue;
        stele__fail(STELE_CORRUPT, "the row %lld of epochs is damaged", (long long)id);
        stele__findings_add_error(findings);
    }
    stele__statement_end(statement);
    stele__read_end(store, connection);
    return status == STELE_DONE ? STELE_OK : status;
}

const stele__check *stele__store_checks(size_t *count_out)
{
    static const stele__check checks[] = {
        { "sqlite", check_sqlite },
        { "schema", check_schema },
        { "meta", check_meta },
        { "epochs", check_epochs },
    };
    *count_out = sizeof(checks) / sizeof(checks[0]);
    return checks;
}

stele_status stele__digest_rows(stele__database *database, const char *sql, uint64_t *hash)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(database, sql, &statement);
    while (status == STELE_OK && (status = stele__statement_step(statement)) == STELE_OK) {
        stele__digest digest;
        stele__digest_init(&digest);
        stele__digest_number(&digest, (int64_t)*hash);
        for (int i = 0; i < stele__column_count(statement); i++) {
            stele__column_type type = stele__column_type_of(statement, i);
            size_t size = 0;
            stele__digest_number(&digest, type);
            if (type == STELE__COLUMN_NUMBER) {
                stele__digest_number(&digest, stele__column_number(statement, i));
            } else if (type != STELE__COLUMN_NULL) {
                const void *bytes = stele__column_bytes(statement, i, &size);
                stele__digest_bytes(&digest, bytes, size);
            }
        }
        *hash = stele__digest_end(&digest);
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

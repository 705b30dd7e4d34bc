/* The list of snapshots: each row is checked, and its data let go at once. */
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/options.h"
#include "snapshot/row.h"
#include "store/listing.h"

void stele_snapshots_read_init(stele_snapshots_read *read)
{
    *read = (stele_snapshots_read)STELE_SNAPSHOTS_READ_INIT;
}

typedef struct snapshot_entry {
    stele_snapshot_info info; /* its texts are set when lent */
    size_t stream_at;
    size_t name_at;
    size_t codec_at;
} snapshot_entry;

struct stele_snapshots {
    stele__listing list; /* of snapshot_entry */
    stele_snapshot_info lent;
};

/* What is asked for, while the list is read. */
typedef struct snapshot_question {
    stele__listing_kind kind;
    stele_snapshots_read read;
} snapshot_question;

/* The stream that rows belong to; they come stream by stream. */
typedef struct snapshot_owner {
    stele__stream stream; /* its id is 0 before the first, and for none */
    size_t name_at;
} snapshot_owner;

/* Those of a stream that isn't there come first, and are damaged. */
static stele_status find_owner(stele__listing *list, stele__connection *connection,
                               const stele__snapshot_row *row, const char *name,
                               snapshot_owner *owner)
{
    bool found = false;
    if (owner->stream.id != 0 && owner->stream.id == row->stream)
        return STELE_OK;
    *owner = (snapshot_owner){ 0 };
    stele_status status = stele__listing_add_text(list, name, &owner->name_at);
    if (status == STELE_OK && name[0] != '\0')
        status = stele__stream_find(connection, name, &found, &owner->stream);
    return status;
}

/* Damage is what the list is to tell, not a failure. */
static stele_status examine_snapshot(stele__connection *connection, const stele__snapshot_row *row,
                                     stele__listing *list, snapshot_entry *entry)
{
    const char *codec = NULL;
    stele__snapshot_content content;
    stele__statement *statement = NULL;
    const stele_store *store = list->store;
    stele_status status =
        stele__snapshot_content_read(connection, row, &statement, &codec, &content);
    entry->info.bytes = (int64_t)content.data_size + (int64_t)content.metadata_size;
    stele__statement_end(statement);
    if (status != STELE_OK && status != STELE_CORRUPT)
        return status;
    if (status == STELE_CORRUPT || entry->info.stream_version == 0)
        entry->info.miss = STELE_SNAPSHOT_DAMAGED;
    else if (strcmp(row->epoch, store->epoch) != 0)
        entry->info.miss = STELE_SNAPSHOT_EPOCH;
    else if (row->version > entry->info.stream_version)
        entry->info.miss = STELE_SNAPSHOT_BEYOND;
    return stele__listing_add_text(list, codec == NULL ? "" : codec, &entry->codec_at);
}

static stele_status list_snapshot(stele__listing *list, stele__connection *connection,
                                  stele__statement *statement, snapshot_owner *owner)
{
    stele__snapshot_row row;
    stele__snapshot_row_read(statement, &row);
    const char *name = stele__column_text(statement, STELE__SNAPSHOT_COLUMN_COUNT);
    stele_status status = find_owner(list, connection, &row, name == NULL ? "" : name, owner);
    snapshot_entry entry = { .info = { .version = row.version,
                                       .schema_version = row.schema_version,
                                       .saved_at = row.saved_at,
                                       .stream_version = owner->stream.version },
                             .stream_at = owner->name_at };
    if (status == STELE_OK)
        status = stele__listing_add_text(list, row.name, &entry.name_at);
    if (status == STELE_OK)
        status = examine_snapshot(connection, &row, list, &entry);
    return status == STELE_OK ? stele__listing_add(list, &entry, sizeof(entry)) : status;
}

#define LISTED_SNAPSHOTS                                                                           \
    "SELECT " STELE__SNAPSHOT_COLUMNS ", t.name FROM snapshots s"                                  \
    " LEFT JOIN streams t ON t.id = s.stream"
#define THAT_ARE_ASKED_FOR                                                                         \
    " AND (?2 IS NULL OR substr(CAST(t.name AS BLOB), 1, length(CAST(?2 AS BLOB)))"                \
    " = CAST(?2 AS BLOB)) AND (?3 IS NULL OR s.name = ?3)"

/* Those of one stream are found by their index, without a look at any other's. */
static const char snapshots_of_one[] =
    LISTED_SNAPSHOTS " WHERE s.stream = (SELECT id FROM streams WHERE name = ?1)" THAT_ARE_ASKED_FOR
                     " ORDER BY s.name, s.version DESC LIMIT ?4";
static const char snapshots_of_all[] = LISTED_SNAPSHOTS
    " WHERE ?1 IS NULL" THAT_ARE_ASKED_FOR " ORDER BY t.name, s.name, s.version DESC LIMIT ?4";

static void bind_question(stele__statement *statement, const stele_snapshots_read *read)
{
    const char *texts[] = { read->stream, read->prefix, read->name };
    for (int i = 0; i < 3; i++)
        if (texts[i] != NULL)
            stele__bind_text(statement, i + 1, texts[i]);
        else
            stele__bind_null(statement, i + 1);
    int64_t limit = read->limit == 0 || read->limit > INT64_MAX ? -1 : (int64_t)read->limit;
    stele__bind_number(statement, 4, limit);
}

static stele_status read_snapshots(stele__listing *list, stele__connection *connection)
{
    const snapshot_question *question = (const snapshot_question *)list->kind;
    snapshot_owner owner = { 0 };
    stele__statement *statement = NULL;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__statement_begin(
            connection->database,
            question->read.stream != NULL ? snapshots_of_one : snapshots_of_all, &statement);
    if (status != STELE_OK)
        return status;
    bind_question(statement, &question->read);
    while ((status = stele__statement_step(statement)) == STELE_OK) {
        status = list_snapshot(list, connection, statement, &owner);
        if (status != STELE_OK)
            break;
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* --- The calls --- */

static stele_status ask_for_snapshots(const stele_snapshots_read *given, void *out,
                                      snapshot_question *question)
{
    *question = (snapshot_question){ { sizeof(stele_snapshots), "snapshots", read_snapshots },
                                     STELE_SNAPSHOTS_READ_INIT };
    if (out == NULL) /* is refused by the listing */
        return STELE_OK;
    stele_status status =
        stele__options_take("stele_snapshots_read", given, &question->read, sizeof(question->read));
    if (status == STELE_OK && question->read.stream != NULL)
        status = stele__check_name("stream", question->read.stream);
    if (status == STELE_OK && question->read.prefix != NULL && question->read.prefix[0] != '\0')
        status = stele__check_name("prefix", question->read.prefix);
    if (status == STELE_OK && question->read.name != NULL)
        status = stele__check_name("snapshot", question->read.name);
    return status;
}

stele_status stele_store_snapshots(stele_store *store, const stele_snapshots_read *read,
                                   stele_snapshots **snapshots_out)
{
    snapshot_question question;
    stele__listing *list = NULL;
    stele_status status = ask_for_snapshots(read, snapshots_out, &question);
    if (status == STELE_OK)
        status = stele__listing_open(store, &question.kind, snapshots_out == NULL ? NULL : &list);
    if (snapshots_out != NULL)
        *snapshots_out = (stele_snapshots *)list;
    return status;
}

stele_status stele_transaction_snapshots(stele_transaction *transaction,
                                         const stele_snapshots_read *read,
                                         stele_snapshots **snapshots_out)
{
    snapshot_question question;
    stele__listing *list = NULL;
    stele_status status = ask_for_snapshots(read, snapshots_out, &question);
    if (status == STELE_OK)
        status = stele__listing_open_within(transaction, &question.kind,
                                            snapshots_out == NULL ? NULL : &list);
    if (snapshots_out != NULL)
        *snapshots_out = (stele_snapshots *)list;
    return status;
}

stele_status stele_snapshots_next(stele_snapshots *snapshots, const stele_snapshot_info **info_out)
{
    snapshot_entry entry;
    if (info_out != NULL)
        *info_out = NULL;
    if (snapshots == NULL || info_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL",
                           snapshots == NULL ? "snapshots" : "info_out");
    stele_status status = stele__listing_next(&snapshots->list, &entry, sizeof(entry));
    if (status != STELE_OK)
        return status;
    const char *texts = snapshots->list.texts.data;
    snapshots->lent = entry.info;
    snapshots->lent.stream = texts + entry.stream_at;
    snapshots->lent.name = texts + entry.name_at;
    snapshots->lent.codec = texts + entry.codec_at;
    *info_out = &snapshots->lent;
    return STELE_OK;
}

void stele_snapshots_close(stele_snapshots *snapshots)
{
    stele__listing_close((stele__listing *)snapshots);
}

/* A cursor, between the file that opens it and the file that fills its pages. */
#ifndef STELE_EVENTSTORE_CURSOR_H
#define STELE_EVENTSTORE_CURSOR_H

#include "eventstore/lifecycle.h"
#include "eventstore/tail.h"

/* A record in the page, its bytes as offsets into the page's buffer, which may still move. */
typedef struct stele__page_entry {
    int64_t position;
    int64_t version;
    int64_t schema_version;
    int64_t recorded_at;
    int64_t occurred_at;
    bool has_occurred_at;
    uint32_t flags;
    size_t stream_at;
    size_t type_at;
    size_t codec_at;
    size_t data_at;
    size_t data_size;
    size_t metadata_at;
    size_t metadata_size;
    size_t key_at; /* SIZE_MAX: none */
    int64_t stream_id;
} stele__page_entry;

/*
 * What is read is numbered: a stream by versions, everything by positions. `lowest` to `highest`
 * is what is left to scan.
 */
struct stele_cursor {
    stele_store *store;
    stele_transaction *transaction; /* NULL: pages come from the pool */
    stele_read read;                /* its strings are those below */
    char *stream;
    char *category;
    char *prefix;
    char *sql; /* NULL: one of the constant statements */
    bool of_stream;
    int64_t stream_id;
    stele__tail tail; /* of a stream: as it was at opening */
    int64_t lowest;
    int64_t highest;
    bool dense;           /* nothing is filtered: each number must be there */
    bool first_page_read; /* later ones look whether the stream still lives */
    uint64_t left;        /* records that may still be given */
    uint64_t bytes_left;
    int64_t scanned;
    bool follows; /* see follow.h: husks of a stream are passed over */
    bool skips_archived;
    uint32_t lanes; /* 0: none */
    uint32_t lane;
    stele_skipped skipped;
    stele__through through; /* for the time of a page */
    int64_t missed;         /* the position whose payload wasn't where its husk says */
    int missed_count;       /* in how many pages one after the other */
    stele_status ended;     /* OK while records may follow; then the answer for ever */
    char ended_text[STELE__ERROR_SIZE];

    stele__buffer bytes;
    stele__page_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    size_t entry_next;
    stele_record record; /* the one lent */
};

/* Check a read, and make a cursor of it; close it on a failure, too, if it was made. */
stele_status stele__cursor_check(const stele_read *read);
stele_status stele__cursor_make(stele_store *store, stele_transaction *transaction,
                                const stele_read *read, stele_cursor **cursor_out);
/* Its filters as ids, and its SQL. `*unknown_out` (may be NULL): some of the types were never
 * stored. */
stele_status stele__cursor_filter(stele_cursor *cursor, stele__connection *connection,
                                  const char *const *types, size_t type_count, bool *unknown_out);
/* The record of an entry, borrowed from the page. */
void stele__cursor_lend(const stele_cursor *cursor, const stele__page_entry *entry,
                        stele_record *record_out);

/* Whether there is something left to scan. */
bool stele__cursor_has_more(const stele_cursor *cursor);

/* Fill the page with the next records of one bounded look; there may be none in it. In a read. */
stele_status stele__cursor_fill(stele_cursor *cursor, stele__connection *connection);

/* The text of the statement, when filters make it another than the constant ones. `type_ids` may
 * be NULL. Leaves cursor->sql NULL when there is nothing to filter. */
stele_status stele__cursor_write_sql(stele_cursor *cursor, const int64_t *type_ids,
                                     size_t type_count);
/* The constant or written statement, with everything bound but range and limit. */
stele_status stele__cursor_statement(stele_cursor *cursor, stele__connection *connection,
                                     stele__statement **statement_out);

#endif

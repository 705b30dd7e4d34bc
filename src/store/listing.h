/*
 * A list that is read at once and then handed out row by row: types, archives, checkpoints. The
 * public list is a struct that begins with a stele__listing.
 */
#ifndef STELE_STORE_LISTING_H
#define STELE_STORE_LISTING_H

#include "base/bytes.h"
#include "store/store.h"

struct stele__listing_kind;

typedef struct stele__listing {
    stele_store *store; /* held */
    /* While it is read: what was given, which may begin a struct with what is asked for. */
    const struct stele__listing_kind *kind;
    stele__buffer texts;
    stele__buffer entries;
    size_t entry_next;
} stele__listing;

/* Which list it is: how large its struct, what texts call its rows, and how it is read. */
typedef struct stele__listing_kind {
    size_t size;
    const char *what; /* such as "types"; the out parameter is called so with `_out` */
    stele_status (*read)(stele__listing *list, stele__connection *connection);
} stele__listing_kind;

/* `*list_out` is the struct; close it with stele__listing_close(). MISUSE for a NULL, ... */
stele_status stele__listing_open(stele_store *store, const stele__listing_kind *kind,
                                 stele__listing **list_out);
/* The same inside a transaction. */
stele_status stele__listing_open_within(stele_transaction *transaction,
                                        const stele__listing_kind *kind, stele__listing **list_out);

/* While it is read: a text, and where it lies; a row of the area's own. */
stele_status stele__listing_add_text(stele__listing *list, const char *text, size_t *at_out);
stele_status stele__listing_add(stele__listing *list, const void *entry, size_t size);

/* The next row: OK, DONE; CLOSED, MISUSE after fork(). */
stele_status stele__listing_next(stele__listing *list, void *entry_out, size_t size);
/* NULL is fine. */
void stele__listing_close(stele__listing *list);

#endif

/* Rows of `meta` that the areas above keep for themselves: text under a name, and a checksum. */
#ifndef STELE_STORE_NOTES_H
#define STELE_STORE_NOTES_H

#include "base/bytes.h"
#include "store/store.h"

/* Inside `transaction`: the text of `key` with its NUL in `value_out`. OK, DONE for none, CORRUPT.
 */
stele_status stele__note_get(stele_transaction *transaction, const char *key,
                             stele__buffer *value_out);
/* Put `value` in place of what is there. */
stele_status stele__note_set(stele_transaction *transaction, const char *key, const char *value);
/* Take away all from the key `first` up to but not `end`. */
stele_status stele__notes_drop(stele_transaction *transaction, const char *first, const char *end);

/* In a read of its own: the first one after the key in `key`, below `end`; both buffers then hold
 * it, with a NUL. A key has at most 63 bytes. OK, DONE, CORRUPT. */
stele_status stele__note_next(stele_store *store, const char *end, stele__buffer *key,
                              stele__buffer *value_out);

#endif

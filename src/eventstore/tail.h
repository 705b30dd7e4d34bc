/* What a fold asks of the read of one stream. */
#ifndef STELE_EVENTSTORE_TAIL_H
#define STELE_EVENTSTORE_TAIL_H

#include <stele/eventstore.h>

/* The stream as it was when the cursor was opened. */
typedef struct stele__tail {
    int64_t id;      /* 0: there was none */
    int64_t version; /* of its last event, whatever the bounds of the read are */
    int64_t trimmed; /* versions up to this one are gone */
    stele_stream_state state;
} stele__tail;

/* stele_store_read() by who is about to write: the first page of it is short, and read where pages
 * are at hand. */
stele_status stele__read_short(stele_store *store, const stele_read *read,
                               stele_cursor **cursor_out);

/* stele_store_key() that waits as `wait` says; NULL: as that. */
stele_status stele__key_look(stele_store *store, const stele_wait *wait, const char *key,
                             stele_key_info *info_out);

void stele__cursor_tail(const stele_cursor *cursor, stele__tail *tail_out);

#endif

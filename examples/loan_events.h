/*
 * The events of the loan desk: what it reads of them, and their tables.
 */
#ifndef LOAN_EVENTS_H
#define LOAN_EVENTS_H

#include <stele.h>

/* An event as the desk reads it; "" for what it hasn't. */
typedef struct loan_event {
    const stele_type *type; /* One of those below; NULL is any other. */
    char amount[64];        /* As it is written, text or number. */
} loan_event;

extern const stele_type submitted_type;
extern const stele_type approved_type;
extern const stele_type declined_type;
extern const stele_type cancelled_type;

/* What the history shows of any event, as text: of the two below. */
typedef struct loan_text {
    char text[128];
} loan_text;

extern const stele_type transition_type;
extern const stele_type resource_type;

stele_status register_events(stele_store *store);

/*
 * Read an event. One of the types above counts as such in any schema version and with any data; the
 * amount is read of a submission, and of an application's first event, whatever that is.
 *
 * Returns STELE_OK, also when the data can't be read and the amount is ""; STELE_NO_MEMORY;
 * STELE_CLOSED.
 */
stele_status read_event(stele_store *store, const stele_record *record, loan_event *event_out);

/* Read an event's data as a value of `type`, whatever its own type is; zero when it can't be. */
stele_status read_as(stele_store *store, const stele_record *record, const stele_type *type,
                     void *value_out);

#endif

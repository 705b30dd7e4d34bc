/* Replaying one parked event, between the files of this area. */
#ifndef STELE_SUBSCRIPTION_REPLAY_H
#define STELE_SUBSCRIPTION_REPLAY_H

#include "subscription/parked.h"

typedef enum stele__replay_outcome {
    STELE__REPLAY_HANDLED,
    STELE__REPLAY_FAILED, /* it stays, and what is behind it */
    STELE__REPLAY_GONE    /* dropped, or deleted */
} stele__replay_outcome;

typedef struct stele__replay_task {
    stele_subscription *subscription;
    const stele_handler *handler;
    stele_parked_choice choice;
    uint32_t asked_lane; /* of what was asked for: only of this lane */
    bool asked;
    uint64_t tried; /* against the limit */
    stele_parked_counts counts;
} stele__replay_task;

/* One that is about to be handled. */
typedef struct stele__replay_row {
    stele__parked parked;
    stele__seat *seat;
} stele__replay_row;

/* Handle it, with its row counted, changed or taken away as that went. What isn't the event's fault
 * is returned. */
stele_status stele__replay_event(const stele__replay_task *task, stele__replay_row *row,
                                 stele__replay_outcome *outcome_out);

#endif

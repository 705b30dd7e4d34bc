/* One image of two stores, while it is judged. */
#ifndef STELE_TESTS_CRASH_LIFECYCLE_TRIAL_H
#define STELE_TESTS_CRASH_LIFECYCLE_TRIAL_H

#include "crash/lifecycle.h"

/* How much of the model it holds, and what was found wrong. */
typedef struct lifecycle_trial {
    const crash_run *run;
    const lifecycle_model *model;
    const char *folder;
    size_t acked; /* changes that had been told of at the cut */
    size_t begun;
    size_t count; /* changes that are there */
    int64_t head;
    stele_store *store;
    stele_store *archive;
    verdict found;
} lifecycle_trial;

/* Whether the stream of `event` isn't deleted. */
bool lifecycle_is_there(const lifecycle_trial *at, const lifecycle_event *event);

/* Each event that is there is read exactly once, in order, and nothing else. */
void lifecycle_read_all(lifecycle_trial *at, const char *when);

/* All versions of a stream are read, wherever its payloads are. */
void lifecycle_read_stream(lifecycle_trial *at, const char *name, int64_t version);

/* Events that were acknowledged, and are beyond the end: those of a stream whose archiving was
 * acknowledged afterwards may be lost by no durability. */
void lifecycle_judge_tail(lifecycle_trial *at);

#endif

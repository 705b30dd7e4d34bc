/*
 * Trimming a stream: its oldest events become husks, a step at a time. Retention says how far.
 *
 * `streams.base_version` moves to the last of them in the same commit, so a stream always reads
 * from a whole event on.
 */
#ifndef STELE_EVENTSTORE_TRIM_H
#define STELE_EVENTSTORE_TRIM_H

#include "store/work.h"

/* Each lets events go. */
typedef struct stele__trim_rules {
    int64_t recorded_before; /* INT64_MIN: no such rule */
    int64_t max_count;       /* 0: no such rule */
    int64_t before_version;  /* 0: no such rule */
} stele__trim_rules;

/* A stream that is trimmed. */
typedef struct stele__trim {
    int64_t stream;
    int64_t reached; /* versions up to this one are gone, or counted */
    int64_t wanted;  /* the last version that the rules let go */
    bool elsewhere;  /* payloads are in an archive, or on their way */
    bool logged;     /* `$stele` has its event */
    uint64_t events; /* of the last step */
    uint64_t bytes;
} stele__trim;

/*
 * How far the rules reach, in reads of its own. What goes is a beginning of the stream: behind an
 * event that is young enough nothing is too old, whatever the clock did. NOT_FOUND; CANCELLED, ...
 */
stele_status stele__trim_plan(stele_store *store, stele__work *work, const char *name,
                              const stele__trim_rules *rules, stele__trim *trim_out);

/*
 * Inside a durable write transaction: the next events go, none of them beyond the position
 * `highest`. None was left to go: `trim->events` is 0. NOT_FOUND when the stream was deleted;
 * ARCHIVED when its payloads have left since the plan.
 */
stele_status stele__trim_step(stele_store *store, stele__connection *connection,
                              const stele__work *work, int64_t highest, stele__trim *trim);
/* The same inside a read, only counting them. */
stele_status stele__trim_count(stele__connection *connection, const stele__work *work,
                               int64_t highest, stele__trim *trim);

#endif

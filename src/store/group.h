/*
 * Group commit: writes that wait at the same time share one transaction.
 *
 * A request is judged and written by a function of its area. Who has the writer's turn leads: it
 * takes what is queued, its own request among it, applies one after the other, and commits. No
 * verdict is told before the COMMIT, refusals included, since they may rest on a neighbour's rows.
 * When the group fails, it is rolled back and its requests are run one at a time.
 */
#ifndef STELE_STORE_GROUP_H
#define STELE_STORE_GROUP_H

#include "base/failure.h"
#include "store/store.h"

typedef struct stele__request {
    /* Judge and write inside a transaction. A refusal has written nothing (`*changed_out` false); a
     * failure with it true means that the transaction must not be committed. May run again. */
    stele_status (*apply)(struct stele__request *request, stele__connection *connection,
                          bool *changed_out);
    /* Of a submission; NULL when its thread waits in stele__group_run(). Once the verdict is there:
     * `settle` at once, with the mutex held; then `deliver` on the thread that led, without a lock
     * or the turn. It may call the user, and may free the request. */
    void (*settle)(struct stele__request *request);
    void (*deliver)(struct stele__request *request);
    stele_store *store;
    size_t size;     /* bytes, for the bounds */
    bool repeatable; /* doing it again is harmless: it has a key */
    /* It writes what a sequencer would put in order: when one is there by now, it isn't queued
     * (`switched`, and the answer is UNSUPPORTED), and is to be proposed instead. */
    bool direct;
    bool switched;

    stele_status status; /* once done */
    char error[STELE__ERROR_SIZE];

    /* Of the group. */
    bool queued;
    bool done;
    bool changed;       /* in the group's transaction */
    bool unknown;       /* a commit that it was in failed so */
    bool before_switch; /* it was queued before there was a sequencer */
    bool counted;       /* a submission that was queued */
    uint64_t serial;    /* of a submission */
    stele__waiter *waiter;
    struct stele__request *next;
} stele__request;

/* What waits, in the order of coming. Guarded by the store's mutex. */
typedef struct stele__requests {
    stele__request *first;
    stele__request **last;
    size_t count; /* of submissions: those with `deliver` */
    size_t size;
    atomic_size_t queued;          /* of both kinds; read without the mutex as a hint */
    uint64_t serial;               /* of the last submission, queued or proposed */
    uint64_t submitted;            /* that were ever queued */
    uint64_t settled;              /* of these, those that have their verdict */
    struct stele__teller *tellers; /* threads that deliver verdicts */
    pthread_cond_t told;           /* one was delivered */
    pthread_cond_t room;
    pthread_cond_t work; /* for the committer */
    pthread_t committer;
    bool has_committer;
    bool stop;
    /* For those who look. */
    uint64_t commits;
    uint64_t requests;
    uint32_t largest;
} stele__requests;

/* At opening; and the thread that the options ask for. NO_MEMORY. */
stele_status stele__group_open(stele_store *store);
stele_status stele__committer_start(stele_store *store);
/* At closing, nobody else being inside: everything that was submitted gets its verdict. */
void stele__group_drain(stele_store *store);
void stele__group_close(stele_store *store);

/* Write `request`, alone or with others; returns its verdict, and sets the error text. `wait` may
 * be NULL. */
stele_status stele__group_run(stele_store *store, stele__request *request, const stele_wait *wait);

/* Queue it, when there is room: `deliver` will be called. */
stele_status stele__group_submit(stele_store *store, stele__request *request,
                                 const stele_wait *wait);

/* A submission got its verdict without the queue, on this thread, with the text of its last
 * failure: it is settled and told as if it had been queued. */
void stele__group_settle(stele_store *store, stele__request *request, stele_status status);

/* Until a submitted request is done, leading when nobody does. OK, TIMED_OUT, CANCELLED. The
 * request must live meanwhile. */
stele_status stele__group_wait(stele_store *store, stele__request *request,
                               stele__patience *patience);

/* Until all that was submitted before has its verdict, and was told of it: but for those that
 * wait for this thread to return from telling another. */
stele_status stele__group_flush(stele_store *store, const stele_wait *wait);

/* --- Between group.c and submit.c --- */

/* With the mutex held. */
void stele__group_enqueue(stele__requests *requests, stele__request *request);
void stele__group_withdraw(stele__requests *requests, stele__request *request);
/*
 * The turn is held, and is passed on. `own` is settled whatever happens. When the file can't be
 * written to and there is no `own`, that is the verdict of all submissions; but `patient` leaves
 * them where they are if only this caller's waiting has ended (BUSY, CANCELLED, CLOSED). The status
 * is that of beginning.
 */
stele_status stele__group_lead(stele_store *store, stele__request *own, stele__patience *patience,
                               bool patient);
/* Whether this thread is delivering verdicts of `store`: the user's function called us. */
bool stele__group_is_telling(const stele_store *store);
/* Whether all submissions up to `serial` were told. With the mutex held. */
bool stele__group_was_told(const stele_store *store, uint64_t serial);

#endif

/*
 * A subscription, between the files of this area.
 *
 * A handle has *seats*: one, or one for each lane. A seat is a place in the log that this handle
 * may work on. It is *held* when this handle has claimed the row of the checkpoint; what is in
 * memory follows what was committed there. Only who holds it delivers events, but anybody may look
 * whether there are some.
 *
 * The row says `attempting` as long as a seat is held and its handler may be at work; so one that
 * is found so, when it is claimed, had an unclean end.
 */
#ifndef STELE_SUBSCRIPTION_OWN_H
#define STELE_SUBSCRIPTION_OWN_H

#include <pthread.h>
#include <stdatomic.h>

#include <stele/subscription.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "checkpoint/own.h"
#include "eventstore/follow.h"
#include "notify/waiting.h"

#define STELE__SUBSCRIPTION_NAME_MAX ((size_t)200)
/* How often the row of a seat is looked at, at most, while others commit. */
#define STELE__SEAT_LOOK_US ((int64_t)1000000)

/* An event that waits behind a parked one: its row comes with the commit that passes it. */
typedef struct stele__held_back {
    int64_t position;
    int64_t behind;
    const char *stream; /* of the record */
} stele__held_back;

typedef struct stele__seat {
    uint32_t lane; /* 0: the whole */
    bool loaded;   /* the row was looked at */
    bool held;
    bool wanted;            /* with lanes: this handle is to have it */
    bool fresh;             /* it has no place yet */
    bool asked;             /* somebody asked for parked events to be replayed */
    int64_t asked_again_us; /* when to see whether this handle may do that now; 0: not */
    bool doubt;             /* a commit has an unknown outcome: look again before anything else */
    bool parks;             /* some events are parked: look before handling one */
    bool marked;            /* what of the page waits behind those is known */
    bool more;              /* the last look has not got to its end: look again at once */
    bool refused;           /* without a name: a failure has stopped it */
    int64_t refused_at;     /* the event; the reason is `reason` */
    int64_t generation;
    int64_t position; /* committed */
    int64_t acked;    /* acknowledged: position, or further when that waits to be committed */
    int64_t scanned;  /* passed over or lent up to here */
    int64_t head;     /* when it was last looked at */
    int64_t effects_after;
    char other[STELE__OWNER_SIZE]; /* who else owns it; "" */
    int64_t blocked_until_us;      /* the other's lease; 0: none */
    int64_t work_seen_us;          /* since when there is work that the other doesn't do */
    int64_t looked_us;             /* when the row was last looked at */
    uint64_t changes_seen;         /* what the notifier had counted then */
    int64_t lease_renew_us;        /* when to renew it before working without a transaction */
    int64_t acked_us;              /* since when an acknowledgement waits; 0: none does */
    int64_t skipped_us;            /* since when it has only passed over events; 0: it hasn't */
    /* Trouble. */
    int64_t alone_until; /* events up to here are handled one at a time */
    bool alone_page;     /* and so is the page that is read next: a batch can't have had more */
    int64_t suspect;     /* this one alone; what is before it without it. 0: none */
    int64_t attempts;    /* of the next event alone, that were counted */
    bool counted;        /* this try of it already is */
    bool died;           /* the last one ended its process */
    int64_t retry_at_us;
    char reason[STELE__REASON_SIZE];
    /* What was read. */
    stele__follow *follow;
    stele__looked looked;
    size_t next; /* of these, the first that isn't acknowledged */
    stele__held_back *held_backs;
    size_t held_back_count;
    size_t held_back_capacity;
    const stele_record **records; /* the batch */
    size_t record_capacity;
    stele_batch batch; /* lent while count > 0 */
    stele_skipped skipped;
    /* How fast. */
    int64_t measured_us;
    int64_t measured_position;
    int64_t rate;
    int64_t lag;
    int64_t lag_before;
} stele__seat;

struct stele_subscription {
    stele_store *store; /* held */
    stele_notifier *notifier;
    stele_subscription_options options; /* its strings are those below */
    char *name;
    char *stream;
    char *category;
    char *prefix;
    char **types;
    char owner[STELE__OWNER_SIZE];
    char epoch[37];      /* of what it has read */
    int64_t epoch_since; /* events beyond this are of that one; INT64_MAX: not known */
    atomic_int stopped;
    int64_t start_at; /* where it begins without a checkpoint: as of when it was opened */
    int64_t stop_at;  /* -1: never */
    stele_wait wait;  /* of the call: as the caller's, but that a stop ends it, too */
    int (*progress)(void *context); /* the caller's */
    void *progress_context;
    stele__seat *seats;
    size_t seat_count;
    size_t seat_next;           /* where the next look begins */
    stele__seat *lending;       /* whose batch is at hand; NULL */
    bool lost;                  /* the batch at hand was, to another handle */
    bool running;               /* a handler is at work: it wants to hear of these */
    bool in_handler;            /* it is being called: nothing else may be, on this handle */
    bool live;                  /* it has reached the head */
    bool told_live;             /* and the handler knows */
    int64_t rest_until_us;      /* while it keeps up: when it commits again at the soonest */
    struct stele__group *group; /* with lanes; see group.c */
    /* Of the handler at work. */
    char fail_reason[STELE__REASON_SIZE];
    int64_t fail_position; /* that it named; 0: none */
    /* For who describes it. */
    _Atomic(int64_t) known_position; /* without a name; -1: it has not begun */
    struct stele__described *described;
};

/* --- Ending: open.c --- */

/* Commit what was acknowledged, and give up all that it has: what closing does before it frees. The
 * handle may still be told to stop, and closed; nothing else. */
void stele__subscription_give_up(stele_subscription *subscription);

/* --- Seats: claim.c, seat.c --- */

/* What a commit does to the row of a seat that is held. */
typedef struct stele__seat_edit {
    int64_t to;        /* where it moves; -1: it stays */
    int64_t attempts;  /* of the next event */
    bool attempting;   /* the handler may be at work from now on */
    bool stopped;      /* by a failure */
    bool retrying;     /* it waits to try again */
    bool release;      /* it is given up */
    const char *error; /* NULL: as it was */
    int64_t error_position;
    const stele__parked *park; /* NULL: none */
    int64_t unpark;            /* a parked position that is done; 0: none */
} stele__seat_edit;

/*
 * Look at the row, when there is reason to: OK, and whether this handle may work on it: it holds
 * it, or nobody else does. `*until_us` becomes earlier when it is to be looked at again by then.
 * REFUSED (stopped by a failure), EPOCH, CORRUPT, ...
 */
stele_status stele__seat_look(stele_subscription *subscription, stele__seat *seat, bool *open_out,
                              int64_t *until_us);
/* Claim it, or see that this handle still has it: OK with `*held_out`. When the row has moved,
 * what was read is dropped, and it is not held out: look again. */
stele_status stele__seat_claim(stele_subscription *subscription, stele__seat *seat,
                               const stele_wait *wait, bool *held_out);
/* Change the row of a seat that is held: in a commit of its own. FENCED, CONFLICT (it was moved by
 * somebody), EPOCH, UNKNOWN_OUTCOME, ... After FENCED it isn't held any more. */
stele_status stele__seat_write(stele_subscription *subscription, stele__seat *seat,
                               const stele__seat_edit *given, const stele_wait *wait);
/* The same inside a transaction; when that was committed, tell by stele__seat_written(). */
stele_status stele__seat_write_within(stele_subscription *subscription, stele__seat *seat,
                                      stele__connection *connection, const stele__seat_edit *edit);
void stele__seat_written(stele_subscription *subscription, stele__seat *seat,
                         const stele__seat_edit *edit);
/*
 * It is at `to`, in the epoch of now: which another process may have begun since this one looked.
 * EPOCH when what was read isn't of this timeline any more.
 */
stele_status stele__seat_move_place(stele_subscription *subscription, stele__connection *connection,
                                    stele__place *place, int64_t to);
/* When half of the lease is over it is renewed before there is more work. */
void stele__seat_note_lease(const stele_subscription *subscription, stele__seat *seat);
/* What was read and lent of it is forgotten: it goes on from `position`. */
void stele__seat_rewind(stele_subscription *subscription, stele__seat *seat, int64_t position);
/* Another has it, or may have. */
void stele__seat_lose(stele_subscription *subscription, stele__seat *seat);
/* How far it may be committed: nothing that was lent and not acknowledged is passed. */
int64_t stele__seat_reached(const stele_subscription *subscription, const stele__seat *seat);
/* Commit what was acknowledged or passed over and not committed, and give it up if asked to. */
stele_status stele__seat_flush(stele_subscription *subscription, stele__seat *seat, bool release,
                               const stele_wait *wait);

/* --- Batches: fetch.c --- */

/* Read ahead if nothing is left of what was read: OK with `*found_out`, whether there is a batch to
 * lend. It may have got further without one: then `scanned` moves; and `more` says whether to fetch
 * again at once. */
stele_status stele__seat_fetch(stele_subscription *subscription, stele__seat *seat,
                               const stele_wait *wait, bool *found_out);
/* Fill seat->batch from what was read and isn't acknowledged. */
stele_status stele__seat_lend(stele_subscription *subscription, stele__seat *seat);
/* What was read up to `position` is done with. */
void stele__seat_pass(stele__seat *seat, int64_t position);
/* The lent batch is acknowledged through `position`, in memory only: it is committed with what
 * comes next, or when its time has come. */
void stele__seat_note_ack(stele_subscription *subscription, stele__seat *seat, int64_t position);
/* Without a batch: events were passed over, or acknowledged, for so long that it is to be
 * committed. */
bool stele__seat_skip_is_due(const stele_subscription *subscription, const stele__seat *seat,
                             int64_t *until_us);

/* --- One step of a subscription: step.c --- */

/*
 * Find a seat with a batch, claim it and lend it; or wait for one until `patience` is over. OK with
 * `*seat_out`; DONE; TIMED_OUT; CANCELLED; and all failures of stele_subscription_next(). While a
 * handler runs, it is TIMED_OUT at once, too, when the head is reached, or a replay asked for.
 */
stele_status stele__subscription_step(stele_subscription *subscription, stele__patience *patience,
                                      const stele_wait *wait, stele__seat **seat_out);
/* MISUSE for NULL or inside a transaction of this thread; CANCELLED when stopped; CLOSED. */
stele_status stele__subscription_check(stele_subscription *subscription);
/* subscription->wait becomes `given` (may be NULL), but that a stop ends it, too: with CANCELLED.
 */
stele_status stele__subscription_take_wait(stele_subscription *subscription,
                                           const stele_wait *given);

/* --- Failures: attempt.c --- */

/* Whether `status`, that a handler gave, is the event's fault; else whether it passes by itself. */
bool stele__is_fault_of_event(stele_status status);
bool stele__is_passing(stele_status status);
/* Before a lone event is tried: count that, durably. May instead do what `on_failure` says when it
 * has ended its process too often: then `*gone_out`, and there is no batch any more. */
stele_status stele__attempt_begin(stele_subscription *subscription, stele__seat *seat,
                                  const stele_wait *wait, bool *gone_out);
/* The event at `position` of the batch failed with `reason`; what is before it was done already
 * when `done`, else it has to be done again. OK, REFUSED, or a failure to write. */
stele_status stele__attempt_failed(stele_subscription *subscription, stele__seat *seat,
                                   int64_t position, const char *reason, bool done,
                                   const stele_wait *wait);
/* The whole batch failed, and nobody knows where: one at a time. */
void stele__attempt_unclear(stele__seat *seat);
/* The try of a lone event that was counted was none: something else was in the way. */
void stele__attempt_uncount(stele_subscription *subscription, stele__seat *seat);

/* --- Parked events: replay.c --- */

/* Handle what somebody asked to be replayed, if this handle may. */
stele_status stele__replay_asked(stele_subscription *subscription, stele__seat *seat,
                                 const stele_handler *handler);

struct stele__batch_run;
/* In the transaction of a replay: NOT_FOUND when somebody has dropped it meanwhile. */
stele_status stele__replay_check(const struct stele__batch_run *run, stele__connection *connection);
/* What its commit does to the row of the seat. */
void stele__replay_edit(const struct stele__batch_run *run, stele__seat_edit *edit);

/* --- Describing: status.c --- */

/* NULL is fine. */
void stele__described_free(struct stele__described *described);

/* --- Running: run.c --- */

/* A batch that a handler is called for. */
typedef struct stele__batch_run {
    stele_subscription *subscription;
    stele__seat *seat;
    const stele_handler *handler;
    const stele_batch *batch;
    const stele__parked *parked; /* a replay of this one; NULL: it comes for the first time */
    stele_transaction *transaction;
    size_t done;    /* events that were handled */
    int64_t failed; /* the position that failed; 0: which isn't known */
    bool ends;      /* the handler said what ends the run */
} stele__batch_run;

/* Call it. The reason of a failure is in fail_reason afterwards. */
stele_status stele__run_handler(stele__batch_run *run);
/* The same in a transaction that moves the place, or takes away what was parked; `*failed_out`:
 * what is returned is the handler's, and nothing was committed. */
stele_status stele__run_in_transaction(stele__batch_run *run, bool *failed_out);
/* Check a handler and lay it over the defaults. */
stele_status stele__handler_take(const stele_handler *given, stele_handler *handler_out);

/* --- Lanes: group.c --- */

stele_status stele__group_begin(stele_subscription *subscription);
/* Who is there, and which seats are this handle's: claims nothing, but marks what it wants, gives
 * up what it has too much of, and renews what it has. Cheap when nothing is due. */
stele_status stele__group_balance(stele_subscription *subscription, const stele_wait *wait,
                                  int64_t *until_us);
/* Commit in one go what was acknowledged or passed over in the lanes that it has. */
stele_status stele__lanes_flush(stele_subscription *subscription, const stele_wait *wait);
/* Whether the row of a lane that others have was there when last looked at. */
bool stele__group_is_through(const stele_subscription *subscription, const stele__seat *seat,
                             int64_t position);
/* Whether the notifier has counted more since the last look than what was seen then. */
bool stele__group_is_unseen(const stele_subscription *subscription, uint64_t changes);
/* Give up all lanes and leave: when closing. */
void stele__group_end(stele_subscription *subscription, const stele_wait *wait);

#endif

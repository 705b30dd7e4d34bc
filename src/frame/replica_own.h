/*
 * Shared by the files of the replica, and by nobody else.
 *
 * Locks. `mutex` guards what stands below it, is held for moments, and never while the log, the
 * store or the user runs. Two roles go round among the threads inside: who *pumps* takes frames
 * from the log and applies them; who *launches* puts frames together and proposes them. Order:
 * pumping, launching, mutex; nobody waits for a role with another one but in that order.
 */
#ifndef STELE_FRAME_REPLICA_OWN_H
#define STELE_FRAME_REPLICA_OWN_H

#include <pthread.h>

#include "base/patience.h"
#include "frame/replica.h"
#include "store/store.h"

/* The bytes of a frame, shared by who has it on its way and who just hands it over. */
typedef struct stele__packet {
    size_t holders;
    stele__buffer bytes;
} stele__packet;

typedef enum stele__asking {
    STELE__ASKING_WAITS, /* in line: in no frame yet */
    STELE__ASKING_FORMS, /* is just being put into one */
    STELE__ASKING_FLIES, /* that frame is on its way */
    STELE__ASKING_OVER
} stele__asking;

/* A change that somebody waits for; on that thread's stack. */
typedef struct stele__asked {
    const stele__change *change;
    stele__asking state;
    stele_status gave_up; /* OK; or what it answers when it is withdrawn */
    stele_status status;  /* once it is OVER */
    char error[STELE__ERROR_SIZE];
    struct stele__asked *next;
} stele__asked;

/* The frame that is on its way. */
typedef struct stele__flight {
    bool there;
    bool withdrawn; /* the empty one is proposed instead */
    stele__frame_header header;
    stele__packet *packet; /* what is proposed */
    int64_t due_us;        /* when it is proposed next */
    uint32_t interval_ms;
    uint32_t times; /* it was proposed */
    uint64_t place; /* in the log, when it was seen there; 0: it wasn't */
    /* Whose changes are in it, one for each; NULL: that one has left. */
    stele__asked **seats;
    size_t seat_count;
} stele__flight;

/* A frame that was taken from the log and isn't applied yet. */
typedef struct stele__arrived {
    uint64_t sequence;
    size_t offset;
    size_t size;
} stele__arrived;

struct stele__replica {
    stele__sequencer sequencer; /* the first */
    stele_store *store;         /* held */
    stele__frame_log *log;
    stele__replica_options options;
    stele__frame_id writer;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t inside; /* calls */
    bool shut;
    bool pumping;
    bool launching;
    stele_status stopped;  /* OK: it isn't */
    stele_status troubled; /* the last apply error, until it went on; OK: none */
    char stop_text[STELE__ERROR_SIZE];
    char trouble_text[STELE__ERROR_SIZE];
    stele__asked *first;
    stele__asked **last;
    stele__flight flight;
    uint64_t last_number; /* of the writer's frames: given out */
    stele__frame_place place;
    bool joined;      /* the first attach was OK */
    bool genesis_due; /* the log is empty, and so is the file */
    bool checkpoint_due;
    bool erase_due;
    bool erasing;
    int64_t erased_at_us;
    uint64_t head_asked;    /* how many times */
    uint64_t head_answered; /* of these */
    stele__replica_info info;
    pthread_t thread;
    bool has_thread;
    bool thread_stops;

    /* Owned by who pumps. */
    bool attached;
    bool stale; /* `place` is to be read again */
    bool first_since_attach;
    uint32_t gaps; /* in a row */
    uint64_t next; /* to be taken from the log */
    int64_t retry_at_us;
    uint32_t retry_ms;
    int64_t heard_at_us;  /* the log had something new */
    int64_t looked_at_us; /* it was asked for its end */
    uint64_t checkpoint_at;
    uint64_t unsettled; /* a commit of unknown outcome would have taken the file there; 0: none */
    stele__arrived *batch;
    size_t batch_first; /* those before are applied */
    size_t batch_count;
    stele__buffer batch_bytes;

    /* Owned by who launches. */
    stele__frame_builder builder;
};

/* --- flight.c --- */

/* Put what waits into a frame, if none is on its way, and propose what is due. Not with a lock. */
void stele__flight_launch(stele__replica *replica);
/* With the mutex held: the empty frame from now on. */
void stele__flight_withdraw(stele__replica *replica);
/* With the mutex held: a frame was applied. If it is ours, and the first of its number, who waits
 * for it learns what became of it. */
void stele__flight_settle(stele__replica *replica, const stele__frame_result *result);
/* With the mutex held: nobody will learn what became of it. */
void stele__flight_lose(stele__replica *replica, const char *text);
/* With the mutex held: that one is over. */
void stele__asked_end(stele__asked *asked, stele_status status, const char *text);
/* With the mutex held: the next one may leave. */
void stele__flight_end(stele__replica *replica);
void stele__flight_dispose(stele__replica *replica);

/* --- pump.c: for who has the role --- */

/* Take and apply what there is; waits until `until_us` for something. Failures are kept in the
 * replica. */
void stele__pump_round(stele__replica *replica, int64_t until_us);
/* Stop for good, with this thread's text. */
void stele__pump_halt(stele__replica *replica, stele_status status);
/* The file failed, with this thread's text: try again later, and tell who should know. */
void stele__pump_blame_file(stele__replica *replica, stele_status status);
uint32_t stele__milliseconds_until(int64_t until_us);

/* --- batch.c: likewise --- */

/* Apply what was taken. */
void stele__batch_apply(stele__replica *replica, int64_t until_us);
/* It will be taken again. */
void stele__batch_drop(stele__replica *replica);
/* By anybody: erase what deletions left, if it is time. */
void stele__pump_erase(stele__replica *replica);

/* --- ask.c --- */

/* Work for all, or wait for who does, until then at most. With the mutex held, but for meanwhile.
 */
void stele__replica_take_part(stele__replica *replica, int64_t until_us);

stele_status stele__replica_propose(stele__sequencer *sequencer, stele_store *store,
                                    const stele__change *change);

#endif

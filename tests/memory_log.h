/**
 * @file tests/memory_log.h
 * A totally ordered log in memory, shared by the threads of a test, which does to frames whatever a
 * log may do (src/frame/log.h): proposals are dropped, doubled, held back so that they overtake
 * each other; readers get a frame again, miss one, lose their place; nothing goes for a while.
 * What is in the order never changes.
 */
#ifndef STELE_TESTS_MEMORY_LOG_H
#define STELE_TESTS_MEMORY_LOG_H

#include "frame/log.h"

#include <check.h>
#include <pthread.h>

#include "base/failure.h"
#include "base/platform.h"
#include "effort.h"

/* Once in how many calls something goes wrong; 0: never. */
typedef struct memory_faults {
    uint32_t drop;      /* a proposal is lost */
    uint32_t twice;     /* it is there twice */
    uint32_t hold;      /* it comes later, behind others */
    uint32_t hold_ms;   /* by up to so much */
    uint32_t again;     /* a reader gets an older frame again */
    uint32_t miss;      /* a reader misses a frame */
    uint32_t late;      /* a reader is told that there is nothing yet */
    uint32_t crash;     /* a reader loses its place */
    uint32_t outage;    /* nothing goes for a while */
    uint32_t outage_ms; /* that long */
} memory_faults;

#define ALL_MEMORY_FAULTS                                                                          \
    {                                                                                              \
        9, 9, 5, 60, 30, 60, 20, 100, 400, 80                                                      \
    }

typedef struct memory_injected {
    uint64_t proposals;
    uint64_t dropped;
    uint64_t doubled;
    uint64_t held;
    uint64_t again;
    uint64_t missed;
    uint64_t late;
    uint64_t crashes;
    uint64_t outages;
    uint64_t refused; /* calls during an outage */
} memory_injected;

typedef struct memory_frame {
    unsigned char *bytes;
    size_t size;
    int64_t due_us; /* of one that is held back */
} memory_frame;

/* One lane. */
typedef struct memory_lane {
    pthread_mutex_t mutex;
    pthread_cond_t grown;
    memory_frame *frames;
    size_t count;
    memory_frame *held;
    size_t held_count;
    memory_faults faults;
    memory_injected injected;
    uint64_t chance;
    int64_t out_until_us;
    /* For a test that says what happens: the next proposals are lost; the next are kept back. */
    uint32_t drop_next;
    uint32_t keep_next;
    memory_frame *kept;
    size_t kept_count;
    bool unavailable;
    uint64_t cut; /* up to here the log doesn't have them any more */
    stele__frame_id lane;
    bool named; /* by the first attach; each other one must be for the same */
} memory_lane;

typedef struct memory_reader {
    stele__frame_log log;
    memory_lane *lane;
    uint64_t next; /* 0: not attached */
    unsigned char *bytes;
    uint64_t missed; /* the frame that it missed last, */
    uint32_t misses; /* and how often in a row */
} memory_reader;

static inline void open_memory_lane(memory_lane *lane, uint64_t seed)
{
    *lane = (memory_lane){ .chance = seed * 0x9e3779b97f4a7c15u + 1 };
    ck_assert_int_eq(pthread_mutex_init(&lane->mutex, NULL), 0);
    stele__condition_init(&lane->grown);
}

static inline void close_memory_lane(memory_lane *lane)
{
    for (size_t i = 0; i < lane->count; i++)
        free(lane->frames[i].bytes);
    for (size_t i = 0; i < lane->held_count; i++)
        free(lane->held[i].bytes);
    for (size_t i = 0; i < lane->kept_count; i++)
        free(lane->kept[i].bytes);
    free(lane->kept);
    free(lane->frames);
    free(lane->held);
    pthread_cond_destroy(&lane->grown);
    pthread_mutex_destroy(&lane->mutex);
}

/* From now on; NULL: none. What is held back comes then, too. */
static inline void set_memory_faults(memory_lane *lane, const memory_faults *faults)
{
    pthread_mutex_lock(&lane->mutex);
    lane->faults = faults != NULL ? *faults : (memory_faults){ 0 };
    lane->out_until_us = 0;
    pthread_mutex_unlock(&lane->mutex);
}

/* With the mutex held, like those that follow. */
static inline uint64_t memory_chance(memory_lane *lane)
{
    lane->chance ^= lane->chance << 13;
    lane->chance ^= lane->chance >> 7;
    lane->chance ^= lane->chance << 17;
    return lane->chance >> 11;
}

static inline bool memory_fault(memory_lane *lane, uint32_t times, uint64_t *count)
{
    if (times == 0 || memory_chance(lane) % times != 0)
        return false;
    (*count)++;
    return true;
}

static inline void add_memory_frame(memory_frame **frames, size_t *count, const void *bytes,
                                    size_t size, int64_t due_us)
{
    if ((*count & (*count - 1)) == 0) {
        size_t capacity = *count == 0 ? 1 : *count * 2;
        memory_frame *grown = realloc(*frames, capacity * sizeof(*grown));
        ck_assert_ptr_nonnull(grown);
        *frames = grown;
    }
    unsigned char *copy = malloc(size + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    (*frames)[(*count)++] = (memory_frame){ copy, size, due_us };
}

static inline void order_memory_frame(memory_lane *lane, const void *bytes, size_t size)
{
    add_memory_frame(&lane->frames, &lane->count, bytes, size, 0);
    pthread_cond_broadcast(&lane->grown);
}

/* Those whose time has come go into the order; when the next one comes. */
static inline int64_t release_held_frames(memory_lane *lane)
{
    int64_t now = stele__clock_monotonic_us();
    int64_t next_us = INT64_MAX;
    for (size_t i = 0; i < lane->held_count;) {
        memory_frame held = lane->held[i];
        if (held.due_us > now) {
            if (held.due_us < next_us)
                next_us = held.due_us;
            i++;
            continue;
        }
        lane->held[i] = lane->held[--lane->held_count];
        order_memory_frame(lane, held.bytes, held.size);
        free(held.bytes);
    }
    return next_us;
}

static inline stele_status memory_outage(memory_lane *lane)
{
    int64_t now = stele__clock_monotonic_us();
    if (now >= lane->out_until_us
        && memory_fault(lane, lane->faults.outage, &lane->injected.outages))
        lane->out_until_us = now + (int64_t)lane->faults.outage_ms * 1000;
    if (now >= lane->out_until_us && !lane->unavailable)
        return STELE_OK;
    lane->injected.refused++;
    return stele__fail(STELE_IO, "the log in memory is unavailable");
}

static inline void propose_to_memory(memory_lane *lane, const void *frame, size_t size)
{
    lane->injected.proposals++;
    if (lane->keep_next > 0) {
        lane->keep_next--;
        add_memory_frame(&lane->kept, &lane->kept_count, frame, size, 0);
        pthread_cond_broadcast(&lane->grown);
        return;
    }
    if (lane->drop_next > 0) {
        lane->drop_next--;
        lane->injected.dropped++;
        return;
    }
    if (memory_fault(lane, lane->faults.drop, &lane->injected.dropped))
        return;
    int copies = memory_fault(lane, lane->faults.twice, &lane->injected.doubled) ? 2 : 1;
    for (; copies > 0; copies--) {
        if (memory_fault(lane, lane->faults.hold, &lane->injected.held))
            add_memory_frame(
                &lane->held, &lane->held_count, frame, size,
                stele__clock_monotonic_us()
                    + (int64_t)(memory_chance(lane) % ((uint64_t)lane->faults.hold_ms * 1000 + 1)));
        else
            order_memory_frame(lane, frame, size);
    }
}

/* --- The five functions --- */

static inline stele_status attach_memory(stele__frame_log *log, const stele__frame_id *lane_id,
                                         uint64_t from_sequence)
{
    memory_reader *reader = (memory_reader *)log;
    memory_lane *lane = reader->lane;
    reader->next = 0;
    pthread_mutex_lock(&lane->mutex);
    if (!lane->named)
        lane->lane = *lane_id;
    lane->named = true;
    bool same = stele__frame_id_equal(&lane->lane, lane_id);
    stele_status status = memory_outage(lane);
    if (status == STELE_OK && from_sequence <= lane->cut)
        status = stele__fail(STELE_NOT_FOUND, "the log in memory was cut");
    pthread_mutex_unlock(&lane->mutex);
    if (!same)
        return stele__fail(STELE_IO, "this log in memory is of another lane");
    if (status == STELE_OK)
        reader->next = from_sequence;
    return status;
}

static inline stele_status propose_memory(stele__frame_log *log, const void *frame, size_t size)
{
    memory_lane *lane = ((memory_reader *)log)->lane;
    pthread_mutex_lock(&lane->mutex);
    stele_status status = memory_outage(lane);
    /* Even now and then when it says that it isn't there. */
    if (status == STELE_OK || memory_chance(lane) % 2 == 0)
        propose_to_memory(lane, frame, size);
    pthread_mutex_unlock(&lane->mutex);
    return status;
}

/* The next one is left out, but not so often in a row that it would be lost. */
static inline void miss_memory_frame(memory_reader *reader)
{
    memory_lane *lane = reader->lane;
    bool again = reader->missed == reader->next;
    if (again && reader->misses >= 3 && lane->faults.miss > 1)
        return;
    if (!memory_fault(lane, lane->faults.miss, &lane->injected.missed))
        return;
    reader->misses = again ? reader->misses + 1 : 1;
    reader->missed = reader->next++;
}

/* Which frame the reader gets; 0: none. */
static inline uint64_t choose_memory_frame(memory_reader *reader)
{
    memory_lane *lane = reader->lane;
    if (reader->next > lane->count)
        return 0;
    if (reader->next > 1 && memory_fault(lane, lane->faults.again, &lane->injected.again))
        return 1 + memory_chance(lane) % (reader->next - 1);
    if (reader->next < lane->count)
        miss_memory_frame(reader);
    return reader->next++;
}

static inline stele_status next_of_memory(stele__frame_log *log, uint32_t timeout_ms,
                                          uint64_t *sequence_out, const void **frame_out,
                                          size_t *size_out)
{
    memory_reader *reader = (memory_reader *)log;
    memory_lane *lane = reader->lane;
    int64_t until_us = stele__clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    pthread_mutex_lock(&lane->mutex);
    stele_status status = memory_outage(lane);
    if (status == STELE_OK
        && (reader->next == 0 || memory_fault(lane, lane->faults.crash, &lane->injected.crashes))) {
        reader->next = 0;
        status = stele__fail(STELE_IO, "this reader has lost its place");
    }
    if (status == STELE_OK && memory_fault(lane, lane->faults.late, &lane->injected.late))
        status = STELE_TIMED_OUT;
    while (status == STELE_OK) {
        int64_t due_us = release_held_frames(lane);
        uint64_t chosen = choose_memory_frame(reader);
        if (chosen > 0) {
            const memory_frame *frame = &lane->frames[chosen - 1];
            unsigned char *copy = realloc(reader->bytes, frame->size + 1);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, frame->bytes, frame->size);
            reader->bytes = copy;
            *sequence_out = chosen;
            *frame_out = copy;
            *size_out = frame->size;
            break;
        }
        if (stele__clock_monotonic_us() >= until_us)
            status = STELE_TIMED_OUT;
        else
            stele__condition_wait(&lane->grown, &lane->mutex,
                                  due_us < until_us ? due_us : until_us);
    }
    pthread_mutex_unlock(&lane->mutex);
    return status;
}

static inline stele_status head_of_memory(stele__frame_log *log, uint64_t *head_out)
{
    memory_lane *lane = ((memory_reader *)log)->lane;
    pthread_mutex_lock(&lane->mutex);
    stele_status status = memory_outage(lane);
    release_held_frames(lane);
    *head_out = lane->count;
    pthread_mutex_unlock(&lane->mutex);
    return status;
}

static inline void close_memory_reader(stele__frame_log *log)
{
    memory_reader *reader = (memory_reader *)log;
    free(reader->bytes);
    free(reader);
}

/* A handle on the lane, for one node. */
static inline stele__frame_log *open_memory_log(memory_lane *lane)
{
    memory_reader *reader = calloc(1, sizeof(*reader));
    ck_assert_ptr_nonnull(reader);
    reader->lane = lane;
    reader->log = (stele__frame_log){ attach_memory,  propose_memory,      next_of_memory,
                                      head_of_memory, close_memory_reader, (size_t)1024 * 1024 };
    return &reader->log;
}

/* --- For a test that says what happens --- */

static inline void drop_proposals(memory_lane *lane, uint32_t count)
{
    pthread_mutex_lock(&lane->mutex);
    lane->drop_next = count;
    pthread_mutex_unlock(&lane->mutex);
}

static inline void keep_proposals(memory_lane *lane, uint32_t count)
{
    pthread_mutex_lock(&lane->mutex);
    lane->keep_next = count;
    pthread_mutex_unlock(&lane->mutex);
}

/* Wait until so many are kept. */
static inline void await_kept(memory_lane *lane, size_t count)
{
    pthread_mutex_lock(&lane->mutex);
    while (lane->kept_count < count)
        pthread_cond_wait(&lane->grown, &lane->mutex);
    pthread_mutex_unlock(&lane->mutex);
}

/* The one that was kept as that comes now; it may do so again. */
static inline void release_kept(memory_lane *lane, size_t index)
{
    pthread_mutex_lock(&lane->mutex);
    ck_assert_uint_lt(index, lane->kept_count);
    order_memory_frame(lane, lane->kept[index].bytes, lane->kept[index].size);
    pthread_mutex_unlock(&lane->mutex);
}

static inline void set_unavailable(memory_lane *lane, bool unavailable)
{
    pthread_mutex_lock(&lane->mutex);
    lane->unavailable = unavailable;
    pthread_mutex_unlock(&lane->mutex);
}

static inline size_t count_frames(memory_lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    size_t count = lane->count;
    pthread_mutex_unlock(&lane->mutex);
    return count;
}

/* The log doesn't have the first ones any more. */
static inline void cut_memory_log(memory_lane *lane, uint64_t up_to)
{
    pthread_mutex_lock(&lane->mutex);
    lane->cut = up_to;
    pthread_mutex_unlock(&lane->mutex);
}

/* The log loses its last frames. */
static inline void lose_frames(memory_lane *lane, size_t count)
{
    pthread_mutex_lock(&lane->mutex);
    ck_assert_uint_le(count, lane->count);
    for (; count > 0; count--)
        free(lane->frames[--lane->count].bytes);
    pthread_mutex_unlock(&lane->mutex);
}

/* Any bytes get into the order. */
static inline void order_bytes(memory_lane *lane, const void *bytes, size_t size)
{
    pthread_mutex_lock(&lane->mutex);
    order_memory_frame(lane, bytes, size);
    pthread_mutex_unlock(&lane->mutex);
}

/* How many frames there are, once nothing is held back any more. */
static inline uint64_t settle_memory_lane(memory_lane *lane)
{
    for (;;) {
        pthread_mutex_lock(&lane->mutex);
        release_held_frames(lane);
        size_t held = lane->held_count;
        uint64_t count = lane->count;
        pthread_mutex_unlock(&lane->mutex);
        if (held == 0)
            return count;
        stele__sleep_us(1000);
    }
}

/* What went wrong so far: replicas that have threads of their own are at it still. */
static inline memory_injected injected_so_far(memory_lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    memory_injected injected = lane->injected;
    pthread_mutex_unlock(&lane->mutex);
    return injected;
}

static inline uint64_t injected_in_all(memory_lane *lane)
{
    const memory_injected of = injected_so_far(lane);
    return of.dropped + of.doubled + of.held + of.again + of.missed + of.late + of.crashes
           + of.outages;
}

static inline void print_memory_lane(const char *what, memory_lane *lane)
{
    const memory_injected of = injected_so_far(lane);
    printf("%s: %zu frames; %" PRIu64 " proposals: %" PRIu64 " dropped, %" PRIu64
           " doubled, %" PRIu64 " held back; readers: %" PRIu64 " got one again, %" PRIu64
           " missed one, %" PRIu64 " late, %" PRIu64 " lost their place; %" PRIu64
           " outages (%" PRIu64 " calls)\n",
           what, count_frames(lane), of.proposals, of.dropped, of.doubled, of.held, of.again,
           of.missed, of.late, of.crashes, of.outages, of.refused);
}

#endif

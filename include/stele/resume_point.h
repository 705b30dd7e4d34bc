/**
 * @file stele/resume_point.h
 * Resume points: where a long execution was, so that it can go on after a crash.
 *
 * An engine that runs workflows, graphs or scripts saves a point at each safe boundary: the step it
 * is at, how often it came round, and what it needs to go on. The latest one of each execution is
 * kept, as a state entry in the scope "$resume/<space>"; whoever wants the history appends events.
 *
 * Saving copies, loading gives an independent copy. Times are microseconds since 1970 UTC. Any
 * number of threads and processes may save and load.
 */
#ifndef STELE_RESUME_POINT_H
#define STELE_RESUME_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/state.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/transaction.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where an execution is. All pointers are borrowed for the call, or lent by a record. */
typedef struct stele_resume_point {
    size_t struct_size;    /**< Set by the initializer. */
    const char *space;     /**< Executions of different kinds don't meet; NULL means "default". */
    const char *execution; /**< The execution's id. */
    const char *step;      /**< Where it goes on; NULL is "". UTF-8 without NUL. */
    int64_t iteration;     /**< How often it has come round; never falling. From 0. */
    const void *payload;   /**< What it needs, verbatim: any bytes. */
    size_t payload_size;
    const stele_attribute *attributes;
    size_t attribute_count;
    size_t attribute_size;    /**< sizeof(stele_attribute). */
    int64_t started_at;       /**< When the execution began; 0: as the point before it says, and
                                   without one, now. */
    const char *spec_version; /**< Of what is executed; NULL or "": not compared. */
    int64_t saved_at;         /**< When it was at this point; 0: now, by the store's clock. */
    bool force;               /**< Save it although a later iteration is there, or a damaged point,
                                   whose start is then lost, and its attempts unless `attempt`
                                   says which it is. */
    const stele_wait *wait;   /**< NULL: busy_timeout_ms. In a transaction not looked at. */
    int64_t attempt;          /**< That stele_resume_point_resume() gave: who isn't the last one is
                                   fenced off. 0: not asked. */
} stele_resume_point;

/* clang-format off */
#define STELE_RESUME_POINT_INIT { sizeof(stele_resume_point), NULL, NULL, NULL, 0, NULL, 0, NULL, 0, \
    sizeof(stele_attribute), 0, NULL, 0, false, NULL, 0 }
/* clang-format on */

/** Set `point` to the defaults, as STELE_RESUME_POINT_INIT does. For bindings. */
STELE_API void stele_resume_point_init(stele_resume_point *point);

/**
 * Save a point, replacing the one of its execution. How often the execution was resumed is kept.
 *
 * Iterations alone don't tell a late worker from its successor: both may be at the same one. So a
 * worker gives the `attempt` that it was given. It is fenced off when the point that is there is of
 * another one, with `force` too; and beyond attempt 1 when there is no point, since the execution
 * has ended. Attempt 1 begins where there is none.
 *
 * @param actual_out May be NULL. On STELE_CONFLICT receives the iteration that is there.
 * @return STELE_OK; STELE_FENCED (another attempt took over, or the execution has ended: nothing
 * was changed, stop this worker); STELE_CONFLICT (a later iteration is there, and `force` isn't
 *         set: nothing was changed); STELE_MISUSE; STELE_TOO_LARGE (all of it beyond
 *         value_size_max, or too many attributes); STELE_READ_ONLY; STELE_BUSY; STELE_CANCELLED;
 * STELE_FULL; STELE_IO; STELE_CORRUPT (the point that is there is damaged, and `force` isn't set);
 *         STELE_NO_MEMORY; STELE_CLOSED; STELE_UNKNOWN_OUTCOME (saving it again is harmless).
 */
STELE_API stele_status stele_resume_point_save(stele_store *store, const stele_resume_point *point,
                                               int64_t *actual_out);

/** stele_resume_point_save() inside `transaction`: saved when that commits. A refusal dooms
 * nothing; who is fenced off leaves without committing. */
STELE_API stele_status stele_transaction_resume_point_save(stele_transaction *transaction,
                                                           const stele_resume_point *point,
                                                           int64_t *actual_out);

/** A point as stored. Only lent by pointer; what it points to is its own. */
typedef struct stele_resume_record {
    bool found; /**< The rest is 0, "" or empty otherwise. */
    const char *space;
    const char *execution;
    const char *step;
    int64_t iteration;
    const void *payload; /**< Never NULL; a NUL follows it that is not counted. */
    size_t payload_size;
    const stele_attribute *attributes; /**< In the order of their names' bytes. */
    size_t attribute_count;
    int64_t started_at;
    const char *spec_version; /**< "" for none. */
    int64_t saved_at;
    int64_t attempt; /**< The last attempt that began here or before: 1 until it was resumed. */
} stele_resume_record;

/**
 * Load the point of an execution. One without is STELE_OK with `found` false.
 *
 * @param space      NULL means "default".
 * @param record_out Close it with stele_resume_record_close(). NULL unless STELE_OK.
 * @return STELE_OK; STELE_MISUSE; STELE_BUSY; STELE_CORRUPT; STELE_IO; STELE_NO_MEMORY;
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_resume_point_load(stele_store *store, const char *space,
                                               const char *execution,
                                               const stele_resume_record **record_out);

/** stele_resume_point_load() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_resume_point_load(stele_transaction *transaction,
                                                           const char *space, const char *execution,
                                                           const stele_resume_record **record_out);

/** Free `record`. NULL is allowed; never fails. Also after the store was closed. */
STELE_API void stele_resume_record_close(const stele_resume_record *record);

/**
 * Delete the point of an execution: it has ended. One without is fine. What stays is the row of its
 * name, until stele_state_forget(). Attempts aren't asked: who may be late saves with its `attempt`
 * before, in the same transaction.
 *
 * @param found_out May be NULL.
 * @return As stele_resume_point_save(), but for what is about content.
 */
STELE_API stele_status stele_resume_point_delete(stele_store *store, const char *space,
                                                 const char *execution, bool *found_out);

/** stele_resume_point_delete() inside `transaction`. */
STELE_API stele_status stele_transaction_resume_point_delete(stele_transaction *transaction,
                                                             const char *space,
                                                             const char *execution,
                                                             bool *found_out);

/** An open list of points. Used by one thread at a time. */
typedef struct stele_resume_points stele_resume_points;

/**
 * List the points of a space, the one that was saved or resumed last first.
 *
 * @param limit Most points; 0: all.
 * @return STELE_OK; STELE_MISUSE; STELE_BUSY; STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_resume_point_list(stele_store *store, const char *space,
                                               uint64_t limit, stele_resume_points **points_out);

/** The next point, borrowed until the next call. @return As stele_entries_next(); STELE_CORRUPT
 * also of an entry that isn't a point, which is told once: the next call goes on behind it. One
 * whose row is damaged ends the list: delete it, by the name in the text, and list again. */
STELE_API stele_status stele_resume_points_next(stele_resume_points *points,
                                                const stele_resume_record **record_out);

/** Close `points`. NULL is allowed; never fails. */
STELE_API void stele_resume_points_close(stele_resume_points *points);

/* --- Going on --- */

/** What is to be resumed, and by what. */
typedef struct stele_resumption {
    size_t struct_size; /**< Set by the initializer. */
    const char *space;
    const char *execution;
    const char *spec_version; /**< Of what would go on; NULL or "": not compared. */
    bool must_exist;          /**< Without a point it is STELE_NOT_FOUND; else a fresh start. */
    const stele_wait *wait;
} stele_resumption;

/* clang-format off */
#define STELE_RESUMPTION_INIT { sizeof(stele_resumption), NULL, NULL, NULL, false, NULL }
/* clang-format on */

/** Set `resumption` to the defaults, as STELE_RESUMPTION_INIT does. For bindings. */
STELE_API void stele_resumption_init(stele_resumption *resumption);

/** How to go on. */
typedef enum stele_resume_answer {
    STELE_RESUME_FRESH = 0, /**< There is no point: begin from the start, attempt 1. */
    STELE_RESUME_GO_ON = 1, /**< Go on from the point. */
    STELE_RESUME_DRIFT = 2  /**< The point was saved by another spec version: decide whether it can
                                 be gone on from. Nothing was changed, and no attempt counted. */
} stele_resume_answer;

/**
 * Resume an execution: load its point, verify that it is of this execution and of this version of
 * what is executed, and count the attempt, durably, before anything of it is done.
 *
 * @param attempt_out Receives 1 for a fresh start, 2 and more when it goes on; with DRIFT the last
 *                    one. May be NULL.
 * @param record_out  Receives the point, with `found` false for a fresh start. Close it with
 *                    stele_resume_record_close().
 * @return STELE_OK, with an answer; STELE_NOT_FOUND (no point, and `must_exist`); STELE_CORRUPT
 *         (also a point that holds another execution's id); STELE_MISUSE; STELE_TOO_LARGE (counted,
 *         the point would be beyond value_size_max, which was lowered or just met);
 *         STELE_READ_ONLY; STELE_BUSY; STELE_CANCELLED; STELE_FULL; STELE_IO; STELE_NO_MEMORY;
 *         STELE_CLOSED; STELE_UNKNOWN_OUTCOME (the attempt may have been counted).
 */
STELE_API stele_status stele_resume_point_resume(stele_store *store,
                                                 const stele_resumption *resumption,
                                                 stele_resume_answer *answer_out,
                                                 int64_t *attempt_out,
                                                 const stele_resume_record **record_out);

#ifdef __cplusplus
}
#endif

#endif

/**
 * @file stele/verify.h
 * Proving that a store is whole: every check by name, with its count and first offender.
 */
#ifndef STELE_VERIFY_H
#define STELE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The outcome of one check. Only lent by pointer. */
typedef struct stele_check {
    const char *name;     /**< Such as "positions"; never freed. */
    uint64_t count;       /**< Things looked at. */
    uint64_t failures;    /**< Of these, wrong. */
    const char *offender; /**< The first wrong thing; "" for none. */
} stele_check;

/** A verification in progress. Used by one thread at a time. */
typedef struct stele_verify stele_verify;

/**
 * Start verifying. Nothing is changed, and writers go on.
 *
 * @return STELE_OK, STELE_MISUSE, STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_verify_open(stele_store *store, stele_verify **verify_out);

/**
 * Run the next check. Damage is a check with failures, not a failed call.
 *
 * @param check_out Borrowed until the next call; NULL unless STELE_OK.
 * @return STELE_OK with a check, STELE_DONE after the last, or STELE_BUSY, STELE_IO,
 *         STELE_NO_MEMORY, STELE_MISUSE, STELE_CLOSED.
 */
STELE_API stele_status stele_verify_next(stele_verify *verify, const stele_check **check_out);

/** Close `verify`. NULL is allowed; never fails. */
STELE_API void stele_verify_close(stele_verify *verify);

/**
 * One hash over every row of the log's tables, in the order of their keys: equal for equal logs.
 *
 * @param digest_out Receives 16 hexadecimal digits and a NUL.
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_digest(stele_store *store, char digest_out[17]);

#ifdef __cplusplus
}
#endif

#endif

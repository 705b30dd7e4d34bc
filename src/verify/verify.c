/* Verification: the checks of all areas, one after the other. */
#include <stele/verify.h>

#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "checkpoint/checks.h"
#include "eventstore/checks.h"
#include "store/check.h"

/* Each area's own table of checks. */
static const stele__check *(*const verified_areas[])(size_t *count_out) = {
    stele__store_checks,
    stele__eventstore_checks,
    stele__checkpoint_checks,
};

#define AREA_COUNT (sizeof(verified_areas) / sizeof(verified_areas[0]))

struct stele_verify {
    stele_store *store;
    size_t area;
    size_t check; /* of the area, to be run next */
    stele__findings findings;
    stele_check lent;
};

stele_status stele_verify_open(stele_store *store, stele_verify **verify_out)
{
    if (verify_out == NULL)
        return stele__fail(STELE_MISUSE, "verify_out is NULL");
    *verify_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele_verify *verify = stele__allocate_array(1, sizeof(*verify));
    if (verify == NULL) {
        status = stele__fail(STELE_NO_MEMORY, "no memory for a verification");
    } else {
        verify->store = store;
        stele__store_hold(store);
        *verify_out = verify;
    }
    stele__store_leave(store);
    return status;
}

static stele_status run_check(stele_verify *verify, const stele__check *check)
{
    verify->findings = (stele__findings){ 0 };
    stele_status status = check->run(verify->store, &verify->findings);
    if (status == STELE_CORRUPT) {
        stele__findings_add_error(&verify->findings);
        status = STELE_OK;
    }
    verify->lent = (stele_check){ .name = check->name,
                                  .count = verify->findings.count,
                                  .failures = verify->findings.failures,
                                  .offender = verify->findings.offender };
    return status;
}

/* The check to run; NULL after the last of the last area. */
static const stele__check *find_next_check(stele_verify *verify)
{
    for (; verify->area < AREA_COUNT; verify->area++) {
        size_t count = 0;
        const stele__check *checks = verified_areas[verify->area](&count);
        if (verify->check < count)
            return &checks[verify->check];
        verify->check = 0;
    }
    return NULL;
}

stele_status stele_verify_next(stele_verify *verify, const stele_check **check_out)
{
    if (check_out != NULL)
        *check_out = NULL;
    if (verify == NULL || check_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", verify == NULL ? "verify" : "check_out");
    stele_status status = stele__store_enter(verify->store);
    if (status != STELE_OK)
        return status;

    const stele__check *check = find_next_check(verify);
    status = check == NULL ? STELE_DONE : run_check(verify, check);
    if (status == STELE_OK) {
        verify->check++;
        *check_out = &verify->lent;
    }
    stele__store_leave(verify->store);
    return status;
}

void stele_verify_close(stele_verify *verify)
{
    if (verify == NULL)
        return;
    stele__store_release(verify->store);
    stele__free(verify);
}

stele_status stele_store_digest(stele_store *store, char digest_out[17])
{
    if (digest_out == NULL)
        return stele__fail(STELE_MISUSE, "digest_out is NULL");
    digest_out[0] = '\0';
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele__connection *connection = NULL;
    uint64_t hash = 0;
    status = stele__read_begin_to_check(store, &connection);
    if (status == STELE_OK) {
        status = stele__eventstore_digest(connection->database, &hash);
        stele__read_end(store, connection);
    }
    if (status == STELE_OK)
        snprintf(digest_out, 17, "%016" PRIx64, hash);
    stele__store_leave(store);
    return status;
}

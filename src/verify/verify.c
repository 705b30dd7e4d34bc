/* Verification: the checks of all areas, one after the other. */
#include <stele/verify.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "checkpoint/checks.h"
#include "eventstore/checks.h"
#include "projection/checks.h"
#include "snapshot/checks.h"
#include "state/checks.h"
#include "store/check.h"

/* Each area's own table of checks. */
static const stele__check *(*const verified_areas[])(size_t *count_out) = {
    stele__store_checks,    stele__eventstore_checks, stele__checkpoint_checks,
    stele__snapshot_checks, stele__state_checks,      stele__projection_checks,
};

#define AREA_COUNT (sizeof(verified_areas) / sizeof(verified_areas[0]))

struct stele_verify {
    stele_store *store;
    stele__work work;
    bool repair;
    size_t area;
    size_t check; /* of the area, to be run next */
    size_t place; /* of that among all */
    stele__findings findings;
    stele_check lent;
    bool wanted[]; /* a place for each check of each area */
};

static size_t count_checks(void)
{
    size_t total = 0;
    for (size_t i = 0; i < AREA_COUNT; i++) {
        size_t count = 0;
        verified_areas[i](&count);
        total += count;
    }
    return total;
}

void stele_verify_options_init(stele_verify_options *options)
{
    *options = (stele_verify_options)STELE_VERIFY_INIT;
}

/* The place of the check `name` among all; their number for none. */
static size_t find_check(const char *name)
{
    size_t place = 0;
    for (size_t i = 0; i < AREA_COUNT; i++) {
        size_t count = 0;
        const stele__check *checks = verified_areas[i](&count);
        for (size_t j = 0; j < count; j++, place++)
            if (strcmp(checks[j].name, name) == 0)
                return place;
    }
    return place;
}

static stele_status refuse_check(const char *name)
{
    char known[STELE__ERROR_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; i < AREA_COUNT; i++) {
        size_t count = 0;
        const stele__check *checks = verified_areas[i](&count);
        for (size_t j = 0; j < count && used < sizeof(known); j++)
            used += (size_t)snprintf(known + used, sizeof(known) - used, " %s", checks[j].name);
    }
    return stele__fail(STELE_MISUSE, "there is no check '%s'; there are:%s", name, known);
}

static stele_status choose_checks(stele_verify *verify, const stele_verify_options *options)
{
    size_t count = count_checks();
    if (options->names == NULL && options->name_count > 0)
        return stele__fail(STELE_MISUSE, "stele_verify_options.names is NULL, name_count %zu",
                           options->name_count);
    for (size_t i = 0; i < count; i++)
        verify->wanted[i] = options->name_count == 0;
    for (size_t i = 0; i < options->name_count; i++) {
        const char *name = options->names[i];
        if (name == NULL)
            return stele__fail(STELE_MISUSE, "stele_verify_options.names[%zu] is NULL", i);
        size_t place = find_check(name);
        if (place == count)
            return refuse_check(name);
        verify->wanted[place] = true;
    }
    return STELE_OK;
}

static stele_status begin_verify(stele_store *store, const stele_verify_options *options,
                                 stele_verify **verify_out)
{
    if (options->repair && store->options.read_only)
        return stele__fail(STELE_MISUSE, "repair of a store that was opened for reading");
    stele_verify *verify =
        stele__allocate_array(1, sizeof(*verify) + count_checks() * sizeof(verify->wanted[0]));
    if (verify == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a verification");
    verify->store = store;
    verify->repair = options->repair;
    stele_status status = choose_checks(verify, options);
    if (status == STELE_OK)
        status = stele__work_begin(&verify->work, store, options->work);
    if (status != STELE_OK) {
        stele__free(verify);
        return status;
    }
    stele__store_hold(store);
    *verify_out = verify;
    return STELE_OK;
}

stele_status stele_verify_open(stele_store *store, const stele_verify_options *options,
                               stele_verify **verify_out)
{
    if (verify_out == NULL)
        return stele__fail(STELE_MISUSE, "verify_out is NULL");
    *verify_out = NULL;
    stele_verify_options taken = STELE_VERIFY_INIT;
    stele_status status =
        stele__options_take("stele_verify_options", options, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = begin_verify(store, &taken, verify_out);
    stele__store_leave(store);
    return status;
}

/* Damage, also such that the check could go no further, is what was found. */
static stele_status look(stele_verify *verify, const stele__check *check)
{
    verify->findings = (stele__findings){ .work = &verify->work };
    stele__work_part(&verify->work, check->name, 0);
    stele_status status = check->run(verify->store, &verify->findings);
    if (status != STELE_CORRUPT)
        return status;
    stele__findings_add_error(&verify->findings);
    return STELE_OK;
}

/* What can't be repaired, or may not be, because events were lost, stays as it was found. */
static stele_status repair_and_look(stele_verify *verify, const stele__check *check)
{
    bool repaired = false;
    stele_status status = check->repair(verify->store, verify->work.options.wait, &repaired);
    if (status == STELE_CORRUPT || status == STELE_READ_ONLY)
        status = STELE_OK;
    if (status != STELE_OK || !repaired)
        return status;
    status = look(verify, check);
    verify->lent.repaired = status == STELE_OK;
    return status;
}

static stele_status run_check(stele_verify *verify, const stele__check *check)
{
    verify->lent = (stele_check){ .name = check->name };
    stele_status status = look(verify, check);
    if (status == STELE_OK && verify->findings.failures > 0 && verify->repair
        && check->repair != NULL)
        status = repair_and_look(verify, check);
    verify->lent.count = verify->findings.count;
    verify->lent.failures = verify->findings.failures;
    verify->lent.offender = verify->findings.offender;
    return status;
}

/* The check to run; NULL after the last of the last area. */
static const stele__check *find_next_check(stele_verify *verify)
{
    for (; verify->area < AREA_COUNT; verify->area++, verify->check = 0) {
        size_t count = 0;
        const stele__check *checks = verified_areas[verify->area](&count);
        for (; verify->check < count; verify->check++, verify->place++)
            if (verify->wanted[verify->place])
                return &checks[verify->check];
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
        verify->place++;
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
        if (status == STELE_OK)
            status = stele__state_digest(connection->database, &hash);
        stele__read_end(store, connection);
    }
    if (status == STELE_OK)
        snprintf(digest_out, 17, "%016" PRIx64, hash);
    stele__store_leave(store);
    return status;
}

#include "base/patience.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/callback.h"
#include "base/failure.h"
#include "base/options.h"
#include "base/platform.h"

/* How often somebody is asked whether to go on. */
#define ASK_EVERY_US 20000

#define NOT_YET INT64_MIN

void stele_wait_init(stele_wait *wait)
{
    *wait = (stele_wait)STELE_WAIT_INIT;
}

stele_status stele__patience_begin(stele__patience *patience, const stele_wait *wait,
                                   uint32_t default_ms, const atomic_bool *closing)
{
    *patience = (stele__patience){ .timeout_ms = default_ms, .closing = closing };
    if (wait != NULL) {
        stele_wait taken = STELE_WAIT_INIT;
        stele_status status = stele__options_take("stele_wait", wait, &taken, sizeof(taken));
        if (status != STELE_OK)
            return status;
        if (taken.timeout_ms != STELE_TIMEOUT_DEFAULT)
            patience->timeout_ms = taken.timeout_ms;
        patience->progress = taken.progress;
        patience->context = taken.context;
    }
    patience->deadline_us = patience->timeout_ms == UINT32_MAX ? INT64_MAX : NOT_YET;
    return STELE_OK;
}

/* The time runs from the first look at it: most calls never wait, and need no clock. */
static void start_clock(stele__patience *patience, int64_t now_us)
{
    if (patience->deadline_us == NOT_YET)
        patience->deadline_us = now_us + (int64_t)patience->timeout_ms * 1000;
}

stele_status stele__patience_check(stele__patience *patience, const char *what)
{
    if (patience->closing != NULL && atomic_load_explicit(patience->closing, memory_order_relaxed))
        return stele__fail(STELE_CLOSED, "the store was closed");
    if (patience->deadline_us == INT64_MAX && patience->progress == NULL)
        return STELE_OK;
    int64_t now = stele__clock_monotonic_us();
    start_clock(patience, now);
    if (patience->progress != NULL && now - patience->asked_at_us >= ASK_EVERY_US) {
        patience->asked_at_us = now;
        const char *outer = stele__callback_begin("a progress callback");
        int answer = patience->progress(patience->context);
        stele__callback_end(outer);
        if (answer != 0)
            return stele__fail(STELE_CANCELLED, "cancelled by the progress callback (%d) during %s",
                               answer, what);
    }
    if (now >= patience->deadline_us)
        return stele__fail(STELE_BUSY, "%s took longer than %" PRIu32 " ms", what,
                           patience->timeout_ms);
    return STELE_OK;
}

bool stele__patience_is_over(stele_status status)
{
    return status == STELE_BUSY || status == STELE_CANCELLED || status == STELE_CLOSED;
}

int64_t stele__patience_next_check_us(stele__patience *patience)
{
    if (patience->deadline_us == NOT_YET)
        start_clock(patience, stele__clock_monotonic_us());
    int64_t next = patience->deadline_us;
    if (patience->progress != NULL) {
        int64_t ask = patience->asked_at_us + ASK_EVERY_US;
        next = ask < next ? ask : next;
    }
    return next;
}

void stele__patience_sleep(stele__patience *patience, uint32_t microseconds)
{
    int64_t left = stele__patience_next_check_us(patience);
    if (left != INT64_MAX)
        left -= stele__clock_monotonic_us();
    if (left > 0)
        stele__sleep_us(left < (int64_t)microseconds ? (uint32_t)left : microseconds);
}

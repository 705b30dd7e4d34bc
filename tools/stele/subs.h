/**
 * @file subs.h
 * What verbs say of a subscription.
 */
#ifndef STELE_TOOLS_SUBS_H
#define STELE_TOOLS_SUBS_H

#include <stdint.h>

#include <stele.h>

#include "report.h"

/** The state as a word. */
const char *state_word(stele_subscription_state state);

/** Whether it gets on. */
typedef enum trend {
    TREND_KEEPING_UP,
    TREND_CATCHING_UP,
    TREND_FALLING_BEHIND,
    TREND_STANDING_STILL /**< Nobody works on it, or it can't get on. */
} trend;

/** How it goes; `*eta_out` is in how many seconds it has caught up, -1 when nobody can say. */
trend judge_trend(const stele_subscription_info *info, int64_t *eta_out);

const char *trend_word(trend of);

/** EXIT_OK when there is a subscription `name`; else how the tool ends (reported). */
exit_code check_subscription(stele_store *store, const char *name);

#endif

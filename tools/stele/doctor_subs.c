/*
 * What doctor says of subscriptions: those that are stopped, that have parked events, or that are
 * far behind though somebody works on them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "doctor.h"
#include "subs.h"

/* Who works on it should not be further behind. */
#define BEHIND_US ((int64_t)300 * 1000000)

#define FIX_SIZE 1400

/* The rows of one; whether there were any. */
static bool look_at_subscription(diagnosis *to, const stele_subscription_info *info)
{
    char fix[FIX_SIZE];
    const char *name = shell_word(info->name);
    int64_t eta;
    bool found = false;
    if (info->state == STELE_SUBSCRIPTION_STOPPED) {
        snprintf(fix, sizeof(fix), "once it can be handled: stele sub %s --clear", name);
        find_bad(to, "subscription", fix, "%s is stopped by the event at position %" PRId64 ": %s",
                 info->name, info->error_position, info->error);
        found = true;
    } else if (info->lease_left_ms > 0 && info->lag_us > BEHIND_US) {
        snprintf(fix, sizeof(fix), "stele sub %s", name);
        find_warning(to, "subscription", fix,
                     "%s is %" PRId64 " events and %" PRId64
                     " seconds behind though %s works on it: %s",
                     info->name, info->lag, info->lag_us / 1000000, info->owner,
                     trend_word(judge_trend(info, &eta)));
        found = true;
    }
    if (info->parked + info->waiting > 0) {
        snprintf(fix, sizeof(fix), "stele park list %s; then park replay or park drop", name);
        find_warning(to, "subscription", fix,
                     "%s has parked %" PRId64 " events, and %" PRId64 " wait behind them",
                     info->name, info->parked, info->waiting);
        found = true;
    }
    return found;
}

void look_at_subscriptions(diagnosis *to, stele_store *store)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    size_t count = 0;
    bool found = false;
    stele_status status = stele_store_subscriptions(store, NULL, false, &list);
    for (; status == STELE_OK && (status = stele_subscriptions_next(list, &info)) == STELE_OK;
         count++)
        found = look_at_subscription(to, info) || found;
    if (status < 0)
        find_bad(to, "subscription", "stele verify", "they can't be listed: %s",
                 stele_error_text());
    else if (!found && count > 0)
        find_ok(to, "subscription", "none is stopped, none has parked events");
    stele_subscriptions_close(list);
}

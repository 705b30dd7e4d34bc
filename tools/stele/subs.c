#include "subs.h"

/* Who is waiting claims what comes within this. */
#define PROMPT_US ((int64_t)5 * 1000000)

const char *state_word(stele_subscription_state state)
{
    switch (state) {
    case STELE_SUBSCRIPTION_IDLE: return "idle";
    case STELE_SUBSCRIPTION_CATCHING: return "catching";
    case STELE_SUBSCRIPTION_LIVE: return "live";
    case STELE_SUBSCRIPTION_RETRYING: return "retrying";
    case STELE_SUBSCRIPTION_STOPPED: break;
    }
    return "stopped";
}

const char *trend_word(trend of)
{
    switch (of) {
    case TREND_KEEPING_UP: return "keeping up";
    case TREND_CATCHING_UP: return "catching up";
    case TREND_FALLING_BEHIND: return "falling behind";
    case TREND_STANDING_STILL: break;
    }
    return "standing still";
}

trend judge_trend(const stele_subscription_info *info, int64_t *eta_out)
{
    *eta_out = -1;
    if (info->lost || info->state == STELE_SUBSCRIPTION_STOPPED
        || info->state == STELE_SUBSCRIPTION_RETRYING)
        return TREND_STANDING_STILL;
    if (info->lag == 0 || info->state == STELE_SUBSCRIPTION_LIVE)
        return TREND_KEEPING_UP;
    if (info->state == STELE_SUBSCRIPTION_IDLE)
        return info->lag_us > PROMPT_US ? TREND_STANDING_STILL : TREND_KEEPING_UP;
    if (info->lag <= info->rate && info->lag_us <= PROMPT_US)
        return TREND_KEEPING_UP;
    /* Who was at the head before, or hadn't been measured, isn't judged by one step. */
    if (info->lag_change > 0 && info->lag_change < info->lag)
        return TREND_FALLING_BEHIND;
    if (info->rate > 0)
        *eta_out = info->lag / info->rate + 1;
    return TREND_CATCHING_UP;
}

exit_code check_subscription(stele_store *store, const char *name)
{
    stele_subscriptions *list = NULL;
    const stele_subscription_info *info = NULL;
    stele_status status = stele_store_subscriptions(store, name, false, &list);
    if (status == STELE_OK)
        status = stele_subscriptions_next(list, &info);
    stele_subscriptions_close(list);
    if (status < 0)
        return report_status(status);
    if (status == STELE_OK)
        return EXIT_OK;
    report_error("no subscription '%s'", name);
    report_hint("stele subs lists them");
    return EXIT_NOT_FOUND;
}

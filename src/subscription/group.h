/* A group, between the two files that know it: group.c writes, deal.c looks. */
#ifndef STELE_SUBSCRIPTION_GROUP_H
#define STELE_SUBSCRIPTION_GROUP_H

#include "subscription/own.h"

/* While others commit, so long is between two looks: at first, and when they change nothing. */
#define STELE__GROUP_PAUSE_US     250000
#define STELE__GROUP_PAUSE_MAX_US 1000000

/* A lane as the last look has seen it. */
typedef struct stele__group_lane {
    bool found;
    bool free; /* nobody has it, or not any more */
    bool stopped;
    int64_t position;
    size_t holder; /* of those who are there; STELE__NOBODY */
    size_t dealt_to;
} stele__group_lane;

#define STELE__NOBODY SIZE_MAX

struct stele__group {
    bool joined;
    bool short_of; /* a look has found less than there must be: join anew */
    int64_t joined_at;
    int64_t beat_us;  /* when the next heartbeat is due */
    int64_t lease_us; /* when the leases end, if there is none */
    int64_t looked_us;
    int64_t pause_us;
    int64_t expires_us; /* when a lease of somebody else may end */
    uint64_t changes_seen;
    stele__group_lane lanes[];
};

/* Look at all members and lanes in one read, and mark the seats that this handle is to have. */
stele_status stele__group_look(stele_subscription *subscription);

#endif

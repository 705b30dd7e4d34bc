/* Which parked events a caller means, between the files of this area. */
#ifndef STELE_SUBSCRIPTION_PARKED_H
#define STELE_SUBSCRIPTION_PARKED_H

#include <stele/parked.h>

#include "subscription/own.h"

/* Check a choice and lay it over the defaults. Its `subscription` may still be NULL. */
stele_status stele__choice_take(const stele_parked_choice *given, stele_parked_choice *choice);
/* The next one after `after` that the choice meets, by position. */
stele_status stele__choice_next(stele__connection *connection, const stele_parked_choice *choice,
                                int64_t after, stele__parked *parked_out, bool *found_out);
/* MISUSE when its position waits behind another. */
stele_status stele__choice_check_first(stele__connection *connection,
                                       const stele_parked_choice *choice);
/* `chosen` and `left`. */
stele_status stele__choice_count(stele__connection *connection, const stele_parked_choice *choice,
                                 stele_parked_counts *counts);

#endif

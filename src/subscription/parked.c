/* Parked events: the list of them, asking for their replay, and dropping them. */
#include <stele/parked.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "store/listing.h"
#include "subscription/parked.h"

void stele_parked_choice_init(stele_parked_choice *choice)
{
    *choice = (stele_parked_choice)STELE_PARKED_CHOICE_INIT;
}

/* --- The list --- */

typedef struct parked_entry {
    stele_parked parked; /* its texts are set when lent */
    size_t subscription_at;
    size_t stream_at;
    size_t reason_at;
} parked_entry;

struct stele_parked_list {
    stele__listing list; /* of parked_entry */
    stele_parked lent;
};

/* What is asked for; the list knows it while it is read. */
typedef struct parked_question {
    stele__listing_kind kind;
    const char *subscription;
} parked_question;

typedef struct parked_gathering {
    stele__listing *list;
    size_t subscription_at;
} parked_gathering;

static stele_status list_parked(void *context, const stele__parked *parked)
{
    const parked_gathering *gathering = context;
    parked_entry entry = { .parked = { .position = parked->position,
                                       .behind = parked->behind,
                                       .attempts = parked->attempts,
                                       .parked_at = parked->parked_at,
                                       .asked_at = parked->asked_at },
                           .subscription_at = gathering->subscription_at };
    stele_status status = stele__listing_add_text(gathering->list, parked->key, &entry.stream_at);
    if (status == STELE_OK)
        status = stele__listing_add_text(gathering->list, parked->reason, &entry.reason_at);
    return status == STELE_OK ? stele__listing_add(gathering->list, &entry, sizeof(entry)) : status;
}

static stele_status list_parked_of(stele__listing *list, stele__connection *connection,
                                   const char *name)
{
    parked_gathering gathering = { .list = list };
    stele_status status = stele__listing_add_text(list, name, &gathering.subscription_at);
    if (status == STELE_OK)
        status = stele__parked_each(connection, name, NULL, 0, list_parked, &gathering);
    return status;
}

static stele_status read_parked_list(stele__listing *list, stele__connection *connection)
{
    const parked_question *question = (const parked_question *)list->kind;
    char name[STELE__OWNER_SIZE] = "";
    if (question->subscription != NULL)
        return list_parked_of(list, connection, question->subscription);
    stele_status status = stele__parked_name_after(connection, "", name);
    while (status == STELE_OK && name[0] != '\0') {
        char before[STELE__OWNER_SIZE];
        status = list_parked_of(list, connection, name);
        snprintf(before, sizeof(before), "%s", name);
        if (status == STELE_OK)
            status = stele__parked_name_after(connection, before, name);
    }
    return status;
}

stele_status stele_store_parked(stele_store *store, const char *subscription,
                                stele_parked_list **parked_out)
{
    parked_question question = { { sizeof(stele_parked_list), "parked", read_parked_list },
                                 subscription };
    stele__listing *list = NULL;
    stele_status status =
        subscription == NULL ? STELE_OK : stele__check_name("subscription", subscription);
    if (status == STELE_OK)
        status = stele__listing_open(store, &question.kind, parked_out == NULL ? NULL : &list);
    if (parked_out != NULL)
        *parked_out = (stele_parked_list *)list;
    return status;
}

stele_status stele_parked_next(stele_parked_list *parked, const stele_parked **parked_out)
{
    parked_entry entry;
    if (parked_out != NULL)
        *parked_out = NULL;
    if (parked == NULL || parked_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", parked == NULL ? "parked" : "parked_out");
    stele_status status = stele__listing_next(&parked->list, &entry, sizeof(entry));
    if (status != STELE_OK)
        return status;
    parked->lent = entry.parked;
    parked->lent.subscription = parked->list.texts.data + entry.subscription_at;
    parked->lent.stream = parked->list.texts.data + entry.stream_at;
    parked->lent.reason = parked->list.texts.data + entry.reason_at;
    *parked_out = &parked->lent;
    return STELE_OK;
}

void stele_parked_close(stele_parked_list *parked)
{
    stele__listing_close((stele__listing *)parked);
}

/* --- Choosing --- */

stele_status stele__choice_take(const stele_parked_choice *given, stele_parked_choice *choice)
{
    *choice = (stele_parked_choice)STELE_PARKED_CHOICE_INIT;
    stele_status status =
        stele__options_take("stele_parked_choice", given, choice, sizeof(*choice));
    if (status == STELE_OK && choice->subscription != NULL)
        status = stele__check_name("subscription", choice->subscription);
    if (status == STELE_OK && choice->stream != NULL)
        status = stele__check_name("stream", choice->stream);
    if (status == STELE_OK && choice->position < 0)
        status =
            stele__fail(STELE_MISUSE, "position %" PRId64 " can't be parked", choice->position);
    return status;
}

stele_status stele__choice_next(stele__connection *connection, const stele_parked_choice *choice,
                                int64_t after, stele__parked *parked_out, bool *found_out)
{
    const char *name = choice->subscription;
    *found_out = false;
    if (choice->position > 0 && after >= choice->position)
        return STELE_OK;
    if (choice->position == 0 && choice->stream != NULL)
        return stele__parked_first(connection, name, choice->stream, after + 1, parked_out,
                                   found_out);
    if (choice->position == 0)
        return stele__parked_next(connection, name, after, parked_out, found_out);
    stele_status status =
        stele__parked_load(connection, name, choice->position, parked_out, found_out);
    if (choice->stream != NULL && *found_out && strcmp(parked_out->key, choice->stream) != 0)
        *found_out = false;
    return status;
}

stele_status stele__choice_check_first(stele__connection *connection,
                                       const stele_parked_choice *choice)
{
    stele__parked parked;
    stele__parked first;
    bool found = false;
    if (choice->position == 0)
        return STELE_OK;
    stele_status status = stele__choice_next(connection, choice, 0, &parked, &found);
    if (status != STELE_OK || !found)
        return status;
    status = stele__parked_first(connection, choice->subscription, parked.key, 0, &first, &found);
    if (status == STELE_OK && first.position != parked.position)
        status =
            stele__fail(STELE_MISUSE,
                        "position %" PRId64 " of '%s' waits behind %" PRId64 ", which comes first",
                        parked.position, parked.key, first.position);
    return status;
}

/* --- Asking and dropping --- */

/* What is done to each that is chosen. */
typedef struct parked_change {
    stele_store *store;
    stele_status (*apply)(stele__connection *connection, const char *name,
                          const stele__parked *parked, int64_t now);
    bool first_only; /* a position must be the first of its stream */
} parked_change;

static stele_status ask_for_one(stele__connection *connection, const char *name,
                                const stele__parked *parked, int64_t now)
{
    stele__parked asked = *parked;
    asked.asked_at = now > 0 ? now : 1;
    /* It gets its tries anew. */
    asked.attempts = 0;
    return stele__parked_store(connection, name, &asked);
}

static stele_status drop_one(stele__connection *connection, const char *name,
                             const stele__parked *parked, int64_t now)
{
    (void)now;
    return stele__parked_remove(connection, name, parked->position);
}

/* Visit what is chosen; `change` NULL only counts. */
static stele_status visit_chosen(stele__connection *connection, const stele_parked_choice *choice,
                                 const parked_change *change, uint64_t *count_out)
{
    stele__parked parked = { 0 };
    bool found = true;
    int64_t now = change == NULL ? 0 : stele__store_now(change->store);
    stele_status status = STELE_OK;
    *count_out = 0;
    while (choice->limit == 0 || *count_out < choice->limit) {
        status = stele__choice_next(connection, choice, parked.position, &parked, &found);
        if (status != STELE_OK || !found)
            return status;
        if (change != NULL)
            status = change->apply(connection, choice->subscription, &parked, now);
        if (status != STELE_OK)
            return status;
        (*count_out)++;
    }
    return status;
}

stele_status stele__choice_count(stele__connection *connection, const stele_parked_choice *choice,
                                 stele_parked_counts *counts)
{
    int64_t left = 0;
    stele_status status = visit_chosen(connection, choice, NULL, &counts->chosen);
    if (status == STELE_OK)
        status = stele__parked_count(connection, choice->subscription, &left, NULL);
    counts->left = (uint64_t)left;
    return status;
}

static stele_status change_chosen(stele__connection *connection, const stele_parked_choice *choice,
                                  const parked_change *change, stele_parked_counts *counts)
{
    int64_t left = 0;
    stele_status status = STELE_OK;
    if (change->first_only)
        status = stele__choice_check_first(connection, choice);
    if (status == STELE_OK)
        status = visit_chosen(connection, choice, choice->dry_run ? NULL : change, &counts->chosen);
    if (status == STELE_OK)
        status = stele__parked_count(connection, choice->subscription, &left, NULL);
    counts->left = (uint64_t)left;
    return status;
}

/* A commit, unless there is nothing to change. */
static stele_status write_choice(stele_store *store, const stele_parked_choice *choice,
                                 const parked_change *change, stele_parked_counts *counts)
{
    stele__connection *connection = NULL;
    stele_status status = stele__write_begin(store, NULL, &connection);
    if (status != STELE_OK)
        return status;
    status = change_chosen(connection, choice, change, counts);
    if (status == STELE_OK && counts->chosen > 0)
        status = stele__write_commit(store);
    stele__write_end(store);
    return status;
}

static stele_status look_at_choice(stele_store *store, const stele_parked_choice *choice,
                                   const parked_change *change, stele_parked_counts *counts)
{
    stele__connection *connection = NULL;
    stele_status status = stele__read_begin(store, NULL, &connection);
    if (status != STELE_OK)
        return status;
    status = change_chosen(connection, choice, change, counts);
    stele__read_end(store, connection);
    return status;
}

static stele_status change_parked(stele_store *store, const stele_parked_choice *given,
                                  const parked_change *change, stele_parked_counts *counts_out)
{
    stele_parked_choice choice;
    stele_parked_counts counts = { 0 };
    if (counts_out != NULL)
        *counts_out = counts;
    if (given == NULL)
        return stele__fail(STELE_MISUSE, "choice is NULL");
    stele_status status = stele__choice_take(given, &choice);
    if (status == STELE_OK && choice.subscription == NULL)
        status = stele__fail(STELE_MISUSE, "the choice names no subscription");
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = choice.dry_run ? look_at_choice(store, &choice, change, &counts)
                            : write_choice(store, &choice, change, &counts);
    stele__store_leave(store);
    if (counts_out != NULL && status == STELE_OK)
        *counts_out = counts;
    return status;
}

stele_status stele_parked_ask(stele_store *store, const stele_parked_choice *choice,
                              stele_parked_counts *counts_out)
{
    parked_change change = { .store = store, .apply = ask_for_one, .first_only = true };
    return change_parked(store, choice, &change, counts_out);
}

stele_status stele_parked_drop(stele_store *store, const stele_parked_choice *choice,
                               stele_parked_counts *counts_out)
{
    parked_change change = { .store = store, .apply = drop_one };
    return change_parked(store, choice, &change, counts_out);
}

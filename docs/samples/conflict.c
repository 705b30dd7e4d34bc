/*
 * Two writers, one stream: whoever comes second is told, folds what was missed, and decides again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

#define STREAM       "account-7"
#define ATTEMPTS_MAX 5

/* What decides: the fold of the stream, and the version it was folded to. */
typedef struct account_state {
    int64_t balance;
    int64_t version;
} account_state;

/* Each event's data is one JSON number. */
static stele_status fold(account_state *account, stele_cursor *cursor)
{
    const stele_record *record;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        stele_json_token token = { .kind = STELE_JSON_NUMBER,
                                   .text = record->data,
                                   .size = record->data_size };
        int64_t amount = 0;
        status = stele_json_int64(&token, &amount);
        if (status != STELE_OK)
            return status;
        account->balance += strcmp(record->type, "deposited") == 0 ? amount : -amount;
        account->version = record->version;
    }
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status load(stele_store *store, account_state *account)
{
    stele_cursor *cursor = NULL;
    stele_read read = STELE_READ_INIT;
    read.stream = STREAM;
    stele_status status = stele_store_read(store, &read, &cursor);
    if (status == STELE_OK)
        status = fold(account, cursor);
    stele_cursor_close(cursor);
    return status;
}

/* Append to the very version that `account` was folded to; on a conflict fold what was missed. */
static stele_status append_or_catch_up(stele_store *store, account_state *account, const char *type,
                                       int64_t amount)
{
    char data[32];
    snprintf(data, sizeof(data), "%" PRId64, amount);
    stele_event event = { .type = type, .data = data, .data_size = strlen(data) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = STREAM;
    append.expected_version = account->version;
    append.events = &event;
    append.event_count = 1;

    stele_appended appended;
    stele_status status = stele_store_append(store, &append, &appended);
    if (status != STELE_CONFLICT)
        return status;

    stele_cursor *missed = NULL;
    stele_status caught_up = stele_store_read_missed(store, &append, &appended, &missed);
    if (caught_up == STELE_OK)
        caught_up = fold(account, missed);
    stele_cursor_close(missed);
    return caught_up == STELE_OK ? STELE_CONFLICT : caught_up;
}

static stele_status withdraw(stele_store *store, account_state *account, int64_t amount)
{
    stele_status status = STELE_CONFLICT;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && status == STELE_CONFLICT; attempt++) {
        if (account->balance < amount) {
            printf("refused: %" PRId64 " of %" PRId64 "\n", amount, account->balance);
            return STELE_OK;
        }
        status = append_or_catch_up(store, account, "withdrawn", amount);
        printf("withdraw %" PRId64 ": %s\n", amount, stele_status_name(status));
    }
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    account_state ours = { 0 };
    account_state theirs = { 0 };
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = append_or_catch_up(store, &ours, "deposited", 100);
    if (status == STELE_OK)
        status = load(store, &ours);
    if (status == STELE_OK)
        status = load(store, &theirs);
    if (status == STELE_OK)
        status = withdraw(store, &theirs, 70);
    if (status == STELE_OK)
        status = withdraw(store, &ours, 70); /* it believes in a balance of 100 */
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}

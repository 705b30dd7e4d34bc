/*
 * Two writers, one stream: whoever saw the old version is told, looks again, and tries again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

#define STREAM        "account-7"
#define ATTEMPTS_MAX  5
#define OVERDRAFT_MAX 0

/* The state that decides: here each event's data is a bare number. */
static stele_status load_balance(stele_store *store, int64_t *balance_out, int64_t *version_out)
{
    stele_cursor *cursor = NULL;
    const stele_record *record;
    stele_read read = STELE_READ_INIT;
    read.stream = STREAM;
    *balance_out = 0;
    *version_out = STELE_NO_STREAM;

    stele_status status = stele_store_read(store, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        stele_json_token number = { .kind = STELE_JSON_NUMBER,
                                    .text = record->data,
                                    .size = record->data_size };
        int64_t amount = 0;
        stele_json_int64(&number, &amount);
        *balance_out += strcmp(record->type, "deposited") == 0 ? amount : -amount;
        *version_out = record->version;
    }
    stele_cursor_close(cursor);
    return status < 0 ? status : STELE_OK;
}

/* Append `type`, but only to the very version that was looked at. */
static stele_status append_amount(stele_store *store, const char *type, int64_t amount,
                                  int64_t expected_version)
{
    char data[32];
    snprintf(data, sizeof(data), "%" PRId64, amount);
    stele_event event = { .type = type, .data = data, .data_size = strlen(data) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = STREAM;
    append.expected_version = expected_version;
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

static stele_status withdraw(stele_store *store, int64_t amount)
{
    stele_status status = STELE_CONFLICT;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && status == STELE_CONFLICT; attempt++) {
        int64_t balance = 0;
        int64_t version = 0;
        status = load_balance(store, &balance, &version);
        if (status != STELE_OK)
            break;
        if (balance - amount < OVERDRAFT_MAX) {
            printf("refused: %" PRId64 " of %" PRId64 "\n", amount, balance);
            break;
        }
        status = append_amount(store, "withdrawn", amount, version);
    }
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = append_amount(store, "deposited", 100, STELE_NO_STREAM);
    if (status == STELE_OK)
        status = withdraw(store, 70);
    if (status == STELE_OK)
        status = withdraw(store, 70);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}

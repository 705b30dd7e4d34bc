/*
 * Reading a payload with the JSON tokenizer: two members, in any order, the rest skipped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

typedef struct payment_data {
    char payer[64];
    int64_t cents;
} payment_data;

/* The value after a key of the outer object. What isn't wanted is skipped, and still checked. */
static stele_status read_member(stele_json_reader *reader, const stele_json_token *key,
                                payment_data *payment)
{
    stele_json_token value;
    bool payer = stele_json_equals(key, "payer");
    if (!payer && !stele_json_equals(key, "cents"))
        return stele_json_skip(reader, NULL, NULL);
    stele_status status = stele_json_next(reader, &value);
    if (status != STELE_OK)
        return status;
    if (payer)
        return stele_json_text(&value, payment->payer, sizeof(payment->payer), NULL);
    return stele_json_int64(&value, &payment->cents);
}

static stele_status read_payment(const char *text, size_t size, payment_data *payment)
{
    stele_json_reader *reader = NULL;
    stele_json_token token;
    stele_status status = stele_json_open(text, size, NULL, &reader);
    while (status == STELE_OK && (status = stele_json_next(reader, &token)) == STELE_OK) {
        if (token.kind == STELE_JSON_KEY)
            status = read_member(reader, &token, payment);
    }
    stele_json_close(reader);
    return status == STELE_DONE ? STELE_OK : status; /* DONE: the whole text is strict JSON */
}

int main(void)
{
    static const char *const texts[] = {
        "{\"cents\":9995,\"note\":[1,{\"a\":null}],\"payer\":\"Zo\\u00eb\"}",
        "{\"payer\":\"Ada\",\"cents\":\"9007199254740993\"}",
        "{\"payer\":\"Ada\",\"cents\":9007199254740993}",
        "{\"payer\":\"Ada\",\"payer\":\"Bob\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        payment_data payment = { 0 };
        stele_status status = read_payment(texts[i], strlen(texts[i]), &payment);
        if (status == STELE_OK)
            printf("%s pays %" PRId64 "\n", payment.payer, payment.cents);
        else
            printf("%s: %s\n", stele_status_name(status), stele_error_text());
    }
    return 0;
}

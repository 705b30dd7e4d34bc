/*
 * A bank account: its events, its commands, and the decider that leads from one to the other.
 */
#ifndef BANK_ACCOUNT_EVENTS_H
#define BANK_ACCOUNT_EVENTS_H

#include <stele.h>

/* --- What happens to an account. Amounts are cents. --- */

typedef struct account_opened {
    char owner[64];
} account_opened;

/* Of deposits and withdrawals. */
typedef struct account_cash {
    int64_t amount;
} account_cash;

/* One side of a transfer: both have the same name and amount. */
typedef struct account_transfer {
    char transfer[64];
    char other[64]; /* the account on the other side */
    int64_t amount;
} account_transfer;

extern const stele_type opened_type;
extern const stele_type deposited_type;
extern const stele_type withdrawn_type;
extern const stele_type transfer_sent_type;
extern const stele_type transfer_received_type;

stele_status register_account_events(stele_store *store);

/* --- What an account is --- */

typedef struct account {
    bool open;
    int64_t balance;
} account;

extern const stele_type account_type;

/* --- What can be asked of one --- */

typedef enum account_wish { OPEN, DEPOSIT, WITHDRAW, TRANSFER_OUT, TRANSFER_IN } account_wish;

typedef struct account_command {
    account_wish wish;
    int64_t amount;       /* of all but OPEN, which takes it as a first deposit, or 0 */
    const char *owner;    /* of OPEN */
    const char *transfer; /* of transfers: its name, and the account on the other side */
    const char *other;
} account_command;

/* Why it is refused. */
enum { NOT_OPEN = 1, OVERDRAWN, NO_AMOUNT, TOO_MUCH };

/* More than this no account holds. */
#define BALANCE_MAX INT64_C(1000000000000)

extern const stele_decider account_decider;

#endif

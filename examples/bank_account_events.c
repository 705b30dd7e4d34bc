#include "bank_account_events.h"

#include <stdio.h>

static const stele_field opened_fields[] = {
    STELE_F(account_opened, owner, "owner", STELE_REQUIRED),
};
STELE_TYPE(opened_type, account_opened, "AccountOpened", 1, opened_fields);

static const stele_field cash_fields[] = {
    STELE_F(account_cash, amount, "amount", STELE_REQUIRED),
};
STELE_TYPE(deposited_type, account_cash, "Deposited", 1, cash_fields);
STELE_TYPE(withdrawn_type, account_cash, "Withdrawn", 1, cash_fields);

static const stele_field transfer_fields[] = {
    STELE_F(account_transfer, transfer, "transfer", STELE_REQUIRED),
    STELE_F(account_transfer, other, "other", STELE_REQUIRED),
    STELE_F(account_transfer, amount, "amount", STELE_REQUIRED),
};
STELE_TYPE(transfer_sent_type, account_transfer, "TransferSent", 1, transfer_fields);
STELE_TYPE(transfer_received_type, account_transfer, "TransferReceived", 1, transfer_fields);

static const stele_field account_fields[] = {
    STELE_F(account, open, "open", STELE_REQUIRED),
    STELE_F(account, balance, "balance", STELE_REQUIRED),
};
STELE_TYPE(account_type, account, "Account", 1, account_fields);

stele_status register_account_events(stele_store *store)
{
    static const stele_type *const types[] = { &opened_type, &deposited_type, &withdrawn_type,
                                               &transfer_sent_type, &transfer_received_type };
    stele_status status = STELE_OK;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && status == STELE_OK; i++)
        status = stele_store_register_type(store, types[i]);
    return status;
}

/* --- Deciding --- */

static stele_status open_account(const account *state, const account_command *command,
                                 stele_decision *decision)
{
    if (state->open)
        return STELE_OK; /* as it was wanted: nothing is left to be done */
    account_opened opened = { 0 };
    account_cash cash = { .amount = command->amount };
    snprintf(opened.owner, sizeof(opened.owner), "%s", command->owner);
    stele_status status = stele_decision_emit(decision, &opened_type, &opened);
    if (status == STELE_OK && cash.amount > 0)
        status = stele_decision_emit(decision, &deposited_type, &cash);
    return status;
}

static stele_status emit_cash(stele_decision *decision, const stele_type *type,
                              const account_command *command)
{
    account_cash cash = { .amount = command->amount };
    return stele_decision_emit(decision, type, &cash);
}

static stele_status emit_transfer(stele_decision *decision, const stele_type *type,
                                  const account_command *command)
{
    account_transfer transfer = { .amount = command->amount };
    snprintf(transfer.transfer, sizeof(transfer.transfer), "%s", command->transfer);
    snprintf(transfer.other, sizeof(transfer.other), "%s", command->other);
    return stele_decision_emit(decision, type, &transfer);
}

static stele_status refuse_overdraft(const account *state, const account_command *command,
                                     stele_decision *decision)
{
    char reason[100];
    snprintf(reason, sizeof(reason), "%lld cents are asked for, %lld are there",
             (long long)command->amount, (long long)state->balance);
    return stele_decision_refuse(decision, OVERDRAWN, reason);
}

/* The rules, first those that make it no command at all; then what it leads to. */
static stele_status decide(void *context, const void *state_now, const void *asked,
                           stele_decision *decision)
{
    const account *state = state_now;
    const account_command *command = asked;
    bool takes = command->wish == WITHDRAW || command->wish == TRANSFER_OUT;
    (void)context;
    if (command->amount < (command->wish == OPEN ? 0 : 1))
        return stele_decision_refuse(decision, NO_AMOUNT, "it is about no money");
    if (command->amount > BALANCE_MAX - (takes ? 0 : state->balance))
        return stele_decision_refuse(decision, TOO_MUCH, "no account holds so much");
    if (command->wish == OPEN)
        return open_account(state, command, decision);
    if (!state->open)
        return stele_decision_refuse(decision, NOT_OPEN, "there is no such account");
    if (takes && command->amount > state->balance)
        return refuse_overdraft(state, command, decision);
    switch (command->wish) {
    case DEPOSIT: return emit_cash(decision, &deposited_type, command);
    case WITHDRAW: return emit_cash(decision, &withdrawn_type, command);
    case TRANSFER_OUT: return emit_transfer(decision, &transfer_sent_type, command);
    default: return emit_transfer(decision, &transfer_received_type, command);
    }
}

/* --- What has happened is not judged any more --- */

static stele_status evolve(void *context, void *state_now, const stele_folding *event)
{
    account *state = state_now;
    const stele_type *type = event->part->type;
    (void)context;
    if (type == &opened_type)
        state->open = true;
    else if (type == &deposited_type)
        state->balance += ((const account_cash *)event->part->value)->amount;
    else if (type == &withdrawn_type)
        state->balance -= ((const account_cash *)event->part->value)->amount;
    else if (type == &transfer_sent_type)
        state->balance -= ((const account_transfer *)event->part->value)->amount;
    else if (type == &transfer_received_type)
        state->balance += ((const account_transfer *)event->part->value)->amount;
    return STELE_OK;
}

const stele_decider account_decider = { .struct_size = sizeof(stele_decider),
                                        .name = "account",
                                        .state = &account_type,
                                        .decide = decide,
                                        .evolve = evolve };

/*
 * A bank: accounts as aggregates, and transfers between two of them in one commit.
 *
 *     bank_account [--threads 8] [--accounts 10] [--transfers 2000] [--seed 1]
 *                  [--acknowledge] [--json] STORE
 *
 * Threads take job after job: a transfer between two accounts, or now and then cash over the
 * counter. When all is done the program counts the money, and fails when some is missing. Kill it
 * and start it again: it goes on, and does nothing twice.
 *
 * How that comes. What a job is about follows from the seed and its number, and its name is made
 * of both, "1-42". The name is the idempotency key of what the job appends; so a job that was
 * stored is not done again, whoever asks for it, and however it ended the last time. The two sides
 * of a transfer are two commands on two streams in one transaction: both are stored, or none.
 *
 * Exit: 0; 1 failed, after an `error:` line; 2 usage; 3 the money doesn't add up.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <stele.h>

#include "bank_account_events.h"

#define THREADS_MAX   64
#define ACCOUNTS_MAX  10000
#define FIRST_DEPOSIT 100000 /* cents */
#define AMOUNT_MAX    60000
#define CASH_ONE_IN   8
#define TRIES         3
#define NAME_SIZE     64
#define EXIT_USAGE    2
#define EXIT_MONEY    3

typedef struct bank_office {
    const char *path;
    int64_t threads;
    int64_t accounts;
    int64_t jobs;
    int64_t seed;
    bool acknowledge; /* print the name of each job once it is stored */
    bool json;
    stele_store *store;
    stele_aggregate *account;
    atomic_int_fast64_t next; /* the job to be done next */
    atomic_bool failed;
    /* What became of the jobs. */
    atomic_int_fast64_t transfers;
    atomic_int_fast64_t cash;
    atomic_int_fast64_t repeated; /* were stored before */
    atomic_int_fast64_t refused;
} bank_office;

typedef struct bank_job {
    char name[NAME_SIZE];
    char from[NAME_SIZE];
    char to[NAME_SIZE]; /* "" over the counter */
    bool pays_in;
    int64_t amount;
} bank_job;

static bool fail(const char *what, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", what, why);
    return false;
}

static bool fail_store(const char *what)
{
    return fail(what, stele_error_text());
}

/* --- What there is to do --- */

/* A number that follows from the seed and the job, and looks like chance. */
static uint64_t draw(uint64_t *state)
{
    uint64_t number = *state += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

static void name_account(char name[NAME_SIZE], uint64_t number)
{
    snprintf(name, NAME_SIZE, "account-%" PRIu64, number + 1);
}

static bank_job make_job(const bank_office *bank, int64_t number)
{
    uint64_t accounts = (uint64_t)bank->accounts;
    uint64_t state = (uint64_t)bank->seed * UINT64_C(0xd1342543de82ef95) + (uint64_t)number;
    uint64_t from = draw(&state) % accounts;
    uint64_t to = (from + 1 + draw(&state) % (accounts - 1)) % accounts;
    bank_job job = { .amount = 1 + (int64_t)(draw(&state) % AMOUNT_MAX) };
    snprintf(job.name, sizeof(job.name), "%" PRId64 "-%" PRId64, bank->seed, number);
    name_account(job.from, from);
    job.pays_in = draw(&state) % 2 == 0;
    if (draw(&state) % CASH_ONE_IN != 0)
        name_account(job.to, to);
    return job;
}

/* --- Doing it --- */

/* Which side of a job a key is for: a key is used once in a store. */
static const char *key_of(const bank_job *job, const char *side, char key[NAME_SIZE + 16])
{
    snprintf(key, NAME_SIZE + 16, "%s %s", job->name, side);
    return key;
}

/* One account alone: the library decides again when somebody else was faster. */
static stele_status handle_cash(bank_office *bank, const bank_job *job,
                                stele_executed *executed_out)
{
    char key[NAME_SIZE + 16];
    account_command command = { .wish = job->pays_in ? DEPOSIT : WITHDRAW, .amount = job->amount };
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = job->from;
    execute.command = &command;
    execute.idempotency_key = key_of(job, "cash", key);
    return stele_aggregate_execute(bank->account, &execute, executed_out);
}

static stele_status execute_side(bank_office *bank, stele_transaction *transaction,
                                 const bank_job *job, account_wish wish,
                                 stele_executed *executed_out)
{
    char key[NAME_SIZE + 16];
    bool out = wish == TRANSFER_OUT;
    account_command command = { .wish = wish,
                                .amount = job->amount,
                                .transfer = job->name,
                                .other = out ? job->to : job->from };
    stele_execute execute = STELE_EXECUTE_INIT;
    execute.stream = out ? job->from : job->to;
    execute.command = &command;
    execute.idempotency_key = key_of(job, out ? "out" : "in", key);
    return stele_transaction_aggregate_execute(transaction, bank->account, &execute, executed_out);
}

/* Two accounts: both sides are in the file with the commit, and neither is before. A side that is
 * refused leaves by the end of the transaction, which takes the other one along. */
static stele_status transfer(bank_office *bank, const bank_job *job, stele_executed *executed_out)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(bank->store, &transaction);
    if (status == STELE_OK)
        status = execute_side(bank, transaction, job, TRANSFER_OUT, executed_out);
    if (status == STELE_OK)
        status = execute_side(bank, transaction, job, TRANSFER_IN, executed_out);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

/* What may go better in a moment: money may come in, and who holds the file lets go of it. Nor does
 * it matter to try again what may have been stored: the key tells. */
static bool is_worth_another_try(stele_status status, const stele_executed *executed)
{
    if (status == STELE_REFUSED)
        return executed->refusal == OVERDRAWN;
    return status == STELE_CONFLICT || status == STELE_BUSY || status == STELE_UNKNOWN_OUTCOME;
}

static stele_status try_job(bank_office *bank, const bank_job *job, bool *repeated_out)
{
    stele_status status = STELE_OK;
    stele_executed executed = { 0 };
    for (int tries = 0; tries < TRIES; tries++) {
        if (tries > 0)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        status =
            job->to[0] == '\0' ? handle_cash(bank, job, &executed) : transfer(bank, job, &executed);
        if (!is_worth_another_try(status, &executed))
            break;
    }
    *repeated_out = executed.duplicate;
    return status;
}

/* What an earlier run has stored needs no transaction, and keeps nobody waiting. */
static stele_status look_for_job(bank_office *bank, const bank_job *job, bool *stored_out)
{
    char key[NAME_SIZE + 16];
    stele_key_info info;
    stele_status status =
        stele_store_key(bank->store, key_of(job, job->to[0] == '\0' ? "cash" : "out", key), &info);
    *stored_out = status == STELE_OK && info.found;
    return status;
}

static bool do_job(bank_office *bank, const bank_job *job)
{
    bool repeated = false;
    stele_status status = look_for_job(bank, job, &repeated);
    if (status == STELE_OK && !repeated)
        status = try_job(bank, job, &repeated);
    if (status == STELE_REFUSED) {
        atomic_fetch_add(&bank->refused, 1);
        return true;
    }
    if (status != STELE_OK)
        return fail_store(job->name);
    if (bank->acknowledge) {
        printf("%s\n", job->name); /* a line of one thread isn't mixed up with another's */
        fflush(stdout);
    }
    atomic_fetch_add(repeated             ? &bank->repeated
                     : job->to[0] == '\0' ? &bank->cash
                                          : &bank->transfers,
                     1);
    return true;
}

static void *work(void *argument)
{
    bank_office *bank = argument;
    while (!atomic_load(&bank->failed)) {
        int64_t number = atomic_fetch_add(&bank->next, 1);
        if (number > bank->jobs)
            break;
        bank_job job = make_job(bank, number);
        if (!do_job(bank, &job))
            atomic_store(&bank->failed, true);
    }
    return NULL;
}

static bool work_on_threads(bank_office *bank)
{
    pthread_t threads[THREADS_MAX];
    int64_t started = 0;
    atomic_store(&bank->next, 1);
    while (started < bank->threads && pthread_create(&threads[started], NULL, work, bank) == 0)
        started++;
    for (int64_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (started == 0)
        return fail("threads", "none can be started");
    return !atomic_load(&bank->failed);
}

/* --- Before and after --- */

/* An account that is open already stays as it is: `decide` sees to that, and needs no key. */
static bool open_accounts(bank_office *bank)
{
    account_command command = { .wish = OPEN, .amount = FIRST_DEPOSIT };
    for (int64_t i = 0; i < bank->accounts; i++) {
        char name[NAME_SIZE];
        char owner[NAME_SIZE];
        stele_execute execute = STELE_EXECUTE_INIT;
        name_account(name, (uint64_t)i);
        snprintf(owner, sizeof(owner), "customer %" PRId64, i + 1);
        command.owner = owner;
        execute.stream = name;
        execute.command = &command;
        if (stele_aggregate_execute(bank->account, &execute, NULL) != STELE_OK)
            return fail_store(name);
    }
    return true;
}

/* The money, counted in two ways: what the accounts hold, and what went over the counter. */
typedef struct bank_money {
    int64_t held;
    int64_t paid_in;
    int64_t paid_out;
    int64_t sent;
    int64_t received;
} bank_money;

static void count_event(const stele_part *part, bank_money *money)
{
    if (part->type == &deposited_type)
        money->paid_in += ((const account_cash *)part->value)->amount;
    else if (part->type == &withdrawn_type)
        money->paid_out += ((const account_cash *)part->value)->amount;
    else if (part->type == &transfer_sent_type)
        money->sent += ((const account_transfer *)part->value)->amount;
    else if (part->type == &transfer_received_type)
        money->received += ((const account_transfer *)part->value)->amount;
}

static stele_status count_events(bank_office *bank, stele_transaction *transaction,
                                 bank_money *money)
{
    stele_cursor *cursor = NULL;
    stele_decoded *decoded = NULL;
    const stele_record *record;
    stele_read read = STELE_READ_INIT;
    read.category = "account";
    stele_status status = stele_transaction_read(transaction, &read, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK
           && (status = stele_record_decode(bank->store, record, &decoded)) == STELE_OK)
        for (size_t i = 0; i < stele_decoded_count(decoded); i++)
            count_event(stele_decoded_part(decoded, i), money);
    stele_decoded_close(decoded);
    stele_cursor_close(cursor);
    return status == STELE_DONE ? STELE_OK : status;
}

/* Of all accounts in the file: an earlier run may have had more of them. */
static stele_status count_balances(bank_office *bank, stele_transaction *transaction,
                                   bank_money *money)
{
    stele_streams *streams = NULL;
    const stele_stream_info *info;
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.prefix = "account-";
    stele_status status = stele_transaction_streams(transaction, &read, &streams);
    while (status == STELE_OK && (status = stele_streams_next(streams, &info)) == STELE_OK) {
        account state;
        status = stele_transaction_aggregate_load(transaction, bank->account, info->stream, &state,
                                                  NULL);
        money->held += state.balance;
        stele_aggregate_clear(bank->account, &state);
    }
    stele_streams_close(streams);
    return status == STELE_DONE ? STELE_OK : status;
}

/* In a transaction, so that it is of one moment, whoever else is at work: they wait while the whole
 * log is read, which a program that is in use all day would do in a read model instead. */
static bool count_money(bank_office *bank, bank_money *money)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(bank->store, &transaction);
    if (status == STELE_OK)
        status = count_events(bank, transaction, money);
    if (status == STELE_OK)
        status = count_balances(bank, transaction, money);
    stele_transaction_end(transaction);
    return status == STELE_OK || fail_store("counting the money");
}

static bool adds_up(const bank_money *money)
{
    return money->sent == money->received && money->held == money->paid_in - money->paid_out;
}

static void report(const bank_office *bank, const bank_money *money)
{
    int64_t transfers = atomic_load(&bank->transfers);
    int64_t cash = atomic_load(&bank->cash);
    int64_t repeated = atomic_load(&bank->repeated);
    int64_t refused = atomic_load(&bank->refused);
    if (bank->json) {
        printf("{\"v\":1,\"transfers\":%" PRId64 ",\"cash\":%" PRId64 ",\"repeated\":%" PRId64
               ",\"refused\":%" PRId64 ",\"held\":%" PRId64 ",\"paid_in\":%" PRId64
               ",\"paid_out\":%" PRId64 ",\"sent\":%" PRId64 ",\"received\":%" PRId64
               ",\"adds_up\":%s}\n",
               transfers, cash, repeated, refused, money->held, money->paid_in, money->paid_out,
               money->sent, money->received, adds_up(money) ? "true" : "false");
        return;
    }
    printf("%s: %" PRId64 " accounts, %" PRId64 " threads, %" PRId64 " jobs\n", bank->path,
           bank->accounts, bank->threads, bank->jobs);
    printf("  transfers     %12" PRId64 "\n  cash          %12" PRId64
           "\n  stored before %12" PRId64 "\n  refused       %12" PRId64 "\n",
           transfers, cash, repeated, refused);
    printf("Money, in cents\n");
    printf("  paid in       %12" PRId64 "\n  paid out      %12" PRId64
           "\n  in accounts   %12" PRId64 "\n",
           money->paid_in, money->paid_out, money->held);
    printf("  sent          %12" PRId64 "\n  received      %12" PRId64 "\n", money->sent,
           money->received);
    printf("%s\n", adds_up(money) ? "It adds up." : "It does NOT add up.");
}

/* --- The program --- */

static bool open_bank(bank_office *bank)
{
    return (stele_store_open(bank->path, NULL, &bank->store) == STELE_OK
            && register_account_events(bank->store) == STELE_OK
            && stele_aggregate_open(bank->store, &account_decider, NULL, &bank->account)
                   == STELE_OK)
           || fail_store(bank->path);
}

static int run(bank_office *bank)
{
    bank_money money = { 0 };
    bool done = open_bank(bank) && open_accounts(bank) && work_on_threads(bank)
                && count_money(bank, &money);
    if (done)
        report(bank, &money);
    if (fflush(stdout) != 0)
        done = fail("standard output", strerror(errno));
    if (!done)
        return EXIT_FAILURE;
    return adds_up(&money) ? EXIT_SUCCESS : EXIT_MONEY;
}

/* Within 1 (2 for accounts: a transfer needs as many) and `most`. */
static bool read_number(const char *text, int64_t least, int64_t most, int64_t *number_out)
{
    char *end = NULL;
    errno = 0;
    *number_out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *number_out >= least && *number_out <= most;
}

static bool read_options(int argc, char **argv, bank_office *bank)
{
    static const struct option known[] = { { "threads", required_argument, NULL, 't' },
                                           { "accounts", required_argument, NULL, 'a' },
                                           { "transfers", required_argument, NULL, 'n' },
                                           { "seed", required_argument, NULL, 's' },
                                           { "acknowledge", no_argument, NULL, 'k' },
                                           { "json", no_argument, NULL, 'j' },
                                           { NULL, 0, NULL, 0 } };
    bool good = true;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 't': good &= read_number(optarg, 1, THREADS_MAX, &bank->threads); break;
        case 'a': good &= read_number(optarg, 2, ACCOUNTS_MAX, &bank->accounts); break;
        case 'n': good &= read_number(optarg, 0, INT32_MAX, &bank->jobs); break;
        case 's': good &= read_number(optarg, 0, INT32_MAX, &bank->seed); break;
        case 'k': bank->acknowledge = true; break;
        case 'j': bank->json = true; break;
        default: good = false; break;
        }
    }
    good &= argc - optind == 1;
    bank->path = good ? argv[optind] : NULL;
    return good;
}

int main(int argc, char **argv)
{
    bank_office bank = { .threads = 8, .accounts = 10, .jobs = 2000, .seed = 1 };
    if (!read_options(argc, argv, &bank)) {
        fputs("usage: bank_account [--threads 8] [--accounts 10] [--transfers 2000] [--seed 1]\n"
              "                    [--acknowledge] [--json] STORE\n",
              stderr);
        return EXIT_USAGE;
    }
    int status = run(&bank);
    stele_aggregate_close(bank.account);
    stele_store_close(bank.store);
    return status;
}

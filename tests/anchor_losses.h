/* What the tests of the anchor share: stores that end in the middle, and what is then told. */
#ifndef STELE_TESTS_ANCHOR_LOSSES_H
#define STELE_TESTS_ANCHOR_LOSSES_H

#include <stele/hooks.h>

#include "contract.h"

/* --- What the library has told --- */

static char heard[4096];

static inline void hear(void *context, stele_log_level level, const char *text)
{
    (void)context;
    size_t size = strlen(heard);
    snprintf(heard + size, sizeof(heard) - size, "%s: %s\n",
             level == STELE_LOG_WARNING ? "warning" : "notice", text);
}

#define assert_heard(part)                                                                         \
    ck_assert_msg(strstr(heard, (part)) != NULL, "'%s' lacks '%s'", heard, (part))

/* --- Stores that end in the middle --- */

static inline const char *beside(const char *name, const char *suffix)
{
    char full[128];
    snprintf(full, sizeof(full), "%s%s", name, suffix);
    return test_path(full);
}

typedef struct crash {
    const char *name;
    int events;
    stele_durability durability;
    uint32_t interval_ms;
    uint32_t soft_pages; /* 0: as usual */
} crash;

static inline int append_and_vanish(void *context)
{
    const crash *told = context;
    stele_options options = STELE_OPTIONS_INIT;
    options.anchor_interval_ms = told->interval_ms;
    options.durability = told->durability;
    if (told->soft_pages > 0)
        options.wal_soft_pages = told->soft_pages;
    stele_store *opened = NULL;
    if (stele_store_open(test_path(told->name), &options, &opened) != STELE_OK)
        return 1;
    for (int i = 0; i < told->events; i++)
        if (append_to(opened, "account-1", STELE_ANY, "moved", NULL) != STELE_OK)
            return 2;
    return 0;
}

/* A process that appends so many events one by one, the anchor renewed at each, and is killed. */
static inline void crash_after(const char *name, int events)
{
    crash told = { name, events, STELE_DURABILITY_FULL, 0, 0 };
    ck_assert_int_eq(run_in_child(append_and_vanish, &told), 0);
}

/* One that ends as it should. */
static inline void append_cleanly(const char *name, int events)
{
    stele_store *opened = open_path(test_path(name), NULL);
    for (int i = 0; i < events; i++)
        assert_status(append_to(opened, "account-1", STELE_ANY, "opened", NULL), STELE_OK);
    stele_store_close(opened);
}

static inline void take_wal(const char *name)
{
    unlink(beside(name, "-shm"));
    ck_assert_int_eq(rename(beside(name, "-wal"), beside(name, "-taken")), 0);
}

static inline void give_wal_back(const char *name)
{
    ck_assert_int_eq(rename(beside(name, "-taken"), beside(name, "-wal")), 0);
}

static inline void expect_state(stele_store *opened, stele_anchor_state state, int64_t anchor_head)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(opened, &info), STELE_OK);
    ck_assert_int_eq(info.anchor, state);
    ck_assert_int_eq(info.anchor_head, anchor_head);
}

/* Reads go on, writes of every kind are refused with `first` and `second` in the text. */
static inline void expect_lost(int64_t anchor_head, const char *first, const char *second)
{
    stele_transaction *transaction = NULL;
    open_in_file();
    expect_state(store, STELE_ANCHOR_LOST, anchor_head);
    assert_status(append_one("account-1", STELE_ANY, "moved", NULL), STELE_READ_ONLY);
    assert_reason_has(first);
    assert_reason_has(second);
    assert_reason_has("accept_loss");
    assert_status(stele_checkpoint_save(store, "reader", 1), STELE_READ_ONLY);
    assert_status(stele_transaction_begin(store, &transaction), STELE_READ_ONLY);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_READ_ONLY);
    positions_of(NULL);
    close_store();
}

static inline void expect_whole(int64_t head)
{
    open_in_file();
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_int_eq(info.anchor, STELE_ANCHOR_GOOD);
    ck_assert_int_eq(info.head, head);
    assert_status(append_one("account-1", STELE_ANY, "moved", NULL), STELE_OK);
    close_store();
}

static inline void begin_test(void)
{
    heard[0] = '\0';
}

/* Three events in the file, five more in a WAL. The last begin saw seven. */
static inline void make_crashed_store(void)
{
    begin_test();
    append_cleanly("store.db", 3);
    crash_after("store.db", 5);
}

#endif

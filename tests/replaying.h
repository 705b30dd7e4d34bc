/**
 * @file tests/replaying.h
 * What the tests of `replay` share: a store with numbered events, and a command that keeps their
 * numbers.
 */
#ifndef STELE_TESTS_REPLAYING_H
#define STELE_TESTS_REPLAYING_H

#include "cli_subs.h"

#include <stele/checkpoint.h>

/* A store with events 1 to `count`, of the streams s-1 and t-1 in turn. */
static inline void make_events(int count)
{
    static char lines[200000];
    size_t size = 0;
    for (int i = 1; i <= count; i++)
        size += (size_t)snprintf(lines + size, sizeof(lines) - size,
                                 "{\"stream\":\"%s-1\",\"type\":\"%s\",\"data\":%d}\n",
                                 i % 2 == 1 ? "s" : "t", i % 3 == 0 ? "Third" : "Other", i);
    make_store();
    assert_code(FEED(lines, "import"), 0);
}

/* Where `name` is; -1: it never was. */
static inline int64_t place_of(const char *name)
{
    stele_store *store = open_store();
    stele_checkpoint checkpoint;
    ck_assert_int_eq(stele_checkpoint_load(store, name, &checkpoint), STELE_OK);
    stele_store_close(store);
    return checkpoint.found ? checkpoint.position : -1;
}

/* A command that writes the data of its lines to the file `got`, and ends as `end` says. */
static inline const char *keeping(const char *end)
{
    static char command[9000];
    snprintf(command, sizeof(command), "sed 's/.*\"data\":\\([0-9]*\\).*/\\1/' >> '%s'; %s",
             test_path("got"), end);
    return command;
}

/* What commands of keeping() got, with blanks between. */
static inline const char *got(void)
{
    static char text[20000];
    text[0] = '\0';
    if (access(test_path("got"), F_OK) != 0)
        return text;
    char *whole = read_whole(test_path("got"), NULL);
    snprintf(text, sizeof(text), "%s", whole);
    free(whole);
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '\n' ? ' ' : *at;
    return text;
}

#endif

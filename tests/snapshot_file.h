/**
 * @file tests/snapshot_file.h
 * A closed file with snapshots of different sizes, to be damaged.
 */
#ifndef STELE_TESTS_SNAPSHOT_FILE_H
#define STELE_TESTS_SNAPSHOT_FILE_H

#include "snapshots.h"

#define HEAD 10

static inline const char *data_of(int64_t version)
{
    static char data[4][3000];
    char *text = data[version % 4];
    int used = snprintf(text, sizeof(data[0]), "{\"version\":%" PRId64 ",\"more\":\"", version);
    while (used < 40 + (int)version * 250) /* from inside a page to pages of their own */
        text[used] = (char)('a' + (used + version) % 26), used++;
    snprintf(text + used, sizeof(data[0]) - (size_t)used, "\"}");
    return text;
}

/* Versions 3, 6 and 9 of "a-1", and one of another stream; closed. */
static inline void make_file(void)
{
    open_in_file();
    fill_stream("a-1", HEAD);
    fill_stream("b-1", HEAD);
    for (int64_t version = 3; version <= 9; version += 3) {
        stele_snapshot snapshot = make_snapshot("a-1", version, data_of(version));
        snapshot.keep = 3;
        snapshot.metadata = "{\"by\":\"me\"}";
        snapshot.metadata_size = 11;
        assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    }
    assert_status(save_to(store, "b-1", 5, "5"), STELE_OK);
    close_store();
}

#endif

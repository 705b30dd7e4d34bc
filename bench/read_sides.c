/* Reading: the two sides. */
#include "contenders.h"

uint64_t bench_drain(stele_store *store, const stele_read *read, uint64_t *sum)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    uint64_t count = 0;
    stele_status status;
    bench_expect(stele_store_read(store, read, &cursor), "read");
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        *sum += (uint64_t)record->position + record->data_size;
        count++;
    }
    bench_expect(status, "next");
    stele_cursor_close(cursor);
    return count;
}

uint64_t bench_run_library_replay(void *state, uint64_t operations)
{
    library_reader *side = state;
    uint64_t count = 0;
    for (uint64_t i = 0; i < operations; i++)
        count += bench_drain(side->store, &side->read, &side->sum);
    return side->units > 0 ? side->units * operations : count;
}

uint64_t bench_run_hand_replay(void *state, uint64_t operations)
{
    hand_reader *side = state;
    uint64_t count = 0;
    sqlite3_stmt *statement = side->type > 0 ? side->bare.filtered : side->bare.all;
    for (uint64_t i = 0; i < operations; i++) {
        sqlite3_bind_int64(statement, 1, 0);
        if (side->type > 0)
            sqlite3_bind_int64(statement, 2, side->type);
        count += bare_read(&side->bare, statement);
    }
    return side->units > 0 ? side->units * operations : count;
}

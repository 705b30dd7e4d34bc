/*
 * The checksums of format 1, worked out from a row's columns without the library's help, and
 * compared with what the library stored. See docs/file-format.md.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <sqlite3.h>
#include <stele.h>
#include <xxhash.h>

#define BLOCK 1024

typedef struct row_digest {
    uint64_t seed;
    size_t size;
    unsigned char block[BLOCK];
} row_digest;

static void fold(row_digest *digest)
{
    digest->seed = XXH3_64bits_withSeed(digest->block, digest->size, digest->seed);
    digest->size = 0;
}

static void add_number(row_digest *digest, int64_t number)
{
    if (BLOCK - digest->size < 8)
        fold(digest);
    for (int i = 0; i < 8; i++)
        digest->block[digest->size++] = (unsigned char)((uint64_t)number >> (8 * i));
}

static void add_bytes(row_digest *digest, const void *bytes, size_t size)
{
    add_number(digest, (int64_t)size);
    if (size > BLOCK - digest->size)
        fold(digest);
    if (size > BLOCK) {
        digest->seed = XXH3_64bits_withSeed(bytes, size, digest->seed);
    } else {
        memcpy(digest->block + digest->size, bytes, size);
        digest->size += size;
    }
}

/* A column as bytes; NULL has none. */
static void add_column(row_digest *digest, sqlite3_stmt *row, int column)
{
    const void *bytes = sqlite3_column_blob(row, column);
    add_bytes(digest, bytes == NULL ? "" : bytes, (size_t)sqlite3_column_bytes(row, column));
}

static uint64_t hash_payload(sqlite3_stmt *row, int data, int metadata)
{
    uint64_t seed =
        XXH3_64bits(sqlite3_column_blob(row, data), (size_t)sqlite3_column_bytes(row, data));
    return XXH3_64bits_withSeed(sqlite3_column_blob(row, metadata),
                                (size_t)sqlite3_column_bytes(row, metadata), seed);
}

static void print_bytes(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%s%02x%s", i % 16 == 0 ? "  " : " ", (unsigned)bytes[i],
               i % 16 == 15 || i == size - 1 ? "\n" : "");
}

static const char select_row[] =
    "SELECT e.position, s.name, e.version, t.name, e.schema_version, c.name, e.recorded_at,"
    " e.occurred_at, e.flags, e.payload_hash, e.checksum, e.data, e.metadata"
    " FROM events e JOIN streams s ON s.id = e.stream JOIN types t ON t.id = e.type"
    " JOIN codecs c ON c.id = e.codec";

/* Work out both hashes of the row, print them, and say whether the file has the same. */
static bool check_row(sqlite3_stmt *row)
{
    enum { POSITION, STREAM, VERSION, TYPE, SCHEMA, CODEC, RECORDED, OCCURRED, FLAGS, HASH };
    enum { CHECKSUM = HASH + 1, DATA, METADATA };
    row_digest digest = { 0 };
    uint64_t payload_hash = hash_payload(row, DATA, METADATA);
    add_number(&digest, sqlite3_column_int64(row, POSITION));
    add_column(&digest, row, STREAM);
    add_number(&digest, sqlite3_column_int64(row, VERSION));
    add_column(&digest, row, TYPE);
    add_number(&digest, sqlite3_column_int64(row, SCHEMA));
    add_column(&digest, row, CODEC);
    add_number(&digest, sqlite3_column_int64(row, RECORDED));
    add_number(&digest, sqlite3_column_type(row, OCCURRED) != SQLITE_NULL);
    add_number(&digest, sqlite3_column_int64(row, OCCURRED));
    add_number(&digest, sqlite3_column_int64(row, FLAGS));
    add_number(&digest, (int64_t)payload_hash);
    printf("payload_hash %016" PRIx64 "\n", payload_hash);
    printf("digest of %zu bytes\n", digest.size);
    print_bytes(digest.block, digest.size);
    fold(&digest);
    printf("checksum %016" PRIx64 ", stored as %" PRId64 "\n", digest.seed, (int64_t)digest.seed);
    return (int64_t)payload_hash == sqlite3_column_int64(row, HASH)
           && (int64_t)digest.seed == sqlite3_column_int64(row, CHECKSUM);
}

static int64_t stopped_clock(void *context)
{
    (void)context;
    return INT64_C(1779010200000000); /* 2026-05-17T09:30:00Z */
}

static stele_status append_example(stele_store *store)
{
    const char *data = "{\"total\":\"49.90\"}";
    const char *metadata = "{\"by\":\"web\"}";
    stele_event event = { .type = "OrderPlaced",
                          .data = data,
                          .data_size = strlen(data),
                          .metadata = metadata,
                          .metadata_size = strlen(metadata) };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "order-17";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

int main(void)
{
    stele_store *store = NULL;
    stele_transaction *transaction = NULL;
    sqlite3_stmt *row = NULL;
    bool same = false;
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = stopped_clock;
    stele_status status = stele_store_open(":memory:", &options, &store);
    if (status == STELE_OK)
        status = append_example(store);
    if (status == STELE_OK)
        status = stele_transaction_begin(store, &transaction);
    if (status == STELE_OK
        && sqlite3_prepare_v2(stele_transaction_sqlite(transaction), select_row, -1, &row, NULL)
               == SQLITE_OK
        && sqlite3_step(row) == SQLITE_ROW)
        same = check_row(row);
    if (!same)
        fprintf(stderr, "not as stored\n");
    sqlite3_finalize(row);
    stele_transaction_end(transaction);
    stele_store_close(store);
    return !same;
}

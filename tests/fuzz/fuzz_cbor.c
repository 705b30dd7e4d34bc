/* The CBOR gate: what it lets through is strict, and the reader walks over it the same each time.
 */
#include "cbor_walk.h"
#include "fuzz.h"
#include "plain_cbor.h"

static stele_cbor_options choose_cbor_options(const uint8_t bytes[2])
{
    static const uint32_t depths[16] = { 64, 0, 1, 2, 3, 4, 7, 8, 63, 65, 100, 200, DEEPEST_CBOR };
    static const uint32_t sizes[16] = { 16 * 1024 * 1024, 0, 1, 2, 8, 64, 256, 1024 };
    static const uint32_t items[4] = { 1, 3, 16, 100 };
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = depths[choice_of(bytes[0])];
    unsigned choice = choice_of(bytes[1]);
    if (choice < 8)
        options.size_max = sizes[choice];
    else
        options.item_max = items[choice % 4];
    return options;
}

static void check_accepted(stele_cbor_reader *reader, const cbor_input *input)
{
    uint64_t digest = walk_cbor(reader, input, 0x00);
    for (uint32_t level = 0; level < 3; level++)
        skip_cbor(reader, input, level);

    /* The same bytes elsewhere, and other bytes where the tokens come to be. */
    cbor_input moved = *input;
    void *copy = copy_bytes(input->data, input->size);
    moved.data = copy;
    require(stele_cbor_reset(reader, moved.data, moved.size) == STELE_OK);
    require(walk_cbor(reader, &moved, 0xa5) == digest);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    cbor_input input = { .size = size - 2, .options = choose_cbor_options(data) };
    unsigned char *copy = copy_bytes(data + 2, input.size);
    input.data = copy;

    stele_status judged = stele_cbor_check(input.data, input.size, &input.options);
    require(judged == plain_cbor_check(input.data, input.size, &input.options));
    stele_cbor_reader *reader = NULL;
    require(stele_cbor_open(input.data, input.size, &input.options, &reader) == judged);
    require((reader != NULL) == (judged == STELE_OK));
    if (judged == STELE_OK) {
        check_accepted(reader, &input);
    } else if (input.options.size_max > 0 && input.options.depth_max > 0) {
        /* A reader that refused it says so until the next payload. */
        static const unsigned char null = 0xf6;
        stele_cbor_token token;
        require(stele_cbor_open(&null, 1, &input.options, &reader) == STELE_OK);
        require(stele_cbor_reset(reader, input.data, input.size) == judged);
        require(stele_cbor_error_offset(reader) <= input.size);
        require(stele_cbor_next(reader, &token) == judged);
        require(stele_cbor_reset(reader, &null, 1) == STELE_OK);
        require(stele_cbor_next(reader, &token) == STELE_OK && token.kind == STELE_CBOR_NULL);
    }
    stele_cbor_close(reader);
    free(copy);
    return 0;
}

/* Cutting the input into lines: whatever the pieces it arrives in, the lines are the same. */
#include "jsonl/jsonl.h"

#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"

#define JSONL_CHUNK_SIZE ((size_t)64 * 1024)

stele_status stele__jsonl_input_init(stele__jsonl_input *input, const stele_import *import)
{
    input->import = import;
    input->chunk = stele__allocate(JSONL_CHUNK_SIZE);
    if (input->chunk == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for reading lines");
    return STELE_OK;
}

void stele__jsonl_input_dispose(stele__jsonl_input *input)
{
    stele__free(input->chunk);
    input->chunk = NULL;
    stele__buffer_dispose(&input->pending);
}

static stele_status read_input_chunk(stele__jsonl_input *input)
{
    size_t size = 0;
    stele_status status =
        input->import->read(input->import->context, input->chunk, JSONL_CHUNK_SIZE, &size);
    if (status < 0)
        return stele__fail(status, "the input failed after line %" PRIu64 ": %s", input->lines,
                           stele_status_text(status));
    if (size > JSONL_CHUNK_SIZE)
        return stele__fail(STELE_MISUSE, "the read callback gave %zu bytes where %zu fit", size,
                           JSONL_CHUNK_SIZE);
    input->chunk_at = 0;
    input->chunk_size = size;
    input->ended = size == 0;
    return STELE_OK;
}

/* Hand out a whole line of `size` bytes, or a part of one whose rest was dropped. */
static void finish_input_line(stele__jsonl_input *input, const char *text, size_t size,
                              bool dropped, stele__jsonl_span *line_out)
{
    if (!dropped && size > 0 && text[size - 1] == '\r')
        size--;
    line_out->text = text;
    line_out->size = size;
    line_out->too_long = dropped || size > input->import->line_size_max;
    input->lines++;
}

stele_status stele__jsonl_input_next(stele__jsonl_input *input, stele__jsonl_span *line_out)
{
    stele__buffer *pending = &input->pending;
    size_t kept_max = (size_t)input->import->line_size_max + 1; /* The CR may yet fall off. */
    bool begun = false;
    bool dropped = false;
    pending->size = 0;

    for (;;) {
        if (input->chunk_at == input->chunk_size && !input->ended) {
            stele_status status = read_input_chunk(input);
            if (status != STELE_OK)
                return status;
        }
        if (input->ended) {
            if (!begun)
                return STELE_DONE;
            finish_input_line(input, pending->data, pending->size, dropped, line_out);
            return STELE_OK;
        }

        const char *piece = input->chunk + input->chunk_at;
        size_t left = input->chunk_size - input->chunk_at;
        const char *newline = memchr(piece, '\n', left);
        size_t size = newline == NULL ? left : (size_t)(newline - piece);
        size_t consumed = size + (newline == NULL ? 0 : 1);
        input->chunk_at += consumed;
        input->bytes += consumed;
        if (newline != NULL && !begun) {
            finish_input_line(input, piece, size, false, line_out);
            return STELE_OK;
        }

        begun = true;
        dropped = dropped || size > kept_max - pending->size;
        stele_status status = dropped ? STELE_OK : stele__buffer_add(pending, piece, size);
        if (status != STELE_OK)
            return status;
        if (newline != NULL) {
            finish_input_line(input, pending->data, pending->size, dropped, line_out);
            return STELE_OK;
        }
    }
}

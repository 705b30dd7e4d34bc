/*
 * What to do with a byte string or text: copy it, compare it, whether in chunks or not.
 */
#include "codec/cbor_internal.h"

#include "base/failure.h"

#include <string.h>

/** A walk over the content of a token. */
typedef struct cbor_pieces {
    const unsigned char *at;
    const unsigned char *end;
    bool in_chunks;
} cbor_pieces;

static cbor_pieces begin_cbor_pieces(const stele_cbor_token *token)
{
    const unsigned char *data = token->data;
    return (cbor_pieces){ data, data + token->size, token->indefinite };
}

/* The next bytes of the content. False after the last, which is at `end` unless the token is none
 * of a reader's. */
static bool take_cbor_piece(cbor_pieces *pieces, const unsigned char **piece_out, size_t *size_out)
{
    *piece_out = pieces->at;
    *size_out = (size_t)(pieces->end - pieces->at);
    if (*size_out == 0)
        return false;
    if (pieces->in_chunks) {
        stele__cbor_head head;
        if (!stele__cbor_read_head(pieces->at, pieces->end, &head)
            || head.argument > *size_out - head.size)
            return false;
        *piece_out += head.size;
        *size_out = (size_t)head.argument;
    }
    pieces->at = *piece_out + *size_out;
    return true;
}

stele_status stele_cbor_text(const stele_cbor_token *token, void *buffer, size_t capacity,
                             size_t *size_out)
{
    char *out = buffer;
    if (buffer == NULL && capacity != 0)
        return stele__fail(STELE_MISUSE, "stele_cbor_text: buffer is NULL");
    if (capacity > 0)
        out[0] = '\0';
    if (token == NULL || token->data == NULL
        || (token->kind != STELE_CBOR_BYTES && token->kind != STELE_CBOR_TEXT))
        return stele__fail(STELE_MISUSE,
                           "stele_cbor_text: the token is neither byte string nor text");

    cbor_pieces pieces = begin_cbor_pieces(token);
    const unsigned char *piece;
    size_t piece_size;
    size_t size = 0;
    while (take_cbor_piece(&pieces, &piece, &piece_size)) {
        if (piece_size < capacity && size < capacity - piece_size)
            memcpy(out + size, piece, piece_size);
        size += piece_size;
    }
    stele_status status = STELE_OK;
    if (pieces.at < pieces.end)
        status = stele__fail(STELE_MISUSE, "stele_cbor_text: the token is none of a reader's");
    else if (size >= capacity)
        status = stele__fail(STELE_TOO_LARGE, "CBOR string of %zu bytes in a buffer of %zu", size,
                             capacity);

    if (capacity > 0)
        out[status == STELE_OK ? size : 0] = '\0';
    if (size_out != NULL)
        *size_out = size;
    return status;
}

bool stele_cbor_equals(const stele_cbor_token *token, const char *expected)
{
    if (token == NULL || token->data == NULL || token->kind != STELE_CBOR_TEXT || expected == NULL)
        return false;
    size_t left = strlen(expected);
    cbor_pieces pieces = begin_cbor_pieces(token);
    const unsigned char *piece;
    size_t size;
    while (take_cbor_piece(&pieces, &piece, &size)) {
        if (size > left || memcmp(piece, expected, size) != 0)
            return false;
        expected += size;
        left -= size;
    }
    return left == 0 && pieces.at == pieces.end;
}

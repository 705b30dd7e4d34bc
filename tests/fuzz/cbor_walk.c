/* What must hold of every token, string, map and skipped value. */
#include "cbor_walk.h"

#include "fuzz.h"

typedef struct cbor_frame {
    stele_cbor_kind begun;
    uint64_t left; /* items still announced */
    bool indefinite;
    bool at_key;
} cbor_frame;

typedef struct cbor_walk {
    const cbor_input *input;
    uint32_t depth;
    size_t reached;
    uint64_t digest;
    cbor_frame frames[DEEPEST_CBOR];
} cbor_walk;

static void digest_bytes(cbor_walk *walk, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        walk->digest = (walk->digest ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
}

static void digest_token(cbor_walk *walk, const stele_cbor_token *token)
{
    uint64_t real = 0;
    if (token->kind == STELE_CBOR_REAL)
        memcpy(&real, &token->real, sizeof(real));
    uint64_t facts[] = { token->kind, token->depth, token->offset, token->number,
                         real,        token->size,  token->is_key, token->indefinite };
    digest_bytes(walk, facts, sizeof(facts));
}

static void check_string(cbor_walk *walk, const stele_cbor_token *token)
{
    const unsigned char *data = token->data;
    const cbor_input *input = walk->input;
    require(data >= input->data + token->offset && token->size <= input->size);
    require(data + token->size <= input->data + input->size);

    size_t size = 0;
    char *content = take_memory(token->size + 1);
    require(stele_cbor_text(token, content, token->size + 1, &size) == STELE_OK);
    require(size <= token->size);
    free(content);
    content = take_memory(size + 1);
    require(stele_cbor_text(token, content, size + 1, &size) == STELE_OK);
    if (is_sample(token->offset)) {
        char small[1] = "x";
        size_t wanted = 0;
        require(stele_cbor_text(token, small, size > 0, &wanted) == STELE_TOO_LARGE);
        require(wanted == size && small[0] == (size > 0 ? '\0' : 'x'));
    }
    require(content[size] == '\0');
    if (!token->indefinite)
        require(size == token->size && (size == 0 || memcmp(content, data, size) == 0));
    bool comparable = token->kind == STELE_CBOR_TEXT && strlen(content) == size;
    require(stele_cbor_equals(token, content) == comparable);
    if (size > 0) {
        content[size - 1] ^= 1;
        require(!stele_cbor_equals(token, content));
    }
    digest_bytes(walk, content, size);
    free(content);
}

static cbor_frame *innermost(cbor_walk *walk)
{
    return walk->depth > 0 ? &walk->frames[walk->depth - 1] : NULL;
}

/* An item is complete: so may be the tags around it. */
static void end_item(cbor_walk *walk)
{
    cbor_frame *frame = innermost(walk);
    while (frame != NULL && frame->begun == STELE_CBOR_TAG) {
        walk->depth--;
        frame = innermost(walk);
    }
}

/* An item begins; it counts for what encloses it. */
static void begin_item(cbor_walk *walk, const stele_cbor_token *token)
{
    cbor_frame *frame = innermost(walk);
    require(token->depth == walk->depth);
    require(token->is_key == (frame != NULL && frame->at_key));
    if (frame == NULL)
        return;
    require(frame->indefinite || frame->left > 0);
    frame->left--;
    if (frame->begun == STELE_CBOR_MAP_BEGIN)
        frame->at_key = !frame->at_key;
}

static void begin_frame(cbor_walk *walk, const stele_cbor_token *token)
{
    require(walk->depth < walk->input->options.depth_max && walk->depth < DEEPEST_CBOR);
    require(!token->is_key);
    cbor_frame *frame = &walk->frames[walk->depth++];
    bool is_map = token->kind == STELE_CBOR_MAP_BEGIN;
    frame->begun = token->kind;
    frame->indefinite = token->indefinite;
    frame->at_key = is_map;
    frame->left = token->kind == STELE_CBOR_TAG ? 1 : token->number * (is_map ? 2 : 1);
}

static void end_frame(cbor_walk *walk, const stele_cbor_token *token, stele_cbor_kind begun)
{
    const cbor_frame *frame = innermost(walk);
    require(frame != NULL && frame->begun == begun && token->depth == walk->depth - 1);
    require(frame->indefinite || frame->left == 0);
    require(begun != STELE_CBOR_MAP_BEGIN || frame->at_key);
    walk->depth--;
    end_item(walk);
}

static void follow_token(cbor_walk *walk, const stele_cbor_token *token)
{
    require(token->offset >= walk->reached && token->offset <= walk->input->size);
    walk->reached = token->offset;
    switch (token->kind) {
    case STELE_CBOR_ARRAY_END: end_frame(walk, token, STELE_CBOR_ARRAY_BEGIN); return;
    case STELE_CBOR_MAP_END: end_frame(walk, token, STELE_CBOR_MAP_BEGIN); return;
    case STELE_CBOR_ARRAY_BEGIN:
    case STELE_CBOR_MAP_BEGIN:
    case STELE_CBOR_TAG:
        begin_item(walk, token);
        begin_frame(walk, token);
        return;
    case STELE_CBOR_BYTES:
    case STELE_CBOR_TEXT:
        begin_item(walk, token);
        check_string(walk, token);
        break;
    default:
        begin_item(walk, token);
        require(!token->is_key || token->kind <= STELE_CBOR_NEGATIVE);
        if (is_sample(token->offset))
            require(stele_cbor_text(token, NULL, 0, NULL) == STELE_MISUSE);
        break;
    }
    end_item(walk);
}

uint64_t walk_cbor(stele_cbor_reader *reader, const cbor_input *input, int before)
{
    cbor_walk walk = { .input = input };
    stele_cbor_token token;
    memset(&token, before, sizeof(token));
    stele_status status;
    while ((status = stele_cbor_next(reader, &token)) == STELE_OK) {
        follow_token(&walk, &token);
        digest_token(&walk, &token);
        memset(&token, before, sizeof(token));
    }
    require(status == STELE_DONE && walk.depth == 0);
    require(stele_cbor_next(reader, &token) == STELE_DONE);
    require(stele_cbor_skip(reader, NULL, NULL) != STELE_OK);
    require(stele_cbor_error_offset(reader) == 0);
    return walk.digest;
}

void skip_cbor(stele_cbor_reader *reader, const cbor_input *input, uint32_t level)
{
    stele_cbor_token token;
    stele_status status;
    size_t reached = 0;
    require(stele_cbor_reset(reader, input->data, input->size) == STELE_OK);
    while ((status = stele_cbor_next(reader, &token)) == STELE_OK) {
        require(token.offset >= reached);
        reached = token.offset;
        bool ends = token.kind == STELE_CBOR_ARRAY_END || token.kind == STELE_CBOR_MAP_END;
        /* Of the pairs, every other one after its key, and the rest at their value. */
        bool wanted = !token.is_key || token.offset % 2 == 0;
        if (token.depth != level || ends || !wanted)
            continue;

        const void *value = NULL;
        size_t size = 0;
        require(stele_cbor_skip(reader, &value, &size) == STELE_OK);
        const unsigned char *start = value;
        require(start >= input->data + token.offset && size > 0);
        require(start + size <= input->data + input->size);
        require(token.is_key == (start != input->data + token.offset));
        require(stele_cbor_check(value, size, &input->options) == STELE_OK);
        if (is_sample(token.offset))
            require(stele_cbor_skip(reader, NULL, NULL) == STELE_MISUSE);
        reached = (size_t)(start - input->data) + size;
    }
    require(status == STELE_DONE);
}

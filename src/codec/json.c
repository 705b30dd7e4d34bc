/*
 * JSON as a cJSON tree. Of cJSON only its items are used, and the functions that make, join and end
 * them: its parser reads numbers in the locale's way and cuts long ones, its printer rounds.
 */
#include <stele/tree.h>

#include <cjson/cJSON.h>

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "codec/number.h"
#include "codec/path.h"

#define TREE_INTEGER_MAX UINT64_C(9007199254740991) /* 2^53 - 1 */

enum {
    TREE_PARSE_DEPTH_MAX = 1000,
    TREE_PRINT_DEPTH_MAX = 64, /* what the gate takes by default, and so reads again */
    TREE_PRINT_SIZE_MAX = 16 * 1024 * 1024
};

/* Fail with the path before the reason, unless it is that of the whole. */
static stele_status fail_on_path(stele_status status, const char *path)
{
    return path[0] == '\0' ? status : stele__fail_within(status, "%s", path);
}

/* Parsing */

/* A tree that grows. */
typedef struct tree_builder {
    stele_json_reader *reader;
    stele__path path;
    cJSON *root;
    uint32_t depth;
    cJSON *open[TREE_PARSE_DEPTH_MAX];
    size_t counts[TREE_PARSE_DEPTH_MAX]; /* of the elements of each that is open */
    char *key;                           /* decoded, of the value to come */
    bool rounds;                         /* a number has been met that a tree can't hold */
    stele_flaw rounded;                  /* where the first of them is, and its reason */
    char rounded_text[STELE__ERROR_SIZE];
} tree_builder;

static stele_status refuse_tree_memory(void)
{
    return stele__fail(STELE_NO_MEMORY, "no memory for a JSON tree");
}

/* A text of cJSON's own memory. */
static stele_status decode_tree_text(const stele_json_token *token, char **text_out)
{
    char *text = cJSON_malloc(token->size + 1);
    if (text == NULL)
        return refuse_tree_memory();
    stele_status status = stele_json_text(token, text, token->size + 1, NULL);
    if (status != STELE_OK) {
        cJSON_free(text);
        return status;
    }
    *text_out = text;
    return STELE_OK;
}

/* The first number that a tree can't hold is remembered: whether the text is JSON at all matters
 * more. */
static void note_tree_number(tree_builder *builder, const stele_json_token *token, const char *why)
{
    if (builder->rounds)
        return;
    builder->rounds = true;
    stele__flaw_set(&builder->rounded, token->offset, &builder->path);
    stele__fail(STELE_PRECISION, "%.*s%s at byte %zu %s", token->size > 40 ? 40 : (int)token->size,
                token->text, token->size > 40 ? "..." : "", token->offset, why);
    fail_on_path(STELE_PRECISION, builder->rounded.path);
    stele__keep_error(builder->rounded_text);
}

static stele_status make_tree_number(tree_builder *builder, const stele_json_token *token,
                                     cJSON **item_out)
{
    bool negative = false;
    uint64_t magnitude = 0;
    double value = 0;
    stele__number kind = stele__integer_read(token->text, token->size, &negative, &magnitude);
    if (kind == STELE__NUMBER_BEYOND || magnitude > TREE_INTEGER_MAX)
        note_tree_number(builder, token, "is beyond +-(2^53 - 1)");
    else if (kind == STELE__NUMBER_OK)
        value = negative ? -(double)magnitude : (double)magnitude;
    else if (stele__double_read(token->text, token->size, &value) != STELE__NUMBER_OK)
        note_tree_number(builder, token, "is beyond the range of a double");
    *item_out = cJSON_CreateNumber(value);
    return *item_out != NULL ? STELE_OK : refuse_tree_memory();
}

static stele_status make_tree_string(const stele_json_token *token, cJSON **item_out)
{
    char *text = NULL;
    stele_status status = decode_tree_text(token, &text);
    if (status != STELE_OK)
        return status;
    cJSON *item = cJSON_CreateNull();
    if (item == NULL) {
        cJSON_free(text);
        return refuse_tree_memory();
    }
    item->type = cJSON_String;
    item->valuestring = text;
    *item_out = item;
    return STELE_OK;
}

static stele_status make_tree_item(tree_builder *builder, const stele_json_token *token,
                                   cJSON **item_out)
{
    switch (token->kind) {
    case STELE_JSON_NUMBER: return make_tree_number(builder, token, item_out);
    case STELE_JSON_STRING: return make_tree_string(token, item_out);
    case STELE_JSON_OBJECT_BEGIN: *item_out = cJSON_CreateObject(); break;
    case STELE_JSON_ARRAY_BEGIN: *item_out = cJSON_CreateArray(); break;
    case STELE_JSON_TRUE: *item_out = cJSON_CreateTrue(); break;
    case STELE_JSON_FALSE: *item_out = cJSON_CreateFalse(); break;
    default:
        assert(token->kind == STELE_JSON_NULL);
        *item_out = cJSON_CreateNull();
        break;
    }
    return *item_out != NULL ? STELE_OK : refuse_tree_memory();
}

/* Is an array the innermost of what is open? */
static bool is_in_tree_array(const tree_builder *builder)
{
    return builder->depth > 0 && builder->open[builder->depth - 1]->type == cJSON_Array;
}

/* The value is complete: what follows is no longer on its path. */
static void leave_tree_value(tree_builder *builder)
{
    if (builder->depth == 0)
        return;
    stele__path_pop(&builder->path);
    builder->counts[builder->depth - 1]++;
}

static stele_status add_tree_value(tree_builder *builder, const stele_json_token *token)
{
    cJSON *item = NULL;
    stele_status status = make_tree_item(builder, token, &item);
    if (status != STELE_OK)
        return status;
    if (builder->depth == 0) {
        builder->root = item;
    } else {
        item->string = builder->key; /* as cJSON_AddItemToObject() would copy it */
        builder->key = NULL;
        /* Fails for NULL only, and for an item that is added to itself. */
        cJSON_AddItemToArray(builder->open[builder->depth - 1], item);
    }

    if (token->kind == STELE_JSON_OBJECT_BEGIN || token->kind == STELE_JSON_ARRAY_BEGIN) {
        assert(builder->depth < TREE_PARSE_DEPTH_MAX);
        builder->open[builder->depth] = item;
        builder->counts[builder->depth++] = 0;
    } else {
        leave_tree_value(builder);
    }
    return STELE_OK;
}

static stele_status add_tree_token(tree_builder *builder, const stele_json_token *token)
{
    switch (token->kind) {
    case STELE_JSON_KEY:
        stele__path_push_key(&builder->path, token->text, token->size);
        return decode_tree_text(token, &builder->key);
    case STELE_JSON_ARRAY_END:
        stele__path_pop(&builder->path); /* of an element that isn't */
    /* fall through */
    case STELE_JSON_OBJECT_END:
        builder->depth--;
        leave_tree_value(builder);
        return STELE_OK;
    default: return add_tree_value(builder, token);
    }
}

static stele_status read_tree(tree_builder *builder, stele_flaw *flaw_out)
{
    stele_status status = STELE_OK;
    while (status == STELE_OK) {
        stele_json_token token;
        if (is_in_tree_array(builder))
            stele__path_push_index(&builder->path, builder->counts[builder->depth - 1]);
        status = stele_json_next(builder->reader, &token);
        if (status == STELE_OK)
            status = add_tree_token(builder, &token);
    }
    if (status == STELE_DONE)
        return STELE_OK;
    stele_flaw flaw;
    stele__flaw_set(&flaw, stele_json_error_offset(builder->reader), &builder->path);
    if (flaw_out != NULL && status == STELE_INVALID)
        *flaw_out = flaw;
    return fail_on_path(status, flaw.path);
}

static stele_status build_tree(tree_builder *builder, stele_flaw *flaw_out)
{
    stele_status status = read_tree(builder, flaw_out);
    if (status != STELE_OK || !builder->rounds)
        return status;
    if (flaw_out != NULL)
        *flaw_out = builder->rounded;
    stele__restore_error(builder->rounded_text);
    return STELE_PRECISION;
}

stele_status stele_tree_parse(const void *text, size_t size, const stele_json_options *options,
                              struct cJSON **tree_out, stele_flaw *flaw_out)
{
    if (tree_out == NULL)
        return stele__fail(STELE_MISUSE, "stele_tree_parse: tree_out is NULL");
    *tree_out = NULL;
    stele__flaw_set(flaw_out, 0, NULL);

    stele_json_options resolved = STELE_JSON_OPTIONS_INIT;
    stele_status status =
        stele__options_take("stele_json_options", options, &resolved, sizeof resolved);
    if (status != STELE_OK)
        return status;
    if (resolved.depth_max > TREE_PARSE_DEPTH_MAX)
        resolved.depth_max = TREE_PARSE_DEPTH_MAX;
    stele_json_reader *reader = NULL;
    status = stele_json_open(text, size, &resolved, &reader);
    if (status != STELE_OK)
        return status;

    STELE__UNINITIALIZED tree_builder builder;
    builder.reader = reader;
    stele__path_init(&builder.path);
    builder.root = NULL;
    builder.depth = 0;
    builder.key = NULL;
    builder.rounds = false;
    status = build_tree(&builder, flaw_out);
    stele_json_close(reader);
    if (status != STELE_OK) {
        cJSON_free(builder.key);
        cJSON_Delete(builder.root);
        return status;
    }
    *tree_out = builder.root;
    return STELE_OK;
}

/* Printing */

/* A walk through a tree that somebody built, who may have built anything. */
typedef struct tree_printer {
    stele__buffer *buffer;
    size_t start;
    stele__path path;
    uint32_t depth;
    const cJSON *open[TREE_PRINT_DEPTH_MAX];
    size_t counts[TREE_PRINT_DEPTH_MAX];
} tree_printer;

static stele_status put_tree_bytes(tree_printer *printer, const char *bytes, size_t size)
{
    /* A chain of items that ends in itself is no deeper for it, but ends here. */
    if (size > TREE_PRINT_SIZE_MAX - (printer->buffer->size - printer->start))
        return stele__fail(STELE_TOO_LARGE, "JSON tree of more than %d bytes", TREE_PRINT_SIZE_MAX);
    return stele__buffer_add(printer->buffer, bytes, size);
}

static stele_status put_tree_byte(tree_printer *printer, char byte)
{
    return put_tree_bytes(printer, &byte, 1);
}

static stele_status put_tree_string(tree_printer *printer, const char *text, const char *what)
{
    if (text == NULL)
        return stele__fail(STELE_INVALID, "JSON tree with a %s that is NULL", what);
    size_t size = strlen(text);
    stele__buffer *buffer = printer->buffer;
    size_t used = buffer->size - printer->start;
    if (size > TREE_PRINT_SIZE_MAX - used)
        return stele__fail(STELE_TOO_LARGE, "JSON tree of more than %d bytes", TREE_PRINT_SIZE_MAX);

    /* With room for the text as it is; more only if it turns out that escapes need it. */
    size_t room = size + 3;
    for (;;) {
        stele_status status = stele__buffer_reserve(buffer, room);
        if (status != STELE_OK)
            return status;
        size_t quoted = stele_json_quote(text, size, buffer->data + buffer->size, room);
        if (quoted == 0)
            return fail_on_path(STELE_INVALID, what);
        if (quoted > TREE_PRINT_SIZE_MAX - used)
            return stele__fail(STELE_TOO_LARGE, "JSON tree of more than %d bytes",
                               TREE_PRINT_SIZE_MAX);
        if (quoted < room) {
            buffer->size += quoted;
            return STELE_OK;
        }
        room = quoted + 1;
    }
}

static stele_status put_tree_number(tree_printer *printer, const cJSON *item)
{
    if (!isfinite(item->valuedouble))
        return stele__fail(STELE_INVALID, "JSON has no %s",
                           isnan(item->valuedouble) ? "NaN" : "infinity");
    char text[STELE__NUMBER_SIZE];
    size_t size = stele__double_write(item->valuedouble, text);
    return put_tree_bytes(printer, text, size);
}

/* A text of the caller's that is to be one value, not two with a comma between them. */
static stele_status put_tree_raw(tree_printer *printer, const cJSON *item)
{
    if (item->valuestring == NULL)
        return stele__fail(STELE_INVALID, "JSON tree with a raw value that is NULL");
    size_t size = strlen(item->valuestring);
    stele_status status = stele_json_check(item->valuestring, size, NULL);
    if (status != STELE_OK)
        return fail_on_path(status, "raw value");
    return put_tree_bytes(printer, item->valuestring, size);
}

/* Write a value, or the bracket that begins it. */
static stele_status begin_tree_value(tree_printer *printer, const cJSON *item)
{
    int type = item->type & 0xff; /* the rest says who owns what */
    switch (type) {
    case cJSON_False: return put_tree_bytes(printer, "false", 5);
    case cJSON_True: return put_tree_bytes(printer, "true", 4);
    case cJSON_NULL: return put_tree_bytes(printer, "null", 4);
    case cJSON_Number: return put_tree_number(printer, item);
    case cJSON_String: return put_tree_string(printer, item->valuestring, "string");
    case cJSON_Raw: return put_tree_raw(printer, item);
    case cJSON_Array:
    case cJSON_Object:
        if (printer->depth == TREE_PRINT_DEPTH_MAX)
            return stele__fail(STELE_TOO_LARGE, "JSON tree nested deeper than %d levels",
                               TREE_PRINT_DEPTH_MAX);
        printer->open[printer->depth] = item;
        printer->counts[printer->depth++] = 0;
        return put_tree_byte(printer, type == cJSON_Array ? '[' : '{');
    default: return stele__fail(STELE_INVALID, "JSON tree with an item of type %d", item->type);
    }
}

/* Begin a member or element of what is innermost: its path, and its key. */
static stele_status begin_tree_member(tree_printer *printer, const cJSON *item)
{
    if ((printer->open[printer->depth - 1]->type & 0xff) == cJSON_Array) {
        stele__path_push_index(&printer->path, printer->counts[printer->depth - 1]);
        return STELE_OK;
    }
    const char *key = item->string;
    stele__path_push_key(&printer->path, key, key == NULL ? 0 : strlen(key));
    stele_status status = put_tree_string(printer, key, "key");
    return status != STELE_OK ? status : put_tree_byte(printer, ':');
}

/*
 * End what has no more items, up to a level that has. Sets `*item_out` to the next item, or NULL at
 * the end of the tree.
 */
static stele_status end_tree_values(tree_printer *printer, const cJSON *item,
                                    const cJSON **item_out)
{
    *item_out = NULL;
    while (printer->depth > 0) {
        stele__path_pop(&printer->path);
        printer->counts[printer->depth - 1]++;
        if (item->next != NULL) {
            *item_out = item->next;
            return put_tree_byte(printer, ',');
        }
        item = printer->open[--printer->depth];
        stele_status status =
            put_tree_byte(printer, (item->type & 0xff) == cJSON_Array ? ']' : '}');
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

static stele_status walk_tree(tree_printer *printer, const cJSON *item)
{
    while (item != NULL) {
        uint32_t depth = printer->depth;
        stele_status status = depth > 0 ? begin_tree_member(printer, item) : STELE_OK;
        if (status == STELE_OK)
            status = begin_tree_value(printer, item);
        if (status == STELE_OK && printer->depth > depth) {
            if (item->child != NULL) {
                item = item->child;
                continue;
            }
            printer->depth--;
            status = put_tree_byte(printer, (item->type & 0xff) == cJSON_Array ? ']' : '}');
        }
        if (status == STELE_OK)
            status = end_tree_values(printer, item, &item);
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

stele_status stele_tree_print(const struct cJSON *tree, stele_buffer *buffer)
{
    if (tree == NULL || buffer == NULL)
        return stele__fail(STELE_MISUSE, "stele_tree_print: a NULL argument");

    STELE__UNINITIALIZED tree_printer printer;
    printer.buffer = buffer;
    printer.start = buffer->size;
    stele__path_init(&printer.path);
    printer.depth = 0;
    stele_status status = walk_tree(&printer, tree);
    if (status != STELE_OK) {
        stele_flaw flaw;
        stele__flaw_set(&flaw, 0, &printer.path);
        fail_on_path(status, flaw.path);
    }

    /* What was built twice, or too deep in a raw value, shows in the text only. */
    if (status == STELE_OK)
        status = stele_json_check(buffer->data + printer.start, buffer->size - printer.start, NULL);
    if (status == STELE_OK)
        status = stele__buffer_reserve(buffer, 1);
    if (status == STELE_OK)
        buffer->data[buffer->size] = '\0';
    else
        buffer->size = printer.start;
    return status;
}

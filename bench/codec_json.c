/* The events of the case `codec` by hand, with cJSON. */
#include <string.h>

#include <cjson/cJSON.h>

#include "codec_sides.h"

/* --- Reading --- */

static bool take_json_text(const cJSON *object, const char *name, char *out, size_t capacity)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsString(item))
        return false;
    size_t size = strlen(item->valuestring);
    if (size >= capacity)
        return false;
    memcpy(out, item->valuestring, size + 1);
    return true;
}

static bool take_json_real(const cJSON *object, const char *name, double *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item))
        return false;
    *out = item->valuedouble;
    return true;
}

/* An integer from `lowest` to `highest`, both within what a double keeps exact. */
static bool take_json_integer(const cJSON *object, const char *name, double lowest, double highest,
                              int64_t *out)
{
    double value = 0;
    if (!take_json_real(object, name, &value) || !(value >= lowest && value <= highest)
        || value != (double)(int64_t)value)
        return false;
    *out = (int64_t)value;
    return true;
}

static bool take_json_time(const cJSON *object, const char *name, int64_t *out)
{
    return take_json_integer(object, name, -9007199254740991.0, 9007199254740991.0, out);
}

static bool take_json_uint64(const cJSON *object, const char *name, uint64_t *out)
{
    int64_t value = 0;
    if (!take_json_integer(object, name, 0, 9007199254740991.0, &value))
        return false;
    *out = (uint64_t)value;
    return true;
}

static bool take_json_uint32(const cJSON *object, const char *name, uint32_t *out)
{
    int64_t value = 0;
    if (!take_json_integer(object, name, 0, 4294967295.0, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool take_json_bool(const cJSON *object, const char *name, bool *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsBool(item))
        return false;
    *out = cJSON_IsTrue(item) != 0;
    return true;
}

bool codec_take_loan_json(const cJSON *tree, void *value)
{
    codec_loan *loan = value;
    return take_json_uint64(tree, "loanId", &loan->loan_id)
           && take_json_text(tree, "itemId", loan->item, sizeof(loan->item))
           && take_json_uint32(tree, "memberId", &loan->member_id)
           && take_json_text(tree, "member", loan->member, sizeof(loan->member))
           && take_json_text(tree, "branch", loan->branch, sizeof(loan->branch))
           && take_json_time(tree, "lentAt", &loan->lent_at)
           && take_json_time(tree, "dueAt", &loan->due_at)
           && take_json_real(tree, "fee", &loan->fee)
           && take_json_bool(tree, "renewable", &loan->renewable);
}

static bool take_json_line(const cJSON *tree, codec_line *line)
{
    return take_json_text(tree, "sku", line->sku, sizeof(line->sku))
           && take_json_text(tree, "title", line->title, sizeof(line->title))
           && take_json_uint32(tree, "quantity", &line->quantity)
           && take_json_real(tree, "price", &line->price) && take_json_real(tree, "tax", &line->tax)
           && take_json_uint32(tree, "weight", &line->weight)
           && take_json_bool(tree, "gift", &line->gift);
}

static bool take_json_lines(const cJSON *tree, codec_order *order)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "lines");
    if (!cJSON_IsArray(list))
        return false;
    const cJSON *item;
    order->line_count = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (order->line_count == CODEC_LINES
            || !take_json_line(item, &order->lines[order->line_count]))
            return false;
        order->line_count++;
    }
    return true;
}

bool codec_take_order_json(const cJSON *tree, void *value)
{
    codec_order *order = value;
    const cJSON *note = cJSON_GetObjectItemCaseSensitive(tree, "note");
    order->note = cJSON_IsString(note) ? strdup(note->valuestring) : NULL;
    return take_json_uint64(tree, "orderId", &order->order_id)
           && take_json_uint32(tree, "customerId", &order->customer_id)
           && take_json_time(tree, "placedAt", &order->placed_at)
           && take_json_text(tree, "currency", order->currency, sizeof(order->currency))
           && take_json_real(tree, "total", &order->total)
           && take_json_bool(tree, "express", &order->express) && take_json_lines(tree, order);
}

/* --- Writing --- */

cJSON *codec_make_loan_json(const void *value)
{
    const codec_loan *loan = value;
    cJSON *tree = cJSON_CreateObject();
    bool made = cJSON_AddNumberToObject(tree, "loanId", (double)loan->loan_id) != NULL
                && cJSON_AddStringToObject(tree, "itemId", loan->item) != NULL
                && cJSON_AddNumberToObject(tree, "memberId", loan->member_id) != NULL
                && cJSON_AddStringToObject(tree, "member", loan->member) != NULL
                && cJSON_AddStringToObject(tree, "branch", loan->branch) != NULL
                && cJSON_AddNumberToObject(tree, "lentAt", (double)loan->lent_at) != NULL
                && cJSON_AddNumberToObject(tree, "dueAt", (double)loan->due_at) != NULL
                && cJSON_AddNumberToObject(tree, "fee", loan->fee) != NULL
                && cJSON_AddBoolToObject(tree, "renewable", loan->renewable) != NULL;
    if (made)
        return tree;
    cJSON_Delete(tree);
    return NULL;
}

static bool make_json_line(const codec_line *line, cJSON *tree)
{
    return cJSON_AddStringToObject(tree, "sku", line->sku) != NULL
           && cJSON_AddStringToObject(tree, "title", line->title) != NULL
           && cJSON_AddNumberToObject(tree, "quantity", line->quantity) != NULL
           && cJSON_AddNumberToObject(tree, "price", line->price) != NULL
           && cJSON_AddNumberToObject(tree, "tax", line->tax) != NULL
           && cJSON_AddNumberToObject(tree, "weight", line->weight) != NULL
           && cJSON_AddBoolToObject(tree, "gift", line->gift) != NULL;
}

cJSON *codec_make_order_json(const void *value)
{
    const codec_order *order = value;
    cJSON *tree = cJSON_CreateObject();
    bool made = cJSON_AddNumberToObject(tree, "orderId", (double)order->order_id) != NULL
                && cJSON_AddNumberToObject(tree, "customerId", order->customer_id) != NULL
                && cJSON_AddNumberToObject(tree, "placedAt", (double)order->placed_at) != NULL
                && cJSON_AddStringToObject(tree, "currency", order->currency) != NULL
                && cJSON_AddNumberToObject(tree, "total", order->total) != NULL
                && cJSON_AddBoolToObject(tree, "express", order->express) != NULL
                && cJSON_AddStringToObject(tree, "note", order->note) != NULL;
    cJSON *lines = made ? cJSON_AddArrayToObject(tree, "lines") : NULL;
    made = lines != NULL;
    for (uint32_t i = 0; i < order->line_count && made; i++) {
        cJSON *line = cJSON_CreateObject();
        made = cJSON_AddItemToArray(lines, line) && make_json_line(&order->lines[i], line);
    }
    if (made)
        return tree;
    cJSON_Delete(tree);
    return NULL;
}

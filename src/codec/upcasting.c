/* Running one upcaster, and what it may call. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "codec/decoded.h"

/* Bytes of what a record has become, at any one moment. */
#define UPCAST_SIZE_MAX ((size_t)64 * 1024 * 1024)
/* Ever emitted for a record: as many as there are when every chain is as long as it may be. */
#define UPCAST_EMIT_MAX ((size_t)STELE_UPCAST_PART_MAX * STELE_UPCAST_STEP_MAX)

#define REASON_SIZE_MAX 400

struct stele_upcast {
    stele_decoded *decoded;
    const stele__registry *registry;
    const stele__upcast_step *step;
    const stele__item *input;
    stele__item *first; /* of what was emitted */
    stele__item **last;
    stele_status refused; /* the first emission that failed, or INVALID by stele_upcast_fail() */
    bool gave_reason;     /* the latter */
    char text[STELE__ERROR_SIZE]; /* of that */
};

/* --- What an upcaster calls --- */

/* The record is lost. */
static stele_status refuse_emission(stele_upcast *upcast, stele_status status)
{
    upcast->refused = status;
    stele__keep_error(upcast->text);
    return status;
}

static stele_status repeat_refusal(const stele_upcast *upcast)
{
    stele__restore_error(upcast->text);
    return upcast->refused;
}

/* Which declared output is meant: by its name, by name and version, or because there is one. */
static stele_status find_output(const stele__upcast_step *step, const char *type,
                                int64_t schema_version, const stele__output **output_out)
{
    const stele__output *found = NULL;
    for (size_t i = 0; i < step->output_count; i++) {
        const stele__output *output = &step->outputs[i];
        if ((type != NULL && strcmp(type, output->type) != 0)
            || (schema_version != 0 && schema_version != output->schema_version))
            continue;
        if (found != NULL)
            return stele__fail(STELE_MISUSE,
                               "emitted with its %s left open, but several are declared",
                               type == NULL ? "type" : "schema version");
        found = output;
    }
    if (found == NULL && type != NULL)
        return stele__fail(STELE_INVALID, "emitted " STELE__TYPE_FORMAT ", which isn't declared",
                           type, schema_version);
    if (found == NULL)
        return stele__fail(STELE_INVALID, "emitted something, but nothing such is declared");
    *output_out = found;
    return STELE_OK;
}

/* An item for one more event. It is not among those emitted yet. */
static stele_status begin_emission(stele_upcast *upcast, stele__item **item_out)
{
    stele_decoded *decoded = upcast->decoded;
    /* The input itself will be gone. */
    if (decoded->item_count > STELE_UPCAST_PART_MAX)
        return stele__fail(STELE_TOO_LARGE, "the record becomes more than %d parts",
                           STELE_UPCAST_PART_MAX);
    if (decoded->emitted >= UPCAST_EMIT_MAX)
        return stele__fail(STELE_TOO_LARGE, "more than %zu events were emitted for the record",
                           UPCAST_EMIT_MAX);
    *item_out = stele__item_take(decoded);
    if (*item_out == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a part");
    return STELE_OK;
}

static stele_status check_emitted_size(const stele_upcast *upcast, size_t size)
{
    size_t others = upcast->decoded->byte_count - upcast->input->bytes.size;
    if (size > UPCAST_SIZE_MAX || others > UPCAST_SIZE_MAX - size)
        return stele__fail(STELE_TOO_LARGE, "the record becomes more than %zu bytes",
                           UPCAST_SIZE_MAX);
    return STELE_OK;
}

/* The payload is in the item: check it, put the codec's name behind it, and take it. */
static stele_status end_emission(stele_upcast *upcast, stele__item *item,
                                 const stele__output *output, const char *codec_name)
{
    stele_decoded *decoded = upcast->decoded;
    size_t size = item->bytes.size;
    const stele_codec *codec = stele__codec_find(upcast->registry, codec_name);
    stele_status status = check_emitted_size(upcast, size);
    if (status == STELE_OK)
        status = stele__codec_check(codec, item->bytes.data, size, UPCAST_SIZE_MAX);
    if (status == STELE_OK)
        status = stele__buffer_add(&item->bytes, "", 1);
    if (status == STELE_OK)
        status = stele__buffer_add(&item->bytes, codec_name, strlen(codec_name) + 1);
    if (status != STELE_OK)
        return stele__fail_within(status, "emitted " STELE__TYPE_FORMAT, output->type,
                                  output->schema_version);
    item->part = (stele_part){ .name = output->type,
                               .schema_version = output->schema_version,
                               .codec = item->bytes.data + size + 1,
                               .data = item->bytes.data,
                               .data_size = size };
    item->known = stele__known_find(upcast->registry, output->type, output->schema_version);
    item->step = upcast->input->step + 1;
    *upcast->last = item;
    upcast->last = &item->next;
    decoded->item_count++;
    decoded->byte_count += item->bytes.size;
    decoded->emitted++;
    return STELE_OK;
}

static stele_status emit_bytes(stele_upcast *upcast, const stele_upcast_output *output)
{
    const stele__output *declared = NULL;
    const char *codec = output->codec == NULL ? upcast->input->part.codec : output->codec;
    stele__item *item = NULL;
    stele_status status = output->type == NULL ? STELE_OK : stele__check_name("type", output->type);
    if (status == STELE_OK)
        status = stele__check_name("codec", codec);
    if (status == STELE_OK && output->data == NULL && output->data_size > 0)
        status = stele__fail(STELE_MISUSE, "data is NULL, data_size is %zu", output->data_size);
    if (status == STELE_OK)
        status = find_output(upcast->step, output->type, output->schema_version, &declared);
    if (status == STELE_OK)
        status = check_emitted_size(upcast, output->data_size);
    if (status == STELE_OK)
        status = begin_emission(upcast, &item);
    if (status != STELE_OK)
        return status;
    status = stele__buffer_add(&item->bytes, output->data, output->data_size);
    if (status == STELE_OK)
        status = end_emission(upcast, item, declared, codec);
    if (status != STELE_OK)
        stele__item_give(upcast->decoded, item);
    return status;
}

stele_status stele_upcast_emit(stele_upcast *upcast, const stele_upcast_output *output)
{
    if (upcast == NULL)
        return stele__fail(STELE_MISUSE, "the upcast is NULL");
    if (upcast->refused != STELE_OK)
        return repeat_refusal(upcast);
    stele_status status = output == NULL ? stele__fail(STELE_MISUSE, "the output is NULL")
                                         : emit_bytes(upcast, output);
    return status == STELE_OK ? status : refuse_emission(upcast, status);
}

/* With the plan that was made at registration, if it was. */
static stele_status encode_emitted(const stele_upcast *upcast, const stele_codec *codec,
                                   const stele_type *type, const void *value, stele_buffer *bytes)
{
    const stele__known *known = stele__known_table(upcast->registry, type);
    if (known != NULL)
        return stele__codec_encode(codec, known->plan, value, bytes, NULL);
    return stele_type_encode(type, value, codec, bytes, NULL);
}

static stele_status emit_struct(stele_upcast *upcast, const stele_type *type, const void *value)
{
    const stele__output *declared = NULL;
    stele__item *item = NULL;
    const stele_codec *codec = stele__codec_find(upcast->registry, upcast->input->part.codec);
    if (codec == NULL || codec->encode == NULL)
        codec = stele__codec_to_write(upcast->registry);
    stele_status status = stele__check_name("type", type->name);
    if (status == STELE_OK)
        status = find_output(upcast->step, type->name, type->schema_version, &declared);
    if (status == STELE_OK)
        status = begin_emission(upcast, &item);
    if (status != STELE_OK)
        return status;
    status = encode_emitted(upcast, codec, type, value, &item->bytes);
    if (status == STELE_OK)
        status = end_emission(upcast, item, declared, codec->name);
    else
        status = stele__fail_within(status, "emitted " STELE__TYPE_FORMAT, type->name,
                                    type->schema_version);
    if (status != STELE_OK)
        stele__item_give(upcast->decoded, item);
    return status;
}

stele_status stele_upcast_emit_value(stele_upcast *upcast, const stele_type *type,
                                     const void *value)
{
    if (upcast == NULL)
        return stele__fail(STELE_MISUSE, "the upcast is NULL");
    if (upcast->refused != STELE_OK)
        return repeat_refusal(upcast);
    stele_status status = type == NULL || value == NULL
                              ? stele__fail(STELE_MISUSE, "the type or the value is NULL")
                              : emit_struct(upcast, type, value);
    return status == STELE_OK ? status : refuse_emission(upcast, status);
}

stele_status stele_upcast_fail(stele_upcast *upcast, const char *reason)
{
    if (upcast == NULL)
        return stele__fail(STELE_MISUSE, "the upcast is NULL");
    if (upcast->refused != STELE_OK)
        return repeat_refusal(upcast);
    if (reason == NULL || *reason == '\0')
        reason = "the upcaster gave no reason";
    size_t size = stele__utf8_cut(reason, strnlen(reason, REASON_SIZE_MAX + 1), REASON_SIZE_MAX);
    upcast->gave_reason = true;
    return refuse_emission(upcast, stele__fail(STELE_INVALID, "%.*s", (int)size, reason));
}

/* --- Running one --- */

/* What came of it, all in all. */
static stele_status judge_upcast(const stele_upcast *upcast, stele_status answer)
{
    bool is_failure = answer < 0 && strcmp(stele_status_name(answer), "UNKNOWN") != 0;
    if (upcast->refused != STELE_OK) {
        stele__restore_error(upcast->text);
        return upcast->gave_reason && is_failure ? answer : upcast->refused;
    }
    if (answer == STELE_OK)
        return STELE_OK;
    if (!is_failure)
        return stele__fail(STELE_INVALID, "the upcaster answered %d (%s), which is no failure",
                           (int)answer, stele_status_name(answer));
    if (stele_error_text()[0] == '\0')
        return stele__fail(answer, "the upcaster gave no reason (%s)", stele_status_name(answer));
    return answer;
}

static stele_status call_upcaster(stele_upcast *upcast, const stele_record *record)
{
    const stele__upcast_step *step = upcast->step;
    const stele_part *part = &upcast->input->part;
    stele_upcast_input input = { .record = record,
                                 .type = step->type,
                                 .schema_version = step->schema_version,
                                 .codec = part->codec,
                                 .data = part->data,
                                 .data_size = part->data_size,
                                 .value = part->value };
    const char *outer = stele__callback_begin("an upcaster");
    stele__restore_error("");
    stele_status answer = step->upcast(step->context, &input, upcast);
    stele__callback_end(outer);
    return judge_upcast(upcast, answer);
}

static void drop_emitted(stele_upcast *upcast)
{
    while (upcast->first != NULL) {
        stele__item *item = upcast->first;
        upcast->first = item->next;
        stele__item_give(upcast->decoded, item);
    }
}

stele_status stele__upcast_item(stele_decoded *decoded, const stele__registry *registry,
                                const stele_record *record, stele__item **at)
{
    STELE__UNINITIALIZED stele_upcast upcast;
    stele__item *item = *at;
    stele_status status = STELE_OK;
    upcast.decoded = decoded;
    upcast.registry = registry;
    upcast.step = item->known->step;
    upcast.input = item;
    upcast.first = NULL;
    upcast.last = &upcast.first;
    upcast.refused = STELE_OK;
    upcast.gave_reason = false;
    assert(item->step < STELE_UPCAST_STEP_MAX); /* longer chains aren't registered */

    if (upcast.step->from != NULL)
        status = stele__item_decode(decoded, item, registry, upcast.step->from);
    if (status == STELE_OK)
        status = call_upcaster(&upcast, record);
    if (status != STELE_OK) {
        drop_emitted(&upcast);
        return stele__fail_within(status, "step %" PRIu32 " from " STELE__TYPE_FORMAT,
                                  item->step + 1, upcast.step->type, upcast.step->schema_version);
    }
    *upcast.last = item->next;
    *at = upcast.first != NULL ? upcast.first : item->next;
    decoded->item_count--;
    decoded->byte_count -= item->bytes.size;
    stele__item_give(decoded, item);
    return STELE_OK;
}

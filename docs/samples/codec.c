/*
 * A codec of your own: JSON behind a byte that names the key it is masked with, as a stand-in for
 * encryption or compression. Tables do the rest: what they encode is wrapped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stele.h>

#define KEY_NOW 'b'

/* Masking is its own inverse. A real codec would encrypt here, and know keys by this name. */
static stele_status mask(char key, const char *data, size_t size, stele_buffer *buffer)
{
    stele_status status = STELE_OK;
    for (size_t i = 0; i < size && status == STELE_OK; i++) {
        char masked = (char)(data[i] ^ (key & 0x1f));
        status = stele_buffer_add(buffer, &masked, 1);
    }
    return status;
}

static bool knows_key(char key)
{
    return key == 'a' || key == KEY_NOW;
}

/* Asked before each append, and when a payload is decoded. */
static stele_status check_masked(void *context, const void *data, size_t size)
{
    stele_buffer text = STELE_BUFFER_INIT;
    const char *bytes = data;
    (void)context;
    if (size == 0 || !knows_key(bytes[0]))
        return STELE_INVALID;
    stele_status status = mask(bytes[0], bytes + 1, size - 1, &text);
    if (status == STELE_OK)
        status = stele_json_check(text.data, text.size, NULL);
    stele_buffer_dispose(&text);
    return status;
}

static stele_status encode_masked(void *context, const stele_type *type, const void *value,
                                  stele_buffer *buffer, stele_flaw *flaw_out)
{
    static const char key = KEY_NOW;
    stele_buffer text = STELE_BUFFER_INIT;
    (void)context;
    stele_status status = stele_type_encode(type, value, stele_codec_json(), &text, flaw_out);
    if (status == STELE_OK)
        status = stele_buffer_add(buffer, &key, 1);
    if (status == STELE_OK)
        status = mask(key, text.data, text.size, buffer);
    stele_buffer_dispose(&text);
    return status;
}

static stele_status decode_masked(void *context, const stele_type *type, const void *data,
                                  size_t size, void *value, stele_flaw *flaw_out)
{
    stele_buffer text = STELE_BUFFER_INIT;
    const char *bytes = data;
    (void)context;
    stele_status status = mask(bytes[0], bytes + 1, size - 1, &text);
    if (status == STELE_OK)
        status = stele_type_decode(type, stele_codec_json(), text.data, text.size, value, flaw_out);
    stele_buffer_dispose(&text);
    return status;
}

typedef struct diagnosis {
    char finding[64];
} diagnosis;

static const stele_field diagnosis_fields[] = {
    STELE_F(diagnosis, finding, "finding", STELE_REQUIRED | STELE_SECRET),
};
STELE_TYPE(diagnosis_type, diagnosis, "Diagnosed", 1, diagnosis_fields);

static stele_status set_up(stele_store *store)
{
    stele_codec codec = STELE_CODEC_INIT;
    codec.name = "masked";
    codec.check = check_masked;
    codec.encode = encode_masked;
    codec.decode = decode_masked;
    stele_status status = stele_store_register_codec(store, &codec);
    if (status == STELE_OK)
        status = stele_store_register_type(store, &diagnosis_type);
    if (status == STELE_OK)
        status = stele_store_write_codec(store, "masked"); /* where an event names none */
    return status;
}

static stele_status append_both(stele_store *store)
{
    diagnosis flu = { "flu" };
    stele_typed_event typed[] = {
        { .struct_size = sizeof(stele_typed_event), .type = &diagnosis_type, .value = &flu },
        { .struct_size = sizeof(stele_typed_event),
          .type = &diagnosis_type,
          .value = &flu,
          .codec = "json" },
    };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "patient-3";
    return stele_append_typed(store, &append, typed, 2, NULL);
}

/* Bytes that are no payload of the codec don't get into the log. */
static stele_status append_nonsense(stele_store *store)
{
    stele_event event = { .type = "Diagnosed", .codec = "masked", .data = "flu", .data_size = 3 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "patient-3";
    append.events = &event;
    append.event_count = 1;
    return stele_store_append(store, &append, NULL);
}

static stele_status print_log(stele_store *store)
{
    stele_cursor *cursor = NULL;
    stele_decoded *decoded = NULL;
    const stele_record *record;
    stele_status status = stele_store_read(store, NULL, &cursor);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        bool plain = strstr(record->data, "flu") != NULL;
        status = stele_record_decode(store, record, &decoded);
        if (status == STELE_OK) {
            const diagnosis *value = stele_decoded_part(decoded, 0)->value;
            printf("%s, %s: %s\n", record->codec, plain ? "plain" : "masked", value->finding);
        }
    }
    stele_decoded_close(decoded);
    stele_cursor_close(cursor);
    return status;
}

int main(void)
{
    stele_store *store = NULL;
    stele_status status = stele_store_open(":memory:", NULL, &store);
    if (status == STELE_OK)
        status = set_up(store);
    if (status == STELE_OK)
        status = append_both(store);
    if (status == STELE_OK)
        printf("nonsense: %s\n", stele_status_name(append_nonsense(store)));
    if (status == STELE_OK)
        status = print_log(store);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", stele_status_text(status), stele_error_text());
    stele_store_close(store);
    return status < 0;
}

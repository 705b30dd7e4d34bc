/*
 * The JSON gate: what it lets through is what the grammar allows, and the reader walks over it.
 *
 * Compiled with STELE_FUZZ_CONTROL it has planted bugs, of which the environment chooses one: that
 * they are found shows that others would be.
 */
#include "fuzz.h"
#include "json_choices.h"
#include "json_walk.h"
#include "plain_json.h"

#ifdef STELE_FUZZ_CONTROL
#include <stdbool.h>

static bool holds(const json_input *input, const char *wanted)
{
    size_t size = strlen(wanted);
    for (size_t i = 0; i + size <= input->size; i++) {
        if (memcmp(input->text + i, wanted, size) == 0)
            return true;
    }
    return false;
}

static void plant_bug(const json_input *input)
{
    const char *chosen = getenv("STELE_FUZZ_CONTROL");
    if (chosen == NULL)
        return;
    bool claim = !holds(input, ":-0");
    if (strcmp(chosen, "claim") == 0)
        require(claim);
    if (strcmp(chosen, "overread") == 0 && holds(input, "e+")) {
        const volatile char *after = input->text + input->size - (input->text[0] == '[');
        (void)*after;
    }
    if (strcmp(chosen, "leak") == 0 && holds(input, "[[false")) {
        void *volatile lost = take_memory(input->size);
        lost = NULL;
        (void)lost;
    }
}
#else
#define plant_bug(input) ((void)(input))
#endif

/* Every way to judge a text says the same. */
static stele_status judge(stele_json_reader *reader, const json_input *input)
{
    stele_status judged = stele_json_check(input->text, input->size, &input->options);
    require(judged == plain_json_check(input->text, input->size, &input->options));
    require(walk_json(reader, input) == judged);
    require(stele_json_reader_check(reader, input->text, input->size) == judged);
    return judged;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    json_input input = { .size = size - 2, .options = choose_json_options(data) };
    char *text = copy_bytes(data + 2, input.size);
    input.text = text;

    stele_json_reader *reader = NULL;
    stele_status status = stele_json_open(input.text, input.size, &input.options, &reader);
    if (status == STELE_OK) {
        if (judge(reader, &input) == STELE_OK) {
            for (uint32_t level = 0; level < 3; level++)
                skip_json(reader, &input, level);
            plant_bug(&input);
        }
    } else {
        require(status == STELE_TOO_LARGE && reader == NULL);
        require(input.size > input.options.size_max);
    }
    stele_json_close(reader);
    free(text);
    return 0;
}

/* JSON as a tree: what is parsed prints, and what was printed is parsed as the same. */
#include <cjson/cJSON.h>

#include <stele/buffer.h>
#include <stele/tree.h>

#include "fuzz.h"
#include "json_choices.h"

static stele_buffer print_tree(const cJSON *tree)
{
    stele_buffer printed = STELE_BUFFER_INIT;
    require(stele_tree_print(tree, &printed) == STELE_OK);
    require(stele_json_check(printed.data, printed.size, NULL) == STELE_OK);
    return printed;
}

static void check_tree(const cJSON *tree)
{
    stele_buffer printed = print_tree(tree);
    cJSON *again = NULL;
    stele_flaw flaw;
    require(stele_tree_parse(printed.data, printed.size, NULL, &again, &flaw) == STELE_OK);
    require(cJSON_Compare(tree, again, true));

    stele_buffer printed_again = print_tree(again);
    require(printed_again.size == printed.size);
    require(memcmp(printed_again.data, printed.data, printed.size) == 0);
    cJSON_Delete(again);
    stele_buffer_dispose(&printed_again);
    stele_buffer_dispose(&printed);
}

/* Of the depths that a tree may have, those that printing allows. */
static stele_json_options choose_tree_options(const uint8_t bytes[2])
{
    stele_json_options options = choose_json_options(bytes);
    if (options.depth_max > 64)
        options.depth_max = 64;
    return options;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    stele_json_options options = choose_tree_options(data);
    size_t text_size = size - 2;
    char *text = copy_bytes(data + 2, text_size);
    stele_status judged = stele_json_check(text, text_size, &options);

    cJSON *tree = NULL;
    stele_flaw flaw;
    stele_status status = stele_tree_parse(text, text_size, &options, &tree, &flaw);
    require((tree != NULL) == (status == STELE_OK));
    require(status == judged || (judged == STELE_OK && status == STELE_PRECISION));
    if (status == STELE_PRECISION || status == STELE_INVALID)
        require(flaw.offset <= text_size && memchr(flaw.path, '\0', sizeof(flaw.path)) != NULL);
    if (tree != NULL)
        check_tree(tree);
    cJSON_Delete(tree);
    free(text);
    return 0;
}

#include "subverb.h"

#include <stdio.h>
#include <string.h>

#include "help.h"
#include "options.h"

const char *second_word(const command *group, const command *verb)
{
    return verb->name + strlen(group->name) + 1; /* behind the blank */
}

const command *find_subverb(const command *group, const char *word)
{
    for (const command *verb = group->words; verb->name != NULL; verb++)
        if (strcmp(second_word(group, verb), word) == 0)
            return verb;
    return NULL;
}

void add_second_words(buffer *to, const command *group)
{
    for (const command *verb = group->words; verb->name != NULL; verb++)
        buffer_format(to, "%s%s", verb == group->words ? "" : " ", second_word(group, verb));
}

void print_group_help(const command *group)
{
    buffer usage = { 0 };
    for (const command *verb = group->words; verb->name != NULL; verb++)
        add_synopsis(&usage, verb, verb == group->words ? "usage: " : "       ");
    printf("%s\n%s: %s.\n\n", usage.bytes, group->name, group->what);
    buffer_dispose(&usage);
    for (const command *verb = group->words; verb->name != NULL; verb++)
        print_verb_line(verb->name, verb->what);
    printf("\nstele %s WORD --help explains one, with examples.\n", group->name);
}

void report_wrong_subverb(const command *group, const char *word)
{
    buffer words = { 0 };
    buffer kind = { 0 };
    add_second_words(&words, group);
    buffer_format(&kind, "word after %s:", group->name);
    if (word != NULL) {
        report_unknown(kind.bytes, word, words.bytes);
    } else {
        report_error("%s needs one of the words %s", group->name, words.bytes);
        report_hint("stele %s --help", group->name);
    }
    buffer_dispose(&kind);
    buffer_dispose(&words);
}

#include "options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "subverb.h"
#include "suggest.h"

#define COMMON_OPTIONS_MAX 8
#define OPTIONS_MAX        (COMMON_OPTIONS_MAX + COMMAND_OPTIONS_MAX)
#define LONG_OPTION_BASE   256 /* getopt's number for option i; letters and 1 are below */

/* What getopt_long() reads by, and the options by their numbers. */
typedef struct option_tables {
    const option_spec *specs[OPTIONS_MAX];
    size_t count;
    struct option longs[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 3];
} option_tables;

/* --- finding the verb --- */

static void hint_at_help(const tool *of)
{
    if (of->verb != NULL)
        report_hint("stele %s --help", of->verb->name);
    else if (of->group != NULL)
        report_hint("stele %s --help", of->group->name);
    else
        report_hint("stele --help lists what there is");
}

/* The common option that `argument` is, maybe shortened as getopt_long() allows; NULL when none. */
static const option_spec *find_common(const char *argument)
{
    bool is_long = argument[1] == '-';
    size_t size = strcspn(argument, "=");
    for (const option_spec *spec = common_options; spec->name != NULL; spec++) {
        if (is_long ? strncmp(argument + 2, spec->name, size - 2) == 0
                    : argument[1] == spec->letter)
            return spec;
    }
    return NULL;
}

/* The index of a word of the verb: of the first argument from `from` on that is no option. `argc`
 * when there is none, or when an option before it is none that goes there. */
static int find_word(int argc, char **argv, int from)
{
    for (int i = from; i < argc; i++) {
        const char *argument = argv[i];
        if (argument[0] != '-' || argument[1] == '\0')
            return i;
        if (strcmp(argument, "--") == 0)
            return i + 1;
        const option_spec *spec = find_common(argument);
        if (spec == NULL)
            return argc;
        bool is_long = argument[1] == '-';
        bool has_value = is_long ? strchr(argument, '=') != NULL : argument[2] != '\0';
        if (spec->value != NULL && !has_value)
            i++;
    }
    return argc;
}

void report_unknown(const char *kind, const char *name, const char *choices)
{
    report_error("unknown %s '%s'", kind, name);
    char meant[64];
    if (suggest_word(name, choices, meant, sizeof(meant)))
        report_hint("did you mean '%s'?", meant);
    else
        report_hint("there is: %s", choices);
}

void report_unknown_verb(const char *name)
{
    buffer verbs = { 0 };
    for (const command *verb = next_command(NULL); verb != NULL; verb = next_command(verb))
        buffer_format(&verbs, "%s%s", verbs.size > 0 ? " " : "", verb->name);
    report_unknown("verb", name, verbs.bytes);
    buffer_dispose(&verbs);
}

/* --- reading the options --- */

static void add_spec(option_tables *tables, const option_spec *spec)
{
    size_t index = tables->count++;
    tables->specs[index] = spec;
    tables->longs[index] = (struct option){
        .name = spec->name,
        .has_arg = spec->value != NULL ? required_argument : no_argument,
        .val = LONG_OPTION_BASE + (int)index,
    };
    if (spec->letter != '\0') {
        char letter[3] = { spec->letter, spec->value != NULL ? ':' : '\0', '\0' };
        strncat(tables->letters, letter, sizeof(tables->letters) - strlen(tables->letters) - 1);
    }
}

static void make_tables(option_tables *tables, const command *verb)
{
    *tables = (option_tables){ 0 };
    /* In order, operands as they come, and quietly: the order is the same under POSIXLY_CORRECT. */
    memcpy(tables->letters, "-:", 3);
    for (const option_spec *spec = common_options; spec->name != NULL; spec++)
        add_spec(tables, spec);
    for (size_t i = 0; verb != NULL && i < COMMAND_OPTIONS_MAX; i++) {
        if (verb->options[i].name != NULL)
            add_spec(tables, &verb->options[i]);
    }
}

static const option_spec *spec_of(const option_tables *tables, int number)
{
    if (number >= LONG_OPTION_BASE)
        return tables->specs[number - LONG_OPTION_BASE];
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->specs[i]->letter == number && number != 0)
            return tables->specs[i];
    }
    return NULL;
}

static void report_unknown_option(const tool *of, const option_tables *tables, const char *argument)
{
    if (strncmp(argument, "--", 2) != 0) {
        report_error("unknown option '-%c'", optopt);
        hint_at_help(of);
        return;
    }
    buffer names = { 0 };
    for (size_t i = 0; i < tables->count; i++) {
        if (!tables->specs[i]->hidden)
            buffer_format(&names, "%s--%s", names.size > 0 ? " " : "", tables->specs[i]->name);
    }
    char name[64];
    size_t size = strcspn(argument, "=");
    size = size < sizeof(name) ? size : sizeof(name) - 1;
    memcpy(name, argument, size);
    name[size] = '\0';
    char meant[64];
    report_error("unknown option '%s'", name);
    if (suggest_word(name, names.bytes, meant, sizeof(meant)))
        report_hint("did you mean '%s'?", meant);
    else
        hint_at_help(of);
    buffer_dispose(&names);
}

/* What getopt_long() could not read: `argument` is the one it stopped at. */
static void report_wrong_option(const tool *of, const option_tables *tables, int result,
                                const char *argument)
{
    const option_spec *spec = optopt != 0 ? spec_of(tables, optopt) : NULL;
    if (spec == NULL) {
        report_unknown_option(of, tables, argument);
        return;
    }
    if (result == ':')
        report_error("--%s needs a value: %s", spec->name, spec->value);
    else
        report_error("--%s takes no value", spec->name);
    hint_at_help(of);
}

static bool is_choice(const char *choices, const char *value)
{
    size_t size = strlen(value);
    for (const char *word = choices; *word != '\0';) {
        size_t word_size = strcspn(word, " ");
        if (word_size == size && memcmp(word, value, size) == 0)
            return true;
        word += word_size;
        word += strspn(word, " ");
    }
    return false;
}

static void set_format(tool *of, const char *name)
{
    of->format_given = true;
    if (strcmp(name, "table") == 0)
        of->out.format = OUTPUT_TABLE;
    else if (strcmp(name, "plain") == 0)
        of->out.format = OUTPUT_PLAIN;
    else if (strcmp(name, "json") == 0)
        of->out.format = OUTPUT_JSON;
    else
        of->out.format = OUTPUT_JSONL;
}

static bool take_option(tool *of, const option_spec *spec, const char *value)
{
    if (value != NULL && spec->choices != NULL && !spec->open && !is_choice(spec->choices, value)) {
        buffer kind = { 0 };
        buffer_format(&kind, "value of --%s", spec->name);
        report_unknown(kind.bytes, value, spec->choices);
        buffer_dispose(&kind);
        return false;
    }
    if (strcmp(spec->name, "store") == 0)
        of->store_path = value;
    else if (strcmp(spec->name, "org") == 0)
        of->organisation = value;
    else if (strcmp(spec->name, "ns") == 0)
        of->name_space = value;
    else if (strcmp(spec->name, "output") == 0 && value != NULL)
        set_format(of, value);
    else if (strcmp(spec->name, "immutable") == 0)
        of->immutable = true;

    of->given = grow(of->given, &of->given_capacity, of->given_count + 1, sizeof(given_option));
    of->given[of->given_count++] = (given_option){ spec, value };
    return true;
}

static void take_operand(tool *of, const char *operand)
{
    of->operands =
        grow(of->operands, &of->operand_capacity, of->operand_count + 1, sizeof(const char *));
    of->operands[of->operand_count++] = operand;
}

static bool was_given(const tool *of, const char *name)
{
    for (size_t i = 0; i < of->given_count; i++) {
        if (strcmp(of->given[i].spec->name, name) == 0)
            return true;
    }
    return false;
}

static bool check_operands(const tool *of)
{
    const command *verb = of->verb;
    if (of->operand_count > verb->operand_max) {
        report_error("unexpected argument '%s'", of->operands[verb->operand_max]);
        hint_at_help(of);
        return false;
    }
    if (of->operand_count < verb->operand_min) {
        report_error("%s needs %s", verb->name, verb->forms[0]);
        hint_at_help(of);
        return false;
    }
    return true;
}

/* A verb of two forms takes the second when its first operand is the word of that form. */
static bool check_forms(const tool *of)
{
    const command *verb = of->verb;
    if (verb->forms[1] == NULL)
        return true;
    bool second = strcmp(of->operands[0], verb->forms[1]) == 0;
    for (size_t i = 0; i < of->given_count; i++) {
        const option_spec *spec = of->given[i].spec;
        if (spec->forms == 0 || (spec->forms & (second ? 2u : 1u)) != 0)
            continue;
        report_error("--%s is for '%s %s' only", spec->name, verb->name,
                     verb->forms[second ? 0 : 1]);
        hint_at_help(of);
        return false;
    }
    return true;
}

/* Of the options of one group at most one may be there. */
static bool check_groups(const tool *of)
{
    for (size_t i = 0; i < of->given_count; i++) {
        const option_spec *one = of->given[i].spec;
        for (size_t j = 0; one->group != 0 && j < i; j++) {
            const option_spec *other = of->given[j].spec;
            if (other == one || other->group != one->group)
                continue;
            report_error("--%s and --%s exclude each other", other->name, one->name);
            hint_at_help(of);
            return false;
        }
    }
    return true;
}

/* Where the words of the verb are among the arguments; `argc` for none. */
typedef struct verb_place {
    int first;
    int second;
} verb_place;

/* Read all arguments but the words of the verb. @return False when one was refused. */
static bool read_arguments(tool *of, int argc, char **argv, verb_place place)
{
    const char *first = place.first < argc ? argv[place.first] : NULL;
    const char *second = place.second < argc ? argv[place.second] : NULL;
    option_tables tables;
    make_tables(&tables, of->verb);
    opterr = 0;
    for (;;) {
        int at = optind;
        int result = getopt_long(argc, argv, tables.letters, tables.longs, NULL);
        if (result == -1)
            break;
        if (result == ':' || result == '?') {
            report_wrong_option(of, &tables, result, argv[at < argc ? at : argc - 1]);
            return false;
        }
        if (result != 1) {
            if (!take_option(of, spec_of(&tables, result), optarg))
                return false;
        } else if (optarg != first && optarg != second) {
            take_operand(of, optarg);
        }
    }
    for (; optind < argc; optind++) { /* what is after two dashes */
        if (argv[optind] != first && argv[optind] != second)
            take_operand(of, argv[optind]);
    }
    return true;
}

/* Find the verb, or the group without a word behind. @return False when there is none such, which
 * was reported. */
static bool choose_verb(tool *of, int argc, char **argv, verb_place *place_out)
{
    *place_out = (verb_place){ find_word(argc, argv, 1), argc };
    if (place_out->first >= argc)
        return true;
    const char *name = argv[place_out->first];
    of->verb = find_command(name);
    if (of->verb == NULL) {
        report_unknown_verb(name);
        return false;
    }
    if (of->verb->words == NULL)
        return true;
    of->group = of->verb;
    of->verb = NULL;
    place_out->second = find_word(argc, argv, place_out->first + 1);
    if (place_out->second >= argc)
        return true;
    of->verb = find_subverb(of->group, argv[place_out->second]);
    if (of->verb == NULL)
        report_wrong_subverb(of->group, argv[place_out->second]);
    return of->verb != NULL;
}

parse_result parse_command_line(tool *of, int argc, char **argv)
{
    verb_place place;
    if (!choose_verb(of, argc, argv, &place) || !read_arguments(of, argc, argv, place))
        return PARSE_WRONG;
    if (was_given(of, "help"))
        return PARSE_HELP;
    if (was_given(of, "version"))
        return PARSE_VERSION;
    if (of->verb == NULL && of->group != NULL) {
        report_wrong_subverb(of->group, NULL);
        return PARSE_WRONG;
    }
    if (of->verb == NULL) {
        report_error("no verb given");
        hint_at_help(of);
        return PARSE_WRONG;
    }
    return check_operands(of) && check_forms(of) && check_groups(of) ? PARSE_RUN : PARSE_WRONG;
}

/* --- asking for options --- */

/* For asserts alone. */
static inline bool is_known(const tool *of, const char *name)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        const char *known = of->verb->options[i].name;
        if (known != NULL && strcmp(known, name) == 0)
            return true;
    }
    return false;
}

const char *option_text(const tool *of, const char *name)
{
    assert(is_known(of, name));
    const char *value = NULL;
    for (size_t i = 0; i < of->given_count; i++) {
        if (strcmp(of->given[i].spec->name, name) == 0)
            value = of->given[i].value;
    }
    return value;
}

bool option_given(const tool *of, const char *name)
{
    assert(is_known(of, name));
    return was_given(of, name);
}

bool option_number(const tool *of, const char *name, int64_t least, int64_t most,
                   int64_t *value_out)
{
    const char *text = option_text(of, name);
    if (text == NULL)
        return true;
    errno = 0;
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    bool is_number = (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) && *end == '\0';
    if (is_number && errno == 0 && value >= least && value <= most) {
        *value_out = value;
        return true;
    }
    if (!is_number)
        report_error("--%s takes a number, not '%s'", name, text);
    else if (most == INT64_MAX)
        report_error("--%s takes a number from %lld, not %s", name, (long long)least, text);
    else
        report_error("--%s takes a number from %lld to %lld, not %s", name, (long long)least,
                     (long long)most, text);
    hint_at_help(of);
    return false;
}

/* Digits, and the letter of a unit. False when it isn't so, or too long ago to be counted. */
static bool parse_age(const char *text, int64_t *age_us_out)
{
    static const char letters[] = "smhd";
    static const int64_t seconds[] = { 1, 60, 3600, 86400 };
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    long long number = strtoll(text, &end, 10);
    const char *letter = *end == '\0' ? NULL : strchr(letters, *end);
    if (errno != 0 || letter == NULL || end[1] != '\0' || number < 1)
        return false;
    int64_t unit_us = seconds[letter - letters] * 1000000;
    if (number > INT64_MAX / unit_us)
        return false;
    *age_us_out = number * unit_us;
    return true;
}

bool option_age(const tool *of, const char *name, int64_t *age_us_out)
{
    const char *text = option_text(of, name);
    if (text == NULL || parse_age(text, age_us_out))
        return true;
    report_error("--%s %s is no length of time", name, text);
    report_hint("such as 30d, 12h, 90m or 10s");
    return false;
}

size_t option_list(const tool *of, const char *name, const char **values_out)
{
    assert(is_known(of, name));
    size_t count = 0;
    for (size_t i = 0; i < of->given_count; i++) {
        if (strcmp(of->given[i].spec->name, name) == 0)
            values_out[count++] = of->given[i].value;
    }
    return count;
}

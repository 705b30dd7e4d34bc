/* Names and the files that stand for them: nothing leaves the root, and no two names share one. */
#include "effort.h"
#include "shard_marks.h"
#include "shard_resources.h"

#include "shard/shard.h"

#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Names that were thought of --- */

static const char *const hostile[] = {
    ".",
    "..",
    "...",
    "/",
    "//",
    "../..",
    "../../etc/passwd",
    "a/../../b",
    "\\",
    "..\\..",
    "a\\b",
    "C:",
    "C:\\a",
    "c:a",
    "~",
    "~root",
    "$HOME",
    "`id`",
    "a;b",
    "a|b",
    "a b",
    " ",
    " a",
    "a ",
    "\t",
    "\n",
    "\r\n",
    "a\nb",
    "\x01",
    "\x1b[31m",
    "\x7f",
    "-",
    "--",
    "-rf",
    "*",
    "?",
    "a*",
    "[a]",
    "{a}",
    "%",
    "%%",
    "%25",
    "%2e%2e",
    "%2F",
    "%2f",
    "%00",
    "%c3%a9",
    "%%0",
    ".a",
    "a.",
    ".a.",
    "a..b",
    "_",
    "__",
    "con",
    "CON",
    "Con",
    "con.",
    "con.txt",
    "con.tar.gz",
    "aux",
    "prn",
    "nul",
    "com1",
    "COM1",
    "com9.x",
    "com0",
    "lpt1",
    "lpt9",
    "conx",
    "xcon",
    "a.con",
    "con ",
    ".db",
    "a.db",
    "a.db-wal",
    "a.db-shm",
    "a.db-lock",
    "a.db-anchor",
    "a.db-journal",
    "a",
    "A",
    "main.name",
    "main.moved",
    "main.arriving",
    ".lock",
    ".name",
    ".new-0000000000000000",
    ".new-0000000000000000.db",
    ".trash",
    "main",
    "MAIN",
    "Main",
    "maIn",
    "straße",
    "STRASSE",
    "strasse",
    "ß",
    "ẞ",
    "ss",
    "SS",
    "ı",
    "i",
    "I",
    "İ",
    "K",
    "k",
    "K",
    "Å",
    "Å",
    "Å",
    "é",
    "é",
    "ﬁ",
    "fi",
    "Ω",
    "Ω",
    "ﷺ",
    "\xef\xbb\xbf",
    ("\xef\xbb\xbf"
     "a"),
    "\xe2\x80\xae",
    "‍",
    "a‍b",
    "\xf0\x9f\x92\xa9",
    "\xf4\x8f\xbf\xbf",
    "\xef\xbf\xbf",
    "\xed\x9f\xbf",
    "0",
    "00",
    "1",
    "-1",
    "a-b",
    "a_b",
    "desktop.ini",
    "thumbs.db",
    "icon\r",
    "a:b",
    "a::$DATA",
    "a<b",
    "a>b",
    "a\"b",
    "clock$",
    "$mft",
};
#define HOSTILE_COUNT (sizeof(hostile) / sizeof(hostile[0]))

static void check_component(const char *name, bool organisation)
{
    stele__component component;
    char back[STELE_SHARD_NAME_MAX + 1];
    bool hashed = false;
    stele__component_encode(name, organisation, 0, &component);
    size_t size = strlen(component.text);
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_le(size, STELE__COMPONENT_MAX);
    ck_assert_uint_eq(strspn(component.text, "abcdefghijklmnopqrstuvwxyz0123456789-_.%"), size);
    ck_assert_msg(component.text[0] != '.' && component.text[size - 1] != '.', "'%s'",
                  component.text);
    ck_assert_msg(stele__component_decode(component.text, organisation, &hashed, back),
                  "'%s' of '%s' isn't decoded", component.text, name);
    ck_assert_int_eq(hashed, component.hashed);
    if (!hashed)
        ck_assert_str_eq(back, name);
}

START_TEST(what_is_encoded_is_decoded_to_the_same)
{
    for (size_t i = 0; i < HOSTILE_COUNT; i++) {
        check_component(hostile[i], false);
        check_component(hostile[i], true);
    }
    check_component("", true);
}
END_TEST

/* Everything in `folder` and below it, sorted: to see that nothing was put beside. */
static void list_tree(const char *folder, char *out, size_t capacity)
{
    char command[1024];
    snprintf(command, sizeof(command), "cd '%s' && find . | LC_ALL=C sort", folder);
    FILE *listing = popen(command, "r");
    ck_assert_ptr_nonnull(listing);
    size_t size = fread(out, 1, capacity - 1, listing);
    out[size] = '\0';
    pclose(listing);
}

static int count_times(size_t index)
{
    int times = 0;
    for (size_t i = 0; i < HOSTILE_COUNT; i++)
        times += strcmp(hostile[i], hostile[index]) == 0;
    return times;
}

START_TEST(hostile_names_stay_below_the_root_and_apart)
{
    static char outside[20000], outside_after[20000];
    ck_assert_int_eq(mkdir(test_path("inner"), 0700), 0);
    list_tree(test_folder(), outside, sizeof(outside));
    stele_shards *shards = NULL;
    expect_fine(stele_shards_open(test_path("inner/root"), NULL, &shards));
    for (size_t i = 0; i < HOSTILE_COUNT; i++) {
        mark_shard(shards, "acme", hostile[i]);
        if (i % 4 == 0)
            mark_shard(shards, hostile[i], "main");
    }

    for (size_t i = 0; i < HOSTILE_COUNT; i++) {
        expect_mark(shards, "acme", hostile[i], count_times(i));
        if (i % 4 == 0)
            expect_mark(shards, hostile[i], "main", 1);
    }
    stele_shards_close(shards);

    /* Out of sight for a moment: nothing was left beside the root. */
    ck_assert_int_eq(access(test_path("inner/root"), F_OK), 0);
    char away[1200];
    snprintf(away, sizeof(away), "%s-away", test_folder());
    ck_assert_int_eq(rename(test_path("inner/root"), away), 0);
    list_tree(test_folder(), outside_after, sizeof(outside_after));
    ck_assert_int_eq(rename(away, test_path("inner/root")), 0);
    ck_assert_str_eq(outside_after, outside);
}
END_TEST

static const char *const strays[] = {
    "",
    ".",
    "..",
    "a.",
    ".a",
    "A",
    "aB",
    "%",
    "%2",
    "%2F",
    "%2g",
    "%00",
    "a%00",
    "%61",
    "%2d",
    "%5f",
    "a b",
    "a/b",
    "a~",
    "%ff",
    "%c3",
    "%c0%80",
    "con",
    "nul.txt",
    "com1",

    "con.",
    "a%2eb",
    "a%2e%2eb",
    "%%",
    "%%0",
    "a%%0",
    "\xc3\xa9",
    "%ED%A0%80",
    "%ed%a0%80",
    "a%%0123456789abcdef0123456789abcde",
    "a%%0123456789abcdef0123456789abcdeF",
    "a%%0123456789abcdef0123456789abcdef0",
    "a%%0123456789abcdef0123456789abcdef%%",
    "a%%0123456789abcdef0123456789abcdef%%0",
    "a%%0123456789abcdef0123456789abcdef%%01",
    "a%%0123456789abcdef0123456789abcdef%%100",
    "a%%0123456789abcdef0123456789abcdef%%-1",
    "a%2%%0123456789abcdef0123456789abcdef",
};

START_TEST(what_was_not_encoded_stands_for_no_name)
{
    char name[STELE_SHARD_NAME_MAX + 1];
    bool hashed = false;
    for (size_t i = 0; i < sizeof(strays) / sizeof(strays[0]); i++)
        if (strcmp(strays[i], "%5f") != 0)
            for (int organisation = 0; organisation < 2; organisation++)
                ck_assert_msg(!stele__component_decode(strays[i], organisation != 0, &hashed, name)
                                  && !hashed,
                              "'%s' stands for '%s'", strays[i], name);
    ck_assert(!stele__component_decode("%5f", false, &hashed, name));
    ck_assert(stele__component_decode("%5f", true, &hashed, name));
    ck_assert_str_eq(name, "_");
    ck_assert(stele__component_decode("_", true, &hashed, name));
    ck_assert_str_eq(name, "");
    ck_assert(stele__component_decode("_", false, &hashed, name));
    ck_assert_str_eq(name, "_");
    ck_assert(
        stele__component_decode("a%%0123456789abcdef0123456789abcdef%%99", false, &hashed, name));
    ck_assert(hashed);
}
END_TEST

/* --- Names by chance --- */

static size_t add_code_point(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

static uint32_t choose_code_point(void)
{
    static const char likely[] = "aAbB._-%/\\ 0e";
    switch (next_chance() % 8) {
    case 0:
    case 1:
    case 2:
    case 3: return (uint32_t)likely[next_chance() % (sizeof(likely) - 1)];
    case 4: return 1 + (uint32_t)(next_chance() % 0x7f);
    case 5: return 0x80 + (uint32_t)(next_chance() % 0x780);
    case 6: return 0x300 + (uint32_t)(next_chance() % 0x70); /* combining marks */
    default: break;
    }
    uint32_t code = 0x800 + (uint32_t)(next_chance() % (0x110000 - 0x800));
    return code >= 0xd800 && code < 0xe000 ? 0xfffd : code;
}

/* Not empty. Long ones, too, some with a long beginning in common. */
static void choose_name(char out[STELE_SHARD_NAME_MAX + 1])
{
    size_t size = 0;
    size_t limit = one_in(4) ? STELE_SHARD_NAME_MAX - 4 : 1 + next_chance() % 12;
    if (one_in(6)) {
        size = 60 + next_chance() % 60;
        memset(out, 'p', size);
        limit = size + next_chance() % 20;
    }
    do {
        size += add_code_point(out + size, choose_code_point());
    } while (size < limit);
    out[size] = '\0';
    if (one_in(10)) {
        const char *some = hostile[next_chance() % HOSTILE_COUNT];
        memcpy(out, some, strnlen(some, STELE_SHARD_NAME_MAX) + 1);
    }
}

typedef struct encoded {
    char text[STELE__COMPONENT_MAX + 1];
    char name[STELE_SHARD_NAME_MAX + 1];
} encoded;

static int compare_encoded(const void *left, const void *right)
{
    return strcasecmp(((const encoded *)left)->text, ((const encoded *)right)->text);
}

START_TEST(no_two_names_by_chance_share_a_component)
{
    uint64_t seed = choose_seed();
    size_t count = (size_t)effort_of(30000, 1000000);
    size_t hashed = 0, distinct = 1;
    encoded *all = calloc(count, sizeof(*all));
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < count; i++) {
        stele__component component;
        choose_name(all[i].name);
        expect_fine(stele__check_namespace(all[i].name));
        check_component(all[i].name, true);
        check_component(all[i].name, false);
        stele__component_encode(all[i].name, false, 0, &component);
        memcpy(all[i].text, component.text, sizeof(component.text));
        hashed += component.hashed;
    }
    qsort(all, count, sizeof(*all), compare_encoded);
    for (size_t i = 1; i < count; i++) {
        bool same = strcasecmp(all[i - 1].text, all[i].text) == 0;
        ck_assert_msg(!same || strcmp(all[i - 1].name, all[i].name) == 0,
                      "seed %" PRIu64 ": '%s' and '%s' share '%s'", seed, all[i - 1].name,
                      all[i].name, all[i].text);
        distinct += !same;
    }
    free(all);
    printf("# names by chance: seed %" PRIu64 ", %zu names, %zu distinct, %zu of all hashed\n",
           seed, count, distinct, hashed);
    ck_assert_uint_gt(hashed, count / 20);
    ck_assert_uint_gt(distinct, count / 4);
}
END_TEST

/* The control: without escapes for capitals, twins by case meet. */
START_TEST(an_encoding_that_keeps_capitals_would_be_found_out)
{
    encoded twins[2] = { { "Main", "Main" }, { "main", "main" } };

    ck_assert_int_eq(compare_encoded(&twins[0], &twins[1]), 0);
    ck_assert_str_ne(twins[0].name, twins[1].name);
}
END_TEST

START_TEST(components_by_chance_are_names_or_strays)
{
    static const char bytes[] = "ab%%%%2fe059._-AF\xc3\xa9";
    uint64_t seed = choose_seed();
    int count = effort_of(300000, 20000000);
    int names = 0;
    for (int i = 0; i < count; i++) {
        char text[24], name[STELE_SHARD_NAME_MAX + 1];
        stele__component again;
        bool hashed = false;
        bool organisation = one_in(2);
        size_t size = next_chance() % 12;
        for (size_t j = 0; j < size; j++)
            text[j] = bytes[next_chance() % (sizeof(bytes) - 1)];
        text[size] = '\0';
        if (!stele__component_decode(text, organisation, &hashed, name))
            continue;
        ck_assert(!hashed);
        stele__component_encode(name, organisation, 0, &again);
        ck_assert_msg(strcmp(again.text, text) == 0, "seed %" PRIu64 ": '%s' is '%s', that '%s'",
                      seed, text, name, again.text);
        names++;
    }
    printf("# components by chance: seed %" PRIu64 ", %d, of which %d names\n", seed, count, names);
    ck_assert_int_gt(names, count / 100);
}
END_TEST

/* On a real disk, and in several lives. */
START_TEST(shards_by_chance_stay_apart)
{
    enum { ROUNDS_MAX = 2000 };
    uint64_t seed = choose_seed();
    int count = effort_is_long() ? ROUNDS_MAX : 50;
    static char names[ROUNDS_MAX][2][STELE_SHARD_NAME_MAX + 1];
    stele_shards *shards = open_root(0);
    for (int i = 0; i < count; i++) {
        choose_name(names[i][0]);
        choose_name(names[i][1]);
        if (one_in(8))
            names[i][0][0] = '\0';
        mark_shard(shards, names[i][0], names[i][1]);
    }
    stele_shards_close(shards);

    shards = open_root(3);
    for (int i = 0; i < count; i++) {
        int times = 0;
        for (int j = 0; j < count; j++)
            times += strcmp(names[j][0], names[i][0]) == 0 && strcmp(names[j][1], names[i][1]) == 0;
        expect_mark(shards, names[i][0], names[i][1], times);
    }
    ck_assert_uint_eq(describe(shards).created, 0);
    stele_shards_close(shards);
    printf("# shards by chance: seed %" PRIu64 ", %d\n", seed, count);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("shards_names");
    TCase *names = tcase_create("names");
    tcase_set_timeout(names, 600);
    tcase_add_checked_fixture(names, set_up, tear_down);
    tcase_add_test(names, what_is_encoded_is_decoded_to_the_same);
    tcase_add_test(names, what_was_not_encoded_stands_for_no_name);
    tcase_add_test(names, hostile_names_stay_below_the_root_and_apart);
    tcase_add_test(names, no_two_names_by_chance_share_a_component);
    tcase_add_test(names, an_encoding_that_keeps_capitals_would_be_found_out);
    tcase_add_test(names, components_by_chance_are_names_or_strays);
    tcase_add_test(names, shards_by_chance_stay_apart);
    suite_add_tcase(suite, names);
    return run_suite(suite);
}

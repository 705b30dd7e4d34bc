#define _XOPEN_SOURCE 700 /* nftw, mkdtemp, realpath */

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPEN_FOLDERS_MAX 16
#define SUITES_MAX       16
#define TOTALS           "# stele-tests "

/* A path handed out by test_path() or test_program(): one for each name, kept until removed. */
typedef struct named_path {
    struct named_path *next;
    char *name;
    char *path;
} named_path;

/* Guards everything below; a test may ask for paths from any thread. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];      /* Of this program; tests' folders are made inside. */
static char skip_file[PATH_MAX]; /* One line a skip. */
static char folder[PATH_MAX];    /* Of the running test, or empty. */
static pid_t folder_owner;       /* Who made it: a child must not remove its parent's. */
static named_path *paths;
static named_path *programs;

/* tcase_create() reads the variable, so it must be set before main() builds its suite. */
__attribute__((constructor)) static void raise_default_timeout(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "120", 0);
}

static void give_up(const char *what, const char *name)
{
    fprintf(stderr, "tests/support: %s '%s': %s\n", what, name, strerror(errno));
    exit(EXIT_FAILURE);
}

static void *must_allocate(void *memory)
{
    if (memory == NULL)
        give_up("can't allocate for", "a path");
    return memory;
}

static void join(char *joined, size_t size, const char *parent, const char *name)
{
    int length = snprintf(joined, size, "%s/%s", parent, name);
    if (length < 0 || (size_t)length >= size) {
        errno = ENAMETOOLONG;
        give_up("can't name", name);
    }
}

static int make_removable(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)place;
    if (kind == FTW_D || kind == FTW_DNR)
        (void)chmod(path, 0700);
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

/* Tests leave folders without write permission too. */
static void remove_tree(const char *path)
{
    nftw(path, make_removable, OPEN_FOLDERS_MAX, FTW_PHYS);
    if (nftw(path, remove_entry, OPEN_FOLDERS_MAX, FTW_PHYS | FTW_DEPTH) != 0)
        fprintf(stderr, "tests/support: can't remove '%s': %s\n", path, strerror(errno));
}

static void make_root(void)
{
    if (root[0] != '\0')
        return;
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    char resolved[PATH_MAX];
    if (realpath(parent, resolved) == NULL)
        give_up("can't resolve", parent);
    join(root, sizeof(root), resolved, "stele-test-XXXXXX");
    if (mkdtemp(root) == NULL)
        give_up("can't create", root);
}

static void choose_skip_file(void)
{
    const char *given = getenv("STELE_SKIP_FILE");
    if (given != NULL && given[0] != '\0') {
        if (strlen(given) >= sizeof(skip_file))
            give_up("can't use", given);
        memcpy(skip_file, given, strlen(given) + 1);
    } else {
        join(skip_file, sizeof(skip_file), root, "skips");
    }
}

/* A skipped test returns like a passed one, so Check can't tell: count the lines it left. */
static int count_skips(void)
{
    FILE *file = fopen(skip_file, "r");
    if (file == NULL)
        return 0;
    int count = 0;
    for (int byte = getc(file); byte != EOF; byte = getc(file))
        count += byte == '\n';
    fclose(file);
    return count;
}

static void forget_paths(named_path **list)
{
    while (*list != NULL) {
        named_path *next = (*list)->next;
        free((*list)->name);
        free((*list)->path);
        free(*list);
        *list = next;
    }
}

static const char *find_or_add_path(named_path **list, const char *parent, const char *name)
{
    for (const named_path *known = *list; known != NULL; known = known->next) {
        if (strcmp(known->name, name) == 0)
            return known->path;
    }
    char joined[PATH_MAX];
    join(joined, sizeof(joined), parent, name);
    named_path *added = must_allocate(malloc(sizeof(*added)));
    added->name = must_allocate(strdup(name));
    added->path = must_allocate(strdup(joined));
    added->next = *list;
    *list = added;
    return added->path;
}

static const char *make_folder(void)
{
    if (folder[0] == '\0') {
        make_root();
        join(folder, sizeof(folder), root, "test-XXXXXX");
        if (mkdtemp(folder) == NULL)
            give_up("can't create", folder);
        folder_owner = getpid();
    }
    return folder;
}

int run_suite(Suite *suite)
{
    make_root();
    choose_skip_file();

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int total = srunner_ntests_run(runner);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);

    printf(TOTALS "%d %d %d\n", total, failed, count_skips());
    fflush(stdout);

    remove_test_folder();
    forget_paths(&programs);
    remove_tree(root);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static FILE *must_open_file(void)
{
    FILE *file = tmpfile();
    if (file == NULL)
        give_up("can't open", "a file for what a suite prints");
    return file;
}

static pid_t start_suite(Suite *(*make)(void), FILE *output)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        give_up("can't start", "a suite");
    if (child > 0)
        return child;
    if (dup2(fileno(output), STDOUT_FILENO) < 0)
        give_up("can't redirect", "a suite");
    exit(run_suite(make()));
}

/* Print what a suite has printed, but for its totals, which are added. */
static void take_output(FILE *output, int totals[3])
{
    char line[4096];
    int numbers[3] = { 1, 1, 0 }; /* one that said nothing has failed */
    rewind(output);
    while (fgets(line, sizeof(line), output) != NULL) {
        if (strncmp(line, TOTALS, strlen(TOTALS)) != 0) {
            fputs(line, stdout);
            continue;
        }
        char *at = line + strlen(TOTALS);
        for (int i = 0; i < 3; i++)
            numbers[i] = (int)strtol(at, &at, 10);
    }
    fclose(output);
    for (int i = 0; i < 3; i++)
        totals[i] += numbers[i];
}

int run_suites_together(Suite *(*const make[])(void), size_t count)
{
    FILE *outputs[SUITES_MAX];
    pid_t children[SUITES_MAX];
    int totals[3] = { 0 };
    bool passed = count <= SUITES_MAX;
    for (size_t i = 0; i < count && passed; i++) {
        outputs[i] = must_open_file();
        children[i] = start_suite(make[i], outputs[i]);
    }
    for (size_t i = 0; i < count && count <= SUITES_MAX; i++) {
        int status = 0;
        passed = waitpid(children[i], &status, 0) == children[i] && status == 0 && passed;
        take_output(outputs[i], totals);
    }
    printf(TOTALS "%d %d %d\n", totals[0], totals[1], totals[2]);
    return passed && totals[1] == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void record_skip(const char *function, const char *reason)
{
    /* START_TEST(name) makes a function called name_fn. */
    size_t length = strlen(function);
    if (length > 3 && strcmp(function + length - 3, "_fn") == 0)
        length -= 3;

    char line[1024];
    int size = snprintf(line, sizeof(line), "%.*s: %s\n", (int)length, function, reason);
    if (size < 0 || (size_t)size >= sizeof(line)) {
        errno = ENAMETOOLONG;
        give_up("can't record the skip of", function);
    }
    int file = open(skip_file, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file < 0 || write(file, line, (size_t)size) != (ssize_t)size)
        give_up("can't write", skip_file);
    close(file);
}

const char *test_folder(void)
{
    pthread_mutex_lock(&mutex);
    const char *made = make_folder();
    pthread_mutex_unlock(&mutex);
    return made;
}

const char *test_path(const char *name)
{
    pthread_mutex_lock(&mutex);
    const char *path = find_or_add_path(&paths, make_folder(), name);
    pthread_mutex_unlock(&mutex);
    return path;
}

void remove_test_folder(void)
{
    pthread_mutex_lock(&mutex);
    if (folder[0] != '\0' && folder_owner == getpid()) {
        remove_tree(folder);
        folder[0] = '\0';
        forget_paths(&paths);
    }
    pthread_mutex_unlock(&mutex);
}

const char *test_tool(void)
{
    const char *tool = getenv("STELE_TOOL");
    return tool != NULL ? tool : "build/stele";
}

const char *test_program(const char *name)
{
    const char *build = getenv("STELE_BUILD");
    char folder_of_programs[PATH_MAX];
    join(folder_of_programs, sizeof(folder_of_programs), build != NULL ? build : "build", "tests");
    pthread_mutex_lock(&mutex);
    const char *path = find_or_add_path(&programs, folder_of_programs, name);
    pthread_mutex_unlock(&mutex);
    return path;
}

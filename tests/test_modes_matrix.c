/* Every public call in every way to open a store: it works, or gives the typed answer of the table,
 * which is also that of docs/open-modes.md. A public function that is not in here fails the test.
 */
#include "wrap.h"

#include <stele.h>

#include <dirent.h>

enum { MODE_FILE, MODE_WRAP, MODE_MEMORY, MODE_READ_ONLY, MODE_IMMUTABLE, MODE_COUNT };

/* --- One call each; `store` has the stream a-1 with three events, and a checkpoint --- */

static stele_transaction *open_transaction;

static stele_status begin_probe(void)
{
    return stele_transaction_begin(store, &open_transaction);
}

/* Ends what begin_probe() began; gives `status` on. */
static stele_status end_probe(stele_status status)
{
    stele_transaction_end(open_transaction);
    open_transaction = NULL;
    return status;
}

static stele_event probe_event(void)
{
    return make_event("opened", "{}");
}

static stele_status probe_describe(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    return stele_store_describe(store, &info);
}

static stele_status probe_transfer(void)
{
    return stele_store_transfer(store, NULL, NULL);
}

static stele_status probe_append(void)
{
    return append_one("b-1", STELE_ANY, "opened", NULL);
}

static stele_status probe_append_many(void)
{
    stele_event event = probe_event();
    stele_append append = make_append("b-2", STELE_ANY, &event, 1);
    return stele_store_append_many(store, &append, 1, NULL, NULL);
}

static stele_status probe_submit(void)
{
    stele_event event = probe_event();
    stele_append append = make_append("b-3", STELE_ANY, &event, 1);
    stele_ticket *ticket = NULL;
    stele_status status = stele_store_submit(store, &append, NULL, &ticket);
    stele_ticket_close(ticket);
    return status;
}

static stele_status wait_for_ticket(bool use_context)
{
    stele_event event = probe_event();
    stele_append append = make_append("b-4", STELE_ANY, &event, 1);
    stele_submit submit = STELE_SUBMIT_INIT;
    stele_ticket *ticket = NULL;
    const stele_verdict *verdict = NULL;
    submit.context = &append;
    stele_status status = stele_store_submit(store, &append, &submit, &ticket);
    if (status == STELE_OK && use_context && stele_ticket_context(ticket) != &append)
        status = STELE_IO;
    if (status == STELE_OK)
        status = stele_ticket_wait(ticket, NULL, &verdict);
    if (status == STELE_OK)
        status = verdict->status;
    stele_ticket_close(ticket);
    return status;
}

static stele_status probe_ticket_wait(void)
{
    return wait_for_ticket(false);
}

static stele_status probe_ticket_context(void)
{
    return wait_for_ticket(true);
}

static stele_status probe_completed(void)
{
    stele_ticket *ticket = NULL;
    stele_status status = stele_store_completed(store, &ticket);
    ck_assert_ptr_null(ticket);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_completion_fd(void)
{
    int fd = -1;
    return stele_store_completion_fd(store, &fd);
}

static stele_status probe_flush(void)
{
    return stele_store_flush(store, NULL);
}

static stele_status drain_probe(stele_status status, stele_cursor *cursor, int count)
{
    const stele_record *record = NULL;
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
        count--;
    if (status == STELE_DONE && stele_cursor_scanned(cursor) <= 0)
        status = STELE_IO;
    stele_cursor_close(cursor);
    return status == STELE_DONE ? (count > 0 ? STELE_IO : STELE_OK) : status;
}

static stele_status probe_read(void)
{
    stele_cursor *cursor = NULL;
    stele_status status = stele_store_read(store, NULL, &cursor);
    return drain_probe(status, cursor, 3);
}

/* A page at a time, so that the cursor goes to the file again. */
static stele_status probe_cursor(void)
{
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    read.page_count_max = 1;
    stele_status status = stele_store_read(store, &read, &cursor);
    return drain_probe(status, cursor, 3);
}

/* An append in conflict is refused before anything is written, but only where it may be tried. */
static stele_status probe_read_missed(void)
{
    stele_event event = probe_event();
    stele_append append = make_append("a-1", 1, &event, 1);
    stele_appended appended = { 0 };
    stele_cursor *cursor = NULL;
    appended.stream_version = 3;
    appended.condition = -1; /* its own */
    stele_status status = stele_store_read_missed(store, &append, &appended, &cursor);
    return drain_probe(status, cursor, 2);
}

static stele_status probe_head(void)
{
    int64_t head = 0;
    return stele_store_head(store, &head);
}

static stele_status probe_stream(void)
{
    stele_stream_info info = { 0 };
    return stele_store_stream(store, "a-1", &info);
}

static stele_status list_streams(stele_status status, stele_streams *streams)
{
    const stele_stream_info *info = NULL;
    while (status == STELE_OK)
        status = stele_streams_next(streams, &info);
    stele_streams_close(streams);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_streams(void)
{
    stele_streams *streams = NULL;
    stele_status status = stele_store_streams(store, NULL, &streams);
    return list_streams(status, streams);
}

static stele_status list_types(stele_status status, stele_types *types)
{
    const stele_type_info *info = NULL;
    while (status == STELE_OK)
        status = stele_types_next(types, &info);
    stele_types_close(types);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_types(void)
{
    stele_types *types = NULL;
    stele_status status = stele_store_types(store, &types);
    return list_types(status, types);
}

static stele_status probe_checkpoint_load(void)
{
    stele_checkpoint checkpoint = { 0 };
    stele_status status = stele_checkpoint_load(store, "reader", &checkpoint);
    return status == STELE_OK && !checkpoint.found ? STELE_IO : status;
}

static stele_status probe_checkpoint_save(void)
{
    return stele_checkpoint_save(store, "reader", 2);
}

static stele_status probe_digest(void)
{
    char digest[17];
    return stele_store_digest(store, digest);
}

static stele_status probe_verify(void)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(store, NULL, &verify);
    while (status == STELE_OK && (status = stele_verify_next(verify, &check)) == STELE_OK)
        if (check->failures > 0)
            status = STELE_CORRUPT;
    stele_verify_close(verify);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status probe_lint(void)
{
    stele_lint *lint = NULL;
    const stele_lint_line *line = NULL;
    stele_status status = stele_store_lint(store, NULL, &lint);
    if (status == STELE_OK)
        status = stele_lint_next(lint, &line);
    stele_lint_close(lint);
    return status;
}

static stele_status give_line(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    static const char line[] = "{\"stream\":\"b-5\",\"type\":\"opened\",\"data\":{}}\n";
    bool *given = context;
    ck_assert_uint_ge(capacity, sizeof(line));
    *size_out = *given ? 0 : sizeof(line) - 1;
    memcpy(buffer, line, *size_out);
    *given = true;
    return STELE_OK;
}

static stele_status probe_import(void)
{
    stele_import import = STELE_IMPORT_INIT;
    bool given = false;
    import.read = give_line;
    import.context = &given;
    return stele_store_import(store, &import, NULL);
}

static stele_status probe_exporter(void)
{
    stele_exporter *exporter = NULL;
    stele_cursor *cursor = NULL;
    const char *line = NULL;
    size_t size = 0;
    const stele_record *record = read_only_record("a-1", &cursor);
    stele_status status = stele_exporter_open(&exporter);
    if (status == STELE_OK)
        status = stele_exporter_line(exporter, record, &line, &size);
    stele_exporter_close(exporter);
    stele_cursor_close(cursor);
    return status;
}

/* --- In a transaction --- */

static stele_status probe_transaction(void)
{
    stele_status status = begin_probe();
    return end_probe(status);
}

static stele_status probe_begin_wait(void)
{
    stele_wait wait = STELE_WAIT_INIT;
    stele_status status = stele_transaction_begin_wait(store, &wait, &open_transaction);
    return end_probe(status);
}

static stele_status probe_commit(void)
{
    stele_status status = begin_probe();
    return end_probe(status == STELE_OK ? stele_transaction_commit(open_transaction) : status);
}

static stele_status probe_sqlite(void)
{
    stele_status status = begin_probe();
    if (status == STELE_OK && run_in(open_transaction, "SELECT count(*) FROM events") != SQLITE_OK)
        status = STELE_IO;
    return end_probe(status);
}

#define INSIDE(name, expression)                                                                   \
    static stele_status name(void)                                                                 \
    {                                                                                              \
        stele_status status = begin_probe();                                                       \
        return end_probe(status == STELE_OK ? (expression) : status);                              \
    }

static stele_status append_many_in(void)
{
    stele_event event = probe_event();
    stele_append append = make_append("b-6", STELE_ANY, &event, 1);
    return stele_transaction_append_many(open_transaction, &append, 1, NULL, NULL);
}

static stele_status read_in(bool missed)
{
    stele_event event = probe_event();
    stele_append append = make_append("a-1", 1, &event, 1);
    stele_appended appended = { 0 };
    stele_cursor *cursor = NULL;
    appended.stream_version = 3;
    appended.condition = -1; /* its own */
    stele_status status =
        missed ? stele_transaction_read_missed(open_transaction, &append, &appended, &cursor)
               : stele_transaction_read(open_transaction, NULL, &cursor);
    return drain_probe(status, cursor, 2);
}

static stele_status head_in(void)
{
    int64_t head = 0;
    return stele_transaction_head(open_transaction, &head);
}

static stele_status stream_in(void)
{
    stele_stream_info info = { 0 };
    return stele_transaction_stream(open_transaction, "a-1", &info);
}

static stele_status streams_in(void)
{
    stele_streams *streams = NULL;
    stele_status status = stele_transaction_streams(open_transaction, NULL, &streams);
    return list_streams(status, streams);
}

static stele_status types_in(void)
{
    stele_types *types = NULL;
    stele_status status = stele_transaction_types(open_transaction, &types);
    return list_types(status, types);
}

static stele_status load_in(void)
{
    stele_checkpoint checkpoint = { 0 };
    return stele_transaction_checkpoint_load(open_transaction, "reader", &checkpoint);
}

INSIDE(probe_append_in, append_in(open_transaction, "b-7", STELE_ANY, NULL))
INSIDE(probe_append_many_in, append_many_in())
INSIDE(probe_read_in, read_in(false))
INSIDE(probe_read_missed_in, read_in(true))
INSIDE(probe_head_in, head_in())
INSIDE(probe_stream_in, stream_in())
INSIDE(probe_streams_in, streams_in())
INSIDE(probe_types_in, types_in())
INSIDE(probe_checkpoint_load_in, load_in())
INSIDE(probe_checkpoint_save_in, stele_transaction_checkpoint_save(open_transaction, "reader", 1))

/* --- Around it, on the thread that has it open --- */

INSIDE(probe_append_around, probe_append())
INSIDE(probe_transfer_around, probe_transfer())
INSIDE(probe_read_around, probe_read())
INSIDE(probe_head_around, probe_head())
INSIDE(probe_describe_around, probe_describe())
INSIDE(probe_verify_around, probe_verify())
INSIDE(probe_digest_around, probe_digest())
INSIDE(probe_checkpoint_load_around, probe_checkpoint_load())
INSIDE(probe_lint_around, probe_lint())

#include "modes_matrix.h"

/* --- The table against the library --- */

static void open_mode(int mode)
{
    stele_options options = STELE_OPTIONS_INIT;
    if (mode == MODE_WRAP)
        wrap_file();
    else if (mode == MODE_MEMORY)
        open_in_memory();
    else
        open_in_file();
    fill_stream("a-1", 3);
    assert_status(stele_checkpoint_save(store, "reader", 1), STELE_OK);
    options.read_only = mode == MODE_READ_ONLY || mode == MODE_IMMUTABLE;
    options.immutable = mode == MODE_IMMUTABLE;
    if (!options.read_only)
        return;
    close_store();
    store = open_path(store_path(), &options);
}

static void check_mode(int mode)
{
    open_mode(mode);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        stele_status status = rows[i].probe();
        ck_assert_msg(status == rows[i].answers[mode], "%s%s, %s: %s, not %s (%s)", rows[i].call,
                      rows[i].where, mode_names[mode], stele_status_name(status),
                      stele_status_name(rows[i].answers[mode]), stele_error_text());
    }
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(guarantee_rows); i++)
        ck_assert_msg(((info.guarantees & guarantee_rows[i].bit) != 0)
                          == guarantee_rows[i].holds[mode],
                      "%s, %s", guarantee_rows[i].name, mode_names[mode]);
}

START_TEST(calls_answer_as_the_table_says)
{
    check_mode(_i);
}
END_TEST

/* --- The table against the headers and the documentation --- */

/* The folder of the project: named, or that of this source, or the one above this program. */
static const char *find_project(void)
{
    static char found[4096];
    char start[4096] = "";
    const char *named = getenv("STELE_SOURCE");
    const char *starts[3] = { named, __FILE__, start };
    ssize_t size = readlink("/proc/self/exe", start, sizeof(start) - 1);
    start[size > 0 ? size : 0] = '\0';
    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        char folder[3000];
        if (starts[i] == NULL || *starts[i] == '\0')
            continue;
        snprintf(folder, sizeof(folder), "%s", starts[i]);
        for (;;) {
            snprintf(found, sizeof(found), "%s/include/stele/store.h", folder);
            if (file_exists(found)) {
                snprintf(found, sizeof(found), "%s", folder);
                return found;
            }
            char *slash = strrchr(folder, '/');
            if (slash == NULL)
                break;
            *slash = '\0';
        }
    }
    /* __FILE__ is relative to here when it is built here. */
    ck_assert_msg(file_exists("include/stele/store.h"), "no headers: set STELE_SOURCE");
    return ".";
}

static char *load_text(const char *path)
{
    file_copy file = load_file(path);
    file.data[file.size] = '\0';
    return (char *)file.data;
}

static bool is_in_table(const char *name, size_t size)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strlen(rows[i].call) == size && memcmp(rows[i].call, name, size) == 0)
            return true;
    for (size_t i = 0; i < COUNT_OF(without_store); i++)
        if (strlen(without_store[i]) == size && memcmp(without_store[i], name, size) == 0)
            return true;
    return false;
}

/* The functions that `text` declares with STELE_API and the table lacks: how many of how many. */
static size_t count_missing(const char *text, size_t *count_out, char *missing, size_t capacity)
{
    size_t missing_count = 0;
    for (const char *at = text; (at = strstr(at, "\nSTELE_API ")) != NULL; at++) {
        const char *end = strchr(at, '(');
        ck_assert_ptr_nonnull(end);
        const char *name = end;
        while (name[-1] == '_' || (name[-1] >= 'a' && name[-1] <= 'z')
               || (name[-1] >= '0' && name[-1] <= '9'))
            name--;
        ++*count_out;
        if (is_in_table(name, (size_t)(end - name)))
            continue;
        missing_count++;
        snprintf(missing, capacity, "%.*s", (int)(end - name), name);
    }
    return missing_count;
}

START_TEST(every_public_function_is_in_the_table)
{
    char path[5000];
    char missing[100] = "";
    size_t count = 0;
    snprintf(path, sizeof(path), "%s/include/stele", find_project());
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char file[5300];
        if (strstr(entry->d_name, ".h") == NULL)
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        char *text = load_text(file);
        ck_assert_msg(count_missing(text, &count, missing, sizeof(missing)) == 0,
                      "%s of %s is not in the table", missing, entry->d_name);
        free(text);
    }
    closedir(folder);
    ck_assert_uint_gt(count, 80);
}
END_TEST

/* The control: a header with one function more. */
START_TEST(function_that_is_not_in_the_table_is_noticed)
{
    char missing[100] = "";
    size_t count = 0;
    const char *header = "\nSTELE_API stele_status stele_store_append(stele_store *store);\n"
                         "STELE_API const char *stele_store_forgotten(void);\n";
    ck_assert_uint_eq(count_missing(header, &count, missing, sizeof(missing)), 1);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(missing, "stele_store_forgotten");
}
END_TEST

/* The next line of `*at` that begins with `start`, cut off there; "" at the end. */
static const char *next_line(char **at, const char *start)
{
    while (*at != NULL && **at != '\0') {
        char *line = *at;
        char *end = strchr(line, '\n');
        *at = end == NULL ? NULL : end + 1;
        if (end != NULL)
            *end = '\0';
        if (strncmp(line, start, strlen(start)) == 0)
            return line;
    }
    return "";
}

START_TEST(documentation_has_the_same_table)
{
    char path[5000];
    snprintf(path, sizeof(path), "%s/docs/open-modes.md", find_project());
    char *text = load_text(path);
    char *at = text;
    char line[400];
    for (size_t i = 0; i < COUNT_OF(guarantee_rows); i++) {
        size_t size = (size_t)snprintf(line, sizeof(line), "| `%s` |", guarantee_rows[i].name);
        for (int mode = 0; mode < MODE_COUNT; mode++)
            size += (size_t)snprintf(line + size, sizeof(line) - size, " %s |",
                                     guarantee_rows[i].holds[mode] ? "yes" : "no");
        ck_assert_str_eq(next_line(&at, "| `STELE_"), line);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t size =
            (size_t)snprintf(line, sizeof(line), "| `%s`%s |", rows[i].call, rows[i].where);
        for (int mode = 0; mode < MODE_COUNT; mode++) {
            stele_status answer = rows[i].answers[mode];
            size += (size_t)snprintf(line + size, sizeof(line) - size, " %s |",
                                     answer == STELE_OK ? "works" : stele_status_name(answer));
        }
        ck_assert_str_eq(next_line(&at, "| `stele_"), line);
    }
    ck_assert_str_eq(next_line(&at, "| `stele_"), "");
    free(text);
}
END_TEST

static Suite *modes_matrix_suite(void)
{
    Suite *suite = suite_create("modes_matrix");
    TCase *tests = add_wrap_case(suite, "matrix", NULL);
    tcase_add_loop_test(tests, calls_answer_as_the_table_says, 0, MODE_COUNT);
    tcase_add_test(tests, every_public_function_is_in_the_table);
    tcase_add_test(tests, function_that_is_not_in_the_table_is_noticed);
    tcase_add_test(tests, documentation_has_the_same_table);
    return suite;
}

int main(void)
{
    return run_suite(modes_matrix_suite());
}

#define _XOPEN_SOURCE 700 /* nftw */
#include "crash/disk_image.h"

#include "crash/random.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The bytes of a file. */
typedef struct content {
    unsigned char *data;
    size_t size;
    size_t capacity;
} content;

typedef struct disk_name {
    const char *name;
    int file;
} disk_name;

typedef struct name_table {
    disk_name *items;
    size_t count;
} name_table;

/* Operations that are not durable yet, by their index in the recording. */
typedef struct pending {
    size_t *items;
    size_t count;
    size_t capacity;
} pending;

struct disk {
    const recording *recorded;
    size_t done; /* operations that have happened */
    size_t file_count;
    content *contents; /* durable, by file */
    bool *folders;
    pending *writes; /* by file, truncations too */
    name_table names;
    pending name_changes;
};

/* What becomes of what isn't durable, in one image. */
typedef struct fate {
    random_source *random;
    enum { FATE_NOTHING, FATE_EVERYTHING, FATE_IN_ORDER, FATE_ANY, FATE_BY_FILE } kind;
    size_t through; /* IN_ORDER: operations before this one are kept */
    uint64_t kept;  /* ANY: in eighths */
    uint64_t torn;  /* ANY: of the kept, in eighths */
    uint64_t salt;  /* BY_FILE: decides for each file */
    size_t sector;  /* bytes */
    bool junk;      /* what a longer file is filled with */
    bool grows;     /* a dropped write may have made the file longer */
} fate;

static void *resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size > 0 ? size : 1);
    if (resized == NULL) {
        perror("disk image");
        abort();
    }
    return resized;
}

static void *resize_array(void *memory, size_t count, size_t size)
{
    return resize(memory, count * size);
}

/* --- Contents --- */

static void content_resize(content *bytes, size_t size, const fate *filler)
{
    if (size > bytes->capacity) {
        bytes->capacity = size + size / 2;
        bytes->data = resize(bytes->data, bytes->capacity);
    }
    if (size > bytes->size) {
        memset(bytes->data + bytes->size, 0, size - bytes->size);
        for (size_t at = bytes->size; filler != NULL && filler->junk && at < size; at++)
            bytes->data[at] = (unsigned char)random_next(filler->random);
    }
    bytes->size = size;
}

static void content_write(content *bytes, size_t offset, const void *data, size_t size,
                          const fate *filler)
{
    if (offset > bytes->size)
        content_resize(bytes, offset, filler);
    if (offset + size > bytes->size)
        content_resize(bytes, offset + size, NULL);
    if (size > 0)
        memcpy(bytes->data + offset, data, size);
}

static void content_apply(content *bytes, const operation *done, const fate *filler)
{
    if (done->kind == OPERATION_WRITE)
        content_write(bytes, (size_t)done->offset, done->data, done->size, filler);
    else
        content_resize(bytes, (size_t)done->offset, NULL);
}

/* --- Names --- */

static void table_set(name_table *table, const char *name, int file)
{
    size_t at = 0;
    while (at < table->count && strcmp(table->items[at].name, name) != 0)
        at++;
    if (at == table->count) {
        table->items = resize_array(table->items, at + 1, sizeof(*table->items));
        table->count++;
    }
    table->items[at] = (disk_name){ name, file };
}

static void table_remove(name_table *table, const char *name)
{
    for (size_t at = 0; at < table->count; at++) {
        if (strcmp(table->items[at].name, name) == 0) {
            table->items[at] = table->items[--table->count];
            return;
        }
    }
}

static const disk_name *table_find(const name_table *table, const char *name, size_t length)
{
    for (size_t at = 0; at < table->count; at++)
        if (strncmp(table->items[at].name, name, length) == 0
            && table->items[at].name[length] == '\0')
            return &table->items[at];
    return NULL;
}

static void table_apply(name_table *table, const operation *done)
{
    if (done->kind == OPERATION_REMOVE || done->kind == OPERATION_MOVE)
        table_remove(table, done->kind == OPERATION_MOVE ? done->old_name : done->name);
    if (done->kind == OPERATION_CREATE || done->kind == OPERATION_MOVE
        || done->kind == OPERATION_LINK)
        table_set(table, done->name, done->file);
}

/* --- What is durable --- */

static void pending_add(pending *list, size_t index)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->items = resize_array(list->items, list->capacity, sizeof(*list->items));
    }
    list->items[list->count++] = index;
}

static size_t count_files(const recording *recorded)
{
    size_t count = recorded->base_count;
    for (size_t i = 0; i < recorded->count; i++)
        count += recorded->operations[i].kind == OPERATION_CREATE;
    return count;
}

disk *disk_open(const recording *recorded)
{
    disk *state = resize(NULL, sizeof(*state));
    *state = (disk){ .recorded = recorded, .file_count = count_files(recorded) };
    state->contents = resize_array(NULL, state->file_count, sizeof(*state->contents));
    state->folders = resize_array(NULL, state->file_count, sizeof(*state->folders));
    state->writes = resize_array(NULL, state->file_count, sizeof(*state->writes));
    for (size_t i = 0; i < state->file_count; i++) {
        state->contents[i] = (content){ 0 };
        state->folders[i] = false;
        state->writes[i] = (pending){ 0 };
    }
    for (size_t i = 0; i < recorded->base_count; i++) {
        const recorded_file *base = &recorded->bases[i];
        content_write(&state->contents[i], 0, base->data, base->size, NULL);
        state->folders[i] = base->folder;
        table_set(&state->names, base->name, (int)i);
    }
    return state;
}

/* Whether `name` is an entry of `folder` itself ("" for the recorded one). */
static bool lies_in(const char *name, const char *folder)
{
    const char *slash = strrchr(name, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - name);
    return strlen(folder) == length && strncmp(name, folder, length) == 0;
}

static void settle_names(disk *state, const char *folder)
{
    size_t left = 0;
    for (size_t i = 0; i < state->name_changes.count; i++) {
        size_t index = state->name_changes.items[i];
        const operation *done = &state->recorded->operations[index];
        if (lies_in(done->name, folder))
            table_apply(&state->names, done);
        else
            state->name_changes.items[left++] = index;
    }
    state->name_changes.count = left;
}

static void settle_writes(disk *state, int file)
{
    pending *writes = &state->writes[file];
    for (size_t i = 0; i < writes->count; i++)
        content_apply(&state->contents[file], &state->recorded->operations[writes->items[i]], NULL);
    writes->count = 0;
}

void disk_advance(disk *state, size_t operation_count)
{
    for (; state->done < operation_count && state->done < state->recorded->count; state->done++) {
        const operation *done = &state->recorded->operations[state->done];
        switch (done->kind) {
        case OPERATION_CREATE: state->folders[done->file] = done->folder; /* fall through */
        case OPERATION_REMOVE:
        case OPERATION_LINK:
        case OPERATION_MOVE: pending_add(&state->name_changes, state->done); break;
        case OPERATION_WRITE:
        case OPERATION_TRUNCATE: pending_add(&state->writes[done->file], state->done); break;
        case OPERATION_SYNC: settle_writes(state, done->file); break;
        case OPERATION_SYNC_FOLDER: settle_names(state, done->name); break;
        }
    }
}

void disk_close(disk *state)
{
    for (size_t i = 0; i < state->file_count; i++) {
        free(state->contents[i].data);
        free(state->writes[i].items);
    }
    free(state->contents);
    free(state->folders);
    free(state->writes);
    free(state->names.items);
    free(state->name_changes.items);
    free(state);
}

/* --- The cut --- */

/* The oldest operation that isn't durable. */
static size_t find_first_pending(const disk *state)
{
    size_t first = state->done;
    if (state->name_changes.count > 0)
        first = state->name_changes.items[0];
    for (size_t i = 0; i < state->file_count; i++)
        if (state->writes[i].count > 0 && state->writes[i].items[0] < first)
            first = state->writes[i].items[0];
    return first;
}

static fate choose_fate(const disk *state, random_source *random)
{
    fate chosen = { .random = random };
    uint64_t kind = random_below(random, 16);
    chosen.kind = kind < 2   ? FATE_NOTHING
                  : kind < 3 ? FATE_EVERYTHING
                  : kind < 7 ? FATE_IN_ORDER
                  : kind < 9 ? FATE_BY_FILE
                             : FATE_ANY;
    size_t first = find_first_pending(state);
    chosen.through = first + (size_t)random_below(random, state->done - first + 1);
    chosen.kept = 1 + random_below(random, 7);
    chosen.torn = random_below(random, 8);
    chosen.salt = random_next(random);
    chosen.sector = random_chance(random, 1, 4) ? 4096 : 512;
    chosen.junk = random_chance(random, 1, 2);
    chosen.grows = random_chance(random, 1, 4);
    return chosen;
}

typedef enum share { SHARE_NONE, SHARE_ALL, SHARE_TORN } share;

static share choose_share(const fate *chosen, size_t index, const operation *done)
{
    switch (chosen->kind) {
    case FATE_NOTHING: return SHARE_NONE;
    case FATE_EVERYTHING: return SHARE_ALL;
    case FATE_IN_ORDER:
        return index < chosen->through   ? SHARE_ALL
               : index > chosen->through ? SHARE_NONE
                                         : SHARE_TORN;
    case FATE_BY_FILE:
        if (random_mix(chosen->salt, (uint64_t)done->file + 1) % 2 == 0)
            return SHARE_NONE;
        return SHARE_ALL;
    case FATE_ANY: break;
    }
    if (!random_chance(chosen->random, chosen->kept, 8))
        return SHARE_NONE;
    return random_chance(chosen->random, chosen->torn, 8) ? SHARE_TORN : SHARE_ALL;
}

static void tear_write(content *bytes, const operation *done, const fate *chosen)
{
    size_t offset = (size_t)done->offset;
    size_t end = offset + done->size;
    for (size_t at = offset; at < end;) {
        size_t next = (at / chosen->sector + 1) * chosen->sector;
        if (next > end)
            next = end;
        if (random_chance(chosen->random, 1, 2))
            content_write(bytes, at, done->data + (at - offset), next - at, chosen);
        at = next;
    }
}

static void cut_content(const disk *state, size_t file, const fate *chosen, content *bytes)
{
    content_write(bytes, 0, state->contents[file].data, state->contents[file].size, NULL);
    const pending *writes = &state->writes[file];
    for (size_t i = 0; i < writes->count; i++) {
        const operation *done = &state->recorded->operations[writes->items[i]];
        share kept = choose_share(chosen, writes->items[i], done);
        if (kept == SHARE_ALL)
            content_apply(bytes, done, chosen);
        else if (kept == SHARE_TORN && done->kind == OPERATION_WRITE)
            tear_write(bytes, done, chosen);
        size_t end = (size_t)done->offset + done->size;
        if (kept != SHARE_ALL && chosen->grows && done->kind == OPERATION_WRITE
            && end > bytes->size)
            content_resize(bytes, end, chosen);
    }
}

/* A name is reached only through its folders. */
static bool is_reached(const disk *state, const name_table *names, const char *name)
{
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const disk_name *folder = table_find(names, name, (size_t)(slash - name));
        if (folder == NULL || !state->folders[folder->file])
            return false;
    }
    return true;
}

static int compare_files(const void *left, const void *right)
{
    return strcmp(((const image_file *)left)->name, ((const image_file *)right)->name);
}

image disk_cut(const disk *state, uint64_t seed)
{
    random_source random = { seed };
    fate chosen = choose_fate(state, &random);

    name_table names = { resize_array(NULL, state->names.count, sizeof(disk_name)),
                         state->names.count };
    if (names.count > 0)
        memcpy(names.items, state->names.items, names.count * sizeof(*names.items));
    for (size_t i = 0; i < state->name_changes.count; i++) {
        size_t index = state->name_changes.items[i];
        const operation *done = &state->recorded->operations[index];
        if (choose_share(&chosen, index, done) != SHARE_NONE)
            table_apply(&names, done);
    }

    image made = { resize_array(NULL, names.count, sizeof(image_file)), 0 };
    for (size_t i = 0; i < names.count; i++) {
        size_t file = (size_t)names.items[i].file;
        if (!is_reached(state, &names, names.items[i].name))
            continue;
        content bytes = { 0 };
        if (!state->folders[file])
            cut_content(state, file, &chosen, &bytes);
        made.files[made.count++] =
            (image_file){ names.items[i].name, state->folders[file], bytes.data, bytes.size };
    }
    free(names.items);
    /* Folders before what is in them. */
    qsort(made.files, made.count, sizeof(*made.files), compare_files);
    return made;
}

/* --- On a real disk --- */

static int remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *place)
{
    (void)facts;
    (void)kind;
    return place->level == 0 ? 0 : remove(path);
}

void image_save(const image *made, const char *folder)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        perror(folder);
        abort();
    }
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < made->count; i++) {
        const image_file *file = &made->files[i];
        char path[8192];
        snprintf(path, sizeof(path), "%s/%s", folder, file->name);
        bool done = false;
        if (file->folder) {
            done = mkdir(path, 0700) == 0;
        } else {
            FILE *out = fopen(path, "wb");
            if (out != NULL) {
                done = file->size == 0 || fwrite(file->data, file->size, 1, out) == 1;
                done = fclose(out) == 0 && done;
            }
        }
        if (!done) {
            perror(path);
            abort();
        }
    }
}

void image_dispose(image *made)
{
    for (size_t i = 0; i < made->count; i++)
        free(made->files[i].data);
    free(made->files);
    *made = (image){ 0 };
}

#include "crash/recorder.h"

#include "crash/random.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a name names now. */
typedef struct live_name {
    char *name;
    int file;
} live_name;

static struct {
    pthread_mutex_t mutex; /* guards what follows */
    char folder[4096];
    recording recorded;
    live_name *names;
    size_t name_count;
    int file_count;
    recorder_faults faults;
    const char *failing_folder; /* whose next sync is to fail; NULL: none */
} recorder = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* SQLite asks for randomness while it holds a mutex of its own, so these have one of theirs, with
 * which nobody calls anything. */
static struct {
    pthread_mutex_t mutex;
    random_source random;
    int64_t clock;
} world = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static atomic_bool recording_now;
static atomic_uint boot_now;
static _Thread_local int entered;

static void give_up(const char *what)
{
    perror(what);
    abort();
}

static void *allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL)
        give_up("recorder");
    return memory;
}

static void *grow(void *memory, size_t size)
{
    void *grown = realloc(memory, size);
    if (grown == NULL)
        give_up("recorder");
    return grown;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(allocate(size), text, size);
}

/* --- Names --- */

static size_t find_live(const char *name)
{
    size_t i = 0;
    while (i < recorder.name_count && strcmp(recorder.names[i].name, name) != 0)
        i++;
    return i;
}

static void set_live(const char *name, int file)
{
    size_t at = find_live(name);
    if (at == recorder.name_count) {
        recorder.names = grow(recorder.names, (at + 1) * sizeof(*recorder.names));
        recorder.names[at].name = copy_text(name);
        recorder.name_count++;
    }
    recorder.names[at].file = file;
}

static void drop_live(const char *name)
{
    size_t at = find_live(name);
    if (at == recorder.name_count)
        return;
    free(recorder.names[at].name);
    recorder.names[at] = recorder.names[--recorder.name_count];
}

const char *recorder_name_of(const char *path)
{
    if (!atomic_load(&recording_now) || path == NULL)
        return NULL;
    size_t length = strlen(recorder.folder);
    if (strncmp(path, recorder.folder, length) != 0)
        return NULL;
    if (path[length] == '\0')
        return "";
    size_t size = strlen(path);
    /* The -shm is rebuilt after each boot: it is no part of the disk. */
    if (path[length] != '/' || strcmp(path + size - 4, "-shm") == 0)
        return NULL;
    return path + length + 1;
}

int recorder_find(const char *name)
{
    size_t at = find_live(name);
    return at < recorder.name_count ? recorder.names[at].file : -1;
}

/* --- What was there before --- */

static void load_base(const char *path, const char *name, const struct stat *facts)
{
    recording *recorded = &recorder.recorded;
    recorded->bases = grow(recorded->bases, (recorded->base_count + 1) * sizeof(*recorded->bases));
    recorded_file *base = &recorded->bases[recorded->base_count++];
    *base = (recorded_file){ copy_text(name), S_ISDIR(facts->st_mode), NULL, 0 };
    set_live(name, recorder.file_count++);
    if (base->folder)
        return;
    base->size = (size_t)facts->st_size;
    base->data = allocate(base->size);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(base->data, 1, base->size, file) != base->size)
        give_up(path);
    fclose(file);
}

static void load_folder(const char *path, const char *within)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        give_up(path);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char entry_path[8192];
        char name[4096];
        struct stat facts;
        snprintf(entry_path, sizeof(entry_path), "%s/%s", path, entry->d_name);
        snprintf(name, sizeof(name), "%s%s%s", within, *within == '\0' ? "" : "/", entry->d_name);
        if (stat(entry_path, &facts) != 0)
            give_up(entry_path);
        load_base(entry_path, name, &facts);
        if (S_ISDIR(facts.st_mode))
            load_folder(entry_path, name);
    }
    closedir(folder);
}

void recorder_start(const char *folder, uint64_t seed, recorder_faults faults)
{
    pthread_mutex_lock(&recorder.mutex);
    snprintf(recorder.folder, sizeof(recorder.folder), "%s", folder);
    recorder.recorded = (recording){ 0 };
    recorder.file_count = 0;
    recorder.faults = faults;
    pthread_mutex_lock(&world.mutex);
    world.random.state = seed;
    world.clock = INT64_C(1700000000) * 1000000000;
    pthread_mutex_unlock(&world.mutex);
    load_folder(folder, "");
    atomic_store(&recording_now, true);
    pthread_mutex_unlock(&recorder.mutex);
}

size_t recorder_now(void)
{
    pthread_mutex_lock(&recorder.mutex);
    size_t count = recorder.recorded.count;
    pthread_mutex_unlock(&recorder.mutex);
    return count;
}

recording recorder_stop(void)
{
    pthread_mutex_lock(&recorder.mutex);
    atomic_store(&recording_now, false);
    recording recorded = recorder.recorded;
    recorder.recorded = (recording){ 0 };
    for (size_t i = 0; i < recorder.name_count; i++)
        free(recorder.names[i].name);
    free(recorder.names);
    recorder.names = NULL;
    recorder.name_count = 0;
    pthread_mutex_unlock(&recorder.mutex);
    return recorded;
}

void recording_dispose(recording *recorded)
{
    for (size_t i = 0; i < recorded->base_count; i++) {
        free(recorded->bases[i].name);
        free(recorded->bases[i].data);
    }
    for (size_t i = 0; i < recorded->count; i++) {
        free(recorded->operations[i].data);
        free(recorded->operations[i].name);
        free(recorded->operations[i].old_name);
    }
    free(recorded->bases);
    free(recorded->operations);
    *recorded = (recording){ 0 };
}

static uint64_t digest_bytes(uint64_t digest, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ byte[i]) * UINT64_C(0x100000001b3);
    return random_mix(digest, size);
}

uint64_t recording_digest(const recording *recorded)
{
    uint64_t digest = recorded->count;
    for (size_t i = 0; i < recorded->count; i++) {
        const operation *done = &recorded->operations[i];
        const int64_t numbers[] = { (int64_t)done->kind, done->file, done->offset,
                                    (int64_t)done->size };
        digest = digest_bytes(digest, numbers, sizeof(numbers));
        if (done->data != NULL)
            digest = digest_bytes(digest, done->data, done->size);
        if (done->name != NULL)
            digest = digest_bytes(digest, done->name, strlen(done->name));
    }
    return digest;
}

/* --- Being told --- */

bool recorder_enter(void)
{
    if (!atomic_load(&recording_now) || entered > 0)
        return false;
    pthread_mutex_lock(&recorder.mutex);
    entered++;
    return true;
}

void recorder_leave(void)
{
    entered--;
    pthread_mutex_unlock(&recorder.mutex);
}

static operation *add_operation(operation_kind kind, int file)
{
    recording *recorded = &recorder.recorded;
    if (recorded->count == recorded->capacity) {
        recorded->capacity = recorded->capacity * 2 + 256;
        recorded->operations =
            grow(recorded->operations, recorded->capacity * sizeof(*recorded->operations));
    }
    operation *added = &recorded->operations[recorded->count++];
    *added = (operation){ .kind = kind, .file = file };
    return added;
}

int recorder_note_create(const char *name, bool folder)
{
    operation *added = add_operation(OPERATION_CREATE, recorder.file_count++);
    added->folder = folder;
    added->name = copy_text(name);
    set_live(name, added->file);
    return added->file;
}

void recorder_note_remove(const char *name)
{
    add_operation(OPERATION_REMOVE, recorder_find(name))->name = copy_text(name);
    drop_live(name);
}

void recorder_note_move(const char *old_name, const char *name)
{
    operation *added = add_operation(OPERATION_MOVE, recorder_find(old_name));
    added->old_name = copy_text(old_name);
    added->name = copy_text(name);
    drop_live(old_name);
    set_live(name, added->file);
}

void recorder_note_link(const char *old_name, const char *name)
{
    operation *added = add_operation(OPERATION_LINK, recorder_find(old_name));
    added->old_name = copy_text(old_name);
    added->name = copy_text(name);
    set_live(name, added->file);
}

void recorder_note_write(int file, const void *data, size_t size, int64_t offset)
{
    operation *added = add_operation(OPERATION_WRITE, file);
    added->offset = offset;
    added->size = size;
    added->data = memcpy(allocate(size), data, size);
}

void recorder_note_truncate(int file, int64_t size)
{
    add_operation(OPERATION_TRUNCATE, file)->offset = size;
}

static bool names_wal(int file)
{
    for (size_t i = 0; i < recorder.name_count; i++) {
        size_t length = strlen(recorder.names[i].name);
        if (recorder.names[i].file == file && length > 4
            && strcmp(recorder.names[i].name + length - 4, "-wal") == 0)
            return true;
    }
    return false;
}

static bool names_part(int file, const char *part)
{
    for (size_t i = 0; i < recorder.name_count; i++)
        if (recorder.names[i].file == file && strstr(recorder.names[i].name, part) != NULL)
            return true;
    return false;
}

void recorder_note_sync(int file, uint64_t flags)
{
    if (recorder.faults.sync_ignored != NULL && names_part(file, recorder.faults.sync_ignored))
        return;
    if (recorder.faults.wal_sync_ignored && names_wal(file))
        return;
    add_operation(OPERATION_SYNC, file)->flags = flags;
}

bool recorder_note_folder_sync(const char *folder)
{
    if (recorder.failing_folder != NULL && strcmp(recorder.failing_folder, folder) == 0) {
        recorder.failing_folder = NULL;
        return false;
    }
    if (!recorder.faults.folder_sync_ignored)
        add_operation(OPERATION_SYNC_FOLDER, -1)->name = copy_text(folder);
    return true;
}

void recorder_fail_folder_sync(const char *folder)
{
    pthread_mutex_lock(&recorder.mutex);
    recorder.failing_folder = folder;
    pthread_mutex_unlock(&recorder.mutex);
}

void recorder_note_folder_sync_around(const char *name)
{
    char *folder = copy_text(name);
    char *slash = strrchr(folder, '/');
    *(slash != NULL ? slash : folder) = '\0';
    (void)recorder_note_folder_sync(folder);
    free(folder);
}

/* --- A world that is the same each time --- */

bool recorder_fill_random(void *bytes, size_t size)
{
    if (!atomic_load(&recording_now))
        return false;
    unsigned char *out = bytes;
    pthread_mutex_lock(&world.mutex);
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)random_next(&world.random);
    pthread_mutex_unlock(&world.mutex);
    return true;
}

int64_t recorder_clock(void)
{
    if (!atomic_load(&recording_now))
        return 0;
    pthread_mutex_lock(&world.mutex);
    int64_t now = world.clock += 1000000;
    pthread_mutex_unlock(&world.mutex);
    return now;
}

void recorder_set_boot(unsigned boot)
{
    atomic_store(&boot_now, boot);
}

void recorder_boot_id(char text_out[64])
{
    unsigned boot = atomic_load(&boot_now);
    text_out[0] = '\0';
    if (boot > 0)
        snprintf(text_out, 64, "00000000-0000-4000-8000-%012u\n", boot);
}

/*
 * Runs a target without libFuzzer: over each file that is named, or is in a folder that is named.
 *
 *     fuzz/json_gate FILE|FOLDER...
 *
 * Prints how many files it ran. Fails when a name leads to none.
 */
#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned long files_run;

static bool run_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    /* Exactly as large as the input, as libFuzzer has it. */
    uint8_t *data = take_memory(size);
    size_t got = fread(data, 1, size, file);
    fclose(file);
    if (got != size) {
        fprintf(stderr, "%s: %zu bytes instead of %zu\n", path, got, size);
        free(data);
        return false;
    }
    /* A target that ends the process leaves its reason after this line. */
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    files_run++;
    free(data);
    return true;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool run_folder(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0) {
        perror(path);
        return false;
    }
    bool fine = count > 0;
    if (!fine)
        fprintf(stderr, "%s: no file\n", path);
    for (int i = 0; i < count; i++) {
        char name[4096];
        struct stat found;
        int size = snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (size < 0 || (size_t)size >= sizeof(name) || stat(name, &found) != 0)
            fine = false;
        else if (S_ISREG(found.st_mode))
            fine = run_file(name, (size_t)found.st_size) && fine;
        free(entries[i]);
    }
    free(entries);
    return fine;
}

int main(int argc, char **argv)
{
    bool fine = argc > 1;
    for (int i = 1; i < argc; i++) {
        struct stat found;
        if (stat(argv[i], &found) != 0) {
            perror(argv[i]);
            fine = false;
        } else if (S_ISDIR(found.st_mode)) {
            fine = run_folder(argv[i]) && fine;
        } else {
            fine = run_file(argv[i], (size_t)found.st_size) && fine;
        }
    }
    printf("%lu files\n", files_run);
    return fine && files_run > 0 ? 0 : 1;
}

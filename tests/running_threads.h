/**
 * @file tests/running_threads.h
 * The threads of this process, without those that end.
 *
 * One that was joined may still be on its way out: were it counted, there would be one too many
 * now, or one too few later.
 */
#ifndef STELE_TESTS_RUNNING_THREADS_H
#define STELE_TESTS_RUNNING_THREADS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* `task` is a name in /proc/self/task. The kernel sets a flag (PF_EXITING) before it lets anybody
 * know of the end. */
static inline bool is_ending(const char *task)
{
    char path[300], text[512];
    unsigned long flags = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%s/stat", task);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true;
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end == NULL || sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1
           || (flags & 4) != 0;
}

/* -1 where that can't be told. */
static inline int count_running_threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        return -1;
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks))
        count += task->d_name[0] != '.' && !is_ending(task->d_name);
    closedir(tasks);
    return count;
}

#endif

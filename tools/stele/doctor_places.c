/*
 * What the system says of the store's files. None of them is opened: closing one would take away
 * the locks that this process has on it.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor.h"

/* Less room than this is soon used up; and less than this is as good as none. */
#define ROOM_SMALL ((uint64_t)256 * 1024 * 1024)
#define ROOM_NONE  ((uint64_t)16 * 1024 * 1024)

/* Processes that are named in a row; of more only the number. */
#define NAMED_MAX 5

/* --- Files --- */

static void look_at_file(diagnosis *to, const struct stat *facts)
{
    unsigned mode = (unsigned)facts->st_mode & 07777u;
    if ((mode & 0002) != 0)
        find_bad(to, "file", "chmod 600 it, and its -wal, -shm, -lock and -anchor",
                 "mode %04o: everybody can change it", mode);
    else if (facts->st_uid != geteuid())
        find_warning(to, "file", "use it as its owner: files made by others lock that one out",
                     "it belongs to user %ld, and this is user %ld", (long)facts->st_uid,
                     (long)geteuid());
    else if ((mode & 0020) != 0)
        find_warning(to, "file", "chmod 600, unless the group is to write it",
                     "mode %04o: its group can change it", mode);
    else
        find_ok(to, "file", "mode %04o%s", mode,
                (mode & 0004) != 0 ? ", everybody can read it" : "");
}

/* The files that SQLite and the library keep beside it. */
static void look_at_companions(diagnosis *to, const struct stat *facts)
{
    static const char *const endings[] = { "-wal", "-shm", "-lock", "-anchor" };
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        buffer path = { 0 };
        struct stat beside;
        buffer_format(&path, "%s%s", to->path, endings[i]);
        if (lstat(path.bytes, &beside) == 0) {
            if (beside.st_uid != facts->st_uid)
                find_warning(to, "companions", "chown it to the owner of the store",
                             "%s belongs to user %ld, the store to %ld", endings[i],
                             (long)beside.st_uid, (long)facts->st_uid);
            else if ((beside.st_mode & 0002) != 0)
                find_bad(to, "companions", "chmod 600 it", "everybody can change %s", endings[i]);
        }
        buffer_dispose(&path);
    }
}

static void folder_of(const char *path, buffer *folder)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        buffer_add_string(folder, ".");
    else
        buffer_add(folder, path, slash == path ? 1 : (size_t)(slash - path));
}

static void look_at_folder(diagnosis *to, const char *folder)
{
    struct stat facts;
    if (stat(folder, &facts) != 0)
        find_warning(to, "folder", "see why", "it can't be looked at: %s", strerror(errno));
    else if ((facts.st_mode & 0002) != 0 && (facts.st_mode & 01000) == 0)
        find_bad(to, "folder", "chmod o-w it", "mode %04o: everybody can replace the store",
                 (unsigned)facts.st_mode & 07777u);
    else if ((facts.st_mode & 0002) != 0)
        find_warning(to, "folder", "keep it in a folder of its owner's",
                     "mode %04o: everybody can put a -wal beside the store",
                     (unsigned)facts.st_mode & 07777u);
    else
        find_ok(to, "folder", "mode %04o", (unsigned)facts.st_mode & 07777u);
}

void look_at_permissions(diagnosis *to)
{
    struct stat facts;
    if (stat(to->path, &facts) != 0) {
        find_bad(to, "file", "see why", "it can't be looked at: %s", strerror(errno));
        return;
    }
    look_at_file(to, &facts);
    look_at_companions(to, &facts);
    buffer folder = { 0 };
    folder_of(to->path, &folder);
    look_at_folder(to, folder.bytes);
    buffer_dispose(&folder);
}

void look_at_disk(diagnosis *to)
{
    struct statvfs disk;
    if (statvfs(to->path, &disk) != 0) {
        find_warning(to, "disk", "see why", "its room is not known: %s", strerror(errno));
        return;
    }
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room < ROOM_NONE)
        find_bad(to, "disk", "make room: appends will fail with FULL", "%" PRIu64 " KiB are free",
                 room >> 10);
    else if (room < ROOM_SMALL)
        find_warning(to, "disk", "make room", "%" PRIu64 " MiB are free", room >> 20);
    else
        find_ok(to, "disk", "%" PRIu64 " MiB are free", room >> 20);
}

/* --- Processes --- */

#ifdef __linux__

/* A process that has the store open. */
typedef struct opener {
    bool writes; /* the store's own file is open for writing */
    bool locks;  /* its -lock is open, as every writer of this library has it */
} opener;

typedef struct search {
    struct stat store;
    struct stat lock;
    bool lock_exists;
    size_t unseen; /* processes that could not be looked into */
    size_t foreign;
    size_t ours;
    buffer named;
} search;

static bool is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Whether a descriptor was opened for writing, as its fdinfo says. */
static bool is_for_writing(const char *pid, const char *descriptor)
{
    char path[64];
    char line[128];
    unsigned flags = 0;
    snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, descriptor);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "flags:", 6) == 0)
            flags = (unsigned)strtoul(line + 6, NULL, 8);
    fclose(file);
    return (flags & 3u) != 0;
}

/* What process `pid` has open. @return False when that can't be seen. */
static bool look_into(const search *of, const char *pid, opener *found)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return errno != EACCES && errno != EPERM;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat facts;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", pid, entry->d_name);
        if (stat(path, &facts) != 0)
            continue;
        if (is_same_file(&facts, &of->store) && is_for_writing(pid, entry->d_name))
            found->writes = true;
        if (of->lock_exists && is_same_file(&facts, &of->lock))
            found->locks = true;
    }
    closedir(folder);
    return true;
}

static void name_process(search *of, const char *pid)
{
    char path[64];
    char called[64] = "";
    snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(called, sizeof(called), file) == NULL)
            called[0] = '\0';
        fclose(file);
    }
    called[strcspn(called, "\n")] = '\0';
    buffer_format(&of->named, "%s%s (%s)", of->foreign > 1 ? ", " : "", pid, called);
}

static void search_process(search *of, const char *pid)
{
    opener found = { 0 };
    if (!look_into(of, pid, &found)) {
        of->unseen++;
    } else if (found.writes && found.locks) {
        of->ours++;
    } else if (found.writes) {
        of->foreign++;
        if (of->foreign <= NAMED_MAX)
            name_process(of, pid);
    }
}

static void tell_processes(diagnosis *to, const search *of)
{
    buffer unseen = { 0 };
    buffer_add_string(&unseen, "");
    if (of->unseen > 0)
        buffer_format(&unseen, "; %zu of other users can't be looked into", of->unseen);
    if (of->foreign > 0)
        find_warning(
            to, "processes",
            "let it only read, with PRAGMA wal_autocheckpoint=0, or end it: its checkpoints"
            " aren't guarded",
            "%zu with the store open for writing %s not this library's: %s%s", of->foreign,
            of->foreign == 1 ? "is" : "are", of->named.bytes, unseen.bytes);
    else
        find_ok(to, "processes", "%zu of this library write it, and no others%s", of->ours,
                unseen.bytes);
    buffer_dispose(&unseen);
}

void look_at_processes(diagnosis *to)
{
    search of = { 0 };
    buffer path = { 0 };
    char own[32];
    DIR *folder = opendir("/proc");
    buffer_format(&path, "%s-lock", to->path);
    snprintf(own, sizeof(own), "%ld", (long)getpid());
    of.lock_exists = stat(path.bytes, &of.lock) == 0;
    if (folder == NULL || stat(to->path, &of.store) != 0) {
        find_warning(to, "processes", "see why", "they can't be looked at: %s", strerror(errno));
    } else {
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
            if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name)
                && strcmp(entry->d_name, own) != 0)
                search_process(&of, entry->d_name);
        tell_processes(to, &of);
    }
    if (folder != NULL)
        closedir(folder);
    buffer_dispose(&of.named);
    buffer_dispose(&path);
}

#else

void look_at_processes(diagnosis *to)
{
    find_skipped(to, "processes", "look with lsof", "only Linux tells who has a file open");
}

#endif

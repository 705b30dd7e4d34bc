/* Which filesystem a path lies on, as far as WAL cares: is it this host's own? */
#define _GNU_SOURCE
#include "base/platform.h"

#include <string.h>

#if defined(__linux__)
#include <sys/vfs.h>
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
#include <sys/mount.h>
#include <sys/param.h>
#endif

#include "base/memory.h"

/* FUSE and 9P may well be local; but what they do with locks and shared memory can't be told. */
static const struct filesystem_kind {
    uint64_t magic;
    const char *name;
} filesystem_kinds[] = {
    { 0x6969, "NFS" },        { 0x517b, "SMB" },          { 0xfe534d42, "SMB" },
    { 0xff534d42, "CIFS" },   { 0x01021997, "9P" },       { 0x65735546, "FUSE" },
    { 0x00c36400, "Ceph" },   { 0x5346414f, "AFS" },      { 0x6b414653, "AFS" },
    { 0x73757245, "Coda" },   { 0x0bd00bd0, "Lustre" },   { 0x47504653, "GPFS" },
    { 0x19830326, "BeeGFS" }, { 0x20030528, "OrangeFS" }, { 0xaad7aaea, "PanFS" },
    { 0x01161970, "GFS2" },   { 0x7461636f, "OCFS2" },    { 0x564c, "NCP" },
    { 0x786f4256, "vboxsf" }, { 0xbacbacbc, "vmhgfs" },   { 0x7c7c6673, "prl_fs" },
};

const char *stele__filesystem_name(uint64_t magic)
{
    for (size_t i = 0; i < sizeof(filesystem_kinds) / sizeof(filesystem_kinds[0]); i++)
        if (filesystem_kinds[i].magic == magic)
            return filesystem_kinds[i].name;
    return NULL;
}

#if defined(__linux__)

static uint64_t ask_filesystem(const char *path)
{
    struct statfs facts;
    if (statfs(path, &facts) != 0)
        return 0;
    /* The numbers have 32 bits; the field is signed on some machines, and may be wider. */
    return (uint32_t)facts.f_type;
}

#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)

/* They give names instead of numbers, and say which are local: answer as Linux would. */
static uint64_t ask_filesystem(const char *path)
{
    static const struct {
        const char *type;
        uint64_t magic;
    } answers[] = {
        { "smbfs", 0x517b },       { "cifs", 0xff534d42 },   { "9p", 0x01021997 },
        { "p9fs", 0x01021997 },    { "fusefs", 0x65735546 }, { "macfuse", 0x65735546 },
        { "osxfuse", 0x65735546 }, { "afpfs", 0x5346414f },  { "afs", 0x5346414f },
        { "nfs", 0x6969 },
    };
    struct statfs facts;
    if (statfs(path, &facts) != 0)
        return 0;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (strcmp(facts.f_fstypename, answers[i].type) == 0)
            return answers[i].magic;
    return (facts.f_flags & MNT_LOCAL) != 0 ? 1 : 0x6969; /* some other, by the best known name */
}

#else

static uint64_t ask_filesystem(const char *path)
{
    (void)path;
    return 0;
}

#endif

uint64_t (*stele__ask_filesystem)(const char *path) = ask_filesystem;

const char *stele__network_filesystem(const char *path)
{
    uint64_t magic = stele__ask_filesystem(path);
    const char *slash = strrchr(path, '/');
    if (magic == 0 && slash != NULL) {
        /* A file that isn't there yet will lie where its folder does. */
        char *folder = stele__copy_text(path);
        if (folder == NULL)
            return NULL;
        folder[slash == path ? 1 : slash - path] = '\0';
        magic = stele__ask_filesystem(folder);
        stele__free(folder);
    }
    return stele__filesystem_name(magic);
}

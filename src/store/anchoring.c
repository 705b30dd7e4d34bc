#include "store/anchoring.h"
stele_status stele__anchoring_judge_wal(const char *path)
{
    (void)path;
    return STELE_OK;
}
stele_status stele__anchoring_open(stele_store *store)
{
    (void)store;
    return STELE_OK;
}
void stele__anchoring_begun(stele_store *store)
{
    (void)store;
}
void stele__anchoring_transferred(stele_store *store, bool complete)
{
    (void)store;
    (void)complete;
}
void stele__anchoring_close(stele_store *store)
{
    (void)store;
}

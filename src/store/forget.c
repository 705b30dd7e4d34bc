/* What is remembered of a stream in memory goes when the stream is deleted. */
#include "store/store.h"

void stele__forgetter_join(stele_store *store, stele__forgetter *forgetter)
{
    pthread_mutex_lock(&store->mutex);
    forgetter->next = store->forgetters;
    store->forgetters = forgetter;
    pthread_mutex_unlock(&store->mutex);
}

void stele__forgetter_leave(stele_store *store, stele__forgetter *forgetter)
{
    pthread_mutex_lock(&store->mutex);
    stele__forgetter **at = &store->forgetters;
    while (*at != NULL && *at != forgetter)
        at = &(*at)->next;
    if (*at != NULL)
        *at = forgetter->next;
    pthread_mutex_unlock(&store->mutex);
}

void stele__store_forget(stele_store *store, int64_t stream)
{
    pthread_mutex_lock(&store->mutex);
    for (stele__forgetter *one = store->forgetters; one != NULL; one = one->next)
        one->forget(one->context, stream);
    pthread_mutex_unlock(&store->mutex);
}

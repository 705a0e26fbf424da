/*
 * Shares: how many slots of tags the instances of one user have, so that nobody can fill the table for all.
 *
 * A user is whoever could not be somebody else: the one outside all the user namespaces that an instance is in.
 */
#ifndef FDS_SHARES_H
#define FDS_SHARES_H

#include "maps.h"

static __always_inline __u64 *share_of(__u32 payer)
{
    __u64 *share = shares.lookup(&payer);
    __u64 none = 0;

    if (share)
        return share;
    shares.insert(&payer, &none);
    return shares.lookup(&payer);
}

/* Count one slot more, if there may be one. */
static __always_inline bool take_share(const struct fds_instance *instance)
{
    __u64 *share;

    if (!instance->payer)
        return true;
    share = share_of(instance->payer);
    if (!share || *share >= FDS_MOST_SLOTS_EACH)
        return false;
    __sync_fetch_and_add(share, 1);
    return true;
}

static __always_inline void give_share(const struct fds_instance *instance)
{
    __u32 payer = instance->payer;
    __u64 *share = payer ? shares.lookup(&payer) : NULL;

    if (share && *share)
        __sync_fetch_and_add(share, -1);
}

/* The instance of this number has one slot less. */
static __always_inline void give_share_of(__u32 number)
{
    struct fds_instance *instance = instances.lookup(&number);

    if (instance)
        give_share(instance);
}

#endif

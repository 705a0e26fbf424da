/*
 * Tags: which instances keep an open file, and to which classes it belongs in each.
 *
 * Two servers may get a file at once while the enforcer tags it. So a slot is claimed by one atomic step, and bears no
 * classes from then on until the enforcer writes them; in between the file is delivered to nobody. A tag with no slot
 * in use stays until the file goes, since taking it away could take away what somebody has just claimed in it.
 */
#ifndef FDS_TAGS_H
#define FDS_TAGS_H

#include "kernel_numbers.h"
#include "maps.h"
#include "opener.h"
#include "shares.h"

static __always_inline struct fds_tag *tag_of(const struct file *file)
{
    __u64 key = (__u64)file;

    return tags.lookup(&key);
}

static __always_inline void forget_tag(const struct file *file)
{
    __u64 key = (__u64)file;
    struct fds_tag *tag = tags.lookup(&key);

    if (!tag)
        return;
    each_once
    for (int i = 0; i < FDS_SLOTS; i++)
        if (tag->slots[i].instance)
            give_share_of(tag->slots[i].instance);
    tags.delete(&key);
}

/* The instance of this number has gone, and `heir` is what came after it. */
static __always_inline bool match_heir(__u32 number, const struct fds_instance *heir)
{
    struct fds_instance *instance = instances.lookup(&number);

    return instance && instance->flags & FDS_ENDED && instance->lineage == heir->lineage;
}

static __always_inline struct fds_slot *own_slot(struct fds_tag *tag, __u32 number)
{
    each_once
    for (int i = 0; i < FDS_SLOTS; i++)
        if (tag->slots[i].instance == number)
            return &tag->slots[i];
    return NULL;
}

static __always_inline struct fds_slot *inherited_slot(struct fds_tag *tag, const struct fds_instance *heir)
{
    each_once
    for (int i = 0; i < FDS_SLOTS; i++)
        if (tag->slots[i].instance && match_heir(tag->slots[i].instance, heir))
            return &tag->slots[i];
    return NULL;
}

static __always_inline struct fds_slot *own_or_inherited_slot(struct fds_tag *tag, __u32 number)
{
    struct fds_slot *slot = own_slot(tag, number);
    struct fds_instance *instance = instances.lookup(&number);

    if (slot || !instance)
        return slot;
    return inherited_slot(tag, instance);
}

static __always_inline bool claim(struct fds_slot *slot, __u64 from, __u64 to)
{
    return __sync_val_compare_and_swap(&slot->instance, from, to) == from;
}

static __always_inline bool claim_inherited(struct fds_tag *tag, __u32 number, const struct fds_instance *instance)
{
    struct fds_slot *slot = inherited_slot(tag, instance);

    return slot && claim(slot, slot->instance, number);
}

static __always_inline bool claim_first_free(struct fds_tag *tag, __u32 number)
{
    each_once
    for (int i = 0; i < FDS_SLOTS; i++)
        if (claim(&tag->slots[i], 0, number))
            return true;
    return false;
}

static __always_inline int claim_free(struct fds_tag *tag, __u32 number, const struct fds_instance *instance)
{
    if (!take_share(instance))
        return -ENOSPC;
    if (claim_first_free(tag, number))
        return 0;
    give_share(instance);
    return -EMLINK;
}

static __always_inline void free_slot(struct fds_slot *slot)
{
    give_share_of(slot->instance);
    *(volatile __u64 *)&slot->classes = FDS_NO_CLASSES;
    *(volatile __u64 *)&slot->instance = 0;
}

/* The first slot of the instance gets the classes; a second one, claimed at the same time, goes. */
static __always_inline void write_classes(struct fds_tag *tag, __u32 number, __u64 set)
{
    bool written = false;

    each_once
    for (int i = 0; i < FDS_SLOTS; i++) {
        if (tag->slots[i].instance != number)
            continue;
        if (written)
            free_slot(&tag->slots[i]);
        else
            tag->slots[i].classes = set;
        written = true;
    }
}

static __always_inline void free_slots(struct fds_tag *tag, __u32 number)
{
    each_once
    for (int i = 0; i < FDS_SLOTS; i++)
        if (tag->slots[i].instance == number)
            free_slot(&tag->slots[i]);
}

/* The tag of a file, made if there is none; NULL if there is no room for it. */
static __always_inline struct fds_tag *made_tag(const struct file *file)
{
    __u64 key = (__u64)file;
    struct fds_tag *tag = tags.lookup(&key);
    struct fds_tag none = {};

    if (tag)
        return tag;
    tags.insert(&key, &none);
    return tags.lookup(&key);
}

/* Tag a file deny-all for an instance that keeps it from now on, unless it is tagged for it. */
static __always_inline int keep(const struct file *file, __u32 number, const struct fds_instance *instance)
{
    struct fds_tag *tag = made_tag(file);

    if (!tag)
        return -ENOSPC;
    return own_or_inherited_slot(tag, number) ? 0 : claim_free(tag, number, instance);
}

static __always_inline int classify(const struct file *file, __u32 number, const struct fds_instance *instance, __u64 set)
{
    struct fds_tag *tag = made_tag(file);
    int refused = 0;

    if (!tag)
        return -ENOSPC;
    if (!own_slot(tag, number) && !claim_inherited(tag, number, instance))
        refused = claim_free(tag, number, instance);
    if (!refused)
        write_classes(tag, number, set);
    return refused;
}

#endif

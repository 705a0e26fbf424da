/*
 * How user namespaces stand to one another.
 *
 * A namespace is at a level: the initial one at 0, its children at 1. It is below another if its ancestor at the
 * other's level is that other. Two that live have different numbers; of one that may be gone only the chain is left.
 */
#ifndef FDS_NAMESPACES_H
#define FDS_NAMESPACES_H

#include "abi.h"
#include "kernel_numbers.h"

/* The namespace itself or the one above it at this level; NULL if it is higher up. */
static __always_inline struct user_namespace *ancestor_at(struct user_namespace *namespace, int level)
{
    each_once
    for (int i = 0; i < FDS_DEPTH; i++) {
        if (namespace->level <= level)
            break;
        namespace = namespace->parent;
    }
    return namespace->level == level ? namespace : NULL;
}

static __always_inline bool match_chain(const struct fds_chain *chain)
{
    return chain->depth > 0 && chain->depth <= FDS_DEPTH;
}

/* How the namespace `theirs` stands to the namespace at this level with this number. */
static __always_inline __u32 relation_to(struct user_namespace *theirs, int level, __u32 number)
{
    struct user_namespace *ancestor = ancestor_at(theirs, level);

    if (!ancestor || ancestor->inum != number)
        return FDS_ELSEWHERE;
    return theirs->level == level ? FDS_SAME : FDS_BELOW;
}

/* How a living namespace stands to the one that a chain is of. */
static __always_inline __u32 relation_to_chain(struct user_namespace *theirs, const struct fds_chain *chain)
{
    if (!match_chain(chain))
        return FDS_RELATION_UNKNOWN;
    return relation_to(theirs, chain->depth - 1, chain->numbers[0]);
}

/* How the namespace that a chain is of stands to a living one. */
static __always_inline __u32 relation_of_chain(const struct fds_chain *chain, struct user_namespace *to)
{
    __u32 above;

    if (!match_chain(chain))
        return FDS_RELATION_UNKNOWN;
    above = chain->depth - 1 - to->level;
    if (above >= FDS_DEPTH || chain->numbers[above] != to->inum)
        return FDS_ELSEWHERE;
    return above ? FDS_BELOW : FDS_SAME;
}

/* Somebody's capabilities over the instance's namespace, to which his own stands so: none from below or elsewhere; from
 * above those that he has, or all if he made the namespace just below his own. */
static __always_inline __u64 capabilities_over(const struct cred *cred, const struct fds_instance *instance,
                                               __u32 relation, __u64 effective)
{
    __u32 below;

    if (relation == FDS_SAME)
        return effective;
    if (relation_of_chain(&instance->chain, cred->user_ns) != FDS_BELOW)
        return 0;
    below = instance->chain.depth - 2 - cred->user_ns->level;
    if (below < FDS_DEPTH && instance->owners[below] == cred->euid)
        return ALL_CAPABILITIES;
    return effective;
}

/* Writes down the chain of a namespace and who made each. Depth 0 if it is longer than fits. */
static __always_inline void write_chain(struct fds_chain *chain, __u32 *owners, struct user_namespace *namespace)
{
    chain->depth = 0;
    each_once
    for (int i = 0; i < FDS_DEPTH; i++) {
        if (!namespace)
            break;
        chain->numbers[i] = namespace->inum;
        owners[i] = namespace->owner;
        chain->depth = i + 1;
        namespace = namespace->parent;
    }
    if (namespace)
        chain->depth = 0;
}

#endif

/*
 * Who opened a file, and whether an instance may restrict where the file goes.
 */
#ifndef FDS_OPENER_H
#define FDS_OPENER_H

#include "maps.h"
#include "namespaces.h"

/* `instance` may be NULL: then nobody's capabilities are known. Nor is the uid of somebody who is two users, such as a
 * program that runs set-user-id: he cannot be taken for either. */
static __always_inline void gather_opener(struct fds_person *opener, const struct cred *cred,
                                          const struct fds_instance *instance)
{
    __u64 effective = cred->cap_effective;
    __u32 relation = FDS_RELATION_UNKNOWN;

    opener->uid = cred->uid;
    opener->gid = cred->gid;
    opener->userns = cred->user_ns->inum;
    opener->capabilities = 0;
    opener->known = FDS_KNOWS_USERNS;
    if (cred->uid == cred->euid)
        opener->known |= FDS_KNOWS_UID;
    if (instance)
        relation = relation_to_chain(cred->user_ns, &instance->chain);
    if (relation == FDS_RELATION_UNKNOWN)
        return;
    opener->capabilities = capabilities_over(cred, instance, relation, effective);
    opener->known |= FDS_KNOWS_CAPABILITIES;
}

/* Opened as the server's own user, with nobody else's power. */
static __always_inline bool match_own_user(const struct cred *cred, const struct fds_instance *instance)
{
    return cred->uid == instance->uid && cred->euid == instance->uid;
}

/* In a namespace that the server's user made below the instance's. */
static __always_inline bool match_own_namespace(const struct cred *cred, const struct fds_instance *instance)
{
    struct user_namespace *topmost = ancestor_at(cred->user_ns, instance->chain.depth);

    return topmost && topmost->owner == instance->uid;
}

/*
 * A tag restricts a file wherever it travels, so nobody may tag what is somebody else's: the opener must be one for whom
 * the instance's server can speak. He is in the instance's namespace or below, and the file holds that. So the number of
 * an instance's namespace, which outlives server and mount, is no other's for as long as anything is tagged for it.
 */
static __always_inline bool match_authority(const struct file *file, const struct fds_instance *instance)
{
    const struct cred *cred = file->f_cred;
    __u32 relation = relation_to_chain(cred->user_ns, &instance->chain);

    if (relation != FDS_SAME && relation != FDS_BELOW)
        return false;
    if (instance->flags & FDS_PRIVILEGED)
        return true;
    return relation == FDS_SAME ? match_own_user(cred, instance) : match_own_namespace(cred, instance);
}

#endif

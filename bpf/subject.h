/*
 * Who asks: always the current task, which is what receives, opens or connects.
 *
 * Whatever is not known for certain stays unknown in the request, so that the decision fails closed.
 */
#ifndef FDS_SUBJECT_H
#define FDS_SUBJECT_H

#include "kernel_numbers.h"
#include "maps.h"
#include "namespaces.h"

static __always_inline struct task_struct *current_task(void)
{
    return (struct task_struct *)bpf_get_current_task_btf();
}

static __always_inline struct fds_role *role_of(struct task_struct *task)
{
    return roles.task_storage_get(task->group_leader, 0, 0);
}

static __always_inline bool match_role(const struct fds_role *role, __u32 kind)
{
    return role && role->kind == kind;
}

/* A process of the instance itself: what the instance keeps is its own. */
static __always_inline bool match_keeps(const struct fds_role *role, __u32 instance)
{
    return role && role->instance == instance && (role->kind == FDS_SERVER || role->kind == FDS_KEEPER);
}

static __always_inline bool match_root(const struct cred *cred, int capability)
{
    return cred->user_ns->level == 0 && cred->euid == 0 && cred->cap_effective >> capability & 1;
}

static __always_inline bool match_range(const struct fds_range *range, __u32 id)
{
    return id >= range->first && id - range->first < range->count;
}

static __always_inline bool match_ranges(const struct fds_range *ranges, __u32 id)
{
    each_once
    for (int i = 0; i < FDS_RANGES; i++)
        if (match_range(&ranges[i], id))
            return true;
    return false;
}

/* The first and all supplementary groups. More than fit are counted but not read: the decision says overflow. */
static __always_inline void gather_groups(struct fds_request *request, const struct cred *cred, __u32 gid)
{
    struct group_info *info = cred->group_info;
    __u32 supplementary = info->ngroups;

    request->gids[0] = gid;
    request->groups = supplementary + 1;
    if (supplementary >= FDS_MOST_GROUPS)
        request->groups = FDS_MOST_GROUPS + 1;
    else if (!bpf_probe_read_kernel(&request->gids[1], supplementary * sizeof(__u32), info->gid))
        request->known |= FDS_KNOWS_GROUPS;
}

static __always_inline void gather_capabilities(struct fds_request *request, const struct cred *cred,
                                                const struct fds_instance *instance)
{
    __u64 effective = cred->cap_effective;

    if (request->userns == FDS_RELATION_UNKNOWN)
        return;
    request->capabilities = capabilities_over(cred, instance, request->userns, effective);
    request->known |= FDS_KNOWS_CAPABILITIES;
}

/* `uid` and `gid` are those that count for this action. */
static __always_inline void gather_subject(struct fds_request *request, const struct fds_instance *instance,
                                           __u32 number, __u32 uid, __u32 gid)
{
    const struct cred *cred = current_task()->cred;

    request->instance = number;
    request->uid = uid;
    request->known = match_ranges(instance->uids, uid) ? FDS_KNOWS_UID : 0;
    request->capabilities = 0;
    request->cgroup = bpf_get_current_cgroup_id();
    request->userns = relation_to_chain(cred->user_ns, &instance->chain);
    request->opener_userns = FDS_RELATION_UNKNOWN;
    gather_groups(request, cred, gid);
    gather_capabilities(request, cred, instance);
}

#endif

/*
 * Roles stay with what a process turns into: a server can't shed its own by having a child or a thread act for it.
 */
#ifndef FDS_FAMILY_H
#define FDS_FAMILY_H

#include "subject.h"

/* An enforcer's children are nobody: what they start is not ours. */
static __always_inline bool match_inherited(const struct fds_role *role)
{
    return match_role(role, FDS_SERVER) || match_role(role, FDS_KEEPER);
}

static __always_inline int give_role(struct task_struct *task, const struct fds_role *role)
{
    struct fds_role *given = roles.task_storage_get(task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

    if (!given)
        return -ENOMEM;
    *given = *role;
    return 0;
}

/* A new process, which leads a group of its own. */
static __always_inline int inherit_role(struct task_struct *child, unsigned long flags)
{
    struct fds_role *role = role_of(current_task());

    if (flags & CLONE_THREAD || !match_inherited(role))
        return 0;
    return give_role(child, role);
}

/* A thread that executes a program becomes the leader of its group. */
static __always_inline int take_the_lead(struct task_struct *task)
{
    struct fds_role *role = role_of(task);

    if (task == task->group_leader || !match_inherited(role))
        return 0;
    return give_role(task, role);
}

#endif

/*
 * What keeps the enforcement itself from being undone: nobody looks into the processes that hold what is kept, and
 * nobody gets hold of our maps, programs and links.
 */
#ifndef FDS_GUARD_H
#define FDS_GUARD_H

#include "record.h"
#include "subject.h"

#define GUARDED_MAP 1
#define GUARDED_PROGRAM 2
#define GUARDED_LINK 3

static __always_inline bool match_may_look_into(struct task_struct *task)
{
    if (match_role(role_of(task), FDS_ENFORCER))
        return true;
    return !(setting() & FDS_LOCKDOWN) && match_root(task->cred, CAP_SYS_PTRACE);
}

static __always_inline int refuse_look(struct task_struct *target, __u32 instance)
{
    struct fds_work *work = own_work();
    struct fds_event *event;

    if (!work) {
        count_lost();
        return -EPERM;
    }
    event = new_event(work, FDS_REACHED_INTO, FDS_PROTECTED);
    event->target = target->tgid;
    event->instance = instance;
    send_event(event);
    return -EPERM;
}

/* `looker` is, or wants to become, what looks into `target`. Where the kernel only asks what to show, as for ps(1), there is
 * nothing to record. */
static __always_inline int look_into(struct task_struct *target, struct task_struct *looker, unsigned int mode)
{
    struct fds_role *role = role_of(target);

    if (!role || match_may_look_into(looker))
        return 0;
    return mode & PTRACE_MODE_NOAUDIT ? -EPERM : refuse_look(target, role->instance);
}

/* A restarted enforcer is not yet known as one, and has to take over: so what root of the host may do stays possible. */
static __always_inline bool match_may_have_objects(void)
{
    struct task_struct *task = current_task();

    return match_role(role_of(task), FDS_ENFORCER) || match_root(task->cred, CAP_SYS_ADMIN);
}

static __always_inline int refuse_object(__u32 id)
{
    struct fds_work *work = own_work();
    struct fds_event *event;

    if (!work) {
        count_lost();
        return -EPERM;
    }
    event = new_event(work, FDS_BPF_USED, FDS_OWN_OBJECT);
    event->target = id;
    send_event(event);
    return -EPERM;
}

static __always_inline int use_object(__u64 kind, __u32 id)
{
    __u64 key = kind << 32 | id;

    if (!guarded.lookup(&key) || match_may_have_objects())
        return 0;
    return refuse_object(id);
}

/* Links have no hook of their own. Those that are pinned lie in a folder of root's; by number there is this one way. */
static __always_inline int use_bpf(int command, union bpf_attr *attributes)
{
    if (command != BPF_LINK_GET_FD_BY_ID)
        return 0;
    return use_object(GUARDED_LINK, attributes->link_id);
}

#endif

/*
 * Records for the audit log. A record is written after the verdict and never changes it: one that finds no room in the
 * ring is counted.
 */
#ifndef FDS_RECORD_H
#define FDS_RECORD_H

#include "maps.h"
#include "opener.h"
#include "subject.h"

static __always_inline struct fds_work *own_work(void)
{
    return works.task_storage_get(current_task(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline __u64 setting(void)
{
    int zero = 0;
    __u64 *value = settings.lookup(&zero);

    return value ? *value : FDS_LOCKDOWN;
}

static __always_inline void count_lost(void)
{
    int zero = 0;
    __u64 *count = lost.lookup(&zero);

    if (count)
        __sync_fetch_and_add(count, 1);
}

static __always_inline void record_subject(struct fds_event *event)
{
    struct task_struct *task = current_task();
    const struct cred *cred = task->cred;

    event->tgid = task->tgid;
    event->tid = task->pid;
    event->uid = cred->uid;
    event->euid = cred->euid;
    event->gid = cred->gid;
    event->userns = cred->user_ns->inum;
    event->capabilities = cred->cap_effective;
    event->cgroup = bpf_get_current_cgroup_id();
    event->start = task->group_leader->start_boottime;
    bpf_get_current_comm(event->comm, sizeof(event->comm));
}

static __always_inline void record_inode(struct fds_event *event, struct inode *inode)
{
    event->device = inode->i_sb->s_dev;
    event->inode = inode->i_ino;
    event->mode = inode->i_mode;
    event->magic = inode->i_sb->s_magic;
}

static __always_inline void record_file(struct fds_event *event, struct file *file, __u32 instance)
{
    event->instance = instance;
    event->open_flags = file->f_flags;
    record_inode(event, file->f_inode);
    gather_opener(&event->opener, file->f_cred, instances.lookup(&instance));
}

static __always_inline void record_verdict(struct fds_event *event, const struct fds_scratch *scratch)
{
    event->allowed = scratch->verdict.allowed;
    event->decided = scratch->verdict.decided;
    event->reason = scratch->verdict.reason;
    event->generation = scratch->verdict.generation;
    event->class = scratch->verdict.class;
    __builtin_memcpy(event->terms, scratch->terms, sizeof(event->terms));
}

static __always_inline struct fds_event *new_event(struct fds_work *work, __u32 hook, __u32 reason)
{
    struct fds_event *event = &work->event;

    __builtin_memset(event, 0, sizeof(*event));
    event->hook = hook;
    event->reason = reason;
    record_subject(event);
    return event;
}

static __always_inline void send_event(struct fds_event *event)
{
    int zero = 0;
    __u64 *count = lost.lookup(&zero);

    event->time = bpf_ktime_get_boot_ns();
    event->lost = count ? *count : 0;
    if (events.ringbuf_output(event, sizeof(*event), 0))
        count_lost();
}

#endif

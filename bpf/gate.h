/*
 * Ways to what an instance keeps that install no descriptor of it: opening an entry, where reading the handle reads the
 * file behind it, and connecting to a socket in the instance's mount.
 */
#ifndef FDS_GATE_H
#define FDS_GATE_H

#include "verdict.h"

struct sock;

/* The number of the instance that a file system on this device belongs to, unless the current process is part of it. */
static __always_inline __u32 gated_instance(__u64 device)
{
    __u32 *number = mounts.lookup(&device);
    struct fds_role *role;

    if (!number)
        return 0;
    role = role_of(current_task());
    return match_keeps(role, *number) || match_role(role, FDS_ENFORCER) ? 0 : *number;
}

/* The mount has gone, and the number of its device is about to be another's. */
static __always_inline void forget_mount(const struct super_block *super)
{
    __u64 device = super->s_dev;

    if (super->s_magic == FUSE_SUPER_MAGIC && mounts.lookup(&device))
        mounts.delete(&device);
}

/* A handle that takes a descriptor and gives none: what is replaced, or not filled yet. */
static __always_inline bool match_stash_handle(const struct file *file, bool filled)
{
    __u32 access = file->f_flags & O_ACCMODE;

    if (file->f_mode & FMODE_CREATED)
        return true;
    if (access != O_RDONLY && file->f_flags & O_TRUNC)
        return true;
    return access == O_WRONLY && !filled;
}

static __always_inline int decide_entry(struct fds_scratch *scratch, const __u64 *set, __u32 number)
{
    const struct cred *cred = current_task()->cred;
    struct fds_instance *instance = instances.lookup(&number);
    __u32 reason;

    begin_verdict(scratch, number);
    if (!instance)
        return fds_refuse(scratch, FDS_MISSING);
    gather_subject(&scratch->request, instance, number, cred->fsuid, cred->fsgid);
    reason = gather_classes(scratch, set ? *set : FDS_NO_CLASSES, cred->user_ns);
    return reason ? fds_refuse(scratch, reason) : fds_decide(rows_in_force(), scratch);
}

static __always_inline void record_opening(struct fds_work *work, struct file *file, const __u64 *set)
{
    struct fds_event *event;

    if (!match_recorded(&work->scratch.verdict))
        return;
    event = new_event(work, FDS_OPENED, 0);
    record_verdict(event, &work->scratch);
    event->instance = work->scratch.request.instance;
    event->open_flags = file->f_flags;
    event->opener = work->scratch.people[0].opener;
    event->classes = set ? *set : FDS_NO_CLASSES;
    record_inode(event, file->f_inode);
    send_event(event);
}

static __always_inline int judge_entry(struct file *file, const __u64 *set, __u32 number)
{
    struct fds_work *work = own_work();
    int allowed;

    if (!work) {
        count_lost();
        return -EACCES;
    }
    allowed = decide_entry(&work->scratch, set, number);
    record_opening(work, file, set);
    return allowed ? 0 : -EACCES;
}

static __always_inline int open_entry(struct file *file, struct fds_entry_key *key, __u32 number)
{
    __u64 *set = entries.lookup(key);

    if (match_stash_handle(file, set != NULL) || (set && *set == FDS_UNGUARDED))
        return 0;
    return judge_entry(file, set, number);
}

static __always_inline int open_file(struct file *file)
{
    struct inode *inode = file->f_inode;
    struct super_block *super = inode->i_sb;
    struct fds_entry_key key = {};
    __u32 number;

    if (super->s_magic != FUSE_SUPER_MAGIC)
        return 0;
    key.device = super->s_dev;
    number = gated_instance(key.device);
    if (!number || (inode->i_mode & S_IFMT) != S_IFREG)
        return 0;
    key.inode = inode->i_ino;
    return open_entry(file, &key, number);
}

static __always_inline int decide_connect(struct fds_scratch *scratch, __u32 number)
{
    const struct cred *cred = current_task()->cred;
    struct fds_instance *instance = instances.lookup(&number);

    begin_verdict(scratch, number);
    if (!instance)
        return fds_refuse(scratch, FDS_MISSING);
    gather_subject(&scratch->request, instance, number, cred->uid, cred->gid);
    return fds_may_connect(rows_in_force(), scratch);
}

static __always_inline void record_connection(struct fds_work *work, __u64 device)
{
    struct fds_event *event;

    if (!match_recorded(&work->scratch.verdict))
        return;
    event = new_event(work, FDS_CONNECTED, 0);
    record_verdict(event, &work->scratch);
    event->instance = work->scratch.request.instance;
    event->device = device;
    event->magic = FUSE_SUPER_MAGIC;
    send_event(event);
}

static __always_inline int judge_connection(__u64 device, __u32 number)
{
    struct fds_work *work = own_work();
    int allowed;

    if (!work) {
        count_lost();
        return -EACCES;
    }
    allowed = decide_connect(&work->scratch, number);
    record_connection(work, device);
    return allowed ? 0 : -EACCES;
}

/* Where a listening Unix socket lies; NULL: it has no path. The kernel knows it as a socket of any kind here. */
static __always_inline struct super_block *super_of_socket(const struct sock *listening)
{
    const struct unix_sock *own = (const void *)listening;
    struct dentry *dentry = NULL;
    struct super_block *super = NULL;

    bpf_probe_read_kernel(&dentry, sizeof(dentry), &own->path_dentry);
    if (dentry)
        bpf_probe_read_kernel(&super, sizeof(super), &dentry->d_sb);
    return super;
}

static __always_inline int connect_to(const struct sock *listening)
{
    struct super_block *super = super_of_socket(listening);
    __u32 short_device = 0;
    __u64 device;
    __u32 number;

    if (!super || bpf_probe_read_kernel(&short_device, sizeof(short_device), &super->s_dev))
        return 0;
    device = short_device;
    number = gated_instance(device);
    return number ? judge_connection(device, number) : 0;
}

#endif

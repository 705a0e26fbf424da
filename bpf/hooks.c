/*
 * The programs: one line for each hook, after what an earlier program said.
 *
 * What they decide and why: deliver.h (descriptors that are received), orders.h and tags.h (what an open file is tagged
 * with), gate.h (opening entries, connecting), family.h (whose child a process is), guard.h (keeping the enforcement itself
 * from harm).
 */
#include <uapi/linux/bpf.h>

#include "deliver.h"
#include "family.h"
#include "gate.h"
#include "guard.h"
#include "orders.h"

LSM_PROBE(file_receive, struct file *file, int ret)
{
    return ret ? ret : receive(file);
}

LSM_PROBE(file_fcntl, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
    return ret ? ret : take_order(file, cmd, arg);
}

LSM_PROBE(file_free_security, struct file *file)
{
    forget_tag(file);
    return 0;
}

LSM_PROBE(file_open, struct file *file, int ret)
{
    return ret ? ret : open_file(file);
}

LSM_PROBE(sb_delete, struct super_block *super)
{
    forget_mount(super);
    return 0;
}

LSM_PROBE(task_alloc, struct task_struct *task, unsigned long clone_flags, int ret)
{
    return ret ? ret : inherit_role(task, clone_flags);
}

LSM_PROBE(bprm_check_security, struct linux_binprm *bprm, int ret)
{
    return ret ? ret : take_the_lead(current_task());
}

LSM_PROBE(ptrace_access_check, struct task_struct *child, unsigned int mode, int ret)
{
    return ret ? ret : look_into(child, current_task());
}

LSM_PROBE(ptrace_traceme, struct task_struct *parent, int ret)
{
    return ret ? ret : look_into(current_task(), parent);
}

#ifdef FDS_LIMIT_CONNECT
LSM_PROBE(unix_stream_connect, struct sock *sock, struct sock *other, struct sock *newsk, int ret)
{
    return ret ? ret : connect_to(other);
}
#endif

LSM_PROBE(bpf_map, struct bpf_map *map, unsigned int fmode, int ret)
{
    return ret ? ret : use_object(GUARDED_MAP, map->id);
}

LSM_PROBE(bpf_prog, struct bpf_prog *prog, int ret)
{
    return ret ? ret : use_object(GUARDED_PROGRAM, prog->aux->id);
}

/* Newer kernels have a fourth argument here, so what an earlier program said stands elsewhere; if that was a refusal we
 * are not called. */
LSM_PROBE(bpf, int cmd, union bpf_attr *attr)
{
    return use_bpf(cmd, attr);
}

/*
 * The smallest programs with the product's maps: they answer FDS_LOOK and FDS_TAG to anybody, and deliver nothing that
 * is tagged. FDS_LOOK fails with ENOENT if the row {1, 1, 1} is not in the generation in force, and fills the ring.
 */
#include "../../bpf/maps.h"

static __always_inline int look(struct file *file, struct fds_order *found)
{
    struct fds_key key = {.table = 1, .of = 1, .value = 1};
    struct fds_event event = {};
    int only = 0;
    void *rows_in_force = generations.lookup(&only);
    __u64 *count = lost.lookup(&only);

    if (!rows_in_force || !bpf_map_lookup_elem_((uintptr_t)rows_in_force, &key))
        return -2;
    found->opener.uid = file->f_cred->uid;
    found->opener.capabilities = file->f_cred->cap_effective;
    found->opener.known = FDS_KNOWS_UID;
    event.tgid = bpf_get_current_pid_tgid() >> 32;
    event.terms[1] = 5;
    if (events.ringbuf_output(&event, sizeof(event), 0) && count)
        *count += 1;
    return works.task_storage_get(bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -12;
}

static __always_inline int tag(struct file *file, struct fds_order *order_given)
{
    __u64 key = (__u64)file;
    struct fds_tag new = {};

    new.slots[0].instance = order_given->instance;
    new.slots[0].classes = order_given->classes;
    return tags.update(&key, &new) ? -28 : 0;
}

LSM_PROBE(file_fcntl, struct file *file, unsigned int command, unsigned long argument)
{
    int only = 0;
    struct fds_order *given = order.lookup(&only);

    if (command != 2 || argument >> 32 != FDS_TOKEN || !given)
        return 0;
    if ((__u32)argument == FDS_LOOK)
        return look(file, given);
    return (__u32)argument == FDS_TAG ? tag(file, given) : 0;
}

LSM_PROBE(file_free_security, struct file *file)
{
    __u64 key = (__u64)file;

    tags.delete(&key);
    return 0;
}

LSM_PROBE(file_receive, struct file *file)
{
    __u64 key = (__u64)file;

    return tags.lookup(&key) ? -13 : 0;
}

/*
 * Orders: what server and enforcer say of a file that they hold, by a fcntl that means nothing from anybody else.
 */
#ifndef FDS_ORDERS_H
#define FDS_ORDERS_H

#include "kernel_numbers.h"
#include "opener.h"
#include "subject.h"
#include "tags.h"

static __always_inline int answer_ask(struct file *file, __u32 number)
{
    struct fds_tag *tag = tag_of(file);
    struct fds_slot *slot = tag ? own_or_inherited_slot(tag, number) : NULL;

    if (!slot)
        return -ENOTCONN;
    return slot->classes == FDS_NO_CLASSES ? -EINPROGRESS : -EISCONN;
}

static __always_inline void look_at_inode(struct fds_order *given, struct inode *inode)
{
    given->device = inode->i_sb->s_dev;
    given->inode = inode->i_ino;
    given->magic = inode->i_sb->s_magic;
    given->mode = inode->i_mode;
    given->owner_userns = inode->i_sb->s_user_ns->inum;
}

static __always_inline int obey_look(struct file *file, struct fds_order *given)
{
    __u32 number = given->instance;
    struct fds_instance *instance = instances.lookup(&number);
    struct fds_tag *tag = tag_of(file);
    struct fds_slot *slot = tag && number ? own_or_inherited_slot(tag, number) : NULL;

    given->classes = slot ? slot->classes : FDS_NO_CLASSES;
    given->authority = instance && match_authority(file, instance);
    gather_opener(&given->opener, file->f_cred, instance);
    write_chain(&given->chain, given->owners, file->f_cred->user_ns);
    look_at_inode(given, file->f_inode);
    return 0;
}

static __always_inline int obey_tag(struct file *file, struct fds_order *given)
{
    __u32 number = given->instance;
    struct fds_instance *instance = instances.lookup(&number);

    if (!instance || !match_authority(file, instance))
        return -EPERM;
    return classify(file, number, instance, given->classes);
}

static __always_inline int obey_untag(struct file *file, struct fds_order *given)
{
    struct fds_tag *tag = tag_of(file);
    __u32 number = given->instance;

    if (tag && number)
        free_slots(tag, number);
    return 0;
}

static __always_inline int obey(struct file *file, __u32 what)
{
    int zero = 0;
    struct fds_order *given = order.lookup(&zero);

    if (!given)
        return 0;
    if (what == FDS_LOOK)
        return obey_look(file, given);
    if (what == FDS_TAG)
        return obey_tag(file, given);
    return what == FDS_UNTAG ? obey_untag(file, given) : 0;
}

static __always_inline int take_order(struct file *file, unsigned int command, unsigned long argument)
{
    struct fds_role *role;

    if (command != F_SETFD || argument >> 32 != FDS_TOKEN)
        return 0;
    role = role_of(current_task());
    if (match_role(role, FDS_SERVER))
        return (__u32)argument == FDS_ASK ? answer_ask(file, role->instance) : 0;
    return match_role(role, FDS_ENFORCER) ? obey(file, argument) : 0;
}

#endif

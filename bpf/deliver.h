/*
 * Deliveries: a descriptor is about to be installed in the current process.
 *
 * Most files bear no tag and most processes have no role: two look-ups, and that is all.
 */
#ifndef FDS_DELIVER_H
#define FDS_DELIVER_H

#include "tags.h"
#include "verdict.h"

static __always_inline void gather_file(struct fds_scratch *scratch, struct file *file)
{
    struct user_namespace *subject = current_task()->cred->user_ns;

    scratch->request.opener_userns = relation_to(file->f_cred->user_ns, subject->level, subject->inum);
}

static __always_inline int decide_slot(struct fds_scratch *scratch, struct file *file, __u64 set, __u32 number, void *rows)
{
    const struct cred *cred = current_task()->cred;
    struct fds_instance *instance = instances.lookup(&number);
    __u32 reason;

    begin_verdict(scratch, number);
    if (!instance)
        return fds_refuse(scratch, FDS_MISSING);
    gather_subject(&scratch->request, instance, number, cred->uid, cred->gid);
    reason = gather_classes(scratch, set, cred->user_ns);
    if (reason)
        return fds_refuse(scratch, reason);
    gather_file(scratch, file);
    return fds_decide(rows, scratch);
}

static __always_inline void record_delivery(struct fds_work *work, struct file *file, __u64 set)
{
    struct fds_event *event;

    if (!match_recorded(&work->scratch.verdict))
        return;
    event = new_event(work, FDS_RECEIVE, 0);
    record_verdict(event, &work->scratch);
    record_file(event, file, work->scratch.request.instance);
    event->classes = set;
    send_event(event);
}

/* Whether the instance with this number lets the current process have the file. */
static __always_inline bool match_deliverable(struct file *file, __u64 set, __u32 number, void *rows)
{
    struct fds_work *work = own_work();
    bool allowed;

    if (!work) {
        count_lost();
        return false;
    }
    allowed = decide_slot(&work->scratch, file, set, number, rows);
    record_delivery(work, file, set);
    return allowed;
}

/* What an instance keeps goes to its own processes, and to those of what came after it. */
static __always_inline bool match_own(const struct fds_role *role, __u32 number)
{
    struct fds_instance *heir;
    __u32 own;

    if (!role || role->kind == FDS_ENFORCER)
        return false;
    own = role->instance;
    if (own == number)
        return true;
    heir = instances.lookup(&own);
    return heir && match_heir(number, heir);
}

static __always_inline int judge_slots(struct file *file, struct fds_tag *tag, const struct fds_role *role)
{
    void *rows = rows_in_force();

    each_once
    for (int i = 0; i < FDS_SLOTS; i++) {
        __u32 number = tag->slots[i].instance;

        if (!number || match_own(role, number))
            continue;
        if (!match_deliverable(file, tag->slots[i].classes, number, rows))
            return -EACCES;
    }
    return 0;
}

static __always_inline int refuse_unprotected(struct file *file, __u32 number, __u32 reason)
{
    struct fds_work *work = own_work();
    struct fds_event *event;

    if (!work) {
        count_lost();
        return -EACCES;
    }
    event = new_event(work, FDS_TAGGED, reason);
    record_file(event, file, number);
    send_event(event);
    return -EACCES;
}

/* A server gets nothing that it could hand on unnoticed, where it has the authority to have that prevented. */
static __always_inline int keep_received(struct file *file, __u32 number)
{
    struct fds_instance *instance = instances.lookup(&number);

    if (!instance)
        return refuse_unprotected(file, number, FDS_MISSING);
    if (!match_authority(file, instance))
        return 0;
    return keep(file, number, instance) ? refuse_unprotected(file, number, FDS_NO_ROOM) : 0;
}

static __always_inline int receive(struct file *file)
{
    struct fds_tag *tag = tag_of(file);
    struct fds_role *role = role_of(current_task());

    if (match_role(role, FDS_ENFORCER))
        return 0;
    if (tag && judge_slots(file, tag, role))
        return -EACCES;
    return match_role(role, FDS_SERVER) ? keep_received(file, role->instance) : 0;
}

#endif

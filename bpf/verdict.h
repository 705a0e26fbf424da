/*
 * From what is kept to a verdict: look up the instance, the classes and the people, decide, record.
 */
#ifndef FDS_VERDICT_H
#define FDS_VERDICT_H

#include "kernel_numbers.h"
#include "maps.h"
#include "namespaces.h"
#include "record.h"
#include "subject.h"

static __always_inline void *rows_in_force(void)
{
    int zero = 0;

    return generations.lookup(&zero);
}

/* Nothing of the last verdict is left to be taken for part of this one, which may end before the decision. */
static __always_inline void begin_verdict(struct fds_scratch *scratch, __u32 number)
{
    scratch->request.instance = number;
    scratch->verdict.generation = 0;
    __builtin_memset(&scratch->people[0], 0, sizeof(scratch->people[0]));
}

/* How the namespace of somebody who may be gone stands to the subject's. */
static __always_inline __u32 relation_of_person(const struct fds_person *person, const struct fds_chain *chain,
                                                struct user_namespace *to)
{
    if (person->known & FDS_IS_OPEN)
        return FDS_RELATION_OPEN;
    return person->known & FDS_KNOWS_USERNS ? relation_of_chain(chain, to) : FDS_RELATION_UNKNOWN;
}

static __always_inline __u32 gather_class(struct fds_scratch *scratch, int at, struct user_namespace *subject)
{
    __u32 number = scratch->set.classes[at];
    struct fds_class *class = classes.lookup(&number);

    if (!class || class->instance != scratch->request.instance)
        return FDS_MISSING;
    scratch->people[at].stasher = class->stasher;
    scratch->people[at].opener = class->opener;
    scratch->request.stasher_userns[at] = relation_of_person(&class->stasher, &class->stasher_chain, subject);
    scratch->request.opener_userns = relation_of_person(&class->opener, &class->opener_chain, subject);
    return 0;
}

/* Returns 0, or why there is nothing to decide by. */
static __always_inline __u32 gather_classes(struct fds_scratch *scratch, __u64 number, struct user_namespace *subject)
{
    struct fds_class_set *set;
    __u32 reason = 0;

    if (number == FDS_NO_CLASSES)
        return FDS_UNCLASSIFIED;
    set = class_sets.lookup(&number);
    if (!set || set->instance != scratch->request.instance)
        return FDS_MISSING;
    scratch->set = *set;
    each_once
    for (int at = 0; at < FDS_MOST_CLASSES; at++) {
        if (at >= fds_opaque(scratch->set.count) || reason)
            break;
        reason = gather_class(scratch, at, subject);
    }
    return reason;
}

/* A verdict that is on record: a denial, one that a policy in monitor mode would deny, or all where that is asked for. */
static __always_inline bool match_recorded(const struct fds_verdict *verdict)
{
    return !verdict->allowed || !verdict->decided || setting() & FDS_RECORD_ALLOWED;
}

#endif

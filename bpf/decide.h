/*
 * The decision: what decide() in Python says of the same request, as an AND of rows (abi.h).
 *
 * It looks up the subject's rows once, then those of each class until one allows, and joins them word by word: a word
 * with no term left costs one load. So what a thousand rules cost more than one is the width of their vectors.
 *
 * Where something must be there and is not, is not what it should be, or is more than is looked at, it denies, with a
 * reason of its own; whatever mode the policies are in, since without their tables nobody knows.
 *
 * fds_scratch is memory of the caller's that no other task uses at the same time, zero at first. The caller fills in
 * what stands before `verdict`.
 */
#ifndef FDS_DECIDE_H
#define FDS_DECIDE_H

#include "abi.h"

struct fds_verdict {
    __u32 allowed; /* in force */
    __u32 decided; /* over all rules */
    __u32 reason;  /* why it was decided so: enum fds_reason */
    __u32 generation;
    __u32 class; /* the number of the class that decided; 0: none did */
    __u32 pad;
};

struct fds_scratch {
    struct fds_request request;
    struct fds_class_set set;
    struct fds_people people[FDS_MOST_CLASSES]; /* of the set's classes, in its order */
    struct fds_verdict verdict;
    __u64 terms[FDS_MOST_WORDS]; /* those that decided */
    struct fds_row several;      /* the subject's rows of tables in which it has several */
    __u64 matching[FDS_MOST_CLASSES][FDS_WORDS];
    __u32 decider; /* the class that decided, by its place in the set */
    __u32 flags;   /* of the tables in force */
    __u32 strange; /* the subject's cgroup is not in them */
};

/* The rows that a class is joined with. Where none is asked for it is one that changes nothing. */
struct fds_joined {
    const struct fds_row *uid;
    const struct fds_row *userns;
    const struct fds_row *cgroup;
    const struct fds_row *several;
    const struct fds_row *stasher_same;
    const struct fds_row *stasher_userns;
    const struct fds_row *opener_same;
    const struct fds_row *opener_userns;
    const struct fds_row *no_more;
};

/* What is known of the tables in force, and of the request so far. */
struct fds_context {
    void *rows;
    const struct fds_row *effect;
    __u32 instance;
};

/* Some term that forbids or allows matches; `in_force`: one of a policy in enforce mode. */
struct fds_found {
    __u64 forbids;
    __u64 allows;
    __u64 forbids_in_force;
    __u64 allows_in_force;
};

/* Both read from memory each time: the verifier would follow every combination of flags that it sees in a register. */
static __always_inline __u32 fds_flags(const struct fds_scratch *scratch)
{
    return *(const volatile __u32 *)&scratch->flags;
}

static __always_inline __u32 fds_knows(const struct fds_request *request)
{
    return *(const volatile __u32 *)&request->known;
}

/* A value of which the compiler no longer knows where it comes from. Of a pointer to rows: else it works the address
 * of each word out before a loop and keeps them all on the stack, which is small. Of a count: else it makes one limit
 * of the count and the constant beside it, which old verifiers don't see through. */
#define fds_opaque(value)                               \
    ({                                                  \
        __typeof__(value) opaque = (value);             \
        __asm__ __volatile__("" : "+r"(opaque));        \
        opaque;                                         \
    })

/* `use` is a constant: what the programs are compiled without leaves nothing behind. */
#define fds_asks(scratch, use) ((FDS_USES & (use)) && (fds_flags(scratch) & (use)))

static __always_inline const struct fds_row *fds_row(void *rows, __u32 table, __u32 of, __u64 value)
{
    struct fds_key key = {.table = table, .of = of, .value = value};

    return bpf_map_lookup_elem(rows, &key);
}

/* The row where it is asked for, else the one that changes nothing: one look-up of a chosen key, and never a choice
 * between pointers, of which newer verifiers follow every combination. */
static __always_inline const struct fds_row *fds_row_if(struct fds_context *context, __u32 asked, __u32 table, __u32 of,
                                                        __u64 value)
{
    if (!asked) {
        table = FDS_ANY;
        of = context->instance;
        value = 0;
    }
    return fds_row(context->rows, fds_opaque(table), fds_opaque(of), fds_opaque(value));
}

/* Words are numbered through a row: those of `main`, then those of `unless`. */
static __always_inline __u64 fds_word(const struct fds_row *row, int word)
{
    return ((const __u64 *)row)[word];
}

static __always_inline void fds_copy_row(struct fds_row *to, const struct fds_row *from)
{
    __u64 *words = (__u64 *)fds_opaque(to);

#pragma unroll
    for (int word = 0; word < 2 * FDS_WORDS; word++)
        words[word] = fds_word(from, word);
}

static __always_inline void fds_or_row(struct fds_row *to, const struct fds_row *from)
{
    __u64 *words = (__u64 *)fds_opaque(to);

#pragma unroll
    for (int word = 0; word < 2 * FDS_WORDS; word++)
        words[word] |= fds_word(from, word);
}

static __always_inline void fds_and_row(struct fds_row *to, const struct fds_row *from)
{
    __u64 *words = (__u64 *)fds_opaque(to);

#pragma unroll
    for (int word = 0; word < 2 * FDS_WORDS; word++)
        words[word] &= fds_word(from, word);
}

/* Those beyond the words that these programs have are never other than 0. */
static __always_inline void fds_forget_terms(struct fds_scratch *scratch)
{
#pragma unroll
    for (int word = 0; word < FDS_WORDS; word++)
        scratch->terms[word] = 0;
}

static __always_inline void fds_begin(struct fds_scratch *scratch, __u32 reason)
{
    scratch->verdict.allowed = 0;
    scratch->verdict.decided = 0;
    scratch->verdict.class = 0;
    scratch->verdict.reason = reason;
}

static __always_inline int fds_deny(struct fds_scratch *scratch, __u32 reason)
{
    fds_begin(scratch, reason);
    fds_forget_terms(scratch);
    return 0;
}

/* A denial for a reason of the caller's, who did not come as far as the tables. */
static __always_inline int fds_refuse(struct fds_scratch *scratch, __u32 reason)
{
    scratch->verdict.generation = 0;
    return fds_deny(scratch, reason);
}

/* The tables of the request's instance. Returns 0, or why there are none. */
static __always_inline __u32 fds_open_tables(struct fds_context *context, void *rows, struct fds_scratch *scratch)
{
    const struct fds_row *set;
    __u64 generation;

    scratch->verdict.generation = 0;
    if (!rows)
        return FDS_MISSING;
    context->rows = rows;
    context->instance = scratch->request.instance;
    scratch->strange = 0;
    set = fds_row(rows, FDS_SET, context->instance, 0);
    if (!set || set->main[0] >> 32 != FDS_MAGIC)
        return FDS_MISSING;
    generation = set->unless[0];
    if (!generation || generation >> 32)
        return FDS_MISSING;
    scratch->verdict.generation = generation;
    scratch->flags = set->main[0];
    context->effect = fds_row(rows, FDS_EFFECT, context->instance, 0);
    /* A use that these programs are compiled without cannot be judged by them. */
    if (!context->effect || fds_flags(scratch) & FDS_USES_ALL & ~FDS_USES)
        return FDS_MISSING;
    return 0;
}

static __always_inline const struct fds_row *fds_uid_row(struct fds_context *context, struct fds_scratch *scratch)
{
    const struct fds_request *request = &scratch->request;
    __u32 knows = fds_knows(request) & FDS_KNOWS_UID;
    __u32 asked = fds_asks(scratch, FDS_USES_UID);
    const struct fds_row *row =
        fds_row_if(context, asked, FDS_UID, context->instance, knows ? request->uid : FDS_UNKNOWN);

    return row ? row : fds_row_if(context, asked, FDS_UID, context->instance, knows ? FDS_OTHER : FDS_UNKNOWN);
}

static __always_inline const struct fds_row *fds_userns_row(struct fds_context *context, struct fds_scratch *scratch)
{
    __u32 asked = fds_asks(scratch, FDS_USES_USERNS);

    return fds_row_if(context, asked, FDS_USERNS, context->instance, scratch->request.userns);
}

static __always_inline const struct fds_row *fds_cgroup_row(struct fds_context *context, struct fds_scratch *scratch)
{
    __u32 asked = fds_asks(scratch, FDS_USES_CGROUP);
    const struct fds_row *row = fds_row_if(context, asked, FDS_CGROUP, context->instance, scratch->request.cgroup);

    if (row)
        return row;
    scratch->strange = 1;
    return fds_row_if(context, asked, FDS_CGROUP, context->instance, FDS_UNKNOWN);
}

/* The terms that any of the subject's groups leaves. */
static __always_inline __u32 fds_groups(struct fds_context *context, struct fds_scratch *scratch)
{
    const struct fds_request *request = &scratch->request;
    __u32 knows = fds_knows(request) & FDS_KNOWS_GROUPS;
    __u32 count = request->groups;
    const struct fds_row *row;

    if (count > FDS_MOST_GROUPS)
        return FDS_OVERFLOW;
    row = fds_row(context->rows, FDS_GID, context->instance, knows ? FDS_OTHER : FDS_UNKNOWN);
    if (!row)
        return FDS_MISSING;
    fds_copy_row(&scratch->several, row);
    if (!knows)
        return 0;
    for (int group = 0; group < FDS_MOST_GROUPS; group++) {
        if (group >= fds_opaque(count))
            break;
        row = fds_row(context->rows, FDS_GID, context->instance, request->gids[group]);
        if (row)
            fds_or_row(&scratch->several, row);
    }
    return 0;
}

static __always_inline __u32 fds_without(struct fds_context *context, struct fds_scratch *scratch, __u64 capability)
{
    const struct fds_row *row = fds_row(context->rows, FDS_CAPABILITY, context->instance, capability);

    if (!row)
        return FDS_MISSING;
    fds_and_row(&scratch->several, row);
    return 0;
}

/* The terms that each capability which the subject lacks leaves. */
static __always_inline __u32 fds_capabilities(struct fds_context *context, struct fds_scratch *scratch)
{
    __u64 lacks = FDS_CAPABILITIES & ~scratch->request.capabilities;

    if (!(fds_knows(&scratch->request) & FDS_KNOWS_CAPABILITIES))
        return fds_without(context, scratch, FDS_UNKNOWN);
    if (!lacks)
        return 0;
#pragma unroll
    for (int capability = 0; capability < 64; capability++)
        if (FDS_CAPABILITIES >> capability & 1)
            if (lacks >> capability & 1)
                if (fds_without(context, scratch, capability))
                    return FDS_MISSING;
    return 0;
}

static __always_inline __u32 fds_several(struct fds_context *context, struct fds_scratch *scratch)
{
    __u32 reason = 0;

    if (fds_asks(scratch, FDS_USES_GID)) {
        reason = fds_groups(context, scratch);
    } else {
#pragma unroll
        for (int word = 0; word < 2 * FDS_WORDS; word++)
            ((__u64 *)&scratch->several)[word] = ~0ULL;
    }
    if (!reason && fds_asks(scratch, FDS_USES_CAPABILITIES))
        reason = fds_capabilities(context, scratch);
    return reason;
}

/* Looks the subject up. Returns 0, or why that cannot be done. */
static __always_inline __u32 fds_join_subject(struct fds_joined *joined, struct fds_context *context,
                                              struct fds_scratch *scratch)
{
    if (FDS_USES & FDS_USES_UID && !(joined->uid = fds_uid_row(context, scratch)))
        return FDS_MISSING;
    if (FDS_USES & FDS_USES_USERNS && !(joined->userns = fds_userns_row(context, scratch)))
        return FDS_MISSING;
    if (FDS_USES & FDS_USES_CGROUP && !(joined->cgroup = fds_cgroup_row(context, scratch)))
        return FDS_MISSING;
    joined->several = &scratch->several;
    if (FDS_USES & (FDS_USES_GID | FDS_USES_CAPABILITIES))
        return fds_several(context, scratch);
    return 0;
}

/* What is left of a class that asks for the subject's own uid: all, if it has that. */
static __always_inline const struct fds_row *fds_same_row(struct fds_context *context,
                                                          const struct fds_request *request,
                                                          const struct fds_person *person, __u32 asked, __u32 table,
                                                          __u32 class)
{
    __u32 knows = fds_knows(request) & FDS_KNOWS_UID;

    if (knows && person->known & FDS_KNOWS_UID && person->uid == request->uid)
        asked = 0;
    return fds_row_if(context, asked, table, class, knows ? 0 : FDS_UNKNOWN);
}

static __always_inline const struct fds_row *fds_no_more_row(struct fds_context *context, struct fds_scratch *scratch,
                                                             const struct fds_person *opener)
{
    const struct fds_request *request = &scratch->request;
    __u32 both = opener->known & fds_knows(request) & FDS_KNOWS_CAPABILITIES;
    __u32 asked = fds_asks(scratch, FDS_USES_NO_MORE);
    __u64 theirs = opener->capabilities;

    if (opener->known & FDS_KNOWS_CAPABILITIES && !theirs)
        asked = 0;
    if (both && !(theirs & ~request->capabilities))
        asked = 0;
    return fds_row_if(context, asked, FDS_NO_MORE, context->instance, both ? 0 : FDS_UNKNOWN);
}

static __always_inline void fds_join_nobody(struct fds_joined *joined, const struct fds_row *terms)
{
    joined->stasher_same = joined->stasher_userns = terms;
    joined->opener_same = joined->opener_userns = joined->no_more = terms;
}

/* Looks up how stasher and opener of the class at `at` stand to the subject. Returns 0, or why that cannot be done. */
static __always_inline __u32 fds_join_people(struct fds_joined *joined, struct fds_context *context,
                                             struct fds_scratch *scratch, int at)
{
    const struct fds_request *request = &scratch->request;
    const struct fds_people *people = &scratch->people[at];
    __u32 number = scratch->set.classes[at];

    if (FDS_USES & FDS_USES_STASHER_SAME)
        joined->stasher_same = fds_same_row(context, request, &people->stasher,
                                            fds_asks(scratch, FDS_USES_STASHER_SAME), FDS_STASHER_SAME, number);
    if (FDS_USES & FDS_USES_STASHER_SAME && !joined->stasher_same)
        return FDS_STALE;
    if (FDS_USES & FDS_USES_OPENER_SAME)
        joined->opener_same = fds_same_row(context, request, &people->opener,
                                           fds_asks(scratch, FDS_USES_OPENER_SAME), FDS_OPENER_SAME, number);
    if (FDS_USES & FDS_USES_OPENER_SAME && !joined->opener_same)
        return FDS_STALE;
    if (FDS_USES & FDS_USES_STASHER_USERNS)
        joined->stasher_userns = fds_row_if(context, fds_asks(scratch, FDS_USES_STASHER_USERNS), FDS_STASHER_USERNS,
                                            context->instance, request->stasher_userns[at]);
    if (FDS_USES & FDS_USES_STASHER_USERNS && !joined->stasher_userns)
        return FDS_MISSING;
    if (FDS_USES & FDS_USES_OPENER_USERNS)
        joined->opener_userns = fds_row_if(context, fds_asks(scratch, FDS_USES_OPENER_USERNS), FDS_OPENER_USERNS,
                                           context->instance, request->opener_userns);
    if (FDS_USES & FDS_USES_OPENER_USERNS && !joined->opener_userns)
        return FDS_MISSING;
    if (FDS_USES & FDS_USES_NO_MORE && !(joined->no_more = fds_no_more_row(context, scratch, &people->opener)))
        return FDS_MISSING;
    return 0;
}

/* Those of `left` that no row of `joined` takes away, in one word of a row. */
static __always_inline __u64 fds_narrowed(__u64 left, int word, const struct fds_joined *joined)
{
    if (FDS_USES & FDS_USES_UID)
        left &= fds_word(joined->uid, word);
    if (FDS_USES & FDS_USES_CGROUP)
        left &= fds_word(joined->cgroup, word);
    if (FDS_USES & (FDS_USES_GID | FDS_USES_CAPABILITIES))
        left &= fds_word(joined->several, word);
    if (FDS_USES & FDS_USES_USERNS)
        left &= fds_word(joined->userns, word);
    if (FDS_USES & FDS_USES_STASHER_SAME)
        left &= fds_word(joined->stasher_same, word);
    if (FDS_USES & FDS_USES_STASHER_USERNS)
        left &= fds_word(joined->stasher_userns, word);
    if (FDS_USES & FDS_USES_OPENER_SAME)
        left &= fds_word(joined->opener_same, word);
    if (FDS_USES & FDS_USES_OPENER_USERNS)
        left &= fds_word(joined->opener_userns, word);
    if (FDS_USES & FDS_USES_NO_MORE)
        left &= fds_word(joined->no_more, word);
    return left;
}

static __always_inline __u64 fds_matching_word(const struct fds_row *terms, int word, const struct fds_joined *joined)
{
    __u64 left = fds_word(terms, word);
    __u64 blocked;

    /* Most rules are about some users, and so ends here what most words cost. */
    if (FDS_USES & FDS_USES_UID)
        left &= fds_word(joined->uid, word);
    if (!left)
        return 0;
    left = fds_narrowed(left, word, joined);
    blocked = left & fds_word(terms, FDS_WORDS + word);
    if (blocked)
        left &= ~fds_narrowed(blocked, FDS_WORDS + word, joined);
    return left;
}

/* Joins `terms`, those of the class at `at`, with all that was looked up. Returns 0, or why that cannot be done. */
static __always_inline __u32 fds_match(struct fds_found *found, struct fds_context *context,
                                       const struct fds_row *terms, const struct fds_joined *joined,
                                       struct fds_scratch *scratch, int at)
{
    const struct fds_row *effect = fds_opaque(context->effect);
    __u32 some = !(fds_flags(scratch) & FDS_ALL_ENFORCED);
    const struct fds_row *enforced = fds_row_if(context, some, FDS_ENFORCED, context->instance, 0);

    if (!enforced)
        return FDS_MISSING;
    found->forbids = found->allows = found->forbids_in_force = found->allows_in_force = 0;
#pragma unroll
    for (int word = 0; word < FDS_WORDS; word++) {
        __u64 matching = fds_matching_word(terms, word, joined);

        scratch->matching[at][word] = matching;
        if (matching) {
            __u64 allows = matching & effect->main[word];
            __u64 forbids = matching & effect->unless[word];

            found->allows |= allows;
            found->forbids |= forbids;
            found->allows_in_force |= allows & enforced->main[word];
            found->forbids_in_force |= forbids & enforced->main[word];
        }
    }
    return 0;
}

/* Adds what the class at `at` says to the verdict. On record is the first that allows, else the first that forbids. */
static __always_inline void fds_add(struct fds_scratch *scratch, const struct fds_found *found, int at)
{
    struct fds_verdict *verdict = &scratch->verdict;

    if (!(fds_flags(scratch) & FDS_ENFORCING) || (!found->forbids_in_force && found->allows_in_force))
        verdict->allowed = 1;
    if (verdict->decided)
        return;
    if (!found->forbids && found->allows) {
        verdict->decided = 1;
        verdict->reason = FDS_BY_RULE;
        scratch->decider = at;
    } else if (found->forbids && verdict->reason == FDS_BY_NO_RULE) {
        verdict->reason = FDS_BY_FORBID;
        scratch->decider = at;
    }
}

static __always_inline __u32 fds_judge_class(struct fds_joined *joined, struct fds_context *context,
                                             struct fds_scratch *scratch, int at)
{
    __u32 number = scratch->set.classes[at];
    const struct fds_row *terms;
    struct fds_found found;
    __u32 reason;

    terms = fds_row(context->rows, FDS_TERMS, number, 0);
    if (!terms)
        return FDS_STALE;
    reason = fds_join_people(joined, context, scratch, at);
    if (!reason)
        reason = fds_match(&found, context, terms, joined, scratch, at);
    if (!reason)
        fds_add(scratch, &found, at);
    return reason;
}

static __always_inline __u32 fds_judge(struct fds_joined *joined, struct fds_context *context,
                                       struct fds_scratch *scratch)
{
    struct fds_verdict *verdict = &scratch->verdict;
    __u32 count = scratch->set.count;

    if (!count)
        return FDS_UNCLASSIFIED;
    if (count > FDS_MOST_CLASSES)
        return FDS_OVERFLOW;
    if (scratch->set.instance != context->instance)
        return FDS_MISSING;
    for (int at = 0; at < FDS_MOST_CLASSES; at++) {
        __u32 reason;

        if (at >= fds_opaque(count) || (verdict->allowed && verdict->decided))
            break;
        reason = fds_judge_class(joined, context, scratch, at);
        if (reason)
            return reason;
    }
    return 0;
}

/* Where all that matches allows, all of it decided. */
static __always_inline void fds_keep_terms(struct fds_scratch *scratch, const __u64 *matching)
{
#pragma unroll
    for (int word = 0; word < FDS_WORDS; word++)
        scratch->terms[word] = matching[word];
}

/* Where something forbids, what allows beside it did not decide. */
static __always_inline void fds_keep_forbids(struct fds_scratch *scratch, const __u64 *matching,
                                             const struct fds_row *effect)
{
#pragma unroll
    for (int word = 0; word < FDS_WORDS; word++)
        scratch->terms[word] = matching[word] & effect->unless[word];
}

static __always_inline void fds_record(struct fds_scratch *scratch, const struct fds_row *effect)
{
    __u32 decider = scratch->decider & (FDS_MOST_CLASSES - 1);
    __u32 reason = scratch->verdict.reason;

    if (reason == FDS_BY_NO_RULE) {
        fds_forget_terms(scratch);
        return;
    }
    scratch->verdict.class = scratch->set.classes[decider];
    if (reason == FDS_BY_RULE)
        fds_keep_terms(scratch, scratch->matching[decider]);
    else
        fds_keep_forbids(scratch, scratch->matching[decider], fds_opaque(effect));
}

static __always_inline int fds_end(struct fds_scratch *scratch, struct fds_context *context, __u32 reason)
{
    struct fds_verdict *verdict = &scratch->verdict;

    if (reason)
        return fds_deny(scratch, reason);
    fds_record(scratch, context->effect);
    if (scratch->strange && !verdict->decided)
        verdict->reason = FDS_STRANGE_CGROUP;
    return verdict->allowed;
}

/*
 * Whether the open file of `scratch->set` may be delivered: 1 or 0, and the verdict with the terms in `scratch`.
 * `rows`: what `generations` holds, NULL if it holds nothing.
 */
static __always_inline int fds_decide(void *rows, struct fds_scratch *scratch)
{
    struct fds_context context = {};
    struct fds_joined joined = {};
    __u32 reason;

    fds_begin(scratch, FDS_BY_NO_RULE);
    reason = fds_open_tables(&context, rows, scratch);
    if (!reason)
        reason = fds_join_subject(&joined, &context, scratch);
    if (!reason)
        reason = fds_judge(&joined, &context, scratch);
    return fds_end(scratch, &context, reason);
}

static __always_inline __u32 fds_judge_connect(struct fds_joined *joined, struct fds_context *context,
                                               struct fds_scratch *scratch)
{
    const struct fds_row *terms = fds_row(context->rows, FDS_CONNECT, context->instance, 0);
    struct fds_found found;
    __u32 reason;

    if (!terms)
        return FDS_MISSING;
    fds_join_nobody(joined, terms);
    reason = fds_match(&found, context, terms, joined, scratch, 0);
    if (!reason)
        fds_add(scratch, &found, 0);
    return reason;
}

/* Whether any rule could allow the subject anything in the request's instance. As above, without a class set. */
static __always_inline int fds_may_connect(void *rows, struct fds_scratch *scratch)
{
    struct fds_context context = {};
    struct fds_joined joined = {};
    __u32 reason;

    fds_begin(scratch, FDS_BY_NO_RULE);
    reason = fds_open_tables(&context, rows, scratch);
    if (!reason && !(fds_flags(scratch) & FDS_LIMITS_CONNECT)) {
        fds_deny(scratch, FDS_BY_RULE);
        scratch->verdict.decided = 1;
        scratch->verdict.allowed = 1;
        return 1;
    }
    if (!reason)
        reason = fds_join_subject(&joined, &context, scratch);
    if (!reason)
        reason = fds_judge_connect(&joined, &context, scratch);
    fds_end(scratch, &context, reason);
    scratch->verdict.class = 0;
    return scratch->verdict.allowed;
}

#endif

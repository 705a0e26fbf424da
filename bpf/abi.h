/*
 * The contract between the kernel side of fdstorefs and the process that feeds it.
 *
 * Words. A *vector* has bit t set for term t of the compiled policies (docs/policy/tables.md). A *row* is two
 * vectors, one per space: `main` and `unless`. The verdict of one class of an open file is
 *
 *     acc  = TERMS of the class & the subject's rows & the rows of the relations between people
 *     matching = acc.main & ~acc.unless
 *
 * A class stands for all names of an open file together, with one of their stashers, and for one action. So an open
 * file has two classes for each stasher, and one that allows is enough. Everything that Python's `decide` does is here
 * an AND of rows: they are made so that a value which satisfies a term has its bit set, and a term that does not ask
 * has it set in every row of the table.
 *
 * Tables live in one hash of rows per generation, keyed by `struct fds_key`; the hash in force is the single element of
 * `generations`. A program looks it up once per verdict, so that no verdict mixes generations. What is not there is
 * never taken for permission: each absence has a reason of its own.
 *
 * A *tag* says to which classes an open file belongs, for each instance that keeps it. It hangs on the address of the
 * `struct file` and goes when the file is freed. A slot whose class set is FDS_NO_CLASSES is delivered to nobody.
 *
 * Only the enforcer writes these maps from user space; the numbers of instances, classes and class sets are never used
 * again for something else while anything is pinned. Ids of users and groups are those of the initial user namespace.
 * Every struct here has a twin in abi.py, whose layout a test compares with the compiled one.
 */
#ifndef FDS_ABI_H
#define FDS_ABI_H

#define FDS_ABI 1
#define FDS_MAGIC 0x46445331u /* in the upper half of a SET row's flags */

#ifndef FDS_WORDS
#define FDS_WORDS 16 /* 64-bit words of a vector: 1, 2, 4, 8 or 16, by the number of terms in force */
#endif
#define FDS_MOST_WORDS 16

/* The tables. `of` in a key is the instance's number, or the class's where it says so. */
enum fds_table {
    FDS_SET = 1,            /* value 0: main[0] = FDS_MAGIC << 32 | flags, unless[0] = generation */
    FDS_EFFECT = 2,         /* value 0: main = allow terms, unless = forbid terms */
    FDS_ENFORCED = 3,       /* value 0: main = terms of policies in enforce mode */
    FDS_ANY = 4,            /* value 0: all terms. Stands for each row that nothing asks for */
    FDS_UID = 5,            /* value: uid, FDS_OTHER, FDS_UNKNOWN */
    FDS_GID = 6,            /* value: gid (the terms that list it, no others), FDS_OTHER, FDS_UNKNOWN; ORed */
    FDS_USERNS = 7,         /* value: enum fds_relation of the subject's to the instance's */
    FDS_CGROUP = 8,         /* value: cgroup id, FDS_UNKNOWN. A cgroup that is not there is unknown, and a reason */
    FDS_CAPABILITY = 9,     /* value: number of a capability: the terms left without it; FDS_UNKNOWN */
    FDS_STASHER_USERNS = 10,/* value: enum fds_relation of the stasher's to the subject's */
    FDS_OPENER_USERNS = 11, /* value: enum fds_relation of the opener's to the subject's */
    FDS_NO_MORE = 12,       /* value 0: terms left if the opener has a capability that the subject lacks;
                               FDS_UNKNOWN: if that cannot be told */
    FDS_CONNECT = 13,       /* value 0: main = allow terms for anything in the instance; unless = those whose `unless`
                               is about the subject alone */
    FDS_TERMS = 16,         /* of a class: main = terms left, unless = terms left that have an `unless` */
    FDS_STASHER_SAME = 17,  /* of a class: terms left unless the subject's uid is the stasher's: value 0 if it is
                               another's, FDS_UNKNOWN if the subject's is unknown */
    FDS_OPENER_SAME = 18,   /* of a class: the same of the opener's uid */
};

#define FDS_OTHER (1ULL << 63)
#define FDS_UNKNOWN ((1ULL << 63) | 1)
#define FDS_OPEN ((1ULL << 63) | 2)

enum fds_relation { FDS_SAME = 0, FDS_BELOW = 1, FDS_ELSEWHERE = 2, FDS_RELATION_UNKNOWN = 3, FDS_RELATION_OPEN = 4 };

struct fds_key {
    __u32 table;
    __u32 of;
    __u64 value;
};

struct fds_row {
    __u64 main[FDS_WORDS];
    __u64 unless[FDS_WORDS];
};

/* Flags of a SET row. A USES flag says that some term asks; programs are compiled without what nobody asks for. */
#define FDS_ENFORCING 0x1      /* some policy is in enforce mode, or there is none: what is not allowed is denied */
#define FDS_ALL_ENFORCED 0x2   /* every term is of a policy in enforce mode */
#define FDS_LIMITS_CONNECT 0x4 /* there are subjects to whom no rule could allow anything */
#define FDS_USES_UID 0x100
#define FDS_USES_GID 0x200
#define FDS_USES_USERNS 0x400
#define FDS_USES_CGROUP 0x800
#define FDS_USES_CAPABILITIES 0x1000
#define FDS_USES_STASHER_SAME 0x2000
#define FDS_USES_STASHER_USERNS 0x4000
#define FDS_USES_OPENER_SAME 0x8000
#define FDS_USES_OPENER_USERNS 0x10000
#define FDS_USES_NO_MORE 0x20000
#define FDS_USES_ALL 0x3ff00
#ifndef FDS_USES
#define FDS_USES FDS_USES_ALL
#endif
#ifndef FDS_CAPABILITIES
#define FDS_CAPABILITIES 0x1ffffffffffULL /* the capabilities that some term asks for */
#endif

/* Somebody as classes and requests know him. Ids are of the initial user namespace. */
#define FDS_KNOWS_UID 0x1
#define FDS_KNOWS_CAPABILITIES 0x2
#define FDS_KNOWS_USERNS 0x4
#define FDS_IS_OPEN 0x8 /* nobody yet: all conditions on him are open */
struct fds_person {
    __u32 uid;
    __u32 userns;       /* number of his user namespace */
    __u64 capabilities; /* effective, over the instance's user namespace */
    __u32 known;        /* FDS_KNOWS_* */
    __u32 gid;          /* for records only */
};

/* A user namespace and those above it, up to the initial one. One that is not known has depth 0. */
#define FDS_DEPTH 33 /* most user namespaces inside one another, with the initial one */
struct fds_chain {
    __u32 depth;              /* how many of `numbers` there are */
    __u32 numbers[FDS_DEPTH]; /* its own, then its parent's, and so on */
};

/* What a verdict needs of a class: whose names they are, and who opened the file. */
struct fds_people {
    struct fds_person stasher;
    struct fds_person opener;
};

/* A class's facts that are not folded into its vectors. `classes` map, by number. The opener is the file's own. */
struct fds_class {
    __u32 instance;
    __u32 pad;
    struct fds_person stasher;
    struct fds_person opener;
    struct fds_chain stasher_chain;
    struct fds_chain opener_chain;
};

/* An open file in an instance: for each stasher of its names one class for retrieve and one for take (rows.py says
 * how the names are joined). Delivery is allowed if any of them allows. */
#define FDS_MOST_CLASSES 8
struct fds_class_set {
    __u32 instance;
    __u32 count;
    __u32 classes[FDS_MOST_CLASSES];
};

#define FDS_NO_CLASSES 0ULL
#define FDS_UNGUARDED (~0ULL) /* of an entry only: its open file bears no tag, its server decides alone */
#define FDS_SLOTS 4
struct fds_slot {
    __u64 classes;  /* number of a class set; FDS_NO_CLASSES: delivered to nobody */
    __u64 instance; /* 0: the slot is free. As wide as can be compared and exchanged in one step */
};
struct fds_tag {
    struct fds_slot slots[FDS_SLOTS];
};

/* What is received is tagged before anybody could count it, so the programs count: slots in use, by payer. The host's root
 * is not counted. */
#define FDS_MOST_SLOTS_EACH 65536

/* An instance. A policy's ids were translated through its id maps; an id outside the ranges is unknown there. */
#define FDS_RANGES 8
#define FDS_PRIVILEGED 0x1 /* its server has CAP_SYS_ADMIN over its user namespace */
#define FDS_ENDED 0x2      /* its server has gone; what it tagged stays as it is */
struct fds_range {
    __u32 first;
    __u32 count; /* 0xffffffff: all from `first` on */
};
struct fds_instance {
    __u32 userns;  /* number of its user namespace */
    __u32 uid;     /* its server's */
    __u32 flags;
    __u32 pid;     /* its server's, at registration; for reconciling only */
    __u64 start;   /* when that process started, in clock ticks; likewise */
    __u64 device;  /* its mount's, as the kernel's s_dev */
    __u64 lineage; /* the same for whoever comes after it: by mount path, user namespace and uid */
    struct fds_range uids[FDS_RANGES];
    struct fds_range gids[FDS_RANGES];
    struct fds_chain chain;      /* of its user namespace */
    __u32 owners[FDS_DEPTH];     /* the uids that made those namespaces, in the same order */
    __u32 payer;                 /* the uid of the initial user namespace whose share its tags are counted on */
};

struct fds_entry_key {
    __u64 device;
    __u64 inode;
};

/* Roles of processes, in task storage of the thread group's leader. Children have their parent's, until they get another. */
enum fds_role_kind { FDS_SERVER = 1, FDS_KEEPER = 2, FDS_ENFORCER = 3 };
struct fds_role {
    __u32 kind;
    __u32 instance;
};

/* Orders, by fcntl(fd, F_SETFD, FDS_TOKEN << 32 | order). The numbers are odd: F_SETFD's own meaning is FD_CLOEXEC. */
#define FDS_TOKEN 0x46445354u
#define FDS_ASK 1   /* by a server: EISCONN this file is tagged for it and has classes; EINPROGRESS tagged without;
                       ENOTCONN not tagged for it; 0: nobody enforces, or it is not registered */
#define FDS_LOOK 3  /* by the enforcer: who opened it (into `order`), and whether order.instance may tag it */
#define FDS_TAG 5   /* by the enforcer: order.classes for order.instance. EPERM: no authority; EMLINK: four instances
                       have it already; ENOSPC: no room for the tag */
#define FDS_UNTAG 7 /* by the enforcer: no longer kept by order.instance */
struct fds_order {
    __u32 instance;
    __u32 authority; /* 1: the instance may tag it */
    __u64 classes;   /* TAG: the class set. LOOK: the one that the instance's slot has now */
    struct fds_person opener;
    __u64 device;            /* the file's s_dev */
    __u64 inode;             /* i_ino */
    __u64 magic;             /* s_magic */
    __u32 mode;              /* i_mode */
    __u32 owner_userns;      /* number of the user namespace that its super block belongs to */
    struct fds_chain chain;  /* of the opener's user namespace */
    __u32 owners[FDS_DEPTH]; /* the uids that made those namespaces, in the same order */
    __u32 pad;
};

/* Bits of `settings`. */
#define FDS_LOCKDOWN 0x1       /* root may not look into server, keeper and enforcer either */
#define FDS_RECORD_ALLOWED 0x2 /* record what is allowed, too; otherwise only what is denied, in force or by all rules */

/* What happened. */
enum fds_hook { FDS_RECEIVE = 1, FDS_OPENED = 2, FDS_CONNECTED = 3, FDS_REACHED_INTO = 4, FDS_BPF_USED = 5, FDS_TAGGED = 6 };
enum fds_reason {
    FDS_BY_RULE = 1,       /* an allow rule matched */
    FDS_BY_FORBID = 2,     /* a forbid rule matched */
    FDS_BY_NO_RULE = 3,    /* none matched */
    FDS_UNCLASSIFIED = 4,  /* the file has no classes yet */
    FDS_STRANGE_CGROUP = 5,/* denied, and the subject's cgroup is not in the tables yet */
    FDS_STALE = 6,         /* the class has no row in this generation */
    FDS_MISSING = 7,       /* a table, row or map element that must be there is not, or is not what it should be */
    FDS_OVERFLOW = 8,      /* more groups, names or namespaces than are looked at */
    FDS_PROTECTED = 9,     /* server, keeper and enforcer are nobody's to look into */
    FDS_OWN_OBJECT = 10,   /* a map, program or link of the enforcement */
    FDS_NO_ROOM = 11,      /* no memory for a tag or for the decision */
};
struct fds_event {
    __u64 time; /* ns since boot, suspended time included */
    __u64 lost; /* records that found no room so far, on this CPU */
    __u32 hook;
    __u32 reason;
    __u32 allowed; /* the verdict in force */
    __u32 decided; /* the verdict over all rules: another one only where a policy monitors */
    __u32 generation;
    __u32 instance;
    __u64 classes; /* class set */
    __u32 class;   /* the class that decided, or 0 */
    __u32 tgid;
    __u32 tid;
    __u32 uid;
    __u32 euid;
    __u32 gid;
    __u32 userns;
    __u32 target; /* REACHED_INTO: process id of the target. BPF_USED: the object's id */
    __u64 capabilities;
    __u64 cgroup;
    __u64 start; /* the subject's start, ns since boot */
    struct fds_person opener;
    __u64 device;
    __u64 inode;
    __u32 mode;       /* i_mode */
    __u32 open_flags; /* f_flags */
    __u64 magic;      /* s_magic */
    char comm[16];
    __u64 terms[FDS_MOST_WORDS]; /* those that decided */
};

/* What a verdict is about, once everything has been looked up. Also the packet of the test program. */
#define FDS_MOST_GROUPS 64
struct fds_request {
    __u32 instance;
    __u32 uid;
    __u32 known;   /* FDS_KNOWS_UID, FDS_KNOWS_CAPABILITIES, FDS_KNOWS_GROUPS */
    __u32 groups;  /* how many of `gids` */
    __u64 capabilities;
    __u64 cgroup;  /* id, or FDS_UNKNOWN */
    __u32 userns;        /* enum fds_relation: the subject's to the instance's */
    __u32 opener_userns; /* enum fds_relation: the opener's to the subject's */
    __u32 stasher_userns[FDS_MOST_CLASSES]; /* likewise, of each class of the set */
    __u32 gids[FDS_MOST_GROUPS];
};
#define FDS_KNOWS_GROUPS 0x10

#endif

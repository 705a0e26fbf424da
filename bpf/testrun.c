/*
 * The decision by itself, for BPF_PROG_TEST_RUN: LSM programs can't be run that way, this one can.
 *
 * A packet holds, after an Ethernet header, what the caller of fds_decide fills in; the answer takes its place. A
 * shorter packet asks the question of the last one again, and no answer is written: for measuring.
 */
#include <uapi/linux/bpf.h>

#include "decide.h"

#define ETHERNET_HEADER 14
#define QUESTION __builtin_offsetof(struct fds_scratch, verdict)
#define ANSWER (__builtin_offsetof(struct fds_scratch, several) - QUESTION)
#define NO_QUESTION 2

BPF_F_TABLE("hash", struct fds_key, struct fds_row, rows, 1, BPF_F_NO_PREALLOC);
BPF_ARRAY_OF_MAPS(generations, "rows", 1);
BPF_ARRAY(scratch, struct fds_scratch, 1);

static __always_inline int asked(struct __sk_buff *skb, int connect)
{
    int zero = 0;
    struct fds_scratch *own = scratch.lookup(&zero);
    int is_new = skb->len >= ETHERNET_HEADER + QUESTION;
    int allowed;
    void *in_force;

    if (!own || (is_new && bpf_skb_load_bytes(skb, ETHERNET_HEADER, own, QUESTION)))
        return NO_QUESTION;
    in_force = generations.lookup(&zero);
    allowed = connect ? fds_may_connect(in_force, own) : fds_decide(in_force, own);
    if (is_new && bpf_skb_store_bytes(skb, ETHERNET_HEADER, &own->verdict, ANSWER, 0))
        return NO_QUESTION;
    return allowed;
}

int decide_packet(struct __sk_buff *skb)
{
    return asked(skb, 0);
}

int connect_packet(struct __sk_buff *skb)
{
    return asked(skb, 1);
}

/*
 * The maps. Those declared FDS_SHARED outlive a version of the programs: they are made and pinned beforehand, with sizes
 * of their own, and found by their path (FDS_PINS); the sizes here are those of a load without pins.
 *
 * Rows belong to a version, as their width does. Working memory is task storage: programs can be preempted, so memory
 * of a CPU would be written by the next task before this one has its verdict.
 */
#ifndef FDS_MAPS_H
#define FDS_MAPS_H

#include "abi.h"
#include "decide.h"

#ifdef FDS_PINS
#define FDS_PINNED(kind, name) kind ":" FDS_PINS "/" #name
#else
#define FDS_PINNED(kind, name) kind
#endif
#define FDS_SHARED(kind, key, leaf, name, size, flags) BPF_F_TABLE(FDS_PINNED(kind, name), key, leaf, name, size, flags)

FDS_SHARED("hash", __u64, struct fds_tag, tags, 65536, BPF_F_NO_PREALLOC);
FDS_SHARED("task_storage", int, struct fds_role, roles, 0, BPF_F_NO_PREALLOC);
FDS_SHARED("hash", __u32, struct fds_class, classes, 65536, BPF_F_NO_PREALLOC);
FDS_SHARED("hash", __u64, struct fds_class_set, class_sets, 65536, BPF_F_NO_PREALLOC);
FDS_SHARED("hash", __u32, struct fds_instance, instances, 4096, BPF_F_NO_PREALLOC);
FDS_SHARED("hash", __u64, __u32, mounts, 4096, BPF_F_NO_PREALLOC);
FDS_SHARED("hash", struct fds_entry_key, __u64, entries, 65536, BPF_F_NO_PREALLOC);
FDS_SHARED("hash", __u32, __u64, shares, 65536, BPF_F_NO_PREALLOC);
FDS_SHARED("array", int, struct fds_order, order, 1, 0);
FDS_SHARED("percpu_array", int, __u64, lost, 1, 0);
FDS_SHARED("array", int, __u64, settings, 1, 0);
FDS_SHARED("hash", __u64, __u32, guarded, 4096, BPF_F_NO_PREALLOC);

/* bcc has no table with flags for a ring, hence its own struct. */
struct events_table_t {
    int key;
    __u32 leaf;
    int (*ringbuf_output)(void *, u64, u64);
    __u32 max_entries;
};
__attribute__((section("maps/" FDS_PINNED("ringbuf", events)))) struct events_table_t events = {.max_entries = 1 << 20};

BPF_F_TABLE("hash", struct fds_key, struct fds_row, rows, 1, BPF_F_NO_PREALLOC);
BPF_ARRAY_OF_MAPS(generations, "rows", 1);

/* What a task needs for a verdict and its record. */
struct fds_work {
    struct fds_event event;
    struct fds_scratch scratch;
};
BPF_TASK_STORAGE(works, struct fds_work);

#endif

"""On which file systems the files of a kind are: only what is certain of every Linux kernel."""

from typing import Final

ONLY_ON: Final[dict[str, frozenset[str]]] = {
    "socket": frozenset({"sockfs"}),
    "memfd": frozenset({"tmpfs", "hugetlbfs"}),
    "namespace": frozenset({"nsfs"}),
    # Until Linux 6.9 a pidfd was an anonymous inode.
    "pidfd": frozenset({"pidfs", "anon_inodefs"}),
    **dict.fromkeys(
        (
            "eventfd",
            "epoll",
            "timerfd",
            "signalfd",
            "inotify",
            "fanotify",
            "userfaultfd",
            "io_uring",
            "bpf",
            "perf_event",
            "seccomp_notify",
        ),
        frozenset({"anon_inodefs"}),
    ),
}
"""A kind that isn't here can be on any: a pipe may be a FIFO on a disk."""


def may_be_on(kind: str, filesystem: str) -> bool:
    """Whether a file of this kind can be on this file system."""
    return filesystem in ONLY_ON.get(kind, (filesystem,))

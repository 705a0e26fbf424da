"""What each word of the language means, by what it is a word for. The words themselves are the vocabulary's."""

from collections.abc import Mapping

from fdstorefs.policy.vocabulary import ACTIONS, ALL, MEANING

WORDS: dict[str, Mapping[str, str]] = {
    "Effects": {
        "allow": "what is asked for may be done, unless a rule forbids it",
        "forbid": "it may not be done, whatever other rules allow",
    },
    "Actions": {
        **{word: MEANING[action] for word, action in ACTIONS.items()},
        ALL: "every action but `serve`",
    },
    "Modes": {
        "enforce": "what isn't allowed is refused",
        "monitor": "nothing is refused; what would have been is logged",
    },
    "Stand-ins for an unknown opener": {
        "deny": "none: an allow rule that asks for the opener doesn't match, a forbid rule does",
        "assume-stasher": "the stasher",
    },
    "User namespaces": {
        "same": "it is that namespace",
        "below": "it is a namespace below that one, at any depth",
        "same-or-below": "either",
    },
    "Access modes": {
        "r": "open for reading only",
        "w": "open for writing only",
        "rw": "open for reading and writing",
        "path": "open with O_PATH: a place in a file system, with no right to its content",
    },
    "Kinds": {
        "socket": "a socket of any family",
        "pipe": "one end of a pipe, or a FIFO",
        "memfd": "a file in memory, made by memfd_create(2)",
        "regular": "a regular file on a file system",
        "directory": "a directory",
        "device": "a character or block device",
        "eventfd": "a counter to wait on, eventfd(2)",
        "pidfd": "a process, pidfd_open(2)",
        "namespace": "a namespace, namespaces(7)",
        "epoll": "a set of files to wait on, epoll(7)",
        "timerfd": "a timer, timerfd_create(2)",
        "signalfd": "signals to read, signalfd(2)",
        "inotify": "changes of files to read, inotify(7)",
        "fanotify": "accesses to files to read or decide, fanotify(7)",
        "userfaultfd": "page faults to handle, userfaultfd(2)",
        "io_uring": "a ring for asynchronous input and output, io_uring(7)",
        "bpf": "a BPF map, program or link",
        "perf_event": "a performance counter, perf_event_open(2)",
        "seccomp_notify": "system calls to decide for another process, seccomp_unotify(2)",
        "symlink": "a symbolic link itself, opened with O_PATH",
        "other": "whatever is none of these",
        "empty": "no file yet: an entry that was made and not written to",
        "box": "a directory of entries",
    },
}
"""Each group by its heading."""

"""Which descriptor number each retrieved entry gets in a command, and what its environment says."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fdstorefs.cli.failure import UsageError

FIRST = 3
"""The first descriptor of LISTEN_FDS, fixed by its protocol."""

_NAME_BYTES = 255
_NOT_IN_A_NAME = re.compile(r"[^\x20-\x7e]|:")
_PASSED_BY_OTHERS = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID")


class Placement(NamedTuple):
    """`at` tells the entry for each descriptor number; `listed` are those of LISTEN_FDS, in order."""

    at: dict[int, str]
    listed: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The entries to retrieve, each once."""
        return list(dict.fromkeys(self.at.values()))


def plan(stdin: str | None, numbered: Sequence[tuple[int, str]], listed: Sequence[str]) -> Placement:
    """Give the listed entries numbers from 3 up and the others those they ask for. Raises UsageError."""
    at = {FIRST + index: name for index, name in enumerate(listed)}
    wanted = [(0, stdin), *numbered] if stdin is not None else list(numbered)
    for number, name in wanted:
        if number in at:
            raise UsageError(
                _conflict(number, name, at[number], is_listed=FIRST <= number < FIRST + len(listed))
            )
        at[number] = name
    if not at:
        raise UsageError("no entry named", hint="name one before the `--`")
    return Placement(at, tuple(listed))


def _conflict(number: int, name: str, other: str, *, is_listed: bool) -> str:
    why = ", the plain names have those from 3 up" if is_listed else ""
    return f"descriptor {number} can't be both `{other}` and `{name}`{why}"


def parse_numbered(text: str) -> tuple[int, str]:
    """Read `N=NAME`. Raises ValueError."""
    number, equals, name = text.partition("=")
    if not equals or not name or not number.isdecimal():
        raise ValueError(text)
    return int(number), name


def listen_name(name: str) -> str:
    """An entry's name as LISTEN_FDNAMES can carry it: printable ASCII without colons, at most 255 bytes.

    Any other character becomes `_`.
    """
    return _NOT_IN_A_NAME.sub("_", name)[:_NAME_BYTES]


def environment(placement: Placement, base: Mapping[str, str], mount: str) -> dict[str, str]:
    """The environment for a command that this process is going to become."""
    made = {name: value for name, value in base.items() if name not in _PASSED_BY_OTHERS}
    made["FDSTOREFS_MOUNT"] = mount
    if placement.listed:
        made["LISTEN_FDS"] = str(len(placement.listed))
        made["LISTEN_FDNAMES"] = ":".join(map(listen_name, placement.listed))
        made["LISTEN_PID"] = str(os.getpid())
        pidfd_id = own_pidfd_id()
        if pidfd_id is not None:
            made["LISTEN_PIDFDID"] = str(pidfd_id)
    return made


def own_pidfd_id() -> int | None:
    """The inode number of our pidfd, which names us more surely than our pid; None before Linux 6.9."""
    pidfd = os.pidfd_open(os.getpid())
    event = os.eventfd(0)
    try:
        # Pidfds have a file system of their own since 6.9; before, they shared one inode with eventfds.
        about = os.fstat(pidfd)
        return about.st_ino if about.st_dev != os.fstat(event).st_dev else None
    finally:
        os.close(pidfd)
        os.close(event)


def place(descriptors: Mapping[int, int]) -> dict[int, int]:
    """Put descriptors at numbers, inheritable; whatever was there is closed.

    Returns, for each number, a copy elsewhere that closes on exec.
    """
    import fcntl

    above = max(descriptors) + 1
    # First out of the way of one another, then where they belong.
    copies = {
        number: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, above) for number, source in descriptors.items()
    }
    for number, copy in copies.items():
        os.dup2(copy, number, inheritable=True)
    return copies

"""Extended attributes `user.fdstorefs.*`: what is inside an entry, its label, and stashing by number."""

import errno
import json
from collections.abc import Callable

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.subject import Subject
from fdstorefs.errors import InvalidArgument, IsABox, NotPermitted
from fdstorefs.server.context import Context
from fdstorefs.server.fuse.caller import Caller
from fdstorefs.server.fuse.expiry import as_moment, parse_expiry
from fdstorefs.server.fuse.stash_handle import stash
from fdstorefs.server.fuse.taking import parse_number
from fdstorefs.server.record import Record

PREFIX = "user.fdstorefs."
KIND, INFO, STASHER, OPENER, LABEL, EXPIRES, POLL, FD = (
    PREFIX + last for last in ("kind", "info", "stasher", "opener", "label", "expires", "poll", "fd")
)

_READABLE: dict[str, Callable[[Record], str | None]] = {
    KIND: lambda record: str(record["kind"]),
    INFO: lambda record: record.get("description"),
    STASHER: lambda record: json.dumps(record["stasher"]) if "stasher" in record else None,
    OPENER: lambda record: json.dumps(record["opener"]) if "opener" in record else None,
    LABEL: lambda record: record.get("label"),
    EXPIRES: lambda record: as_moment(record["expires"]) if "expires" in record else None,
    POLL: lambda record: str(int(record["poll"])) if "poll" in record else None,
}


class Xattrs:
    """Reads and writes the extended attributes of entries and boxes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, subject: Subject, node: Entry | Box, name: str) -> str:
        """The value of an attribute.

        Errors: OSError(ENODATA) if there is none; Denied for what the subject may not know. The kind is no
        secret to whoever can reach the entry.
        """
        read = _READABLE.get(name)
        if read is None:
            raise _no_data(name)
        target = self._context.store.target_of(subject, node, Action.DESCRIBE)
        if name != KIND:
            self._context.store.require(subject, Action.DESCRIBE, target)
        value = read(self._record(subject, target, node, name))
        if value is None:
            raise _no_data(name)
        return value

    def _record(self, subject: Subject, target: Target, node: Entry | Box, name: str) -> Record:
        records = self._context.records
        # Only a description may cost a question to the kernel's socket tables.
        return (
            records.plain(subject, target, node) if name == KIND else records.described(subject, target, node)
        )

    def names(self, subject: Subject, node: Entry | Box) -> list[str]:
        """The attributes that there are and that the subject may read."""
        store = self._context.store
        target = store.target_of(subject, node, Action.DESCRIBE)
        if isinstance(node, Box) or not store.may(subject, Action.DESCRIBE, target):
            return [KIND]
        opener = node.file.opener if node.file is not None else None
        there = {
            KIND: True,
            INFO: node.file,
            STASHER: node.stasher,
            OPENER: opener,
            LABEL: node.label,
            EXPIRES: node.expires,
            POLL: node.polled,
        }
        return [name for name, value in there.items() if value is not None]

    def set(self, caller: Caller, subject: Subject, node: Entry | Box, name: str, value: bytes) -> None:
        """Set the label, when the entry expires, whether it goes on hang-up; or stash a descriptor of the caller by
        its number: what was there is replaced.

        Errors: InvalidArgument, NotPermitted for what cannot be set, IsABox, OSError(EOPNOTSUPP) for the
        attributes of others, and those of `stash` and of what the store does.
        """
        if name not in (FD, LABEL, EXPIRES, POLL):
            _refuse_to_set(name)
        entry, store = _entry(node, name), self._context.store
        if name == FD:
            stash(self._context, caller, entry, parse_number(value), replacing=True)
        elif name == EXPIRES:
            store.set_expiry(subject, entry, parse_expiry(_text(value)))
        elif name == POLL:
            store.set_polled(subject, entry, polled=_truth(value))
        else:
            store.set_label(subject, entry, _text(value))

    def remove(self, subject: Subject, node: Entry | Box, name: str) -> None:
        """Remove the label, or when it expires: then it stays.

        Errors: OSError(ENODATA), NotPermitted for what cannot be removed.
        """
        if name not in (LABEL, EXPIRES) or not isinstance(node, Entry):
            raise NotPermitted(f"`{name}` cannot be removed") if name in _READABLE else _no_data(name)
        if (node.label if name == LABEL else node.expires) is None:
            raise _no_data(name)
        if name == LABEL:
            self._context.store.set_label(subject, node, None)
        else:
            self._context.store.set_expiry(subject, node, None)


def _entry(node: Entry | Box, name: str) -> Entry:
    if isinstance(node, Box):
        raise IsABox(f"a box has no `{name}`")
    return node


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument("labels and times are text in UTF-8") from error


def _truth(value: bytes) -> bool:
    if value.strip() not in (b"0", b"1"):
        raise InvalidArgument(f"`{POLL}` is `0` or `1`")
    return value.strip() == b"1"


def _refuse_to_set(name: str) -> None:
    if name in _READABLE:
        raise NotPermitted(f"`{name}` says what is inside and cannot be set")
    if name.startswith(PREFIX):
        raise InvalidArgument(
            f"there is no attribute `{name}`", hint="`fd`, `label`, `expires` and `poll` can be set"
        )
    raise OSError(errno.EOPNOTSUPP, f"attributes other than `{PREFIX}...` cannot be kept")


def _no_data(name: str) -> OSError:
    return OSError(errno.ENODATA, f"there is no `{name}`")

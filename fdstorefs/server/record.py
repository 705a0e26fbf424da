"""Records: an entry or box as a client sees it, in JSON and in extended attributes."""

import secrets
from hashlib import blake2b
from typing import Any

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Box, Entry, OpenFile
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.host.boot_clock import Calendar
from fdstorefs.host.description import describe
from fdstorefs.host.file_kind import classify

FILE_NUMBER_BYTES = 6
"""Whole in every JSON parser, and none is met twice among the open files of any store."""

Record = dict[str, Any]


class Records:
    """Builds `Entry` records of the interface, with no more in them than the subject may know.

    With the same `key`, an open file has the same number in them.
    """

    def __init__(self, store: Store, key: bytes | None = None) -> None:
        self._store = store
        self._calendar = Calendar()
        self.key = key or secrets.token_bytes(16)

    def plain(self, subject: Subject, target: Target, node: Entry | Box) -> Record:
        """What a listing shows to anyone who may list."""
        return {
            "name": target.path,
            "kind": node.kind,
            "id": node.ino,
            "uid": node.uid,
            "gid": node.gid,
            "mode": node.mode,
            "links": self._store.links(subject, node),
            "created": node.created,
            "changed": node.changed,
            "sealed": isinstance(node, Box) and node.sealed,
        }

    def full(self, subject: Subject, target: Target, node: Entry | Box) -> Record:
        """The plain record and, if the subject may describe the entry, what is inside."""
        if self._store.may(subject, Action.DESCRIBE, target):
            return self.described(subject, target, node)
        return self.plain(subject, target, node)

    def described(self, subject: Subject, target: Target, node: Entry | Box) -> Record:
        """All there is to say, to a subject who may describe the entry."""
        record = self.plain(subject, target, node)
        if isinstance(node, Entry):
            record.update(self._inside(node))
        return record

    def _inside(self, entry: Entry) -> Record:
        inside: Record = {"poll": entry.polled}
        if entry.expires is not None:
            inside["expires"] = self._calendar.date(entry.expires)
        if entry.label is not None:
            inside["label"] = entry.label
        if entry.stasher is not None:
            who = entry.stasher
            inside["stasher"] = {"pid": who.pid, "uid": who.uid, "gid": who.gid, "command": who.command}
        if entry.file is not None:
            file = entry.file
            inside |= {
                "file": self.file_number(file),
                "description": describe(file.descriptor, classify(file.descriptor)),
                "access": file.access,
                "filesystem": file.filesystem,
                "device": file.device,
                "inode": file.inode,
                **_guarded(file),
            }
        return inside

    def file_number(self, file: OpenFile) -> int:
        """The same for the same open file, but not the count of all that anybody ever stashed."""
        digest = blake2b(file.number.to_bytes(8, "little"), key=self.key, digest_size=FILE_NUMBER_BYTES)
        return int.from_bytes(digest.digest(), "little")


def _guarded(file: OpenFile) -> Record:
    """What the kernel has told of the file; it tells where it enforces the policy."""
    if file.opener is None:
        return {}
    who = file.opener
    record: Record = {
        "guarded": file.guarded,
        "opener": {
            "uid": who.uid,
            "gid": who.gid,
            "capabilities": who.capabilities,
            "userns": list(who.userns),
        },
    }
    return record if file.unguarded is None else record | {"unguarded": file.unguarded}

"""Records: an entry or box as a client sees it, in JSON and in extended attributes."""

from typing import Any

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.host.description import describe
from fdstorefs.host.file_kind import classify

Record = dict[str, Any]


class Records:
    """Builds `Entry` records of the interface, with no more in them than the subject may know."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def plain(self, target: Target, node: Entry | Box) -> Record:
        """What a listing shows to anyone who may list."""
        return {
            "name": target.path,
            "kind": node.kind,
            "id": node.ino,
            "uid": node.uid,
            "gid": node.gid,
            "mode": node.mode,
            "links": node.links,
            "created": node.created,
            "changed": node.changed,
            "sealed": isinstance(node, Box) and node.sealed,
        }

    def full(self, subject: Subject, target: Target, node: Entry | Box) -> Record:
        """The plain record and, if the subject may describe the entry, what is inside."""
        record = self.plain(target, node)
        if isinstance(node, Entry) and self._store.may(subject, Action.DESCRIBE, target):
            record.update(self._inside(node))
        return record

    @staticmethod
    def _inside(entry: Entry) -> Record:
        inside: Record = {}
        if entry.label is not None:
            inside["label"] = entry.label
        if entry.stasher is not None:
            who = entry.stasher
            inside["stasher"] = {"pid": who.pid, "uid": who.uid, "gid": who.gid, "command": who.command}
        if entry.file is not None:
            file = entry.file
            inside |= {
                "file": file.number,
                "description": describe(file.descriptor, classify(file.descriptor)),
                "access": file.access,
                "filesystem": file.filesystem,
                "device": file.device,
                "inode": file.inode,
            }
        return inside

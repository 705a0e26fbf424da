"""Attributes: seals, mode, owner and labels."""

from fdstorefs.core.access import Action, Coming, Target, check_chown
from fdstorefs.core.changing import PERMISSIONS, Changing
from fdstorefs.core.event import Change
from fdstorefs.core.guard import names_of
from fdstorefs.core.name import check_label
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.subject import Subject
from fdstorefs.errors import NotPermitted, QuotaExceeded


class Attributes(Changing):
    """The part of a store that changes what is said of entries and boxes."""

    def seal(self, subject: Subject, box: Box, *, sealed: bool = True) -> None:
        """Seal or unseal a box; errors: NotPermitted, Denied."""
        target = self.target_of(subject, box)
        self._authority.require(subject, Action.SEAL, target)
        if box.sealed != sealed:
            self._prepare(subject, Action.SEAL, target, box)
            box.sealed, box.changed = sealed, self._clock()
            self.journal.record([box])
            self._tell(Change.SEALED if sealed else Change.UNSEALED, box.parent or box, box.name, box)
            if not sealed and self.unsealed is not None:
                self.unsealed()

    def set_mode(self, subject: Subject, node: Entry | Box, mode: int) -> None:
        """Change permission bits; errors: NotPermitted, Denied, Busy."""
        target = self.target_of(subject, node, Action.CHANGE)
        self._require(subject, Action.CHANGE, target)
        self._prepare(subject, Action.CHANGE, target, node)
        node.mode, node.changed = mode & PERMISSIONS, self._clock()
        self.journal.record([node])
        self._tell(Change.CHANGED, target.box, target.name, node)

    def set_owner(self, subject: Subject, node: Entry | Box, uid: int | None, gid: int | None) -> None:
        """Change owner or group as chown(2); None leaves one.

        Errors: NotPermitted, Denied, QuotaExceeded, Busy.
        """
        target = self.target_of(subject, node, Action.CHANGE)
        self._require_unsealed(subject, Action.CHANGE, target, target.box)
        self._require_chown(subject, target, node, uid, gid)
        self._authority.require_policy(subject, Action.CHANGE, target)
        self._prepare(subject, Action.CHANGE, target, node)
        if uid is not None and uid != node.uid:
            self._count_for(subject, target, node, uid)
            node.uid = uid
        node.gid = gid if gid is not None else node.gid
        node.changed = self._clock()
        self.journal.record([node])
        self._tell(Change.CHANGED, target.box, target.name, node)

    def set_label(self, subject: Subject, entry: Entry, label: str | None) -> None:
        """Change an entry's label; errors: InvalidArgument, NotPermitted, Denied, Busy."""
        target = self.target_of(subject, entry, Action.CHANGE)
        self._require(subject, Action.CHANGE, target)
        relabelled = Coming(entry.file, check_label(label) if label is not None else None, entry.stasher)
        self._authority.require_policy(subject, Action.STASH, target._replace(coming=relabelled))
        self._require_other_names(subject, target, [relabelled])
        self._prepare(subject, Action.CHANGE, target, entry)
        if self.guard is not None and entry.file is not None:
            names = [
                named._replace(label=label) if named.number == entry.ino else named
                for named in names_of(entry.file)
            ]
            self._require_guard(subject, Action.CHANGE, target, {entry.file: names})
        entry.label, entry.judged = label, None
        entry.changed = self._clock()
        self.journal.record([entry])
        self._tell(Change.CHANGED, target.box, target.name, entry)

    def _require_chown(
        self, subject: Subject, target: Target, node: Entry | Box, uid: int | None, gid: int | None
    ) -> None:
        try:
            check_chown(subject, target, node, uid, gid)
        except NotPermitted as error:
            self._authority.refused(subject, Action.CHANGE, target, error)
            raise

    def _count_for(self, subject: Subject, target: Target, node: Entry | Box, uid: int) -> None:
        if node is self.root:
            return
        try:
            self.usage.check_uid(uid)
        except QuotaExceeded as error:
            self._authority.refused(subject, Action.CHANGE, target, error)
            raise
        self.usage.move(node.uid, uid)

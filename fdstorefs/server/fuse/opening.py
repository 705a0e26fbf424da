"""Opening: which handle an open(2) gives, and to whom."""

import os
from collections.abc import Callable

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Entry, OpenFile
from fdstorefs.core.subject import Subject
from fdstorefs.errors import Denied, StoreError
from fdstorefs.server.context import Context
from fdstorefs.server.fuse import lending
from fdstorefs.server.fuse.caller import Caller
from fdstorefs.server.fuse.data_handle import DataHandle
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.lane import Lanes
from fdstorefs.server.fuse.readiness import Readiness
from fdstorefs.server.fuse.stash_handle import StashHandle

_ABLE_TO_READ = frozenset({"r", "rw"})
_ABLE_TO_WRITE = frozenset({"w", "rw"})


class Opening:
    """Opens entries. `notify` wakes the pollers of a handle."""

    def __init__(
        self,
        context: Context,
        handles: Handles,
        lanes: Lanes,
        readiness: Readiness,
        notify: Callable[[int], None],
    ) -> None:
        self._context = context
        self._handles = handles
        self._lanes = lanes
        self._readiness = readiness
        self._notify = notify

    def open(self, subject: Subject, caller: Caller, entry: Entry, flags: int) -> int:
        """The number of a new handle.

        Opened to write, an empty entry gives a handle that stashes; so does a full one with O_TRUNC, and what
        is in it stays until a descriptor is written. Anything else gives a handle on the stored file, for
        which the subject must be allowed to retrieve it: what it can do, the handle can do.

        Errors: Denied (also where the stored file can't be read or written as the flags ask, as in Plan 9's
        srv), EmptyEntry, Busy, NotPermitted and NotSupported as `lending` says, QuotaExceeded for who has too many
        open.
        """
        self._handles.require_room(caller.uid)
        writes = flags & os.O_ACCMODE != os.O_RDONLY
        if writes and (entry.file is None or flags & os.O_TRUNC):
            return self._to_stash(subject, caller, entry, replacing=bool(flags & os.O_TRUNC))
        return self._to_use(subject, caller, entry, flags & os.O_ACCMODE)

    def created(self, caller: Caller, entry: Entry, flags: int) -> int:
        """The number of a handle on an entry that this open(2) has just made: it may be filled through it."""
        handle = StashHandle(self._context, entry, caller, replacing=bool(flags & os.O_TRUNC))
        return self._handles.add(handle, caller.uid)

    def _to_stash(self, subject: Subject, caller: Caller, entry: Entry, *, replacing: bool) -> int:
        store = self._context.store
        store.require_mode(subject, Action.STASH, store.target_of(subject, entry, Action.STASH))
        return self._handles.add(StashHandle(self._context, entry, caller, replacing=replacing), caller.uid)

    def _to_use(self, subject: Subject, caller: Caller, entry: Entry, mode: int) -> int:
        store = self._context.store
        target = store.target_of(subject, entry, Action.RETRIEVE)
        for_equals = entry.file is not None and self._lendable(subject, target, entry.file, caller, mode)
        file = store.retrieve(subject, target)
        return self._handles.add(self.data_handle(file, for_equals=for_equals), caller.uid)

    def data_handle(self, file: OpenFile, *, for_equals: bool) -> DataHandle:
        """A handle on a stored file, for equals of the server only, or for whoever was let in."""
        return DataHandle(file, self._lanes, self._readiness, self._notify, for_equals=for_equals)

    def stash_handle(self, entry: Entry, *, replacing: bool) -> StashHandle:
        """A handle that stashes; nobody has opened it yet."""
        return StashHandle(self._context, entry, None, replacing=replacing)

    def _lendable(self, subject: Subject, target: Target, file: OpenFile, caller: Caller, mode: int) -> bool:
        """Whether only equals may use the file; raises what refuses it to a caller who may retrieve it.

        Before he does so, as that goes on record. Whoever may not retrieve it learns nothing of it here.
        """
        store = self._context.store
        try:
            return _needs_equal(file, caller, mode)
        except StoreError as error:
            if not store.may(subject, Action.RETRIEVE, target):
                return True
            if isinstance(error, PermissionError):
                store.refused(subject, Action.RETRIEVE, target, error)
            raise


def _needs_equal(file: OpenFile, caller: Caller, mode: int) -> bool:
    for_equals = lending.needs_equal(file)
    _require_mode(file, mode)
    if for_equals:
        lending.require_equal(caller)
    return for_equals


def _require_mode(file: OpenFile, mode: int) -> None:
    if mode != os.O_WRONLY and file.access not in _ABLE_TO_READ:
        raise Denied("the stored file is open for writing only")
    if mode != os.O_RDONLY and file.access not in _ABLE_TO_WRITE:
        raise Denied("the stored file is open for reading only")

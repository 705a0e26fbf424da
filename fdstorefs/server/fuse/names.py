"""Requests about names and attributes, as a pyfuse3 file system. The only file that imports pyfuse3.

Nothing here waits: each request is answered before the next is read (see `driver`). The kernel caches nothing
of it, since what a subject may see is decided for each request.
"""

# ruff: noqa: ARG002 - the arguments are pyfuse3's

import errno
import functools
import logging
import os
import stat
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn, ParamSpec, TypeVar

import pyfuse3
from pyfuse3 import (
    EntryAttributes,
    FileHandleT,
    FileInfo,
    FileNameT,
    FlagT,
    FUSEError,
    InodeT,
    ModeT,
    ReaddirToken,
    RequestContext,
    SetattrFields,
    StatvfsData,
    XAttrNameT,
)

from fdstorefs.core.access import Action, Target, permits
from fdstorefs.core.name import NAME_BYTES
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.subject import Subject
from fdstorefs.errors import EntryExists, InvalidArgument, NoSuchEntry, NotPermitted
from fdstorefs.server.context import Context
from fdstorefs.server.fuse import own_sockets
from fdstorefs.server.fuse.caller import Caller
from fdstorefs.server.fuse.driver import Session, stand_in_for_trio
from fdstorefs.server.fuse.handles import Handles
from fdstorefs.server.fuse.inodes import Inodes, plain, text_of
from fdstorefs.server.fuse.listing import Listing, Listings, refresh
from fdstorefs.server.fuse.opening import Opening
from fdstorefs.server.fuse.own_sockets import OwnSocket, OwnSockets
from fdstorefs.server.fuse.shown import Shown, shown
from fdstorefs.server.fuse.xattrs import Xattrs
from fdstorefs.server.out_of_descriptors import code_of

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def _answered(handler: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Turn whatever goes wrong into an errno: anything else would end the session of pyfuse3."""

    @functools.wraps(handler)
    async def answered(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return await handler(*arguments, **options)
        except OSError as error:
            raise FUSEError(code_of(error)) from error
        except Exception as error:
            log.exception("%s failed", handler.__name__)
            raise FUSEError(errno.EIO) from error

    return answered


def _caller(ctx: RequestContext) -> Caller:
    return Caller(ctx.uid, ctx.gid, ctx.pid)


class Names(pyfuse3.Operations):
    """Answers requests about names by asking the store."""

    supports_dot_lookup = False
    enable_writeback_cache = False
    enable_acl = False

    def __init__(self, context: Context, handles: Handles, opening: Opening) -> None:
        super().__init__()
        self.sockets = OwnSockets()
        self._inodes = Inodes(context.store, self.sockets)
        self._context = context
        self._store = context.store
        self._handles = handles
        self._opening = opening
        self._xattrs = Xattrs(context)
        self.listings = Listings()

    # Finding

    def _subject(self, ctx: RequestContext) -> Subject:
        return self._context.subjects.subject(ctx.pid, ctx.uid, ctx.gid)

    def _known(self, subject: Subject, node: Entry | Box) -> EntryAttributes:
        """The attributes of a node that the kernel gets to know with this answer."""
        self._store.remember(node)
        return self._attributes(subject, node)

    def _attributes(self, subject: Subject, node: Entry | Box) -> EntryAttributes:
        return _attributes(shown(node, self._store.links(subject, node)))

    @_answered
    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        """What a name stands for."""
        box, text = self._inodes.box(parent_inode), text_of(name)
        if self._inodes.is_reserved(box, text):
            return self._lookup_socket(box, text, ctx)
        subject = self._subject(ctx)
        target = self._store.lookup(subject, box, text)
        assert target.node is not None
        return self._known(subject, target.node)

    def _lookup_socket(self, box: Box, name: str, ctx: RequestContext) -> EntryAttributes:
        self._store.require(self._subject(ctx), Action.SEARCH, self._store.target(box, name))
        found = self.sockets.find(name)
        if found is None:
            raise NoSuchEntry(f"`{name}` is not bound", name=name)
        return _attributes(shown(found))

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        """The kernel gives references back."""
        for inode, count in inode_list:
            self._store.forget(plain(inode), count)

    # Attributes

    @_answered
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        """The attributes of an inode: whoever found it may know them."""
        socket = self._inodes.socket(inode)
        if socket is not None:
            return _attributes(shown(socket))
        return self._attributes(self._subject(ctx), self._inodes.node(inode))

    @_answered
    async def setattr(
        self,
        inode: InodeT,
        attr: EntryAttributes,
        fields: SetattrFields,
        fh: FileHandleT | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        """Change mode, owner, group. Times are the store's own record: setting them has no effect."""
        node, subject = self._changeable(inode, Action.CHANGE, ctx), self._subject(ctx)
        if fields.update_size:
            raise InvalidArgument(
                "an entry has no size", hint="open it with O_TRUNC to replace what it holds"
            )
        if fields.update_uid or fields.update_gid:
            uid = attr.st_uid if fields.update_uid else None
            gid = attr.st_gid if fields.update_gid else None
            self._store.set_owner(subject, node, uid, gid)
        if fields.update_mode:
            self._store.set_mode(subject, node, stat.S_IMODE(attr.st_mode))
        return self._attributes(subject, node)

    @_answered
    async def access(self, inode: InodeT, mode: ModeT, ctx: RequestContext) -> bool:
        """Whether access(2) and chdir(2) succeed, by the mode bits."""
        if self._inodes.socket(inode) is not None:
            return not mode & os.X_OK
        return permits(self._subject(ctx), self._inodes.node(inode), mode & 7)

    @_answered
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        """How many entries there may be, and how many there are for the subject to count."""
        limit, counted = self._store.usage.limits.entries, self._store.counted(self._subject(ctx))
        most = limit if limit is not None else self._context.intake.capacity
        data = StatvfsData()
        data.f_bsize = data.f_frsize = 4096
        data.f_namemax = NAME_BYTES
        data.f_files = max(most, counted)
        data.f_ffree = data.f_favail = data.f_files - counted
        return data

    # Making and removing

    @_answered
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: RequestContext
    ) -> EntryAttributes:
        """An empty entry; or, for the server itself, one of its sockets."""
        box, text = self._inodes.box(parent_inode), text_of(name)
        if stat.S_ISREG(mode):
            subject = self._subject(ctx)
            return self._known(subject, self._create(subject, box, text, mode))
        if not (stat.S_ISSOCK(mode) and self._inodes.is_reserved(box, text)):
            raise NotPermitted("only entries and boxes can be made here", name=text)
        if not own_sockets.is_ours(ctx.pid):
            self._refuse(Action.STASH, text, ctx)
        return self._bind(text, ctx)

    def _changeable(self, inode: InodeT, action: Action, ctx: RequestContext) -> Entry | Box:
        socket = self._inodes.socket(inode)
        if socket is not None:
            self._refuse(action, socket.name, ctx)
        return self._inodes.node(inode)

    def _refuse(self, action: Action, reserved: str, ctx: RequestContext) -> NoReturn:
        """Nobody else may do anything with the names of our sockets; it is on record as any denial."""
        error = NotPermitted(f"`{reserved}` is the store's own", name=reserved)
        self._store.refused(self._subject(ctx), action, Target(self._store.root, reserved), error)
        raise error

    def _bind(self, name: str, ctx: RequestContext) -> EntryAttributes:
        if self.sockets.find(name) is not None:
            raise EntryExists(f"`{name}` is bound", name=name)
        return _attributes(shown(self.sockets.bind(name, ctx.uid, ctx.gid, time.time_ns())))

    @_answered
    async def mkdir(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext
    ) -> EntryAttributes:
        """A box."""
        box, permissions = self._inodes.box(parent_inode), stat.S_IMODE(mode)
        subject = self._subject(ctx)
        stasher = self._context.subjects.stasher(subject)
        return self._known(subject, self._store.make_box(subject, box, text_of(name), permissions, stasher))

    @_answered
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        """Discard; or, for the server itself, remove one of its sockets."""
        box, text = self._inodes.box(parent_inode), text_of(name)
        if self._inodes.is_reserved(box, text):
            if not own_sockets.is_ours(ctx.pid):
                self._refuse(Action.DISCARD, text, ctx)
            self.sockets.unbind(text)
        else:
            subject = self._subject(ctx)
            self._store.discard(subject, self._store.lookup(subject, box, text, Action.DISCARD))

    @_answered
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        """Remove an empty box."""
        subject, box = self._subject(ctx), self._inodes.box(parent_inode)
        self._store.remove_box(subject, self._store.lookup(subject, box, text_of(name), Action.DISCARD))

    @_answered
    async def rename(
        self,
        parent_inode_old: InodeT,
        name_old: FileNameT,
        parent_inode_new: InodeT,
        name_new: FileNameT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> None:
        """Give an entry or a box another name; RENAME_NOREPLACE is honoured, other flags are not."""
        if flags & ~pyfuse3.RENAME_NOREPLACE:
            raise InvalidArgument("entries cannot be exchanged")
        subject, box = self._subject(ctx), self._inodes.box(parent_inode_old)
        for parent, name in ((parent_inode_old, name_old), (parent_inode_new, name_new)):
            if self._inodes.is_reserved(self._inodes.box(parent), text_of(name)):
                self._refuse(Action.RENAME, text_of(name), ctx)
        source = self._store.lookup(subject, box, text_of(name_old), Action.RENAME)
        goal = self._inodes.target(parent_inode_new, name_new)
        replace = not flags & pyfuse3.RENAME_NOREPLACE
        self._store.rename(subject, source, goal, replace=replace)

    @_answered
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """A second name for an entry."""
        subject, box = self._subject(ctx), self._inodes.box(new_parent_inode)
        source = self._store.target_of(subject, self._changeable(inode, Action.LINK, ctx), Action.LINK)
        return self._known(subject, self._store.link(subject, source, box, text_of(new_name)))

    @_answered
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        """A store holds open files; links by path are refused."""
        raise NotPermitted("a store has no symbolic links")

    @_answered
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        """There is nothing to read."""
        raise InvalidArgument("a store has no symbolic links")

    # Handles: opened and released here, used beside pyfuse3 (see `tap`)

    @_answered
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        """A handle that stashes, or one on the stored file."""
        number = self._opening.open(self._subject(ctx), _caller(ctx), self._inodes.entry(inode), flags)
        return FileInfo(fh=FileHandleT(number))

    @_answered
    async def create(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, flags: FlagT, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        """An empty entry and a handle on it. If somebody else made it a moment ago, open that one."""
        box, text, subject = self._inodes.box(parent_inode), text_of(name), self._subject(ctx)
        there = None if flags & os.O_EXCL else self._seen(subject, box, text)
        if there is not None:
            number = self._opening.open(subject, _caller(ctx), self._inodes.entry(there.ino), flags)
            return FileInfo(fh=FileHandleT(number)), self._known(subject, there)
        self._handles.require_room(ctx.uid)
        entry = self._create(subject, box, text, mode)
        number = self._opening.created(_caller(ctx), entry, flags)
        return FileInfo(fh=FileHandleT(number)), self._known(subject, entry)

    def _create(self, subject: Subject, box: Box, name: str, mode: int) -> Entry:
        stasher = self._context.subjects.stasher(subject)
        return self._store.create(subject, box, name, stat.S_IMODE(mode), stasher)

    def _seen(self, subject: Subject, box: Box, name: str) -> Entry | Box | None:
        target = self._store.target(box, name)
        if target.node is None or not self._store.knows(subject, target):
            return None
        self._store.require(subject, Action.SEARCH, target)
        return target.node

    async def flush(self, fh: FileHandleT) -> None:
        """Nothing is kept back that could be flushed."""

    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        """Nothing is kept back."""

    @_answered
    async def release(self, fh: FileHandleT) -> None:
        """The last descriptor of a handle is closed."""
        self._handles.release(fh)

    # Directories

    @_answered
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        """A listing for whoever opens it."""
        listing = Listing(self._subject(ctx), self._inodes.box(inode))
        refresh(listing, self._store, self.sockets)
        # From now on others may read it, when its opener is gone.
        listing.subject.settle()
        return FileHandleT(self.listings.add(listing))

    @_answered
    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        """The names from the one with number `start_id` on; who begins again sees what is there by then."""
        listing = self.listings.get(fh)
        if start_id == 0 and listing.was_read:
            self.listings.refresh(listing, self._store, self.sockets)
        listing.was_read = True
        for number, (name, listed) in enumerate(listing.items[start_id:], start_id + 1):
            links = 1 if isinstance(listed, OwnSocket) else self._store.links(listing.subject, listed)
            attributes = _attributes(shown(listed, links))
            if not pyfuse3.readdir_reply(token, FileNameT(os.fsencode(name)), attributes, number):
                return
            if isinstance(listed, Entry | Box) and name not in (".", ".."):
                self._store.remember(listed)

    async def releasedir(self, fh: FileHandleT) -> None:
        """Forget a listing."""
        self.listings.close(fh)

    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        """Nothing is kept back."""

    # Extended attributes

    @_answered
    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        """What is inside, or the label."""
        if self._inodes.socket(inode) is not None:
            raise OSError(errno.ENODATA, "a socket of the store has no attributes")
        value = self._xattrs.get(self._subject(ctx), self._inodes.node(inode), text_of(name))
        return value.encode("utf-8", "surrogateescape")

    @_answered
    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        """The attributes that the subject may read."""
        if self._inodes.socket(inode) is not None:
            return []
        names = self._xattrs.names(self._subject(ctx), self._inodes.node(inode))
        return [XAttrNameT(name.encode()) for name in names]

    @_answered
    async def setxattr(self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext) -> None:
        """Set the label, or stash a descriptor by its number."""
        self._xattrs.set(_caller(ctx), self._subject(ctx), self._inodes.node(inode), text_of(name), value)

    @_answered
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> None:
        """Remove the label."""
        self._xattrs.remove(self._subject(ctx), self._inodes.node(inode), text_of(name))


def _attributes(told: Shown) -> EntryAttributes:
    attributes = EntryAttributes()
    attributes.st_ino, attributes.st_mode = InodeT(told.ino), ModeT(told.mode)
    attributes.st_uid, attributes.st_gid, attributes.st_nlink = told.uid, told.gid, told.links
    attributes.st_atime_ns = attributes.st_mtime_ns = attributes.st_ctime_ns = told.changed
    attributes.entry_timeout = attributes.attr_timeout = 0
    return attributes


class PyFuse:
    """pyfuse3 as `driver.Library`: a session for one `Names`."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def attach(self, device: str) -> None:
        """Make the session, with a stand-in for trio, on a descriptor given as `/dev/fd/N`."""
        pyfuse3.trio = stand_in_for_trio()  # type: ignore[attr-defined]  # as pyfuse3.asyncio.enable does
        pyfuse3.init(self._names, device, {"fsname=fdstorefs"})

    def session(self) -> Session:
        """The main loop, for one request at a time."""
        return pyfuse3.main(1, 1)

    def detach(self) -> None:
        """End the session. What is mounted stays mounted: the mount is not libfuse's."""
        pyfuse3.close(unmount=False)

"""Who may do what: actions, and the mode bits (DAC) that each needs.

`Store` asks an `Authority` before every action. Mode bits are the first one; a policy is asked after them, and
both must allow.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

from fdstorefs.core.node import Box, Entry, OpenFile, Stasher
from fdstorefs.core.subject import (
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    Subject,
)
from fdstorefs.errors import Denied, NotPermitted, StoreError

READ, WRITE, SEARCH = 4, 2, 1
STICKY = 0o1000


class Action(StrEnum):
    """What a subject may ask for."""

    # Looked up by at every step of a request; the hash of an enumeration is a Python function, this one isn't.
    __hash__ = str.__hash__

    STASH = "stash"
    RETRIEVE = "retrieve"
    TAKE = "take"
    DISCARD = "discard"
    LIST = "list"
    DESCRIBE = "describe"
    RENAME = "rename"
    LINK = "link"
    SEAL = "seal"
    SEARCH = "search"
    CHANGE = "change"


class Coming(NamedTuple):
    """What is to stand under a name: an open file, nothing yet, or a box, and what will be said of it.

    `stasher` None: whoever asks.
    """

    file: OpenFile | None = None
    label: str | None = None
    stasher: Stasher | None = None
    is_box: bool = False

    @property
    def kind(self) -> str:
        """What it is: `box`, `empty`, or the open file's kind."""
        if self.is_box:
            return "box"
        return self.file.kind if self.file is not None else "empty"


class Target(NamedTuple):
    """What an action is about: a name in a box and, where there is one, the node it names.

    `coming` is what a stash, or the goal of a rename or link, would put there.
    """

    box: Box
    name: str
    node: Entry | Box | None = None
    coming: Coming | None = None

    @property
    def path(self) -> str:
        """The name as a subject would write it."""
        prefix = self.box.path
        return f"{prefix}/{self.name}" if prefix and self.name else self.name or prefix or "/"


class Authority(Protocol):
    """Decides for a store. What is put to `require*` or `exists` may be kept on record, once for each verdict."""

    def require(self, subject: Subject, action: Action, target: Target, /) -> None:
        """Raise Denied or NotPermitted if mode bits or policy refuse it."""

    def require_mode(self, subject: Subject, action: Action, target: Target, /) -> None:
        """The same as far as mode bits say: before it is known what is to be stashed."""

    def require_policy(self, subject: Subject, action: Action, target: Target, /) -> None:
        """The same as far as the policy says: for what an action implies, such as discarding what it replaces."""

    def require_implied(self, subject: Subject, action: Action, target: Target, /) -> None:
        """As `require_policy`, for what else a request concerns: of many such verdicts only denials go on record."""

    def may(self, subject: Subject, action: Action, target: Target, /) -> bool:
        """Whether `require` would return; leaves no record."""

    def policy_allows(self, subject: Subject, action: Action, target: Target, /) -> bool:
        """Whether `require_policy` would return; leaves no record."""

    def exists(self, subject: Subject, target: Target, intent: Action, /) -> bool:
        """Whether the policy lets the subject know of the node. It asked for it by name, to do `intent`."""

    def require_unoccupied(self, subject: Subject, target: Target, /) -> None:
        """For a name that something is to get and where something stands: return if the subject may know of that.

        Otherwise raise what `require` would raise if nothing stood there, or else Denied: something is in the way.
        """

    def stamp(self) -> object:
        """Another one whenever verdicts may be others, though nobody has changed who asks or what it is about."""

    def left_out(self, subject: Subject, box: Target, count: int, /) -> None:
        """Keep a record that so many entries were not shown to whoever listed a box and what is below."""

    def refused(self, subject: Subject, action: Action, target: Target, error: StoreError, /) -> None:
        """Keep a record of a denial by the store itself: for want of room, or of a right that chown takes."""


Check = Callable[[Subject, Action, Target], None]


class Checked:
    """An authority that knows only one check, and no policy: nothing is hidden and nothing is kept on record."""

    def __init__(self, check: Check) -> None:
        self.require = check
        self.require_mode = check

    def require_policy(self, _subject: Subject, _action: Action, _target: Target) -> None:
        """There is none."""

    def require_implied(self, _subject: Subject, _action: Action, _target: Target) -> None:
        """Likewise."""

    def may(self, subject: Subject, action: Action, target: Target) -> bool:
        """Whether the check passes."""
        try:
            self.require(subject, action, target)
        except (Denied, NotPermitted):
            return False
        return True

    def policy_allows(self, _subject: Subject, _action: Action, _target: Target) -> bool:
        """There is none to refuse it."""
        return True

    def exists(self, _subject: Subject, _target: Target, _intent: Action) -> bool:
        """To mode bits everything exists."""
        return True

    def require_unoccupied(self, _subject: Subject, _target: Target) -> None:
        """Everybody may know of everything."""

    def stamp(self) -> object:
        """The check stays the same."""
        return None

    def left_out(self, _subject: Subject, _box: Target, _count: int) -> None:
        """Nothing ever is."""

    def refused(self, _subject: Subject, _action: Action, _target: Target, _error: StoreError) -> None:
        """There is nowhere to keep it."""


def granted(subject: Subject, node: Entry | Box) -> int:
    """The rwx bits that the node's mode gives the subject, without capabilities."""
    if subject.owns(node.uid):
        return node.mode >> 6 & 7
    if node.mode >> 3 & 7 != node.mode & 7 and subject.in_group(node.gid):
        return node.mode >> 3 & 7
    return node.mode & 7


def permits(subject: Subject, node: Entry | Box, wanted: int) -> bool:
    """True if mode bits or a DAC capability give the subject all of `wanted`."""
    if wanted & ~granted(subject, node) == 0:
        return True
    if subject.capable(CAP_DAC_OVERRIDE):
        return True
    reading = wanted & WRITE == 0
    return reading and subject.capable(CAP_DAC_READ_SEARCH)


_BITS_OF_ACCESS = {"r": READ, "w": WRITE, "rw": READ | WRITE, "path": READ}


def bits_to_retrieve(entry: Entry) -> int:
    """What a copy of the stored file can do is what its mode must grant: reading, writing, or both."""
    return _BITS_OF_ACCESS[entry.file.access] if entry.file is not None else READ


def is_owner(subject: Subject, node: Entry | Box) -> bool:
    """True if the subject owns the node or may act for any owner."""
    return subject.owns(node.uid) or subject.capable(CAP_FOWNER)


def _need(subject: Subject, node: Entry | Box, wanted: int, target: Target, what: str) -> None:
    # Most requests are decided here, without another call: by the owner's bits, or because both other
    # classes grant it and it does not matter which one is the subject's.
    refused = ~(node.mode >> 6) if subject.owner_id == node.uid else ~node.mode | ~(node.mode >> 3)
    if wanted & refused == 0:
        return
    if not permits(subject, node, wanted):
        raise Denied(
            f"uid {subject.uid} may not {what} `{target.path}`: mode {node.mode:04o}, "
            f"owner {node.uid}, group {node.gid}",
            name=target.path,
            hint="ask the owner for other mode bits (chmod)",
        )


def _may_change_names(subject: Subject, target: Target, what: str) -> None:
    box, node = target.box, target.node
    _need(subject, box, WRITE | SEARCH, target, what)
    if box.mode & STICKY and node is not None and not (is_owner(subject, node) or is_owner(subject, box)):
        raise NotPermitted(
            f"uid {subject.uid} may not {what} `{target.path}`: the box is sticky and "
            f"uid {node.uid} owns the entry",
            name=target.path,
        )


def _stash(subject: Subject, target: Target) -> None:
    if target.node is None:
        _may_change_names(subject, target, "stash")
    else:
        _need(subject, target.box, SEARCH, target, "stash")
        _need(subject, target.node, WRITE, target, "replace")


def _retrieve(subject: Subject, target: Target) -> None:
    _need(subject, target.box, SEARCH, target, "retrieve")
    if isinstance(target.node, Entry):
        _need(subject, target.node, bits_to_retrieve(target.node), target, "retrieve")


def _take(subject: Subject, target: Target) -> None:
    _retrieve(subject, target)
    _may_change_names(subject, target, "take")


def _list(subject: Subject, target: Target) -> None:
    _need(subject, target.box, READ, target, "list")


def _describe(subject: Subject, target: Target) -> None:
    _need(subject, target.box, SEARCH, target, "describe")
    node = target.node
    if node is not None and not subject.owns(node.uid):
        _need(subject, node, READ, target, "describe")


def _search(subject: Subject, target: Target) -> None:
    _need(subject, target.box, SEARCH, target, "reach")


def _discard(subject: Subject, target: Target) -> None:
    _may_change_names(subject, target, "discard")


def _rename(subject: Subject, target: Target) -> None:
    _may_change_names(subject, target, "rename")


def _link(subject: Subject, target: Target) -> None:
    # A second name outlives the first, so it takes as much as retrieving does.
    _retrieve(subject, target)


def _owner_only(subject: Subject, target: Target) -> None:
    node = target.node if target.node is not None else target.box
    if not is_owner(subject, node):
        raise NotPermitted(f"uid {subject.uid} does not own `{target.path}`", name=target.path)


_RULES: dict[Action, Callable[[Subject, Target], None]] = {
    Action.STASH: _stash,
    Action.RETRIEVE: _retrieve,
    Action.TAKE: _take,
    Action.DISCARD: _discard,
    Action.LIST: _list,
    Action.DESCRIBE: _describe,
    Action.RENAME: _rename,
    Action.LINK: _link,
    Action.SEAL: _owner_only,
    Action.SEARCH: _search,
    Action.CHANGE: _owner_only,
}


def mode_bits(subject: Subject, action: Action, target: Target) -> None:
    """The DAC authority: raise Denied or NotPermitted where owner and mode bits do not allow the action."""
    _RULES[action](subject, target)


MODE_BITS = Checked(mode_bits)


def check_chown(
    subject: Subject, target: Target, node: Entry | Box, uid: int | None, gid: int | None
) -> None:
    """What chown(2) allows: the owner may choose a group of his; all else takes CAP_CHOWN. NotPermitted."""
    if subject.capable(CAP_CHOWN):
        return
    gives_away = uid is not None and uid != node.uid
    strange_group = gid is not None and gid != node.gid and not subject.in_group(gid)
    if gives_away or strange_group or not subject.owns(node.uid):
        raise NotPermitted(f"uid {subject.uid} may not change the owner of `{target.path}`", name=target.path)

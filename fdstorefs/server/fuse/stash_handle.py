"""Stashing handles: write the number of a descriptor, and it is in the entry."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Entry
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.errors import Busy, EmptyEntry, EntryExists, InvalidArgument, NoSuchProcess, NotPermitted
from fdstorefs.server.context import Context
from fdstorefs.server.fuse import protocol, taking
from fdstorefs.server.fuse.call import Call
from fdstorefs.server.fuse.caller import Caller, Identity, identify
from fdstorefs.server.fuse.readiness import ALWAYS_READY
from fdstorefs.server.passed import Told


class StashHandle:
    """A handle that stashes one descriptor into `entry`, once. A write that failed may be repeated.

    The number is one of the writing process, and that must be the process that opened the handle, with the
    credentials it had then. Otherwise whoever inherits a handle could have descriptors taken from its opener;
    and an attacker could open one as standard output of a program that has more rights than he has, and have
    a descriptor taken from it.
    """

    open_flags = protocol.FOPEN_DIRECT_IO | protocol.FOPEN_NOFLUSH

    def __init__(self, context: Context, entry: Entry, opener: Caller | None, *, replacing: bool) -> None:
        self._context = context
        self.entry = entry
        self._replacing = replacing
        self._done = False
        self._opener = _identity_or_none(opener) if opener is not None else None

    def write(self, call: Call, data: memoryview, offset: int) -> None:
        """Stash the descriptor with this number, whole or not at all."""
        if self._done:
            raise Busy(
                "this handle has stashed its descriptor already", hint="open the entry again to replace it"
            )
        if offset:
            raise InvalidArgument(f"the number must be written at once, not at offset {offset}")
        number = taking.parse_number(bytes(data[: taking.TEXT_BYTES]))
        if self._opener is None:
            raise NoSuchProcess("the server could not see who opened this handle")
        stash(
            self._context, call.caller, self.entry, number, expected=self._opener, replacing=self._replacing
        )
        self._done = True
        call.reply(protocol.write_result(len(data)))

    def read(self, call: Call, size: int) -> None:  # noqa: ARG002
        """Nothing can be read here, even once the entry is filled: that takes a handle opened after it."""
        if self.entry.file is None:
            raise EmptyEntry("the entry holds nothing yet")
        raise InvalidArgument("this handle stashes; open the entry again to read from what it holds")

    def poll(self, call: Call, events: int, kh: int | None) -> None:  # noqa: ARG002
        """Nobody ever waits here."""
        call.reply(protocol.poll_result(ALWAYS_READY & events))

    def release(self) -> None:
        """Nothing is held."""

    # Another server goes on

    def told(self) -> Told:
        """See `Handles`."""
        opener = asdict(self._opener) if self._opener is not None else None
        if opener is not None:
            opener["groups"] = sorted(opener["groups"])
        return {
            "entry": self.entry.ino,
            "replacing": self._replacing,
            "done": self._done,
            "opener": opener,
        }

    def take_over(self, told: Told) -> None:
        """Whether it has been written to when another server had it, and who opened it."""
        self._done, opener = bool(told["done"]), told["opener"]
        self._opener = _identity_again(opener) if opener is not None else None

    def begin(self) -> None:
        """Nobody was promised anything."""

    def was_used(self) -> None:
        """It never is by another server: it would have had to wait."""

    def leave(self) -> None:
        """Nobody is told anything."""


def _identity_again(told: Told) -> Identity:
    return Identity(
        **{
            **told,
            "uids": tuple(told["uids"]),
            "gids": tuple(told["gids"]),
            "groups": frozenset(told["groups"]),
        }
    )


def _identity_or_none(opener: Caller) -> Identity | None:
    try:
        return identify(opener)
    except (NoSuchProcess, NotPermitted):
        return None  # it may open the entry (touch does no more), but nothing is taken for it


def stash(
    context: Context,
    caller: Caller,
    entry: Entry,
    number: int,
    *,
    expected: Identity | None = None,
    replacing: bool = False,
) -> None:
    """Put descriptor `number` of the calling process into `entry`; what was in it stays until then.

    Errors: EntryExists if there is something in it that is not to be replaced, those of `taking.take`, of
    `Intake.accept` and of `Store.fill`.
    """
    if entry.file is not None and not replacing:
        raise EntryExists("the entry has been filled meanwhile", hint="open it with O_TRUNC to replace")
    subject = context.subjects.subject(caller.tid, caller.uid, caller.gid)
    target = context.store.target_of(subject, entry, Action.STASH)
    with _on_record(context.store, subject, target):
        if expected is not None:
            _require_owner(subject, entry)
    context.store.require_mode(subject, Action.STASH, target)
    with _on_record(context.store, subject, target):
        descriptor = taking.take(caller, number, expected)
    file = context.intake.accept(descriptor, subject.uid)
    try:
        context.store.fill(subject, entry, file, context.subjects.stasher(subject))
    except BaseException:
        context.intake.reject(file)
        raise


@contextmanager
def _on_record(store: Store, subject: Subject, target: Target) -> Iterator[None]:
    """What is not permitted for reasons that no mode bits and no policy give is on record like other denials."""
    try:
        yield
    except NotPermitted as error:
        store.refused(subject, Action.STASH, target, error)
        raise


def _require_owner(subject: Subject, entry: Entry) -> None:
    """Else a program with more rights, made to write a text of somebody's choice to a file of somebody's choice,
    would give its descriptors away.
    """
    if not subject.owns(entry.uid):
        raise NotPermitted(
            "only the entry's owner can stash into it by writing a number",
            hint="use the socket: `fdstorefs put`",
        )

"""Intake: from a bare descriptor to an open file that the store can keep, and back out when it is released."""

from collections.abc import Callable

from fdstorefs.core.node import OpenFile
from fdstorefs.errors import Loop, QuotaExceeded
from fdstorefs.host import syscalls
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.host.file_kind import FileFacts, classify
from fdstorefs.host.identity import IdentityIndex
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server.budget import budget


class Intake:
    """Takes descriptors in and closes them when the store lets go.

    `limit` is the process's descriptor limit. Every descriptor given to `accept` is the intake's from then
    on, whether it is kept or refused.
    """

    def __init__(self, descriptors: Descriptors, guard: RecursionGuard, limit: int) -> None:
        self._descriptors = descriptors
        self._guard = guard
        self._identities: IdentityIndex[OpenFile] = IdentityIndex()
        self._numbers = 0
        # Kept because there may be as many as open files: one bound method for all of them.
        self._on_release = self._release
        self.limit = limit
        parts = budget(limit)
        self.capacity = parts.stored
        """How many different open files fit, all in all."""
        self._unclosed_of_one = parts.unclosed_of_one
        self.files = 0
        self.unkept: Callable[[int], None] | None = None
        """Told of each open file, by a descriptor, that came and that nobody was ever asked to guard, and of each
        further copy of one that is kept unguarded: the kernel withholds whatever comes until it is told better."""
        self.let_go: Callable[[OpenFile], None] | None = None
        """Told of each open file that the journal keeps and that is about to be closed."""
        self.released: Callable[[OpenFile], None] | None = None
        """Told of every open file that is about to be closed."""

    @property
    def stored(self) -> list[OpenFile]:
        """All open files at this moment."""
        return list(self._identities)

    def accept(self, descriptor: int, sender: int | None = None) -> OpenFile:
        """The open file behind `descriptor`: one the store has already, or a new one, held by nobody yet.

        `sender` is the uid of who brings it. Errors: Loop for a file or socket of any fdstorefs, QuotaExceeded at the
        descriptor limit, and for whom too much is stuck already in being closed. The caller must `hold` the file, or
        `reject` it.
        """
        self._descriptors.adopt(descriptor)
        try:
            facts = classify(descriptor)
        except BaseException:
            self._descriptors.discard(descriptor, may_block=True, sender=sender)
            raise
        try:
            return self._accept(descriptor, facts, sender)
        except BaseException:
            self._tell_unkept(descriptor, facts.dev, facts.ino)
            self._descriptors.discard(descriptor, may_block=facts.may_block_on_close, sender=sender)
            raise

    def _accept(self, descriptor: int, facts: FileFacts, sender: int | None) -> OpenFile:
        self._check_recursion(descriptor, facts, sender)
        known = self._identities.find(descriptor, facts.dev, facts.ino)
        if known is not None:
            self._tell_unguarded(descriptor, known)
            # Not the last copy, but closing it may still flush.
            self._descriptors.discard(descriptor, may_block=facts.may_block_on_close, sender=sender)
            return known
        self._require_room(sender)
        return self._keep(descriptor, facts, sender)

    def _require_room(self, sender: int | None) -> None:
        stuck = self._descriptors.stuck(sender)
        if stuck >= self._unclosed_of_one:
            raise QuotaExceeded(
                f"{stuck} descriptors that uid {sender} has stashed cannot be closed: their file servers do not answer",
                hint="end those servers (or `umount -f` their mounts), and what waits for them is closed",
            )
        unclosed = self._descriptors.pending
        if self.files + unclosed >= self.capacity:
            closing = f", and {unclosed} are still being closed" if unclosed else ""
            raise QuotaExceeded(
                f"the store holds {self.files} open files{closing}: its descriptor limit of {self.limit} allows "
                f"{self.capacity}",
                hint="discard some, or start the instance with a higher RLIMIT_NOFILE",
            )

    def _check_recursion(self, descriptor: int, facts: FileFacts, sender: int | None) -> None:
        try:
            self._guard.check(descriptor, facts, sender)
        except OSError as error:
            raise Loop(error.strerror or "a store cannot hold itself") from error

    def restore(self, file: OpenFile) -> OpenFile:
        """Take over an open file that was kept for another server; it is held by nobody yet. Nobody is asked about it.

        It is not here yet under another descriptor. Raises OSError (EBADF), ValueError for a descriptor that is.
        """
        self._descriptors.adopt(file.descriptor)
        self._identities.add_unsorted(file)
        self.pass_over(file.number)
        self.files += 1
        file.release = self._on_release
        return file

    def pass_over(self, number: int) -> None:
        """No number up to this one is given to an open file that comes."""
        self._numbers = max(self._numbers, number)

    def sort_some(self) -> bool:
        """Go on with what `restore` has left for later, for a moment. Whether there is more of it."""
        return self._identities.sort_some()

    def recognise(self, number: int, descriptor: int) -> OpenFile:
        """The same for one of which only this is known. Errors as of `restore`."""
        file = self._file(number, descriptor, classify(descriptor))
        file.kept = True
        return self.restore(file)

    def _keep(self, descriptor: int, facts: FileFacts, sender: int | None) -> OpenFile:
        self._numbers += 1
        file = self._file(self._numbers, descriptor, facts)
        file.sender = sender
        self._identities.add(file)
        self.files += 1
        return file

    def _file(self, number: int, descriptor: int, facts: FileFacts) -> OpenFile:
        return OpenFile(
            descriptor=descriptor,
            kind=str(facts.kind),
            device=facts.dev,
            inode=facts.ino,
            access=facts.access,
            filesystem=facts.filesystem,
            may_block_on_close=facts.may_block_on_close,
            pollable=facts.pollable,
            number=number,
            release=self._on_release,
        )

    def reject(self, file: OpenFile) -> None:
        """Let go of a file that `accept` returned and nobody came to hold."""
        if file.holds == 0:
            self._release(file)

    def discard_stray(self, descriptor: int, sender: int | None = None) -> None:
        """Close a descriptor that a client sent and no call wanted."""
        self._descriptors.adopt(descriptor)
        self.let_wait(descriptor)
        self._descriptors.discard(descriptor, may_block=True, sender=sender)

    def let_wait(self, descriptor: int) -> None:
        """A descriptor that a client sent waits for a call, which may come never: until then it is not kept."""
        if self.unkept is not None:
            found = syscalls.statx_cached(descriptor)
            self._tell_unkept(descriptor, found.dev, found.ino)

    def let_file_wait(self, file: OpenFile) -> None:
        """An open file was accepted, and it may be long until it gets a name: until then it is not kept."""
        if self.unkept is not None and file.opener is None:
            self.unkept(file.descriptor)

    def _tell_unkept(self, descriptor: int, device: int, inode: int) -> None:
        """Unless it is a copy of what the store holds guarded."""
        if self.unkept is None:
            return
        known = self._identities.find(descriptor, device, inode)
        if known is None:
            self.unkept(descriptor)
        else:
            self._tell_unguarded(descriptor, known)

    def _tell_unguarded(self, descriptor: int, known: OpenFile) -> None:
        if self.unkept is not None and known.unguarded is not None:
            self.unkept(descriptor)

    def _release(self, file: OpenFile) -> None:
        if self.released is not None:
            self.released(file)
        if self.unkept is not None and file.opener is None:
            self.unkept(file.descriptor)
        if self.let_go is not None and file.kept:
            self.let_go(file)
        self._identities.remove(file)
        self.files -= 1
        self._descriptors.discard(file.descriptor, may_block=file.may_block_on_close, sender=file.sender)

"""The guard of a store whose policy the kernel enforces (the core's `Guard`).

Everything that has to be decided about a file and its names is the enforcer's affair; here is what the server does
with its answers, and without them:
- No name comes to be that the enforcer has not classified. While it is away that is refused.
- Nothing is delivered unless the kernel says, for this very open file, that it enforces the policy on it. What it is
  not to enforce it on (the file is not the instance's to guard) it must at least have looked at: nobody at home is
  never taken for permission.
- What is guarded once stays so, whatever names it has left: the enforcer answers that it is.
- After every absence of the enforcer it is told all names again, a few at a time.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from fdstorefs.core.guard import Named, Names, names_of
from fdstorefs.core.node import OpenFile
from fdstorefs.errors import NotGuarded, StoreError, TooManyNames
from fdstorefs.server.guarding.asking import CLASSIFIED, NOBODY, UNTAGGED, Ask
from fdstorefs.server.guarding.enforcer import AUTHORITY, TOO_MANY_NAMES, Answer, Enforcer
from fdstorefs.server.guarding.line import LineLost, Refusal
from fdstorefs.server.guarding.releases import Releases
from fdstorefs.server.guarding.standing import Standing, State
from fdstorefs.server.guarding.unguarded import UnguardedEntries

log = logging.getLogger(__name__)

LATER = "try again; `fdstorefs status` says how enforcement stands"


class KernelGuard:
    """Guards the files of one instance.

    `probe` is a descriptor of our own by which to ask whether the kernel knows this instance at all. `away` is called
    when the enforcer is gone, so that somebody looks for it: until `connected`.
    """

    def __init__(
        self, standing: Standing, releases: Releases, ask: Ask, probe: int, away: Callable[[], None]
    ) -> None:
        self._standing = standing
        self._releases = releases
        self._ask = ask
        self._probe = probe
        self._away = away
        self._enforcer: Enforcer | None = None
        self._unguarded = UnguardedEntries()
        self.guarded = 0
        """How many open files the kernel guards."""

    # What a store asks

    def require(self, coming: Names) -> None:
        """See the core."""
        enforcer = self._in_touch()
        files = list(coming)
        answers = self._told(enforcer, [(file, coming[file]) for file in files])
        if answers is None:
            raise self._refusal()
        if all(answer.guarded or answer.why == AUTHORITY for answer in answers):
            for file, answer in zip(files, answers, strict=True):
                self._note(file, answer, coming[file])
            return
        for file, answer in zip(files, answers, strict=True):
            if answer.why == AUTHORITY:
                self._unguarded.note(file, {named.number for named in coming[file]})
        self.settle(files)
        raise next(
            _why_not(answer, coming[file])
            for file, answer in zip(files, answers, strict=True)
            if not answer.guarded and answer.why != AUTHORITY
        )

    def settle(self, files: Iterable[OpenFile]) -> None:
        """See the core."""
        named: list[OpenFile] = []
        for file in files:
            gone = self._unguarded.take_gone(file, {entry.ino for entry in file.entries})
            if gone or not file.entries:
                self.release(file.descriptor, gone)
            if file.entries:
                named.append(file)
            else:
                self._count(file, False)
        self.guard_again(named)

    def require_delivery(self, file: OpenFile) -> None:
        """See the core."""
        answer = self._ask(file.descriptor)
        if answer != CLASSIFIED and (file.guarded or answer != UNTAGGED):
            self._recover(file, answer)
        if self._standing.state is State.LOST:
            self._standing.found()

    def release(self, descriptor: int, entries: Sequence[int] = ()) -> None:
        """Say that an open file is not kept; later, if the enforcer is away. What was classified stays guarded.

        `entries` are the numbers of those that held it unguarded.
        """
        if self._enforcer is not None:
            try:
                self._enforcer.release(descriptor, entries)
                return
            except LineLost as error:
                self.disconnected(str(error))
        if self._standing.state is State.CUT_OFF:
            self._releases.add(descriptor, entries)

    # What happens to the line

    def connected(self, enforcer: Enforcer) -> None:
        """The instance is registered with this one."""
        self._enforcer = enforcer
        try:
            self._releases.tell(enforcer.release)
        except LineLost as error:
            self.disconnected(str(error))

    def disconnected(self, why: str) -> None:
        """This line is of no use any more."""
        if self._enforcer is not None:
            self._enforcer = None
            self._standing.cut_off(why)
            self._away()
            self.check()

    def check(self) -> None:
        """See whether the kernel enforces anything for this instance now."""
        if self._ask(self._probe) == NOBODY:
            self._lose()
        elif self._standing.state is State.LOST:
            self._standing.found()

    def guard_again(self, files: Sequence[OpenFile]) -> None:
        """Tell the enforcer the names that these have in the store. While it is away it will be told later."""
        if self._enforcer is None or not files:
            return
        named = [(file, names_of(file)) for file in files]
        answers = self._told(self._enforcer, named)
        for (file, names), answer in zip(named, answers or (), strict=answers is not None):
            self._note(file, answer, names)

    # How

    def _lose(self) -> None:
        self._standing.lost("the kernel does not know this instance any more")
        if self._enforcer is not None:
            self._enforcer = None
            self._away()

    def _in_touch(self) -> Enforcer:
        self.check()
        if self._enforcer is None:
            raise self._refusal()
        return self._enforcer

    def _refusal(self) -> NotGuarded:
        return NotGuarded(f"enforcement: {self._standing.reason}", hint=LATER)

    def _told(
        self, enforcer: Enforcer, files: Sequence[tuple[OpenFile, Sequence[Named]]]
    ) -> list[Answer] | None:
        """What the enforcer answers; None if it is away, or does not know us any more."""
        try:
            return enforcer.guard([(file.descriptor, names) for file, names in files])
        except (LineLost, Refusal) as error:
            self.disconnected(str(error))
            return None

    def _recover(self, file: OpenFile, answer: int) -> None:
        """The kernel does not say what it should about a stored file. It may be told its names anew."""
        if answer == NOBODY:
            self._lose()
            raise self._refusal()
        self.guard_again([file])
        answer = self._ask(file.descriptor)
        if answer != CLASSIFIED and (file.guarded or answer != UNTAGGED):
            raise NotGuarded("the kernel has not classified what is stored there", hint=LATER)

    def _note(self, file: OpenFile, answer: Answer, names: Sequence[Named]) -> None:
        """Write down what is known of a file now. What was remembered of its entries counts no more if it differs."""
        unguarded = answer.why if not answer.guarded else None
        if unguarded not in (None, AUTHORITY):
            log.warning("an open file could not be classified anew: %s", unguarded)
            return
        if (file.guarded, file.unguarded, file.opener) != (answer.guarded, unguarded, answer.opener):
            self._count(file, answer.guarded)
            file.unguarded, file.opener = unguarded, answer.opener
            for entry in file.entries:
                entry.judged = None
        self._unguarded.note(file, {named.number for named in names})

    def _count(self, file: OpenFile, guarded: bool) -> None:
        self.guarded += guarded - file.guarded
        file.guarded = guarded


def _why_not(answer: Answer, names: Sequence[Named]) -> StoreError:
    path = names[-1].path if names else None
    if answer.why == TOO_MANY_NAMES:
        return TooManyNames(
            f"`{path}` would be a name too many for the kernel: it tells only so many kinds of names apart",
            name=path,
            hint="discard other names of the open file first",
        )
    return NotGuarded(
        f"`{path}` cannot be guarded: {answer.why or 'the enforcer does not say why'}", name=path
    )

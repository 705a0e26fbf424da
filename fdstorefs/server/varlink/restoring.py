"""Restore: what comes in several calls of one connection, and is stored when the last one has come, all or nothing.

Until then it is in nobody's sight, and it is thrown away when the connection ends or anything of it is refused.
Descriptors are the keeper's already, as a stash's are: it forgets them if the server dies before the last call.
"""

import time
from collections import Counter

from fdstorefs.core.node import OpenFile, Stasher
from fdstorefs.core.restoring import Arrangement, Arriving
from fdstorefs.core.subject import Subject
from fdstorefs.errors import BadDescriptor, Busy, InvalidArgument, Overloaded, QuotaExceeded, StoreError
from fdstorefs.server.context import Context
from fdstorefs.server.shares import Share
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.arrivals import Parcel, parcels
from fdstorefs.server.varlink.call import CONSUMED, Call
from fdstorefs.server.varlink.reply import Reply, success

MOST_AT_A_TIME = 4
"""Restores of one user: what has come of them takes memory."""

MOST_NAMES, MOST_BYTES = 20_000, 1 << 23
"""Of one restore: everybody else waits while it is done."""

TURN_SECONDS = 0.002
MOST_TRIES = 3

PARAMETERS = frozenset({"nodes", "first", "into", "replace", "last"})


def restore(context: Context, call: Call) -> "Reply | Commit":
    """Take some more of it in; with `last` that was all, and it is stored."""
    given = call.parameters
    try:
        parameters.only(given, PARAMETERS)
        last = parameters.flag(given, "last")
        staging = _staging(context, call)
        ids = staging.add(call, parcels(given, len(call.descriptors)))
    except BaseException:
        call.session.close()
        raise
    return Commit(context, staging, call, ids) if last else success({"ids": ids})


def _staging(context: Context, call: Call) -> "Staging":
    """What the call belongs to. Only the first call of a restore begins one: half of it must never be taken for all."""
    given, begun = call.parameters, call.session.begun
    if parameters.flag(given, "first"):
        call.session.close()
        into = (parameters.optional_text(given, "into") or "").strip("/")
        begun = Staging(context, call.subject, into, replace=parameters.flag(given, "replace"))
        call.session.begun = begun
        return begun
    if not isinstance(begun, Staging):
        raise Busy(
            "a restore goes on that has not begun, or was thrown away", hint="begin again, with `first`"
        )
    begun.require_same(call.subject)
    if given.get("into") is not None or given.get("replace") is not None:
        raise InvalidArgument("`into` and `replace` belong to the first call of a restore")
    return begun


class Staging:
    """What has come so far. `subject` is who sent the first of it, and sends all."""

    def __init__(self, context: Context, subject: Subject, into: str, *, replace: bool) -> None:
        self._context = context
        self._who = _identity(subject)
        self._into = into
        self._replace = replace
        self._plan = Arrangement(subject, into, replace)
        self.arrived: list[Arriving] = []
        self._files: dict[int, OpenFile] = {}
        self._promised: Counter[int] = Counter()
        self._names = self._bytes = 0
        self._is_open = True
        self._staged = Share(context.staged, subject.uid)
        if context.restores.of(subject.uid) >= MOST_AT_A_TIME:
            raise Overloaded(
                f"uid {subject.uid} has {MOST_AT_A_TIME} restores under way", hint="wait until one is done"
            )
        context.restores.add(subject.uid, 1)

    def require_same(self, subject: Subject) -> None:
        """Raise InvalidArgument if somebody else goes on with it."""
        if _identity(subject) != self._who:
            raise InvalidArgument("another process goes on with a restore that this one has not begun")

    def add(self, call: Call, coming: list[Parcel]) -> list[int]:
        """Take descriptors in, and see whether everything fits. The numbers that the nodes will have."""
        self._plan.subject = call.subject
        self._check_size(coming)
        self._take_share(sum(parcel.at is not None for parcel in coming))
        self._accept(call, coming)
        ids = [self._arrange(parcel) for parcel in coming]
        self._promise()
        return ids

    def _check_size(self, coming: list[Parcel]) -> None:
        for parcel in coming:
            self._names += len(parcel.arriving.paths)
            self._bytes += sum(map(len, parcel.arriving.paths))
        if self._names > MOST_NAMES or self._bytes > MOST_BYTES:
            raise QuotaExceeded(
                f"a restore has {MOST_NAMES} names at most, of {MOST_BYTES} characters together",
                hint="restore it in parts: others wait until one is done",
            )

    def _take_share(self, files: int) -> None:
        """What has come and is nowhere in the store counts for who sends it, in all his restores together."""
        if not self._staged.fits(files):
            shares, uid = self._context.staged, self._who[0]
            raise QuotaExceeded(
                f"uid {uid} has {shares.of(uid)} of {shares.per_uid} open files in restores that are not done, all "
                f"users together {shares.used} of {shares.total}, and {files} more have come",
                hint="restore in parts, one after the other, or start the instance with a higher RLIMIT_NOFILE",
            )
        self._staged.set(self._staged.amount + files)

    def _accept(self, call: Call, coming: list[Parcel]) -> None:
        new = [
            self._accept_one(call, parcel.file, parcel.at, parcel.arriving.paths[0])
            for parcel in coming
            if parcel.file is not None and parcel.at is not None
        ]
        if new:
            self._context.store.journal.prepare(1, new)
        for file in new:
            self._context.intake.let_file_wait(file)

    def _accept_one(self, call: Call, number: int, index: int, name: str) -> OpenFile:
        if number in self._files:
            raise InvalidArgument(f"the file of `{name}` has come already", name=name)
        descriptor, call.descriptors[index] = call.descriptors[index], CONSUMED
        if descriptor == CONSUMED:
            raise InvalidArgument(f"`{name}` has the descriptor of another file", name=name)
        try:
            file = self._context.intake.accept(descriptor, call.subject.uid)
        except StoreError as error:
            error.name = error.name or name
            raise
        self._files[number] = file.hold()
        return file

    def _arrange(self, parcel: Parcel) -> int:
        store, arriving = self._context.store, parcel.arriving
        if parcel.file is not None and parcel.file not in self._files:
            name = arriving.paths[0]
            raise BadDescriptor(f"the file of `{name}` has not come", name=name)
        file = self._files[parcel.file] if parcel.file is not None else None
        arriving = arriving._replace(number=store.tree.next_ino(), file=file)
        self.arrived.append(arriving)
        before = len(self._plan.steps)
        number = store.arrange(self._plan, arriving)
        if len(self._plan.steps) > before:
            store.require_policy_for_last(self._plan)
        return number

    def _promise(self) -> None:
        """Have it count against limits as if it were there."""
        self._take_back()
        self._context.store.require_room_for(self._plan)
        self._context.store.usage.promise(self._plan.more)
        self._promised = self._plan.more.copy()

    def _take_back(self) -> None:
        self._context.store.usage.promise(self._promised, -1)
        self._promised.clear()

    def begin(self, subject: Subject) -> Arrangement:
        """An arrangement of nothing yet."""
        return Arrangement(subject, self._into, self._replace)

    def restore(self, subject: Subject, stasher: Stasher) -> None:
        """Store all of it at once."""
        self._take_back()
        self._context.store.restore(subject, self.arrived, stasher, into=self._into, replace=self._replace)

    def carry_out(self, plan: Arrangement, stasher: Stasher) -> None:
        """Store what was weighed and stands."""
        self._take_back()
        self._context.store.carry_out(plan, stasher)

    def close(self) -> None:
        """Let go of everything; what is stored by now is held by its entries."""
        if self._is_open:
            self._is_open = False
            self._context.restores.add(self._who[0], -1)
        self._take_back()
        self._staged.set(0)
        files, self._files = self._files, {}
        for file in files.values():
            file.drop()


class Commit:
    """The activity of the last call: weigh everything a little at a time, and then do it in one go.

    What has become otherwise meanwhile is weighed anew. Where that happens too often, or where a guard has to be asked
    in between, it is done at once, and others wait.
    """

    def __init__(self, context: Context, staging: Staging, call: Call, ids: list[int]) -> None:
        self._context = context
        self._staging = staging
        self._call = call
        self._ids = ids
        self._tries = 0

    def start(self, exchange: Exchange) -> None:
        """Begin."""
        self._exchange = exchange
        self._stasher = self._context.subjects.stasher(self._call.subject)
        if self._context.store.guard is not None:
            self._finish_at_once()
        else:
            self._begin()

    def drained(self) -> None:
        """Nothing was said yet."""

    def stop(self) -> None:
        """What is not stored by now is thrown away."""
        self._call.session.close()

    def _begin(self) -> None:
        self._plan = self._staging.begin(self._call.subject)
        self._todo = iter(self._staging.arrived)
        self._weigh_some()

    def _weigh_some(self) -> None:
        end, store = time.monotonic() + TURN_SECONDS, self._context.store
        for arriving in self._todo:
            store.weigh(self._plan, arriving)
            if time.monotonic() > end:
                self._exchange.soon(self._weigh_some)
                return
        self._complete()

    def _complete(self) -> None:
        if self._context.store.stands(self._plan):
            self._staging.carry_out(self._plan, self._stasher)
            self._say_done()
            return
        self._tries += 1
        if self._tries == MOST_TRIES:
            self._finish_at_once()
        else:
            self._exchange.soon(self._begin)

    def _finish_at_once(self) -> None:
        self._staging.restore(self._call.subject, self._stasher)
        self._say_done()

    def _say_done(self) -> None:
        self._exchange.finish(success({"ids": self._ids}))


def _identity(subject: Subject) -> tuple[int, int, int]:
    return subject.uid, subject.gid, subject.pid

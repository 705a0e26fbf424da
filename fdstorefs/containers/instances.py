"""All instances of one service: started by forks of it, found again by their records."""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from fdstorefs.containers.container import Container
from fdstorefs.containers.errors import HostError, NotStarted
from fdstorefs.containers.keeping import READY, STUCK, to_keep
from fdstorefs.containers.nursery import Nursery
from fdstorefs.containers.options import HostOptions
from fdstorefs.containers.record import Process, Record, Records, name_of
from fdstorefs.errors import NoInstance, NoSuchProcess, NotPermitted, Overloaded, QuotaExceeded
from fdstorefs.server.loop import EPOLLIN, Loop, Timer
from fdstorefs.server.options import ServeOptions, to_json

log = logging.getLogger(__name__)

MOST_OF_ONE_PLACE, MOST_OF_ONE_USER, MOST_OF_OTHERS, MOST = 16, 256, 3840, 4096
"""Instances in one mount namespace, of one user or outermost user namespace, before only root gets more, and ever."""
MOST_STUCK_OF_ONE, MOST_STUCK = 4, 64
"""Starts that have failed and cannot end, of one container, and of all before only root starts more."""
STARTING_SECONDS = 30.0
ENDING_SECONDS = 10.0
_MOST_SAID = 65536

Done = Callable[[Record | Exception], None]


class _Start:
    """One that is on its way up. `waiting` are told how it ends."""

    def __init__(self, record: Record, pidfd: int, pipe: int, done: Done) -> None:
        self.record = record
        self.pidfd = pidfd
        self.pipe = pipe
        self.said = b""
        self.waiting = [done]
        self.timer: Timer | None = None


class Instances:
    """Starts and ends instances. All in the loop's thread."""

    def __init__(self, options: HostOptions, loop: Loop, nursery: Nursery) -> None:
        self._loop = loop
        self._nursery = nursery
        self._starting: dict[str, _Start] = {}
        self._ending: set[str] = set()
        self._stuck: dict[int, Record] = {}
        self.records = Records(options.records)

    def begin(self) -> None:
        """Find those again that a former service has started. Raises OSError."""
        self.records.prepare()
        found = list(self.records)
        if found:
            log.info("%d instances serve already", len(found))

    def all(self) -> list[Record]:
        """Those that serve, or will again."""
        return list(self.records)

    def find(self, container: Container, mount: str) -> Record:
        """The instance at a mount point in a container. Raises NoInstance."""
        found = self.records.find(name_of(container.mount_namespace, mount))
        if found is None or found.users != container.user_namespace:
            raise NoInstance(f"no instance serves `{mount}` in that container")
        return found

    # Start

    def start(
        self, container: Container, first: int, mount: str, uid: int, serve: ServeOptions, done: Done
    ) -> None:
        """Have one serve, and tell it, or what went wrong. The container remains the caller's.

        One that is there already is told, and so is one that is on its way up. Raises HostError for one that is ending.
        """
        if self._join(name_of(container.mount_namespace, mount), container, done):
            return
        record = Record(
            mount,
            uid,
            container.user_namespace,
            container.mount_namespace,
            Process.of(first),
            to_json(replace(serve, mount=mount)),
            keeper=Process.of(os.getpid()),
            outermost=container.outermost,
        )
        self._require_room(record)
        self._await(self._fork_keeper(record, container, done))

    def _join(self, name: str, container: Container, done: Done) -> bool:
        starting = self._starting.get(name)
        known = self.records.find(name) if starting is None else starting.record
        if known is None:
            return False
        if known.users != container.user_namespace:
            raise NotPermitted("the instance there is that of another user namespace")
        if starting is not None:
            starting.waiting.append(done)
            return True
        if name in self._ending or not self._goes_on(known):
            raise HostError(
                f"the instance at `{known.mount}` is ending, or just lost its server", hint="try again"
            )
        done(known)
        return True

    def _goes_on(self, known: Record) -> bool:
        """Whether it serves, as far as anybody knows: one that ends by itself has a keeper for a moment more."""
        return known.first.is_there and self.records.is_served(known.name)

    def _require_room(self, new: Record) -> None:
        self._require_few_stuck(new)
        there = [*self.records, *(start.record for start in self._starting.values())]
        full = f"there are {MOST}" if len(there) >= MOST else None
        if new.uid:
            full = full or _full_for(new, there)
        if full is not None:
            raise QuotaExceeded(f"{full}, and there may be no more", hint="end some: `fdstorefs host stop`")

    def _require_few_stuck(self, new: Record) -> None:
        of_one = sum(each.container == new.container for each in self._stuck.values())
        if of_one >= MOST_STUCK_OF_ONE or (new.uid and len(self._stuck) >= MOST_STUCK):
            raise Overloaded(
                f"{of_one} starts for this container, and {len(self._stuck)} for all, have failed and have not ended",
                hint="what is mounted there and does not answer? When it does, or is gone, they end",
            )

    def _fork_keeper(self, record: Record, container: Container, done: Done) -> _Start:
        ours, its = os.pipe2(os.O_CLOEXEC)
        try:
            child = self._nursery.fork(to_keep(record), (*container.descriptors, its))
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(its)
        os.set_blocking(ours, False)
        return _Start(record, child.pidfd, ours, done)

    def _await(self, start: _Start) -> None:
        self._starting[start.record.name] = start
        self._loop.register(start.pipe, lambda _events: self._hear(start))
        start.timer = self._loop.call_at(time.monotonic() + STARTING_SECONDS, lambda: self._give_up(start))

    def _hear(self, start: _Start) -> None:
        try:
            more = os.read(start.pipe, _MOST_SAID)
        except BlockingIOError:
            return
        start.said += more
        if start.said == READY:
            self._ended(start, self.records.find(start.record.name))
        elif not more or len(start.said) > _MOST_SAID or start.said.endswith(STUCK):
            self._failed(start)

    def _failed(self, start: _Start) -> None:
        told = start.said.removesuffix(STUCK)
        if told != start.said:
            self._watch_stuck(start)
        message, _, hint = os.fsdecode(told).rstrip("\n").partition("\n")
        self._ended(start, NotStarted(message or "the server ended before it served", hint=hint or None))

    def _watch_stuck(self, start: _Start) -> None:
        pidfd = os.dup(start.pidfd)
        self._stuck[pidfd] = start.record

        def over() -> None:
            self._loop.unregister(pidfd)
            os.close(pidfd)
            del self._stuck[pidfd]

        self._loop.register(pidfd, lambda _events: over())

    def _give_up(self, start: _Start) -> None:
        """End all of it. When the keeper is dead its server is on record, or ends by itself before it serves."""
        _kill(start.pidfd)
        self._loop.unregister(start.pipe)
        self._loop.register(start.pidfd, lambda _events: self._given_up(start))

    def _given_up(self, start: _Start) -> None:
        self._loop.unregister(start.pidfd)
        record = self.records.find(start.record.name)
        if record is not None:
            _kill_process(record.server)
            self.records.remove(record.name)
        self._ended(start, NotStarted(f"the instance does not serve after {STARTING_SECONDS:g} seconds"))

    def _ended(self, start: _Start, result: Record | Exception | None) -> None:
        self._loop.unregister(start.pipe)
        os.close(start.pipe)
        os.close(start.pidfd)
        if start.timer is not None:
            start.timer.cancel()
        del self._starting[start.record.name]
        for done in start.waiting:
            done(NotStarted("the instance has ended again") if result is None else result)

    # The end

    def stop(self, record: Record, done: Callable[[Exception | None], None]) -> None:
        """End an instance, and tell when it has ended."""
        try:
            pidfd = _pidfd_of(record.keeper)
        except ProcessLookupError:
            # Its keeper is gone, and another not there yet.
            done(HostError(f"the instance at `{record.mount}` has lost its keeper", hint="try again"))
            return
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        self._ending.add(record.name)
        waiting = [done]

        def late() -> None:
            waiting.pop()(HostError("it was told to end, and has not yet"))

        timer = self._loop.call_at(time.monotonic() + ENDING_SECONDS, late)

        def over() -> None:
            timer.cancel()
            self._ending.discard(record.name)
            self._loop.unregister(pidfd)
            os.close(pidfd)
            for each in waiting:
                each(None)

        self._loop.register(pidfd, lambda _events: over(), EPOLLIN)

    # Keepers

    def replace_keeper(self, name: str, asker: Process, container: Container, ends: tuple[int, int]) -> int:
        """Fork another keeper for a server, which is the `asker`, and whose own is gone. Returns its number.

        `ends` are the asker's pidfd and the line on which it waits.

        The container is as the server has it, who could be anybody by now: what is on record counts.
        """
        record = self.records.find(name)
        if record is None or record.server != asker:
            raise NotPermitted(f"process {asker.pid} is not the server of an instance `{name}`")
        _require_same(container, record)
        _kill_process(record.keeper)
        pid, pidfd = self._nursery.fork(to_keep(record, on=True), (*container.descriptors, *ends))
        os.close(pidfd)
        # The former keeper may have started another server before it was killed: then that is what is on record.
        if self.records.find(name) == record:
            self.records.write(replace(record, keeper=Process.of(pid)))
        log.warning("the instance of server %d has another keeper: %d", asker.pid, pid)
        return pid


def _require_same(container: Container, record: Record) -> None:
    """Raise NotPermitted unless the descriptors are of the container that is on record."""
    numbers = container.user_namespace, container.mount_namespace
    if numbers != (record.users, record.mounts) or not container.ends_with(record.first.pid):
        raise NotPermitted("that is not the container of the instance")


def _full_for(new: Record, there: list[Record]) -> str | None:
    """Whose instances are as many as they may be, when another than root wants one more."""
    counted = (
        (f"uid {new.uid} has had {MOST_OF_ONE_USER} started", "uid", MOST_OF_ONE_USER),
        # A container has many users, and each may make further namespaces in it.
        (f"users of this container have had {MOST_OF_ONE_USER} started", "outermost", MOST_OF_ONE_USER),
        (f"this mount namespace has {MOST_OF_ONE_PLACE}", "mounts", MOST_OF_ONE_PLACE),
    )
    for who, what, most in counted:
        if sum(getattr(each, what) == getattr(new, what) for each in there) >= most:
            return who
    return f"others than root have {MOST_OF_OTHERS}" if len(there) >= MOST_OF_OTHERS else None


def _kill(pidfd: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _kill_process(process: Process | None) -> None:
    """Kill a process on record, if it is there."""
    if process is None:
        return
    try:
        pidfd = _pidfd_of(process)
    except ProcessLookupError:
        return
    _kill(pidfd)
    os.close(pidfd)


def _pidfd_of(process: Process) -> int:
    """A pidfd of a process on record. Raises ProcessLookupError."""
    pidfd = os.pidfd_open(process.pid)
    if not process.is_there:
        os.close(pidfd)
        raise NoSuchProcess(f"process {process.pid} has ended")
    return pidfd

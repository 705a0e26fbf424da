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
from fdstorefs.containers.keeping import READY, to_keep
from fdstorefs.containers.nursery import Nursery
from fdstorefs.containers.options import HostOptions
from fdstorefs.containers.record import Process, Record, Records, name_of
from fdstorefs.errors import NoInstance, NoSuchProcess, NotPermitted, QuotaExceeded
from fdstorefs.server.loop import EPOLLIN, Loop, Timer
from fdstorefs.server.options import ServeOptions, to_json

log = logging.getLogger(__name__)

MOST_OF_ONE_USER, MOST = 256, 4096
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

    def find(self, mounts: int, mount: str) -> Record:
        """The instance at a mount point in a mount namespace. Raises NoInstance."""
        found = self.records.find(name_of(mounts, mount))
        if found is None:
            raise NoInstance(f"no instance serves `{mount}` in that container")
        return found

    # Start

    def start(
        self, container: Container, first: int, mount: str, uid: int, serve: ServeOptions, done: Done
    ) -> None:
        """Have one serve, and tell it, or what went wrong. The container remains the caller's.

        One that is there already is told, and so is one that is on its way up.
        """
        name = name_of(container.mount_namespace, mount)
        known = self.records.find(name) if name not in self._starting else None
        if known is not None:
            done(known)
            return
        if name in self._starting:
            self._starting[name].waiting.append(done)
            return
        self._require_room(uid)
        record = Record(
            mount,
            uid,
            container.user_namespace,
            container.mount_namespace,
            Process.of(first),
            to_json(replace(serve, mount=mount)),
            keeper=Process.of(os.getpid()),
        )
        self._await(self._fork_keeper(record, container, done))

    def _require_room(self, uid: int) -> None:
        there = [*self.records, *(start.record for start in self._starting.values())]
        if len(there) >= MOST or (uid and sum(each.uid == uid for each in there) >= MOST_OF_ONE_USER):
            raise QuotaExceeded(
                f"uid {uid} has had as many instances started as one user may, or there are {MOST}",
                hint="end some: `fdstorefs host stop`",
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
        elif not more or len(start.said) > _MOST_SAID:
            message, _, hint = os.fsdecode(start.said).rstrip("\n").partition("\n")
            self._ended(start, NotStarted(message or "the server ended before it served", hint=hint or None))

    def _give_up(self, start: _Start) -> None:
        _kill(start.pidfd)
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
        timer = self._loop.call_at(time.monotonic() + ENDING_SECONDS, lambda: over(late=True))

        def over(*, late: bool = False) -> None:
            timer.cancel()
            self._loop.unregister(pidfd)
            os.close(pidfd)
            done(HostError("it was told to end, and has not yet") if late else None)

        self._loop.register(pidfd, lambda _events: over(), EPOLLIN)

    # Keepers

    def replace_keeper(self, name: str, asker: Process, container: Container, line: int) -> int:
        """Fork another keeper for a server, which is the `asker`, and whose own is gone. Returns its number.

        The container is as the server has it, who could be anybody by now: what is on record counts.
        """
        record = self.records.find(name)
        if record is None or record.server != asker:
            raise NotPermitted(f"process {asker.pid} is not the server of an instance `{name}`")
        _require_same(container, record)
        try:
            pidfd = _pidfd_of(record.keeper)
            _kill(pidfd)
            os.close(pidfd)
        except ProcessLookupError:
            log.debug("as expected, the former keeper is gone")
        pid, pidfd = self._nursery.fork(to_keep(record, on=True), (*container.descriptors, line))
        os.close(pidfd)
        self.records.write(replace(record, keeper=Process.of(pid)))
        log.warning("the instance of server %d has another keeper: %d", asker.pid, pid)
        return pid


def _require_same(container: Container, record: Record) -> None:
    """Raise NotPermitted unless the descriptors are of the container that is on record."""
    numbers = container.user_namespace, container.mount_namespace
    if numbers != (record.users, record.mounts) or not container.ends_with(record.first.pid):
        raise NotPermitted("that is not the container of the instance")


def _kill(pidfd: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _pidfd_of(process: Process) -> int:
    """A pidfd of a process on record. Raises ProcessLookupError."""
    pidfd = os.pidfd_open(process.pid)
    if not process.is_there:
        os.close(pidfd)
        raise NoSuchProcess(f"process {process.pid} has ended")
    return pidfd

"""The two processes of a container's instance: the keeper, forked from the service, and the server, from the keeper."""

import errno
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import NoReturn

from fdstorefs.audit.opening import AuditError
from fdstorefs.containers import errand
from fdstorefs.containers.container import Container
from fdstorefs.containers.letting_go import keep_only
from fdstorefs.containers.place import ContainerPlace
from fdstorefs.containers.record import Process, Record, Records, understood
from fdstorefs.containers.request import ask_for_keeper
from fdstorefs.host import procfs
from fdstorefs.host.syscalls import set_dumpable
from fdstorefs.keeper.adoption import Appointment, await_adoption
from fdstorefs.keeper.holding import Held, Holding
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.server import instance
from fdstorefs.server.enforcement.keeping import in_one_line
from fdstorefs.server.guarding.choosing import choose
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.kept import take_up
from fdstorefs.server.mounting import MountError
from fdstorefs.server.options import ServeOptions, from_json

FAILED = 70

READY = b"ready\n"
"""What is said at the end of the pipe once it serves. Anything else is a message and a hint."""

STUCK = b"\0"
"""What comes after these if it cannot end: what it has sent into the container waits there."""

_KEEP, _KEEP_ON = b"keep", b"keep on"
"""What a new process can be: keeper of a new instance, or of a server that has lost its own."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """An instance that is to be. `socket` is the service's. Its record is for the server, not for the keeper."""

    name: str
    told: bytes
    records: Records
    socket: str

    @property
    def record(self) -> Record:
        """What goes on record, with the service for its keeper as yet."""
        return understood(json.loads(self.told))


def to_keep(record: Record, *, on: bool = False) -> bytes:
    """The message to a new process that is to be keeper of an instance; `on`: of a server that has lost its own."""
    return b"\n".join([_KEEP_ON if on else _KEEP, record.name.encode(), json.dumps(asdict(record)).encode()])


def become(records: Records, socket: str, message: bytes, descriptors: tuple[int, ...]) -> NoReturn:
    """In a new process: be keeper. The descriptors are the container's, then the pipe, or server and line."""
    wanted, name, told = message.split(b"\n", 2)
    beginning = Beginning(name.decode(), told, records, socket)
    if wanted == _KEEP_ON:
        *its, server, line = descriptors
        keep_on(beginning, Container.of(tuple(its)), server, line)
    *its, pipe = descriptors
    keep(beginning, Container.of(tuple(its)), pipe)


def keep(beginning: Beginning, container: Container, pipe: int) -> NoReturn:
    """In a fork of the service: be the keeper until the instance ends. Tells at the end of the pipe that it serves, or
    why not.
    """
    _live(
        beginning,
        container,
        (pipe,),
        lambda: Keeper(
            lambda held: _serve(beginning, held, pipe if not held.restarts else None),
            lambda: _announce(pipe),
            holding=Holding(container.descriptors),
            has_spare=False,
            may_upgrade=False,
        ),
    )


def keep_on(beginning: Beginning, container: Container, server: int, line: int) -> NoReturn:
    """In a fork of the service: be the keeper of a server that has lost its own, and waits at the end of the line.

    `server` is its pidfd. It could be anybody by now, so it is not asked who it is.
    """
    _live(beginning, container, (server, line), lambda: _adopt(beginning, container, server, line))


def _adopt(beginning: Beginning, container: Container, server: int, line: int) -> Keeper | None:
    appointment = Appointment(procfs.number_behind(server), server, container.descriptors)
    with socket.socket(fileno=line) as its:
        its.setblocking(True)
        adopted = await_adoption(its, appointment)
    if adopted is None:
        return None
    return Keeper(
        lambda held: _serve(beginning, held, None), adopted=adopted, has_spare=False, may_upgrade=False
    )


def _live(
    beginning: Beginning, container: Container, needs: tuple[int, ...], make: Callable[[], Keeper | None]
) -> NoReturn:
    code = FAILED
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        keep_only({*container.descriptors, *needs})
        set_dumpable(False)
        keeper = make()
        if keeper is not None:
            code = keeper.run()
            beginning.records.remove(beginning.name)
    except BaseException as error:  # noqa: BLE001  nothing may get past the fork
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)


def _serve(beginning: Beginning, held: Held, pipe: int | None) -> int:
    """In a fork of the keeper: be the server."""
    container, record = Container.of(held.inherited), beginning.record
    options = replace(from_json(record.options), ends_with=container.ends)
    line = KeeperLine(held, None)
    line.start = lambda: ask_for_keeper(beginning.socket, beginning.name, held.inherited)
    if container.has_ended:
        # Nobody is to try again.
        line.ready()
        line.end(0)
        return 0
    code = 0
    mark = _Mark()
    try:
        record = replace(record, keeper=Process.of(held.keeper), server=Process.of(os.getpid()))
        beginning.records.write(record)
        mark.set(beginning.records.begin_to_serve(beginning.name))
        if pipe is not None:
            _require_keeper(record)
        _require_no_enforcer(options)
        # Of hundreds of instances it is of interest what goes wrong.
        logging.disable(logging.INFO)
        device = container.enter_users()
        # From here on it has the rights of the container's root, and reads what others have written.
        instance.serve(
            options, kept=take_up(held, line), place=ContainerPlace(container, device, mark.leave_off)
        )
    except PolicyError as error:
        code = _failed(pipe, f"errors in the policies: {in_one_line(error)}", "see `fdstorefs policy check`")
    except (MountError, AuditError) as error:
        code = _failed(pipe, error.message, error.hint)
    except OSError as error:
        code = _failed(pipe, f"the server failed: {error}", None)
    mark.leave_off()
    errand.wait_for_all()
    line.end(code)
    return code


class _Mark:
    """That this process serves the instance, for whoever looks at what is on record, until it leaves off."""

    def __init__(self) -> None:
        self._descriptor = -1

    def set(self, descriptor: int) -> None:
        """It does, from now on."""
        self._descriptor = descriptor

    def leave_off(self) -> None:
        """Not any more. Harmless when it was called before."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)


def _require_keeper(record: Record) -> None:
    """Of an instance that has come up too late the service kills the keeper, and then who is on record."""
    if not record.keeper.is_there:
        raise ProcessLookupError(errno.ESRCH, "its keeper is gone")


def _require_no_enforcer(options: ServeOptions) -> None:
    """It guards what is mounted where its server is, and so refuses what is mounted in a container."""
    choice = choose(options)
    if choice.line is not None:
        choice.line.close()
        raise MountError(
            "the host's enforcer runs, and cannot guard the instance of a container",
            "`fdstorefs host serve --enforcement daemon` has each server alone enforce the policy",
        )


def _announce(pipe: int) -> None:
    os.write(pipe, READY)
    os.close(pipe)


def _failed(pipe: int | None, message: str, hint: str | None) -> int:
    """Say why it does not serve: to who has asked for it, and in the log."""
    sys.stderr.write(f"fdstorefs: {message}\n")
    sys.stderr.flush()
    try:
        if pipe is not None:
            stuck = STUCK if errand.is_stuck() else b""
            os.write(pipe, os.fsencode(f"{message}\n{hint or ''}\n") + stuck)
    except (BrokenPipeError, OSError):
        return FAILED  # it has served before, and nobody listens any more
    return FAILED

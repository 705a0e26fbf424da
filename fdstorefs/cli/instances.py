"""Every instance that this process may see, in whatever mount namespace, and what each says of itself."""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fdstorefs.cli.bounded import ask_all
from fdstorefs.client import calls
from fdstorefs.client.address import SOCKET
from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.connection import exchange
from fdstorefs.client.records import Status
from fdstorefs.errors import StoreError
from fdstorefs.host import procfs, syscalls
from fdstorefs.host.mounted_anywhere import Place
from fdstorefs.host.user_namespaces import open_user_namespace_of

SECONDS = 2.0
"""How long one that does not answer is waited for; others are asked meanwhile."""

_LOT = 16
"""Instances whose memory one process looks at."""

_CREDENTIALS = struct.Struct("iII")
_TOLD = {
    "version": str, "pid": int, "enforcement": str, "entries": int, "descriptors": int, "limit": int,
    "connections": int, "started": int,
}  # fmt: skip
_TOLD_OR_NOT = {"keeper": int, "policy": str, "restarts": int}

_WHY = {
    errno.EACCES: "it is closed to you",
    errno.EPERM: "it is closed to you",
    errno.ENOTCONN: "its server has ended and left the mount behind",
    errno.ECONNABORTED: "its server has ended and left the mount behind",
    errno.ECONNREFUSED: "its server has ended, or does not serve yet",
    errno.ENOENT: "it has no socket, or has just ended",
    errno.ESRCH: "it has just ended",
}
_NO_ANSWER = f"it does not answer within {SECONDS:.0f} seconds"


class Memory(NamedTuple):
    """Bytes of each process of an instance, what it shares divided; None where that is not to be seen."""

    server: int | None
    keeper: int | None
    spare: int | None

    @property
    def total(self) -> int | None:
        """Of all that there are; None if the server's is not to be seen."""
        return None if self.server is None else sum(filter(None, self))


class Instance(NamedTuple):
    """One that has answered. Process ids and `owner` are ours, None where that is not to be seen from here."""

    place: Place
    command: str
    owner: int | None
    server: int | None
    keeper: int | None
    memory: Memory
    told: dict[str, Any]


class Unasked(NamedTuple):
    """One that could not be asked, and why."""

    place: Place
    command: str
    why: str


class _Processes(NamedTuple):
    server: int | None = None
    keeper: int | None = None
    spare: int | None = None


def survey(places: list[Place], progress: Callable[[int], None]) -> Iterator[Instance | Unasked]:
    """Ask all of them, and look at the processes of those that answer. `progress` is told how many have been asked."""
    answers: dict[int, Any] = {}
    for index, answer in ask_all([_question(place) for place in places], SECONDS):
        answers[index] = answer or {"why": _NO_ANSWER}
        progress(len(answers))
    answered = [index for index in range(len(places)) if "why" not in answers[index]]
    owners = [_owner(places[index]) for index in answered]
    processes = [_processes(owner, **answers[index]) for owner, index in zip(owners, answered, strict=True)]
    looks = zip(answered, owners, processes, _weigh(processes), strict=True)
    found = {index: (owner, its, memory) for index, owner, its, memory in looks}
    for index, place in enumerate(places):
        command = _command_of(place.pid)
        if index in found:
            owner, its, memory = found[index]
            yield Instance(place, command, owner, its.server, its.keeper, memory, answers[index]["told"])
        else:
            yield Unasked(place, command, answers[index]["why"])


# Asking


def _question(place: Place) -> Callable[[], Any]:
    return lambda: _ask(place)


def _ask(place: Place) -> dict[str, Any]:
    """In a process of its own."""
    try:
        directory = _open_mount(place)
        if directory is None:
            return {"why": "something else is mounted over it"}
        _become_somebody_it_is_open_to(place)
        return _talk(f"{procfs.path_of(directory)}/{SOCKET}")
    except OSError as error:
        return {"why": _WHY.get(error.errno or 0, os.strerror(error.errno or 0).lower())}
    except Disconnected:
        return {"why": "it ends the connection"}
    except (StoreError, TypeError) as error:
        return {"why": f"it gives no sensible answer: {error}"}


def _open_mount(place: Place) -> int | None:
    """The mount's root, which nobody is asked about; None if another mount or directory is to be seen there."""
    root = "" if place.is_ours else procfs.path_of(procfs.open_root(place.pid))
    directory = os.open(f"{root}{place.mount.mount_point}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return directory if syscalls.statx_cached(directory).dev == place.mount.device else None


def _become_somebody_it_is_open_to(place: Place) -> None:
    """FUSE lets in who has ids in its user namespace and is in it or below; without `allow_other` its owner alone."""
    options = dict(option.partition("=")[::2] for option in place.mount.options)
    has_entered = not place.is_ours and _enter_user_namespace(place.pid)
    is_open = "allow_other" in options and not has_entered
    if is_open or "user_id" not in options or int(options["user_id"]) == os.geteuid():
        return
    uid, gid = int(options["user_id"]), int(options["group_id"])
    try:
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError:
        return  # then we hear that it is closed to us


def _enter_user_namespace(pid: int) -> bool:
    """Whether that is another one than ours."""
    mounts = procfs.open_namespace("mnt", pid)
    try:
        owner = open_user_namespace_of(mounts)
    except PermissionError:
        return False  # it is above ours
    if os.fstat(owner).st_ino == procfs.own_user_namespace():
        return False
    syscalls.setns(owner, syscalls.CLONE_NEWUSER)
    return True


def _talk(path: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        status = exchange(Channel(connection), calls.status())
    return {"told": _checked(status), "peer": _CREDENTIALS.unpack(credentials)[0]}


def _checked(status: Status) -> dict[str, Any]:
    """What is of interest, each of its type. Raises TypeError."""
    told = {name: getattr(status, name) for name in (*_TOLD, *_TOLD_OR_NOT)}
    for name, kind in (_TOLD | _TOLD_OR_NOT).items():
        if type(told[name]) is not kind and not (name in _TOLD_OR_NOT and told[name] is None):
            raise TypeError(f"its `{name}` is not of type {kind.__name__}")
    return told


# Looking at processes


def _owner(place: Place) -> int | None:
    """The user who has mounted it, as we know him: the mount table has him as his own namespace does."""
    told = next((option for option in place.mount.options if option.startswith("user_id=")), None)
    if told is None:
        return None
    uid = int(told.removeprefix("user_id="))
    if procfs.namespace("user", place.pid) == procfs.own_user_namespace():
        return uid
    return next((outside for outside in _outside(uid, place.pid)), None)


def _outside(uid: int, pid: int) -> Iterator[int]:
    try:
        ranges = procfs.id_map("uid", pid)
    except OSError:
        return  # it has ended
    yield from (uid - each.inside + each.outside for each in ranges if 0 <= uid - each.inside < each.count)


def _processes(owner: int | None, told: dict[str, Any], peer: int) -> _Processes:
    """Who they are here. `peer` made the socket listen; that is not the server any more if it was handed on.

    An instance can say what it likes: what is not its owner's is not its server.
    """
    for candidate in (peer, told["pid"]):
        try:
            numbers = procfs.numbers_of(candidate)
            if numbers[-1] == told["pid"] and _user(candidate) == owner:
                keeper = _keeper(candidate, told["keeper"], is_beside_us=len(numbers) == 1)
                return _Processes(candidate, keeper, _spare(keeper, candidate))
        except (ProcessLookupError, PermissionError):
            continue
    return _Processes()


def _keeper(server: int, told: int | None, *, is_beside_us: bool) -> int | None:
    parent = procfs.parent_of(server)
    if told is None or not is_beside_us:
        return parent if told is not None and parent and procfs.numbers_of(parent)[-1] == told else None
    is_near = told == parent or procfs.parent_of(told) == server
    return told if is_near or _user(told) == _user(server) else None


def _user(pid: int) -> int:
    return procfs.read_task(pid).uids[1]


def _spare(keeper: int | None, server: int) -> int | None:
    if keeper is None:
        return None
    return next((child for child in procfs.children_of(keeper) if child != server), None)


def _weigh(processes: list[_Processes]) -> list[Memory]:
    """The memory of each: a lot at a time, and one by one those of a lot that came to nothing for the sake of one."""
    found = [Memory(None, None, None)] * len(processes)
    starts = range(0, len(processes), _LOT)
    lots = [range(start, min(start + _LOT, len(processes))) for start in starts]
    left: list[int] = []
    for number, weights in ask_all([_weighing(processes[lot.start : lot.stop]) for lot in lots], SECONDS):
        if weights is None:
            left += lots[number]
        for index, weight in zip(lots[number], weights or (), strict=False):
            found[index] = Memory(*weight)
    for number, weights in ask_all([_weighing([processes[index]]) for index in left], SECONDS):
        if weights is not None:
            found[left[number]] = Memory(*weights[0])
    return found


def _weighing(lot: list[_Processes]) -> Callable[[], Any]:
    return lambda: [
        [None if pid is None else procfs.proportional_memory(pid) for pid in processes] for processes in lot
    ]


def _command_of(pid: int) -> str:
    try:
        return procfs.command(pid)
    except OSError:
        return "?"


def as_json(found: Instance | Unasked) -> dict[str, Any]:
    """One of them, as `--json` has it."""
    place = found.place
    record: dict[str, Any] = {
        "mount": place.mount.mount_point,
        "namespace": {
            "mnt": place.namespace, "own": place.is_ours, "pid": place.pid, "command": found.command
        },
    }  # fmt: skip
    if isinstance(found, Unasked):
        return record | {"why": found.why}
    told = {name: value for name, value in found.told.items() if name not in ("pid", "keeper")}
    memory = found.memory._asdict() | {"total": found.memory.total}
    return record | {
        "owner": found.owner, "server": found.server, "keeper": found.keeper, "memory": memory, **told
    }  # fmt: skip

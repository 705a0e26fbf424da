"""What a user can do with an instance, through the socket and through the mount, and what came of it.

Runs in the processes of the stage. Every method returns `done`, or the name of the errno: the same whichever way it
was tried.
"""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial

import fdstorefs

FD = "user.fdstorefs.fd"
LABEL = "user.fdstorefs.label"
KIND = "user.fdstorefs.kind"


def _memfd() -> int:
    return os.memfd_create("state")


def _read_only() -> int:
    writable = _memfd()
    try:
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY)
    finally:
        os.close(writable)


def _listener() -> int:
    return socket.create_server(("127.0.0.1", 0)).detach()


def _pipe() -> int:
    reader, writer = os.pipe()
    try:
        # For both, so that it is never hung up.
        return os.open(f"/proc/self/fd/{reader}", os.O_RDWR)
    finally:
        os.close(reader)
        os.close(writer)


THINGS: dict[str, Callable[[], int]] = {
    "memfd": _memfd,
    "read-only memfd": _read_only,
    "socket": _listener,
    "pipe": _pipe,
    "device": partial(os.open, "/dev/null", os.O_RDWR),
    "terminal": partial(os.open, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY),
    "namespace": partial(os.open, "/proc/self/ns/uts", os.O_RDONLY),
    "pidfd": lambda: os.pidfd_open(os.getpid()),
    "proc": partial(os.open, "/proc/self/oom_score_adj", os.O_WRONLY),
}


def opened(what: str) -> int:
    """A new descriptor of one of the things above, or of the file with this path, for writing."""
    return THINGS[what]() if what in THINGS else os.open(what, os.O_WRONLY)


def _outcome(act: Callable[[], object]) -> str:
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


class Socket:
    """The instance's socket."""

    def __init__(self, mount: str) -> None:
        self._mount = mount

    def box(self, name: str, mode: int = 0o777) -> str:
        """Make a box."""
        return self._call(lambda store: store.make_box(name, mode))

    def stash(self, name: str, what: str = "memfd", *, mode: int = 0o666, label: str | None = None) -> str:
        """Open something and stash it."""
        file = opened(what)
        try:
            return self._call(lambda store: store.stash(name, file, mode=mode, label=label))
        finally:
            os.close(file)

    def retrieve(self, name: str) -> str:
        """Get a copy."""
        return self._call(lambda store: store.retrieve(name).close())

    def write(self, name: str, text: str) -> str:
        """Get a copy and write to it."""

        def act(store: fdstorefs.Store) -> None:
            with store.retrieve(name) as retrieved:
                os.write(retrieved.fileno(), text.encode())

        return self._call(act)

    def take(self, *names: str) -> str:
        """Get the last copy of each."""

        def act(store: fdstorefs.Store) -> None:
            for taken in store.take_many(names).values():
                taken.close()

        return self._call(act)

    def discard(self, name: str) -> str:
        """Take the name away."""
        return self._call(lambda store: store.discard(name))

    def rename(self, source: str, goal: str) -> str:
        """Give it another name."""
        return self._call(lambda store: store.rename(source, goal))

    def link(self, source: str, goal: str) -> str:
        """Give it one more name."""
        return self._call(lambda store: store.link(source, goal))

    def describe(self, name: str) -> str:
        """Learn what is in it."""
        return self._call(lambda store: store.describe(name))

    def seal(self, name: str) -> str:
        """Seal a box."""
        return self._call(lambda store: store.seal(name))

    def unseal(self, name: str) -> str:
        """Undo that."""
        return self._call(lambda store: store.unseal(name))

    def names(self) -> list[str]:
        """All names that are shown."""
        with closing(fdstorefs.connect(self._mount)) as store:
            return [entry.name for entry in store.list()]

    def why_not(self, verb: str, name: str) -> str | None:
        """The reason that comes with a denial."""
        with closing(fdstorefs.connect(self._mount)) as store:
            try:
                getattr(store, verb)(name)
            except fdstorefs.Denied as error:
                return error.reason
        return None

    def _call(self, act: Callable[[fdstorefs.Store], object]) -> str:
        with closing(fdstorefs.connect(self._mount)) as store:
            return _outcome(lambda: act(store))


class Mount:
    """Ordinary system calls on the mount. They know no taking: that is what the socket is for."""

    def __init__(self, mount: str) -> None:
        self._mount = mount

    def box(self, name: str, mode: int = 0o777) -> str:
        """Make a directory."""
        os.umask(0)
        return _outcome(lambda: os.mkdir(self._path(name), mode))

    def stash(self, name: str, what: str = "memfd", *, mode: int = 0o666, label: str | None = None) -> str:
        """Create a file, label it, and write the number of a descriptor into it."""
        os.umask(0)
        file = opened(what)
        try:
            return _outcome(lambda: self._fill(self._path(name), file, mode, label))
        finally:
            os.close(file)

    def retrieve(self, name: str) -> str:
        """Open it."""
        return _outcome(lambda: os.close(os.open(self._path(name), self._flags(name))))

    def discard(self, name: str) -> str:
        """Unlink it."""
        return _outcome(lambda: os.unlink(self._path(name)))

    def rename(self, source: str, goal: str) -> str:
        """Rename it."""
        return _outcome(lambda: os.rename(self._path(source), self._path(goal)))

    def link(self, source: str, goal: str) -> str:
        """Link it."""
        return _outcome(lambda: os.link(self._path(source), self._path(goal)))

    def describe(self, name: str) -> str:
        """Read what kind it is."""
        return _outcome(lambda: os.getxattr(self._path(name), KIND))

    def chmod(self, name: str, mode: int) -> str:
        """Change its mode."""
        return _outcome(lambda: os.chmod(self._path(name), mode))

    def names(self) -> list[str]:
        """All names that `ls -R` shows."""
        found: list[str] = []
        for place, boxes, entries in os.walk(self._mount, onerror=_raise):
            found += [os.path.relpath(os.path.join(place, name), self._mount) for name in (*boxes, *entries)]
        return sorted(name for name in found if not name.startswith("."))

    def _path(self, name: str) -> str:
        return os.path.join(self._mount, name)

    def _flags(self, name: str) -> int:
        only_written = os.getxattr(self._path(name), KIND) == b"regular"
        return os.O_WRONLY if only_written else os.O_RDONLY

    @staticmethod
    def _fill(path: str, file: int, mode: int, label: str | None) -> None:
        entry = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            if label is not None:
                os.setxattr(path, LABEL, label.encode())
            os.write(entry, b"%d\n" % file)
        finally:
            os.close(entry)


def _raise(error: OSError) -> None:
    raise error


DOORS = {"socket": Socket, "mount": Mount}


def use(door: str, mount: str, action: str, *arguments: object, **options: object) -> object:
    """Do something through a door."""
    return getattr(DOORS[door](mount), action)(*arguments, **options)

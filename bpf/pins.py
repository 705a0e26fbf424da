"""What is pinned, and where: /sys/fs/bpf/fdstorefs/v1/maps/NAME and .../v1/programs-N/link-HOOK.

`v1` is the ABI. A version of the programs is put together in `programs-N-new` and gets its name when all its links are
in place, and loses it before they go: so after a crash there are complete versions, and such as are to be dropped. The
highest number is the one in force; while it replaces another, both are. `about` in it is a symbolic link to nowhere
whose target says what the programs were compiled for: there are no ordinary files in a bpf file system.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fdstorefs.bpf import syscall
from fdstorefs.bpf.abi import ABI
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.letting_go import wait_until_gone
from fdstorefs.bpf.syscall import BPF_FS_MAGIC

DEFAULT = "/sys/fs/bpf/fdstorefs"
LINK = "link-"
ABOUT = "about"
_PROGRAMS = "programs-"
_UNFINISHED = "-new"


@dataclass(frozen=True, slots=True)
class Pinned:
    """What is pinned on this host: `version` is its ABI, `generation` and `lockdown` are None if we may not look."""

    version: int
    is_ours: bool
    hooks: tuple[str, ...]
    generation: int | None
    lockdown: bool | None


class Pins:
    """The directory of one ABI, ours alone while it is open. Raises KernelError."""

    def __init__(self, base: Path) -> None:
        _check_file_system(base)
        self._refuse_other_abis(base)
        self.root = base / f"v{ABI}"
        self.maps = self.root / "maps"
        for directory in (base, self.root, self.maps):
            _private_directory(directory)
        self._lock = _locked(base)

    @staticmethod
    def _refuse_other_abis(base: Path) -> None:
        others = [path for path in _versions(base) if path.name != f"v{ABI}" and _complete(path)]
        if others:
            what = "another version of fdstorefs enforces on this host"
            hint = "take it down first, with that version's `fdstorefs enforce --off`"
            why = f"this one speaks ABI {ABI}"
            raise KernelError("other-abi", what, where=str(others[0]), why=why, hint=hint)

    def complete(self) -> list[Path]:
        """The versions of programs that are in force, oldest first."""
        return _complete(self.root)

    def drop_unfinished(self) -> None:
        """Take away what was never finished, or not taken away to the end."""
        for path in _below(self.root):
            if path.name.endswith(_UNFINISHED):
                _empty(path)

    def begin(self) -> Path:
        """A directory for the next version."""
        number = max((_number(path) for path in self.complete()), default=0) + 1
        path = self.root / f"{_PROGRAMS}{number}{_UNFINISHED}"
        path.mkdir(0o700)
        return path

    def finish(self, path: Path) -> Path:
        """Declare a version complete; its name from now on."""
        return path.rename(path.with_name(path.name.removesuffix(_UNFINISHED)))

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)


def pinned(pins: str = DEFAULT) -> Pinned | None:
    """What is pinned, without changing anything; None if nothing is. PermissionError if we may not look there."""
    for root in _versions(Path(pins)):
        versions = _complete(root)
        if versions:
            is_ours = root.name == f"v{ABI}"
            generation = _generation(versions[-1]) if is_ours else None
            lockdown = _lockdown(root / "maps" / "settings") if is_ours else None
            return Pinned(int(root.name[1:]), is_ours, hooks(versions[-1]), generation, lockdown)
    return None


def hooks(version: Path) -> tuple[str, ...]:
    """The hooks that a version is linked to."""
    return tuple(
        sorted(path.name.removeprefix(LINK) for path in _below(version) if path.name.startswith(LINK))
    )


def drop(version: Path) -> None:
    """Unpin all that a version has; what nothing else holds is then detached."""
    if not version.name.endswith(_UNFINISHED):
        version = version.rename(version.with_name(version.name + _UNFINISHED))
    _empty(version)


def take_down(versions: list[Path]) -> None:
    """Unpin versions, and come back when they are no longer in force. KernelError `detach`."""
    programs = {program for version in versions for program in _programs(version)}
    for version in versions:
        drop(version)
    wait_until_gone(programs)


def _programs(version: Path) -> Iterator[int]:
    """The numbers of a version's programs."""
    for hook in hooks(version):
        with _opened(version / f"{LINK}{hook}") as link:
            if link is not None:
                yield syscall.link_program(link)


def _empty(directory: Path) -> None:
    for path in sorted(directory.iterdir()):
        path.unlink()
    directory.rmdir()


def drop_all(pins: str) -> tuple[str, ...]:
    """Unpin everything that is pinned, of our ABI; the hooks that were in force."""
    own = Pins(Path(pins))
    try:
        versions = own.complete()
        dropped = hooks(versions[-1]) if versions else ()
        own.drop_unfinished()
        take_down(versions)
        _empty(own.maps)
        own.root.rmdir()
    finally:
        own.close()
    return dropped


def in_force(generations: int) -> int | None:
    """The number of the map of rows that the programs read; None before the first one was published."""
    value = syscall.lookup(generations, bytes(4), 4)
    return None if value is None else int.from_bytes(value, "little")


def _generation(version: Path) -> int | None:
    with _opened(version / "generations") as generations:
        number = None if generations is None else in_force(generations)
        if number is None:
            return None
    return generation_of(number)


def generation_of(number: int) -> int:
    """The generation whose rows a map holds: its name says so."""
    fd = syscall.map_by_number(number)
    try:
        return int(syscall.map_info(fd).name.removeprefix("rows_"))
    finally:
        os.close(fd)


def _lockdown(path: Path) -> bool | None:
    with _opened(path) as fd:
        value = None if fd is None else syscall.lookup(fd, bytes(4), 8)
    return None if value is None else bool(value[0] & 1)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        fd = syscall.obj_get(str(path))
    except PermissionError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _versions(base: Path) -> list[Path]:
    return sorted(path for path in _below(base) if path.name[0] == "v" and path.name[1:].isdigit())


def _complete(root: Path) -> list[Path]:
    found = (path for path in _below(root) if path.name.removeprefix(_PROGRAMS).isdigit())
    return sorted(found, key=_number)


def _below(directory: Path) -> list[Path]:
    """What is in a directory, if there is one. Not `glob`: that finds nothing where it may not look."""
    try:
        return list(directory.iterdir())
    except FileNotFoundError:
        return []


def _number(path: Path) -> int:
    return int(path.name.removeprefix(_PROGRAMS))


def _check_file_system(base: Path) -> None:
    try:
        kind = syscall.file_system(str(base.parent))
    except OSError as error:
        raise _no_bpffs(base, str(error.strerror).lower()) from error
    if kind != BPF_FS_MAGIC:
        raise _no_bpffs(base, "no bpf file system is mounted there")


def _no_bpffs(base: Path, why: str) -> KernelError:
    hint = f"mount one: `mount -t bpf bpf {base.parent}`"
    return KernelError("no-bpffs", "there is no place to pin to", where=str(base.parent), why=why, hint=hint)


def _private_directory(path: Path) -> None:
    """Make it, or see that it is nobody else's: in a bpf file system anybody may make directories."""
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700)
        status = path.lstat()
    except OSError as error:
        raise _not_ours(path, str(error.strerror).lower()) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise _not_ours(path, "it is not a directory of ours that nobody else may enter")


def _not_ours(path: Path, why: str) -> KernelError:
    hint = "run as root of the host; if somebody else made that directory, remove it"
    return KernelError("pin", "can't use the directory of pins", where=str(path), why=why, hint=hint)


def _locked(base: Path) -> int:
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        hint = "there is one enforcer for each host: `fdstorefs policy status --host` shows it"
        why = "an enforcer uses it"
        raise KernelError(
            "in-use", "can't use the directory of pins", where=str(base), why=why, hint=hint
        ) from None
    return fd

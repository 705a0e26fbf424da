"""A version of the programs: compiled and loaded, given rows, attached and pinned; or taken over from its pins.

Each version has a map of generations of its own, as the width of a row is compiled into the programs. What the other
maps hold is shared by all versions (maps.py).
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from fdstorefs.bpf import syscall
from fdstorefs.bpf.abi import Key, Row, pack_row
from fdstorefs.bpf.guarded import LINKED, MAP, PROGRAM, Object
from fdstorefs.bpf.kept_log import keep_log
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.loader import LSM, Compiled, compile_file
from fdstorefs.bpf.pins import ABOUT, LINK, generation_of, hooks, in_force
from fdstorefs.bpf.profile import Profile
from fdstorefs.bpf.syscall import NO_PREALLOC, MapSpec, MapType

SOURCE = Path(__file__).parent / "hooks.c"
PREFIX = "lsm__"
TEMPLATE = "rows"
"""The map that every generation's is made like: the kernel takes no other into `generations`."""
OWN_MAPS = ("generations", "works", TEMPLATE)

_KEY_SIZE = Key.LAYOUT.size
_ROOM = 4096
_FIRST = bytes(4)  # the only index of `generations`


class Programs:
    """A version. Its descriptors are its own; `close` gives them back and changes nothing of what is pinned."""

    def __init__(
        self,
        profile: Profile,
        own_maps: Mapping[str, int],
        *,
        path: Path | None = None,
        links: int = 0,
        lockdown: bool = False,
    ) -> None:
        self.profile = profile
        self.path = path
        self._links = links
        self.lockdown = lockdown
        self._maps = dict(own_maps)
        self._generations = own_maps["generations"]
        self._compiled: Compiled | None = None
        self._loaded: dict[str, int] = {}
        self._rows: int | None = None
        number = in_force(self._generations)
        if number is not None:
            self._rows = syscall.map_by_number(number)

    @classmethod
    def load(
        cls, profile: Profile, maps: Path, source: Path = SOURCE, *, lockdown: bool = False
    ) -> "Programs":
        """Compile and load for what a profile needs; nothing is attached. KernelError, whose log is kept in a file."""
        try:
            compiled = compile_file(source, [*defines(profile), f'FDS_PINS="{maps}"'])
            with contextlib.ExitStack() as failure:
                failure.callback(compiled.close)
                names = [name for name in compiled.functions if name.startswith(PREFIX)]
                loaded = {name.removeprefix(PREFIX): compiled.load(name, LSM) for name in names}
                failure.pop_all()
        except KernelError as error:
            keep_log(error)
            raise
        version = cls(profile, {name: _own(compiled.table(name)) for name in OWN_MAPS}, lockdown=lockdown)
        version._compiled, version._loaded = compiled, loaded
        return version

    @classmethod
    def adopt(cls, path: Path) -> "Programs":
        """Take over what is pinned and in force."""
        try:
            profile, links = _profile(os.readlink(path / ABOUT))
            own_maps = {name: syscall.obj_get(str(path / name)) for name in OWN_MAPS}
            return cls(profile, own_maps, path=path, links=links)
        except OSError as error:
            raise _not_taken_over(path, str(error.strerror).lower()) from error
        except ValueError as error:
            raise _not_taken_over(path, f"`{ABOUT}` does not say what they were compiled for") from error

    @property
    def hooks(self) -> tuple[str, ...]:
        """The hooks in place; none if one is missing, as what is left guards nothing."""
        found = self._linked_hooks()
        return found if len(found) == self._links else ()

    def _linked_hooks(self) -> tuple[str, ...]:
        return hooks(self.path) if self.path else ()

    @property
    def generation(self) -> int:
        """The generation in force; 0 if none is."""
        number = in_force(self._generations)
        return 0 if number is None else generation_of(number)

    def publish(
        self, rows: Iterable[tuple[Key, Row]], generation: int, made: Callable[[Object], None]
    ) -> None:
        """Put a generation in force, whole: made aside, read back, then flipped to; waits for readers of the old.

        `made` is told of its map before anything is in it.
        """
        pairs = [(key.pack(), pack_row(row, self.profile.words)) for key, row in rows]
        spec = self._spec(f"rows_{generation}", 2 * len(pairs) + _ROOM)
        fd = self._created(spec)
        try:
            made((MAP, syscall.map_info(fd).number))
            self._fill(fd, spec, pairs)
            syscall.update(self._generations, _FIRST, fd.to_bytes(4, "little"))
        except OSError as error:
            os.close(fd)
            raise _not_published(spec, str(error.strerror).lower()) from error
        except KernelError:
            os.close(fd)
            raise
        self._forget_rows()
        self._rows = fd

    def _created(self, spec: MapSpec) -> int:
        """A map like the template, types and all: 6.1 takes no other."""
        types = None
        try:
            types = syscall.map_types(self._maps[TEMPLATE])
            return syscall.map_create(spec, btf=types)
        except OSError as error:
            raise _not_published(spec, str(error.strerror).lower()) from error
        finally:
            if types is not None:
                os.close(types.fd)

    def _spec(self, name: str, most: int) -> MapSpec:
        return MapSpec(MapType.HASH, name, _KEY_SIZE, 16 * self.profile.words, most, NO_PREALLOC)

    @staticmethod
    def _fill(fd: int, spec: MapSpec, pairs: list[tuple[bytes, bytes]]) -> None:
        syscall.update_many(fd, pairs)
        for key, value in dict(pairs).items():
            if syscall.lookup(fd, key, spec.value_size) != value:
                raise _not_published(spec, "a row is not there that was put there")

    def add_rows(self, rows: Iterable[tuple[Key, Row]]) -> None:
        """Put rows into the generation in force. KernelError `rows-full` if there is no room: publish anew then."""
        fd = self._rows_in_force()
        for key, row in rows:
            try:
                syscall.update(fd, key.pack(), pack_row(row, self.profile.words))
            except OSError as error:
                raise _rows_full(error) from error

    def remove_rows(self, keys: Iterable[Key]) -> None:
        """Take rows out of the generation in force; one that isn't there is no error."""
        fd = self._rows_in_force()
        for key in keys:
            syscall.delete(fd, key.pack())

    def _rows_in_force(self) -> int:
        if self._rows is None:
            raise _nothing_published()
        return self._rows

    def attach(self, path: Path) -> None:
        """Put every program in force, and pin all in a new directory. KernelError, and then none is."""
        self._rows_in_force()
        with contextlib.ExitStack() as links:
            for hook, program in self._loaded.items():
                link = _linked(hook, program)
                links.callback(os.close, link)
                _pinned(link, path / f"{LINK}{hook}")
            for name, fd in self._maps.items():
                _pinned(fd, path / name)
            os.symlink(_about(self.profile, len(self._loaded)), path / ABOUT)
        self.path, self._links = path, len(self._loaded)

    def objects(self) -> Iterator[Object]:
        """Kind and number of each object that is part of it."""
        for fd in (*self._maps.values(), *(() if self._rows is None else (self._rows,))):
            yield MAP, syscall.map_info(fd).number
        for program in self._loaded.values():
            yield PROGRAM, syscall.program_number(program)
        for hook in self._linked_hooks():
            yield from self._linked_objects(hook)

    def _linked_objects(self, hook: str) -> Iterator[Object]:
        assert self.path is not None
        link = syscall.obj_get(str(self.path / f"{LINK}{hook}"))
        try:
            yield LINKED, syscall.link_number(link)
            yield PROGRAM, syscall.link_program(link)
        finally:
            os.close(link)

    def close(self) -> None:
        """Give the descriptors back."""
        self._forget_rows()
        for fd in self._maps.values():
            os.close(fd)
        self._maps.clear()
        self.release_compiler()

    def release_compiler(self) -> None:
        """Free what compiling and loading needed: after attaching, links hold the programs."""
        self._loaded = {}
        if self._compiled is not None:
            self._compiled.close()
            self._compiled = None

    def _forget_rows(self) -> None:
        if self._rows is not None:
            os.close(self._rows)
            self._rows = None


def defines(profile: Profile) -> list[str]:
    """What the C source is compiled with for a profile."""
    names = [
        f"FDS_WORDS={profile.words}",
        f"FDS_USES={profile.uses:#x}",
        f"FDS_CAPABILITIES={profile.capabilities:#x}ULL",
    ]
    return [*names, "FDS_LIMIT_CONNECT"] if profile.connect else names


def _about(profile: Profile, links: int) -> str:
    return " ".join(str(int(number)) for number in (*profile, links))


def _profile(about: str) -> tuple[Profile, int]:
    words, uses, capabilities, connect, links = map(int, about.split(" "))
    return Profile(words, uses, capabilities, bool(connect)), links


def _own(fd: int) -> int:
    """A descriptor of the same map that stays when the compiler's go."""
    return syscall.map_by_number(syscall.map_info(fd).number)


def _linked(hook: str, program: int) -> int:
    try:
        return syscall.attach(program)
    except OSError as error:
        hint = "see that `bpf` is in /sys/kernel/security/lsm; else boot with it: `lsm=...,bpf`"
        why = str(error.strerror).lower()
        raise KernelError("attach", "can't attach a program", where=hook, why=why, hint=hint) from error


def _pinned(fd: int, path: Path) -> None:
    try:
        syscall.obj_pin(fd, str(path))
    except OSError as error:
        hint = "see that the bpf file system is mounted and writable"
        why = str(error.strerror).lower()
        raise KernelError("pin", "can't pin", where=str(path), why=why, hint=hint) from error


_OLD_STAYS = "what was in force still is"


def _not_published(spec: MapSpec, why: str) -> KernelError:
    hint = f"{_OLD_STAYS}; see whether the host is short of memory"
    return KernelError("update", "can't put a policy in force", where=spec.name, why=why, hint=hint)


def _rows_full(error: OSError) -> KernelError:
    why = str(error.strerror).lower()
    hint = "a new generation has room again: publish one"
    return KernelError("rows-full", "can't add to the policy in force", where="rows", why=why, hint=hint)


def _nothing_published() -> KernelError:
    why, hint = "no generation has been published", "publish one first"
    return KernelError(
        "not-loaded", "there is no policy in the kernel", where="generations", why=why, hint=hint
    )


def _not_taken_over(path: Path, why: str) -> KernelError:
    hint = "`fdstorefs enforce --off` takes everything down, then start again"
    return KernelError("pin", "can't take over pinned programs", where=str(path), why=why, hint=hint)

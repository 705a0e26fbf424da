"""The kernel side as the enforcer sees it: maps, versions of the programs, orders, the ring. The only way there.

Every method raises KernelError, with a code for each kind of failure, but those that say OSError. One process at a
time has it open on a host. What is pinned stays in force when the process ends, however it ends.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fdstorefs.bpf import abi, syscall
from fdstorefs.bpf.abi import (
    ClassRecord,
    ClassSet,
    EntryKey,
    InstanceRecord,
    Key,
    Order,
    Person,
    Role,
    Row,
    Tag,
)
from fdstorefs.bpf.counters import Counters
from fdstorefs.bpf.guarded import MAP, Guarded, Object
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.maps import specs, take_or_make
from fdstorefs.bpf.pins import DEFAULT, Pins, drop, drop_all, take_down
from fdstorefs.bpf.profile import Profile
from fdstorefs.bpf.programs import SOURCE, Programs
from fdstorefs.bpf.ring import Ring
from fdstorefs.bpf.typed_map import K, Packing, TypedMap, V, number, packed

CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
_ONLY = 0  # the index in an array of one
_POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")


class Kernel:
    """Made by `open`. Its maps and programs are shared with nobody while it is open."""

    def __init__(self, own: Pins, sizes: Mapping[str, int]) -> None:
        self._pins = own
        self._specs = specs(sizes)
        self._fds = take_or_make(own.maps, self._specs)
        number_32, number_64 = number(4), number(8)
        self._roles = self._map("roles", number_32, packed(Role))
        self._enrol()
        self._instances = self._map("instances", number_32, packed(InstanceRecord))
        self._mounts = self._map("mounts", number_64, number_32)
        self._entries = self._map("entries", packed(EntryKey), number_64)
        self._classes = self._map("classes", number_32, packed(ClassRecord))
        self._class_sets = self._map("class_sets", number_64, packed(ClassSet))
        self._tags = self._map("tags", number_64, packed(Tag))
        self._order = self._map("order", number_32, packed(Order))
        self._settings = self._map("settings", number_32, number_64)
        self._guarded = Guarded(self._map("guarded", number_64, number_32))
        self.numbers = Counters(self._map("numbers", number_32, number_64))
        self.ring = Ring(self._fds["events"], self._specs["events"].max_entries)
        self._loaded: Programs | None = None
        versions = own.complete()
        self._in_force = Programs.adopt(versions[-1]) if versions else None
        self._drop_older()

    @classmethod
    def open(cls, pins: str = DEFAULT, *, sizes: Mapping[str, int] | None = None) -> "Kernel":
        """Take over what is pinned, or begin anew; `sizes`: lengths of maps other than the usual, by name.

        What an enforcer left unfinished is dropped; of complete versions of the programs the newest stays.
        """
        _check_capabilities()
        own = Pins(Path(pins))
        try:
            own.drop_unfinished()
            return cls(own, sizes or {})
        except BaseException:
            own.close()
            raise

    def close(self) -> None:
        """Give everything back; what is attached stays in force."""
        self.ring.close()
        for version in (self._loaded, self._in_force):
            if version is not None:
                version.close()
        for fd in self._fds.values():
            os.close(fd)
        self._pins.close()

    def __enter__(self) -> "Kernel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _map(self, name: str, key: Packing[K], value: Packing[V]) -> TypedMap[K, V]:
        return TypedMap(self._fds[name], self._specs[name], key, value)

    def _enrol(self) -> None:
        """Tell the programs that we are the enforcer, before they see us open anything of theirs."""
        pidfd = os.pidfd_open(os.getpid())
        try:
            self.set_role(pidfd, abi.RoleKind.ENFORCER, 0)
        finally:
            os.close(pidfd)

    # Versions of the programs

    def load(self, profile: Profile, *, lockdown: bool, source: Path = SOURCE) -> None:
        """Compile and load programs for a profile. They are attached by `attach`, after a `publish` into them.

        Takes seconds. May run in another thread, while all but `publish` and `attach` go on in this one.
        """
        loaded = Programs.load(profile, self._pins.maps, source, lockdown=lockdown)
        before, self._loaded = self._loaded, loaded
        if before is not None:
            before.close()

    def unload(self) -> None:
        """Give up what was loaded and is not attached: nothing goes into those programs any more."""
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None
            self._guarded.keep_only(self._objects())

    def publish(self, rows: Iterable[tuple[Key, Row]], generation: int) -> None:
        """Put a generation in force, whole, in the programs loaded last, or if there are none in those in force."""
        try:
            version = self._version(self._loaded or self._in_force)
            version.publish(rows, generation, lambda made: self._guarded.add([made]))
        finally:
            self._guarded.keep_only(self._objects())

    def add_rows(self, rows: Iterable[tuple[Key, Row]]) -> None:
        """Put rows into the generation in force. `rows-full`: publish a whole generation instead.

        Before anything is in force: into the one published last.
        """
        self._version(self._in_force or self._loaded).add_rows(rows)

    def remove_rows(self, keys: Iterable[Key]) -> None:
        """Take rows out of the generation in force; one that isn't there is no error."""
        self._version(self._in_force or self._loaded).remove_rows(keys)

    def attach(self) -> tuple[str, ...]:
        """Put the loaded programs in force, then drop those that were; the hooks. Between, both have to allow."""
        loaded = self._version(self._loaded)
        self._set(abi.LOCKDOWN, loaded.lockdown)
        path = self._pins.begin()
        try:
            loaded.attach(path)
            self._guarded.add(loaded.objects())
            self._see_that_it_answers()
            loaded.path = self._pins.finish(path)
        except BaseException:
            loaded.path = None
            drop(path)
            self._guarded.keep_only(self._objects())
            raise
        loaded.release_compiler()
        if self._in_force is not None:
            self._in_force.close()
        self._in_force, self._loaded = loaded, None
        self._drop_older()
        return loaded.hooks

    def _see_that_it_answers(self) -> None:
        """Without `bpf` among the security modules programs can be attached, and nothing ever calls them."""
        try:
            self.look(self._fds["order"], 0)
        except KernelError as error:
            raise _nothing_calls_them() from error

    def detach_all(self) -> None:
        """Unpin every version of the programs: nothing is enforced from then on."""
        take_down(self._pins.complete())
        if self._in_force is not None:
            self._in_force.close()
            self._in_force = None

    @property
    def attached(self) -> tuple[str, ...]:
        """The hooks in force; none if nothing is enforced, or one of them is missing."""
        return self._in_force.hooks if self._in_force else ()

    @property
    def generation(self) -> int:
        """The generation in force; 0 if nothing is."""
        return self._in_force.generation if self._in_force else 0

    @property
    def profile(self) -> Profile | None:
        """What the programs in force were compiled for."""
        return self._in_force.profile if self._in_force else None

    @property
    def lockdown(self) -> bool:
        """Whether root, too, is kept out of servers, keepers and enforcer."""
        return bool((self._settings.get(_ONLY) or 0) & abi.LOCKDOWN)

    def set_record_allowed(self, allowed: bool) -> None:
        """Have verdicts that allow recorded too, or only those that deny or would."""
        self._set(abi.RECORD_ALLOWED, allowed)

    def _set(self, setting: int, wanted: bool) -> None:
        before = self._settings.get(_ONLY) or 0
        self._settings.put(_ONLY, before | setting if wanted else before & ~setting)

    @staticmethod
    def _version(version: Programs | None) -> Programs:
        if version is None:
            raise _not_loaded()
        return version

    def _drop_older(self) -> None:
        for version in self._pins.complete()[:-1]:
            drop(version)
        self._guarded.keep_only(self._objects())

    def _objects(self) -> Iterator[Object]:
        for fd in self._fds.values():
            yield MAP, syscall.map_info(fd).number
        for version in (self._loaded, self._in_force):
            if version is not None:
                yield from version.objects()

    # Processes

    def set_role(self, pidfd: int, kind: abi.RoleKind, instance: int) -> None:
        """Say what a process is to us. KernelError `update` if it has gone."""
        self._roles.put(pidfd, Role(kind, instance))

    def role(self, pidfd: int) -> Role | None:
        """What a process is to us; None if nothing, or if it has gone."""
        with contextlib.suppress(ProcessLookupError):
            return self._roles.get(pidfd)
        return None

    def clear_role(self, pidfd: int) -> None:
        """Forget a process; one that has gone has been forgotten."""
        with contextlib.suppress(ProcessLookupError):
            self._roles.remove(pidfd)

    # Instances, mounts, entries, classes

    def put_instance(self, number: int, instance: InstanceRecord) -> None:
        """Make an instance known, or change it."""
        self._instances.put(number, instance)

    def remove_instance(self, number: int) -> None:
        """Forget an instance."""
        self._instances.remove(number)

    def instances(self) -> dict[int, InstanceRecord]:
        """All instances, by number."""
        return dict(self._instances.items())

    def put_mount(self, device: int, instance: int) -> None:
        """Say whose mount a device is."""
        self._mounts.put(device, instance)

    def remove_mount(self, device: int) -> None:
        """Forget a mount."""
        self._mounts.remove(device)

    def instance_on(self, device: int) -> int | None:
        """Whose mount a device is; None if nobody's, or if the mount has gone."""
        return self._mounts.get(device)

    def mounts(self) -> dict[int, int]:
        """The instance of each device."""
        return dict(self._mounts.items())

    def put_entry(self, device: int, inode: int, class_set: int) -> None:
        """Say by which classes opening an entry is judged; UNGUARDED: by its server alone."""
        self._entries.put(EntryKey(device, inode), class_set)

    def remove_entry(self, device: int, inode: int) -> None:
        """Forget an entry."""
        self._entries.remove(EntryKey(device, inode))

    def entries(self) -> Iterator[tuple[EntryKey, int]]:
        """All entries with their class sets."""
        return self._entries.items()

    def put_class(self, number: int, record: ClassRecord) -> None:
        """Make a class known."""
        self._classes.put(number, record)

    def remove_class(self, number: int) -> None:
        """Forget a class."""
        self._classes.remove(number)

    def classes(self) -> Iterator[tuple[int, ClassRecord]]:
        """All classes, by number."""
        return self._classes.items()

    def put_class_set(self, number: int, class_set: ClassSet) -> None:
        """Make a class set known, or change it: files tagged with it are judged by the new one from then on."""
        self._class_sets.put(number, class_set)

    def remove_class_set(self, number: int) -> None:
        """Forget a class set: what is tagged with it is delivered to nobody."""
        self._class_sets.remove(number)

    def class_sets(self) -> Iterator[tuple[int, ClassSet]]:
        """All class sets, by number."""
        return self._class_sets.items()

    # Open files

    def look(self, fd: int, instance: int) -> Order:
        """Who opened a file, what it is, and whether an instance (0: none) may tag it. OSError if refused."""
        self._order.put(_ONLY, Order(instance, opener=Person(known=abi.IS_OPEN)))
        syscall.set_descriptor_flags(fd, abi.TOKEN << 32 | abi.LOOK)
        answer = self._order.get(_ONLY)
        if answer is None or answer.opener.known == abi.IS_OPEN:
            raise _not_attached()
        return answer

    def tag(self, fd: int, instance: int, class_set: int) -> None:
        """Tag an open file. OSError: EPERM no authority, EMLINK four instances have it, ENOSPC no room for the tag."""
        self._give_order(fd, abi.TAG, Order(instance, classes=class_set))

    def untag(self, fd: int, instance: int) -> None:
        """Say that an instance no longer keeps an open file."""
        self._give_order(fd, abi.UNTAG, Order(instance))

    def _give_order(self, fd: int, order: int, what: Order) -> None:
        if not self.attached:
            raise _not_attached()
        self._order.put(_ONLY, what)
        syscall.set_descriptor_flags(fd, abi.TOKEN << 32 | order)

    def tagged(self) -> Iterator[Tag]:
        """The tags of all open files."""
        return (tag for _, tag in self._tags.items())

    def lost(self) -> int:
        """How many records found no room in the ring, ever."""
        raw = syscall.lookup(self._fds["lost"], bytes(4), 8 * _possible_cpus())
        assert raw is not None, "an array has all its elements"
        return sum(int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8))


def switch_off(pins: str = DEFAULT) -> tuple[str, ...]:
    """Unpin everything: nothing is enforced from then on. The hooks that were. `in-use` while an enforcer runs."""
    return drop_all(pins)


def _possible_cpus() -> int:
    """How many values an element of a per-CPU map has: `0-3` means four."""
    return int(_POSSIBLE_CPUS.read_text().strip().rpartition("-")[2]) + 1


def missing_capabilities() -> list[str]:
    """The names of those that the enforcer needs and this process lacks."""
    effective = syscall.effective_capabilities()
    return [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]


def _check_capabilities() -> None:
    missing = missing_capabilities()
    if missing:
        why = f"it lacks {', '.join(missing)}"
        hint = "run it as root of the host; in a service, add them to CapabilityBoundingSet="
        what = "this process may not load programs into the kernel"
        raise KernelError("no-capability", what, where="capabilities", why=why, hint=hint)


def _not_loaded() -> KernelError:
    why, hint = "nothing was loaded, and nothing is pinned", "load programs first"
    return KernelError("not-loaded", "there are no programs", where="programs", why=why, hint=hint)


def _nothing_calls_them() -> KernelError:
    what = "the kernel takes programs for security hooks, but does not call them"
    hint = (
        "boot with `bpf` among the security modules (`lsm=...,bpf`): `fdstorefs doctor` shows the whole line"
    )
    why = "BPF LSM is not active"
    return KernelError("no-bpf-lsm", what, where="/sys/kernel/security/lsm", why=why, hint=hint)


def _not_attached() -> KernelError:
    why, hint = (
        "the programs are not attached",
        "`fdstorefs doctor` says what is missing; then start the enforcer",
    )
    return KernelError("not-attached", "the kernel does not answer", where="fcntl", why=why, hint=hint)

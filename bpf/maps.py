"""The maps that outlive programs: made once, pinned, and shared by every version of the programs and every enforcer.

bcc takes them by their pins. The C side of each stands in maps.h; that keys and values have the same size is
checked when a map is taken over, and by bcc.
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fdstorefs.bpf import abi, syscall
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.syscall import NO_PREALLOC, MapSpec, MapType

MOST_TAGS = 262_144
MOST_CLASSES = 524_288
MOST_INSTANCES = 4096
MOST_ENTRIES = 262_144
MOST_PAYERS = 65_536
MOST_GUARDED = 4096
RING_BYTES = 1 << 20
COUNTERS = 4


def _hash(name: str, key: int, value: int, most: int) -> MapSpec:
    return MapSpec(MapType.HASH, name, key, value, most, NO_PREALLOC)


def _array(name: str, value: int, length: int = 1) -> MapSpec:
    return MapSpec(MapType.ARRAY, name, 4, value, length)


SHARED: Mapping[str, MapSpec] = {
    spec.name: spec
    for spec in (
        _hash("tags", 8, abi.Tag.LAYOUT.size, MOST_TAGS),
        MapSpec(MapType.TASK_STORAGE, "roles", 4, abi.Role.LAYOUT.size, 0, NO_PREALLOC),
        _hash("classes", 4, abi.ClassRecord.LAYOUT.size, MOST_CLASSES),
        _hash("class_sets", 8, abi.ClassSet.LAYOUT.size, MOST_TAGS),
        _hash("instances", 4, abi.InstanceRecord.LAYOUT.size, MOST_INSTANCES),
        _hash("mounts", 8, 4, MOST_INSTANCES),
        _hash("shares", 4, 8, MOST_PAYERS),
        _hash("entries", abi.EntryKey.LAYOUT.size, 8, MOST_ENTRIES),
        _array("order", abi.Order.LAYOUT.size),
        MapSpec(MapType.RINGBUF, "events", 0, 0, RING_BYTES),
        MapSpec(MapType.PERCPU_ARRAY, "lost", 4, 8, 1),
        _array("numbers", 8, COUNTERS),
        _hash("guarded", 8, 4, MOST_GUARDED),
        _array("settings", 8),
    )
}


def specs(sizes: Mapping[str, int]) -> dict[str, MapSpec]:
    """What all shared maps are made of, some with another length, by name."""
    return {
        name: replace(spec, max_entries=sizes.get(name, spec.max_entries)) for name, spec in SHARED.items()
    }


def take_or_make(directory: Path, wanted: Mapping[str, MapSpec] = SHARED) -> dict[str, int]:
    """Descriptors of all shared maps, by name: those pinned in the directory, and new ones, pinned there.

    Raises KernelError: `map-create`, `pin`, or `map-mismatch` if a pinned one is not what we would make.
    """
    taken: dict[str, int] = {}
    try:
        for name, spec in wanted.items():
            path = directory / name
            taken[name] = _take(path, spec) if path.exists() else _make(path, spec)
    except KernelError:
        for fd in taken.values():
            os.close(fd)
        raise
    return taken


def _take(path: Path, spec: MapSpec) -> int:
    try:
        fd = syscall.obj_get(str(path))
        found = syscall.map_info(fd)
    except OSError as error:
        raise _failed("pin", "can't open a pinned map", path, error) from error
    ours = (spec.kind, spec.key_size, spec.value_size, spec.max_entries, spec.flags)
    theirs = (found.kind, found.key_size, found.value_size, found.max_entries, found.flags)
    if ours != theirs:
        os.close(fd)
        raise _mismatch(
            path, f"it is {theirs} where {ours} is meant (type, sizes of key and value, length, flags)"
        )
    return fd


def _make(path: Path, spec: MapSpec) -> int:
    try:
        fd = create(spec)
    except OSError as error:
        raise _failed("map-create", f"can't make the map `{spec.name}`", path, error) from error
    try:
        syscall.obj_pin(fd, str(path))
    except OSError as error:
        os.close(fd)
        raise _failed("pin", "can't pin a map", path, error) from error
    return fd


def create(spec: MapSpec) -> int:
    """Make a map, pinned nowhere; its descriptor. OSError."""
    if spec.kind != MapType.TASK_STORAGE:
        return syscall.map_create(spec)
    btf = syscall.btf_load(storage_types(spec.value_size))
    try:
        return syscall.map_create(spec, btf=syscall.Btf(btf, 1, 2))
    finally:
        os.close(btf)


def storage_types(value_size: int) -> bytes:
    """A BTF with `int` as type 1 and an array of them, of `value_size` bytes, as type 2: task storage wants one."""
    strings = b"\0int\0"
    number = struct.pack("=IIII", 1, 1 << 24, 4, 32)
    array = struct.pack("=IIIIII", 0, 3 << 24, 0, 1, 1, value_size // 4)
    types = number + array
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


def _failed(code: str, what: str, path: Path, error: OSError) -> KernelError:
    hint = "run as root of the host, on a kernel that `fdstorefs doctor` finds fit"
    return KernelError(code, what, where=str(path), why=str(error.strerror).lower(), hint=hint)


def _mismatch(path: Path, why: str) -> KernelError:
    what = "a pinned map belongs to another version of fdstorefs"
    hint = "stop every enforcer, then `fdstorefs enforce --off` with the version that made it"
    return KernelError("map-mismatch", what, where=str(path), why=why, hint=hint)

"""The system call bpf(2), and fcntl(2) with all 64 bits of its argument.

Every function raises `OSError` with the kernel's errno. Nothing here decides anything, and nothing reads what a map
means: keys and values are bytes. Numbers and layouts: include/uapi/linux/bpf.h.
"""

import ctypes
import enum
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = [ctypes.c_long] * 4
_libc.syscall.restype = ctypes.c_long
_libc.fcntl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_ulong]
_libc.statfs.argtypes = [ctypes.c_char_p, ctypes.c_void_p]

_SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_SYS_CAPGET = {"x86_64": 125, "aarch64": 90}[platform.machine()]
_CAPABILITY_VERSION_3 = 0x2008_0522
_F_SETFD = 2
_ATTR_SIZE = 120  # more than any command here reads; the kernel wants the rest to be zero
_STATFS_SIZE = 512  # struct statfs, and room
_BATCH = 4096

BPF_FS_MAGIC = 0xCAFE_4A11
CGROUP2_MAGIC = 0x6367_7270

NO_PREALLOC = 1
ANY = 0
"""For `update`: make it or replace it."""


class Command(enum.IntEnum):
    """Commands of bpf(2)."""

    MAP_CREATE = 0
    MAP_LOOKUP_ELEM = 1
    MAP_UPDATE_ELEM = 2
    MAP_DELETE_ELEM = 3
    MAP_GET_NEXT_KEY = 4
    PROG_LOAD = 5
    OBJ_PIN = 6
    OBJ_GET = 7
    PROG_TEST_RUN = 10
    PROG_GET_FD_BY_ID = 13
    MAP_GET_FD_BY_ID = 14
    OBJ_GET_INFO_BY_FD = 15
    RAW_TRACEPOINT_OPEN = 17
    BTF_LOAD = 18
    BTF_GET_FD_BY_ID = 19
    MAP_UPDATE_BATCH = 26
    LINK_GET_FD_BY_ID = 30


class MapType(enum.IntEnum):
    """Types of maps."""

    HASH = 1
    ARRAY = 2
    PERCPU_ARRAY = 6
    ARRAY_OF_MAPS = 12
    RINGBUF = 27
    TASK_STORAGE = 29


@dataclass(frozen=True, slots=True)
class MapSpec:
    """What a map is made of. Sizes in bytes; `name` is for whoever lists maps: up to 15 characters."""

    kind: MapType
    name: str
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0


class Btf(NamedTuple):
    """A loaded BTF and the types of a map's key and value in it."""

    fd: int
    key: int
    value: int


class MapInfo(NamedTuple):
    """What the kernel says of a map."""

    kind: int
    number: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    name: str


class TestRun(NamedTuple):
    """What a test run gave: the program's result, the data after it, and nanoseconds per run."""

    retval: int
    data: bytes
    duration_ns: int


def map_create(spec: MapSpec, *, btf: Btf | None = None, inner: int = 0) -> int:
    """Make a map; `inner` is a descriptor of one like those that a map of maps will hold."""
    fd, key, value = btf or Btf(0, 0, 0)
    name = spec.name.encode()
    sizes = (spec.kind, spec.key_size, spec.value_size, spec.max_entries, spec.flags, inner)
    attr = struct.pack("=6II16sIIII", *sizes, 0, name, 0, fd, key, value)
    return _bpf(Command.MAP_CREATE, attr, f"make the map `{spec.name}`")


def lookup(fd: int, key: bytes, value_size: int) -> bytes | None:
    """The value under a key; None if there is none. A per-CPU map has one value for each possible CPU."""
    value = ctypes.create_string_buffer(value_size)
    try:
        _element(Command.MAP_LOOKUP_ELEM, fd, key, ctypes.addressof(value), ANY, "look into a map")
    except FileNotFoundError:
        return None
    return value.raw


def update(fd: int, key: bytes, value: bytes, flags: int = ANY) -> None:
    """Put a value under a key. E2BIG or ENOMEM: the map is full."""
    buffer = ctypes.create_string_buffer(value, len(value))
    _element(Command.MAP_UPDATE_ELEM, fd, key, ctypes.addressof(buffer), flags, "write into a map")


def delete(fd: int, key: bytes) -> bool:
    """Take a key out; whether it was there."""
    try:
        _element(Command.MAP_DELETE_ELEM, fd, key, 0, ANY, "delete from a map")
    except FileNotFoundError:
        return False
    return True


def keys(fd: int, key_size: int) -> Iterator[bytes]:
    """Every key. One that goes while they are read may make them begin anew: some then come twice."""
    following = ctypes.create_string_buffer(key_size)
    key: bytes | None = None
    while True:
        try:
            what = "list the keys of a map"
            _element(Command.MAP_GET_NEXT_KEY, fd, key, ctypes.addressof(following), ANY, what)
        except FileNotFoundError:
            return
        key = following.raw
        yield key


def _element(command: Command, fd: int, key: bytes | None, value: int, flags: int, what: str) -> None:
    buffer = None if key is None else ctypes.create_string_buffer(key, len(key))
    at = 0 if buffer is None else ctypes.addressof(buffer)
    _bpf(command, struct.pack("=IIQQQ", fd, 0, at, value, flags), what)


def update_many(fd: int, pairs: list[tuple[bytes, bytes]]) -> None:
    """Put many values at once, in order; E2BIG or ENOMEM: the map is full, and some may have gone in."""
    for start in range(0, len(pairs), _BATCH):
        part = pairs[start : start + _BATCH]
        keys_buffer = ctypes.create_string_buffer(b"".join(key for key, _ in part))
        values = ctypes.create_string_buffer(b"".join(value for _, value in part))
        places = (ctypes.addressof(keys_buffer), ctypes.addressof(values))
        attr = struct.pack("=QQQQIIQQ", 0, 0, *places, len(part), fd, ANY, 0)
        _bpf(Command.MAP_UPDATE_BATCH, attr, "write into a map")


def items(fd: int, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
    """Every key with its value, of what stays there meanwhile."""
    for key in keys(fd, key_size):
        value = lookup(fd, key, value_size)
        if value is not None:
            yield key, value


def obj_pin(fd: int, path: str) -> None:
    """Give a map, program or link a name in a bpf file system. EEXIST if the name is taken."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    _bpf(Command.OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), fd, 0), f"pin `{path}`")


def obj_get(path: str) -> int:
    """A descriptor of what is pinned under a name."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    return _bpf(Command.OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0), f"open the pin `{path}`")


def map_info(fd: int) -> MapInfo:
    """What a map is."""
    kind, number, key, value, entries, flags, name = struct.unpack_from("=6I16s", _info(fd))
    return MapInfo(kind, number, key, value, entries, flags, name.partition(b"\0")[0].decode())


def map_types(fd: int) -> Btf | None:
    """The types of a map's key and value, with a descriptor of their own; None if it was made without."""
    number, key, value = struct.unpack_from("=III", _info(fd), 64)
    if not number:
        return None
    attr = struct.pack("=III", number, 0, 0)
    return Btf(_bpf(Command.BTF_GET_FD_BY_ID, attr, f"open types {number}"), key, value)


def program_number(fd: int) -> int:
    """A program's id."""
    return int(struct.unpack_from("=II", _info(fd))[1])


def link_number(fd: int) -> int:
    """A link's id."""
    return int(struct.unpack_from("=II", _info(fd))[1])


def link_program(fd: int) -> int:
    """The id of the program that a link holds in place."""
    return int(struct.unpack_from("=III", _info(fd))[2])


def _info(fd: int) -> bytes:
    info = ctypes.create_string_buffer(256)
    attr = struct.pack("=IIQ", fd, len(info), ctypes.addressof(info))
    _bpf(Command.OBJ_GET_INFO_BY_FD, attr, "ask what a BPF object is")
    return info.raw


def map_by_number(number: int) -> int:
    """A descriptor of the map with this id."""
    return _bpf(Command.MAP_GET_FD_BY_ID, struct.pack("=III", number, 0, 0), f"open map {number}")


def program_by_number(number: int) -> int:
    """A descriptor of the program with this id."""
    return _bpf(Command.PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0), f"open program {number}")


def link_by_number(number: int) -> int:
    """A descriptor of the link with this id."""
    return _bpf(Command.LINK_GET_FD_BY_ID, struct.pack("=III", number, 0, 0), f"open link {number}")


def btf_load(raw: bytes) -> int:
    """Load a description of types."""
    buffer = ctypes.create_string_buffer(raw, len(raw))
    attr = struct.pack("=QQIII", ctypes.addressof(buffer), 0, len(raw), 0, 0)
    return _bpf(Command.BTF_LOAD, attr, "load a description of types")


def program_load(kind: int, instructions: bytes, *, attach_kind: int = 0, attach_btf: int = 0) -> int:
    """Load a program that needs no maps: for trying whether the kernel takes its kind at all."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    terms = ctypes.create_string_buffer(b"GPL")
    head = (kind, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(terms))
    log_to_interface = (
        0,
        0,
        0,
        0,
        0,
        b"",
        0,
    )  # log's level, size, buffer; kernel version, flags, name, interface
    own_btf = (0,) * 7
    tail = (*log_to_interface, attach_kind, *own_btf, attach_btf)
    attr = struct.pack("=IIQQIIQII16sIIIIQIIQII", *head, *tail)
    return _bpf(Command.PROG_LOAD, attr, "load a program")


def attach(program: int) -> int:
    """Put an LSM program in force; the descriptor of the link that holds it there."""
    return _bpf(Command.RAW_TRACEPOINT_OPEN, struct.pack("=QI4x", 0, program), "attach a program")


def test_run(program: int, data: bytes, repeat: int = 1, out_size: int = 0) -> TestRun:  # noqa: PT028 - no test
    """Run a program on a packet. `out_size`: how many bytes of the packet to have back afterwards."""
    packet = ctypes.create_string_buffer(data, len(data))
    out = ctypes.create_string_buffer(max(out_size, 1))
    buffers = (ctypes.addressof(packet), ctypes.addressof(out) if out_size else 0)
    attr = bytearray(struct.pack("=IIIIQQII", program, 0, len(data), out_size, *buffers, repeat, 0))
    after = _bpf_attr(Command.PROG_TEST_RUN, bytes(attr), "test a program")
    retval, _, length = struct.unpack_from("=III", after, 4)
    return TestRun(retval, out.raw[: min(length, out_size)], struct.unpack_from("=I", after, 36)[0])


def set_descriptor_flags(fd: int, argument: int) -> int:
    """fcntl(2) F_SETFD with a 64-bit argument, of which the kernel itself reads FD_CLOEXEC only."""
    result: int = _libc.fcntl(fd, _F_SETFD, argument)
    if result < 0:
        raise _failure(f"set the flags of descriptor {fd}")
    return result


def effective_capabilities() -> int:
    """This thread's effective capabilities, as a bit set, over its own user namespace."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(24)
    if _libc.syscall(_SYS_CAPGET, ctypes.addressof(header), ctypes.addressof(data), 0) < 0:
        raise _failure("read our capabilities")
    low, high = struct.unpack_from("=I8xI", data)
    return int(low | high << 32)


def file_system(path: str) -> int:
    """The magic number of the file system that a path lies on: statfs(2)."""
    buffer = ctypes.create_string_buffer(_STATFS_SIZE)
    if _libc.statfs(os.fsencode(path), buffer) < 0:
        raise _failure(f"ask what file system `{path}` is on")
    return int(struct.unpack_from("=q", buffer)[0])


def _bpf(command: Command, attr: bytes, what: str) -> int:
    return _call(command, ctypes.create_string_buffer(attr, _ATTR_SIZE), what)


def _bpf_attr(command: Command, attr: bytes, what: str) -> bytes:
    """Call, and read back what the kernel wrote into the attributes."""
    buffer = ctypes.create_string_buffer(attr, _ATTR_SIZE)
    _call(command, buffer, what)
    return buffer.raw


def _call(command: Command, buffer: "ctypes.Array[ctypes.c_char]", what: str) -> int:
    while True:
        result: int = _libc.syscall(_SYS_BPF, command, ctypes.addressof(buffer), _ATTR_SIZE)
        if result >= 0:
            return result
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            raise _failure(what)


def _failure(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"cannot {what}: {os.strerror(code).lower()}")

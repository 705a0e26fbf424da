"""A map whose keys and values are not bytes but what they mean."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from fdstorefs.bpf import syscall
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.layout import Record
from fdstorefs.bpf.syscall import MapSpec

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Packing(Generic[V]):
    """How a key or a value becomes bytes and back."""

    pack: Callable[[V], bytes]
    unpack: Callable[[bytes], V]


def number(size: int) -> Packing[int]:
    """A number of so many bytes."""
    return Packing(lambda value: value.to_bytes(size, "little"), lambda data: int.from_bytes(data, "little"))


def packed(twin: type[R]) -> Packing[R]:
    """A struct."""
    return Packing(lambda value: value.pack(), twin.unpack)


class TypedMap(Generic[K, V]):
    """A hash, an array or a task storage, by a descriptor that stays its maker's."""

    def __init__(self, fd: int, spec: MapSpec, key: Packing[K], value: Packing[V]) -> None:
        self.fd = fd
        self._spec = spec
        self._key = key
        self._value = value

    def get(self, key: K) -> V | None:
        """The value; None if there is none."""
        raw = syscall.lookup(self.fd, self._key.pack(key), self._spec.value_size)
        return None if raw is None else self._value.unpack(raw)

    def put(self, key: K, value: V) -> None:
        """Put it in place. KernelError `update` if the map is full or the kernel refuses."""
        try:
            syscall.update(self.fd, self._key.pack(key), self._value.pack(value))
        except OSError as error:
            raise not_written(self._spec, error) from error

    def remove(self, key: K) -> bool:
        """Take it out; whether it was there."""
        return syscall.delete(self.fd, self._key.pack(key))

    def items(self) -> Iterator[tuple[K, V]]:
        """All, each once, if nobody deletes any meanwhile."""
        for key, value in syscall.items(self.fd, self._spec.key_size, self._spec.value_size):
            yield self._key.unpack(key), self._value.unpack(value)


def not_written(spec: MapSpec, error: OSError) -> KernelError:
    """What to say of a failed update."""
    what = f"can't write into the map `{spec.name}`"
    hint = f"it has room for {spec.max_entries}; `fdstorefs status` shows who keeps how much"
    return KernelError("update", what, where=spec.name, why=str(error.strerror).lower(), hint=hint)

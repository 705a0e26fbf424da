"""C structs as Python has them: a list of parts, and records that are packed and unpacked by it."""

import keyword
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

Raw = int | bytes


@dataclass(frozen=True, slots=True)
class Form:
    """What a member of a struct is: one item of module `struct`, and how that becomes a value and back.

    `decode` is given what was read before it, for arrays whose length stands in another member. A member without
    `decode` is no attribute of the record: padding, or a length, which `encode` finds in the record.
    """

    item: str
    encode: Callable[[Any], Raw]
    decode: Callable[[Raw, dict[str, Any]], Any] | None
    of_record: bool = False


def _same(raw: Raw, _: dict[str, Any]) -> Raw:
    return raw


U32 = Form("I", int, _same)
U64 = Form("Q", int, _same)
PAD = Form("I", lambda _: 0, None, of_record=True)
FLAG = Form("I", int, lambda raw, _: bool(raw))


def vector(words: int) -> Form:
    """64-bit words, as one number."""
    size = words * 8
    return Form(f"{size}s", lambda bits: bits.to_bytes(size, "little"), lambda raw, _: _number(raw))


def text(size: int) -> Form:
    """Bytes up to the first NUL."""
    return Form(f"{size}s", bytes, lambda raw, _: _bytes(raw).partition(b"\0")[0])


def length_of(attribute: str) -> Form:
    """How many elements another member has."""
    return Form("I", lambda record: len(getattr(record, attribute)), _same, of_record=True)


def array(most: int, counted_by: str = "") -> Form:
    """An array of 32-bit numbers; as many as `counted_by` says, which comes earlier: a length or a sequence."""
    items = struct.Struct(f"={most}I")

    def encode(values: Sequence[int]) -> bytes:
        return items.pack(*values, *(0,) * _room(values, most))

    def decode(raw: Raw, before: dict[str, Any]) -> tuple[int, ...]:
        count = before.get(counted_by, most)
        return items.unpack(_bytes(raw))[: count if isinstance(count, int) else len(count)]

    return Form(f"{items.size}s", encode, decode)


def record(twin: "type[Record]") -> Form:
    """A struct inside."""
    return Form(
        f"{twin.LAYOUT.size}s", lambda value: bytes(value.pack()), lambda raw, _: twin.unpack(_bytes(raw))
    )


def records(twin: "type[Record]", most: int, in_use: Callable[[Any], bool]) -> Form:
    """An array of structs, of which those in use come first or are picked out."""
    size = twin.LAYOUT.size

    def encode(values: Sequence[Record]) -> bytes:
        return b"".join(value.pack() for value in values) + bytes(size * _room(values, most))

    def decode(raw: Raw, _: dict[str, Any]) -> tuple[Record, ...]:
        parts = (twin.unpack(_bytes(raw)[at : at + size]) for at in range(0, size * most, size))
        return tuple(filter(in_use, parts))

    return Form(f"{size * most}s", encode, decode)


class Layout:
    """A C struct: its name in abi.h, and its members in order, padding too."""

    def __init__(self, name: str, /, **members: Form) -> None:
        self.name = name
        self.members = members
        self._struct = struct.Struct("=" + "".join(form.item for form in members.values()))

    @property
    def size(self) -> int:
        """Bytes."""
        return self._struct.size

    def places(self) -> dict[str, tuple[int, int]]:
        """Where each member begins, and how long it is, in bytes."""
        found, at = {}, 0
        for name, form in self.members.items():
            size = struct.calcsize("=" + form.item)
            found[name] = (at, size)
            at += size
        return found

    def pack(self, record: "Record") -> bytes:
        """The bytes of a record."""
        return self._struct.pack(*(_encoded(record, name, form) for name, form in self.members.items()))

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The attributes of a record."""
        read: dict[str, Any] = {}
        lengths = set()
        for (name, form), raw in zip(self.members.items(), self._struct.unpack(data), strict=True):
            if form.decode is not None:
                read[_attribute(name)] = form.decode(raw, read)
                if form.of_record:
                    lengths.add(name)
        return {name: value for name, value in read.items() if name not in lengths}


class Record:
    """A struct's twin: a frozen dataclass with the attributes that its layout names."""

    __slots__ = ()
    LAYOUT: ClassVar[Layout]

    def pack(self) -> bytes:
        """As the kernel has it. ValueError if an array is too long, struct.error if a number doesn't fit."""
        return self.LAYOUT.pack(self)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """From what the kernel has."""
        return cls(**cls.LAYOUT.unpack(data))


def _encoded(record: Record, name: str, form: Form) -> Raw:
    return form.encode(record if form.of_record else getattr(record, _attribute(name)))


def _attribute(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _room(values: Sequence[object], most: int) -> int:
    if len(values) > most:
        raise ValueError(f"{len(values)} elements where {most} fit")
    return most - len(values)


def _bytes(raw: Raw) -> bytes:
    assert isinstance(raw, bytes)
    return raw


def _number(raw: Raw) -> int:
    return int.from_bytes(_bytes(raw), "little")

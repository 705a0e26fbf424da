"""The running kernel's description of its own types (BTF): where a member of a struct lies, and how long it is.

The format: Documentation/bpf/btf.rst of the kernel. Only what layouts need is read; nothing is kept between kernels.
"""

import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fdstorefs.bpf.kernel_error import KernelError

VMLINUX = Path("/sys/kernel/btf/vmlinux")
MAGIC = 0xEB9F
POINTER_SIZE = 8

_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")
_MEMBER = struct.Struct("=III")
_ARRAY = struct.Struct("=III")
_INT, _PTR, _ARRAY_KIND, _STRUCT, _UNION, _ENUM, _FUNC, _ENUM64 = 1, 2, 3, 4, 5, 6, 12, 19
_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG = 8, 9, 10, 11, 18
_ALIASES = frozenset((_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG))
_SIZED = frozenset((_INT, _STRUCT, _UNION, _ENUM, _ENUM64))
_EXTRA = {_INT: 4, _ARRAY_KIND: 12, 14: 4, 17: 4}  # bytes after the type: INT, ARRAY, VAR, DECL_TAG
_EXTRA_PER_MEMBER = {_STRUCT: 12, _UNION: 12, _ENUM: 8, 13: 8, 15: 12, _ENUM64: 12}  # FUNC_PROTO, DATASEC


class Member(NamedTuple):
    """Where a member lies and how long it is, in bytes."""

    offset: int
    size: int


class Btf:
    """The types of a kernel. Made from the bytes of its BTF; raises KernelError `no-btf` if they are none."""

    def __init__(self, raw: bytes, source: str = str(VMLINUX)) -> None:
        self._raw = raw
        self._source = source
        try:
            magic, _, _, header, types, types_length, strings, strings_length = _HEADER.unpack_from(raw)
            if magic != MAGIC:
                raise _no_btf(source, "this is no BTF of this machine's byte order")
            self._strings = raw[header + strings :][:strings_length]
            self._at = self._places(header + types, types_length)
        except struct.error:
            raise _no_btf(source, "it ends in the middle") from None

    @classmethod
    def read(cls, path: Path = VMLINUX) -> "Btf":
        """The running kernel's."""
        try:
            return cls(path.read_bytes(), str(path))
        except OSError as error:
            why = (error.strerror or "it can't be read").lower()
            raise _no_btf(str(path), why) from error

    def _places(self, start: int, length: int) -> list[int]:
        """Where each type begins, by its number."""
        places, at, end = [0], start, start + length
        unpack, raw = _TYPE.unpack_from, self._raw
        while at < end:
            places.append(at)
            info = unpack(raw, at)[1]
            kind = info >> 24 & 31
            at += 12 + _EXTRA.get(kind, 0)
            if kind in _EXTRA_PER_MEMBER:
                at += _EXTRA_PER_MEMBER[kind] * (info & 0xFFFF)
        if at != end or end > len(raw):
            raise struct.error("the last type is not whole")
        return places

    def name(self, offset: int) -> str:
        """A name, by its place among the strings."""
        return self._strings[offset : self._strings.index(b"\0", offset)].decode()

    def function(self, name: str) -> int | None:
        """The number of a function's type; None if the kernel has none of this name (`bpf_lsm_...`: a hook)."""
        return self._find(_FUNC, name)

    def member(self, struct_name: str, path: str) -> Member:
        """Where a member lies: a dotted path, through anonymous structs and unions.

        Raises KernelError `btf-field` if there is none, or if it is a bit field.
        """
        number, bits = self._struct(struct_name), 0
        for part in path.split("."):
            found = self._step(number, part)
            if found is None:
                raise _no_field(self._source, struct_name, path, f"it has no `{part}`")
            bits += found[0]
            number = found[1]
        if bits % 8:
            raise _no_field(self._source, struct_name, path, "it does not begin at a byte")
        return Member(bits // 8, self._size(number))

    def _struct(self, name: str) -> int:
        number = self._find(_STRUCT, name)
        if number is None:
            raise _no_field(self._source, name, "", "there is no such struct")
        return number

    @functools.cached_property
    def _named(self) -> dict[tuple[int, int], int]:
        """The first type of a kind and name, by kind and place of its name, of those that are looked for."""
        found: dict[tuple[int, int], int] = {}
        for number in range(1, len(self._at)):
            name, info, _ = _TYPE.unpack_from(self._raw, self._at[number])
            kind = info >> 24 & 31
            if name and kind in (_STRUCT, _FUNC):
                found.setdefault((kind, name), number)
        return found

    def _find(self, kind: int, name: str) -> int | None:
        place = self._strings.find(b"\0" + name.encode() + b"\0") + 1
        return self._named.get((kind, place)) if place else None

    def _step(self, number: int, name: str) -> tuple[int, int] | None:
        """A member's place in bits and its type, by its name."""
        for member, number_of_member, bits in self._members(self._plain(number)):
            if self.name(member) == name:
                return bits, number_of_member
            inside = None if member else self._step(number_of_member, name)
            if inside:
                return bits + inside[0], inside[1]
        return None

    def _members(self, number: int) -> Iterator[tuple[int, int, int]]:
        at = self._at[number]
        _, info, _ = _TYPE.unpack_from(self._raw, at)
        if info >> 24 & 31 not in (_STRUCT, _UNION):
            return
        mask = 0xFF_FFFF if info >> 31 else 0xFFFF_FFFF  # the upper byte is a bit field's width
        for place in range(at + 12, at + 12 + 12 * (info & 0xFFFF), 12):
            name, kind, bits = _MEMBER.unpack_from(self._raw, place)
            yield name, kind, bits & mask

    def _plain(self, number: int) -> int:
        """The type behind names and qualifiers."""
        while number:
            _, info, behind = _TYPE.unpack_from(self._raw, self._at[number])
            if info >> 24 & 31 not in _ALIASES:
                break
            number = behind
        return number

    def _size(self, number: int) -> int:
        number = self._plain(number)
        if not number:
            return 0
        _, info, size = _TYPE.unpack_from(self._raw, self._at[number])
        kind = info >> 24 & 31
        if kind in _SIZED:
            return int(size)
        if kind == _ARRAY_KIND:
            element, _, count = _ARRAY.unpack_from(self._raw, self._at[number] + 12)
            return self._size(element) * int(count)
        return POINTER_SIZE if kind == _PTR else 0


def _no_btf(source: str, why: str) -> KernelError:
    hint = "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y; distributions' own kernels are"
    return KernelError("no-btf", "the kernel does not describe its types", where=source, why=why, hint=hint)


def _no_field(source: str, struct_name: str, path: str, why: str) -> KernelError:
    where = f"struct {struct_name}" + (f", {path}" if path else "")
    hint = "this kernel is newer or older than those that this version knows; `fdstorefs doctor` says which it does"
    what = f"a type of the kernel is not as expected in {source}"
    return KernelError("btf-field", what, where=where, why=why, hint=hint)

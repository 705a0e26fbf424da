"""A kernel's types as BTF, made by hand: as small as a test wants them."""

import struct
from dataclasses import dataclass, field

INT, POINTER, ARRAY, STRUCT, UNION, TYPEDEF, CONST, FUNCTION, PROTOTYPE = 1, 2, 3, 4, 5, 8, 10, 12, 13


@dataclass
class Types:
    """Types that are given numbers in the order in which they come."""

    strings: bytes = b"\0"
    types: bytes = b""
    count: int = 0
    places: dict[str, int] = field(default_factory=dict)

    def name(self, text: str) -> int:
        """The place of a name."""
        if not text:
            return 0
        if text not in self.places:
            self.places[text] = len(self.strings)
            self.strings += text.encode() + b"\0"
        return self.places[text]

    def add(
        self, kind: int, name: str, size: int, *, count: int = 0, flag: int = 0, tail: bytes = b""
    ) -> int:
        """A type of any kind; its number."""
        info = flag << 31 | kind << 24 | count
        self.types += struct.pack("=III", self.name(name), info, size) + tail
        self.count += 1
        return self.count

    def number(self, name: str, size: int) -> int:
        """A kind of number."""
        return self.add(INT, name, size, tail=struct.pack("=I", size * 8))

    def array(self, element: int, length: int) -> int:
        """An array."""
        return self.add(ARRAY, "", 0, tail=struct.pack("=III", element, element, length))

    def struct(
        self, name: str, size: int, *members: tuple[str, int, int], kind: int = STRUCT, flag: int = 0
    ) -> int:
        """A struct or union: name, type and place in bits of each member."""
        tail = b"".join(struct.pack("=III", self.name(member), of, bits) for member, of, bits in members)
        return self.add(kind, name, size, count=len(members), flag=flag, tail=tail)

    def raw(self) -> bytes:
        """As the kernel gives it."""
        lengths = (0, len(self.types), len(self.types), len(self.strings))
        return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, *lengths) + self.types + self.strings

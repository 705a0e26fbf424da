"""Parts for tests of the pure store: a clock that counts, files that tell when they are released, people."""

from fdstorefs.core.node import OpenFile, Stasher
from fdstorefs.core.subject import NothingTold, Subject


class Clock:
    """A clock that moves on by one with every look at it."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Files:
    """Makes open files and remembers which were released, in order."""

    def __init__(self) -> None:
        self.released: list[int] = []
        self.made = 0

    def __call__(self, access: str = "rw", kind: str = "pipe") -> OpenFile:
        self.made += 1
        return OpenFile(
            descriptor=self.made,
            kind=kind,
            access=access,
            number=self.made,
            release=lambda file: self.released.append(file.number),
        )


class Facts(NothingTold):
    """Facts of which the mode bits' are known."""

    def __init__(self, groups: frozenset[int], capabilities: int) -> None:
        self._groups = groups
        self._capabilities = capabilities

    def groups(self) -> frozenset[int]:
        return self._groups

    def capabilities(self) -> int:
        return self._capabilities


class Person:
    """A subject and the record of what it stashed."""

    def __init__(
        self, uid: int, gid: int, groups: frozenset[int] = frozenset(), capabilities: int = 0
    ) -> None:
        facts = Facts(groups | {gid}, capabilities)
        self.subject = Subject(uid, gid, pid=uid + 1, look_up=lambda: facts)
        self.stasher = Stasher(uid + 1, uid, gid, "test")

"""Ordinary users of the machine. Their ids are free on Debian; the machine's user database learns their names."""

from pathlib import Path
from typing import NamedTuple


class Person(NamedTuple):
    """A user with a name and a number, which is the group's as well."""

    name: str
    uid: int


ALICE = Person("alice", 1001)
BOB = Person("bob", 1002)
MALLORY = Person("mallory", 1003)
EVERYBODY = (ALICE, BOB, MALLORY)


def make_known(etc: Path = Path("/etc")) -> None:
    """Add everybody to passwd and group, once: what needs no name works without."""
    _add(etc / "passwd", [f"{who.name}:x:{who.uid}:{who.uid}::/nonexistent:/bin/sh" for who in EVERYBODY])
    _add(etc / "group", [f"{who.name}:x:{who.uid}:" for who in EVERYBODY])


def _add(database: Path, lines: list[str]) -> None:
    known = database.read_text().splitlines()
    database.write_text("".join(f"{line}\n" for line in [*known, *(x for x in lines if x not in known)]))

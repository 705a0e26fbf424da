"""The unit was started: what systemd has kept of the instance since the time before, if there was one."""

import os
import sys
import time
from collections import Counter
from collections.abc import MutableMapping, Sequence
from typing import NamedTuple

from fdstorefs.keeper import unit_store
from fdstorefs.keeper.holding import Holding
from fdstorefs.keeper.unit_record import NUMBER, Ambiguous, Record
from fdstorefs.keeper.unit_store import PREFIX, UnitStore

CAUSE = "the unit was started again"

_FIRST = 3
"""The first descriptor that systemd passes, see sd_listen_fds(3)."""

_PASSED_BY = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID")
_SECONDS = 30.0


class Life(NamedTuple):
    """How the one before ended: `restarts` after so many, and `died` in seconds of time.monotonic(), and why."""

    restarts: int
    died: float
    cause: str = CAUSE


class Passed(NamedTuple):
    """What systemd has passed to this process: ours by name, and of others' how many, and the bytes of their names.

    `twice` are ours whose name another has, too.
    """

    ours: dict[str, int]
    others: int
    others_bytes: int
    twice: Sequence[tuple[str, int]] = ()


def passed(environment: MutableMapping[str, str]) -> Passed:
    """Look at what came with the start. Descriptors of others stay as they are, and so do the variables then."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return Passed({}, 0, 0)
    names = environment.get("LISTEN_FDNAMES", "").split(":")[: int(environment.get("LISTEN_FDS", "0"))]
    numbered = {_FIRST + place: name for place, name in enumerate(names)}
    pairs = [(name, descriptor) for descriptor, name in numbered.items() if name.startswith(PREFIX)]
    for _, descriptor in pairs:
        os.set_inheritable(descriptor, False)
    count = Counter(name for name, _ in pairs)
    ours = {name: descriptor for name, descriptor in pairs if count[name] == 1}
    twice = [pair for pair in pairs if count[pair[0]] > 1]
    others = [name for name in numbered.values() if not name.startswith(PREFIX)]
    if not others:
        for name in _PASSED_BY:
            environment.pop(name, None)
    return Passed(ours, len(others), sum(len(name) + 1 for name in others), twice)


def take_up(
    ours: dict[str, int],
    holding: Holding,
    store: UnitStore,
    started: float,
    twice: Sequence[tuple[str, int]] = (),
) -> Life | None:
    """Hold what was kept. None if there was no instance before, or it ended for good: then nothing of it is left.

    `started` is when the unit was, in seconds of time.monotonic(): nobody was there to see when all was killed.
    Of those whose name is there `twice` none is used: the other one may be what somebody stashed.
    Raises Unreadable, and nothing is changed.
    """
    _check(twice)
    record = Record.read(ours[unit_store.RECORD]) if unit_store.RECORD in ours else None
    _give_up(twice, store)
    journal = f"{unit_store.JOURNAL}{record.told['journal']}" if record is not None else ""
    if record is None or journal not in ours or record.told["over"]:
        _forget(ours, store)
        return None
    holding.journal = ours.pop(journal)
    holding.note = record.told["note"]
    holding.files = {
        number: ours.pop(name) for name in list(ours) if (number := unit_store.number_of(name)) is not None
    }
    holding.files[NUMBER] = ours.pop(unit_store.RECORD)
    _forget(ours, store)
    ended = record.told["ended"]
    away = time.clock_gettime(time.CLOCK_BOOTTIME) - ended if ended is not None else 0.0
    return Life(record.told["restarts"] + 1, time.monotonic() - away if ended is not None else started)


def _check(twice: Sequence[tuple[str, int]]) -> None:
    """Of these only open files can be done without. Raises Ambiguous."""
    for name, _ in twice:
        if unit_store.number_of(name) is None:
            raise Ambiguous(f"systemd has several descriptors of the instance that are named `{name}`")


def _give_up(twice: Sequence[tuple[str, int]], store: UnitStore) -> None:
    names = dict.fromkeys(name for name, _ in twice)
    if names and sys.stderr is not None:
        told = ", ".join(f"`{name}`" for name in names)
        sys.stderr.write(f"fdstorefs: keeper: systemd has several descriptors named {told}: none is used\n")
        sys.stderr.flush()
    store.remove(names)
    for _, descriptor in twice:
        os.close(descriptor)


def _forget(ours: dict[str, int], store: UnitStore) -> None:
    """Have systemd, and us, hold nothing of this any more."""
    store.remove(ours)
    store.finish(_SECONDS)
    for descriptor in ours.values():
        os.close(descriptor)

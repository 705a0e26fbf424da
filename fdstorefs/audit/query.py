"""Finding records: tests, each about one thing, of which all must hold."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from fdstorefs.audit.reader import Record
from fdstorefs.audit.record import VERDICT
from fdstorefs.audit.text import escape, unescape
from fdstorefs.policy.glob import compile_glob

Test: TypeAlias = Callable[[Record], bool]

SUBJECT_KEYS = ("uid", "pid", "comm", "exe", "cgroup")
"""What a subject can be looked for by."""

_SECOND = 1_000_000_000


def matching(records: Iterable[Record], tests: Sequence[Test]) -> Iterator[Record]:
    """The records that pass every test."""
    return (record for record in records if all(test(record) for test in tests))


def stamp(nanoseconds: int) -> str:
    """A moment as `ts` has it; the later of two is also the greater string."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def since(nanoseconds: int) -> Test:
    """At that time or later."""
    first = stamp(nanoseconds)
    return lambda record: bool(record["ts"] >= first)


def until(nanoseconds: int) -> Test:
    """Before that time."""
    end = stamp(nanoseconds)
    return lambda record: bool(record["ts"] < end)


def one_of(field: str, values: Iterable[str]) -> Test:
    """The field is one of the values."""
    wanted = frozenset(map(escape, values))
    return lambda record: record.get(field) in wanted


def by_rule(ids: Iterable[str]) -> Test:
    """One of these rules decided."""
    wanted = frozenset(map(escape, ids))
    return lambda record: not wanted.isdisjoint(record.get("rules", ()))


def by_entry(globs: Iterable[str]) -> Test:
    """The entry, or another name of the same open file, fits a glob. Raises BadGlob."""
    patterns = [compile_glob(glob) for glob in globs]

    def fits(record: Record) -> bool:
        return any(pattern.fullmatch(name) for name in names(record) for pattern in patterns)

    return fits


def names(record: Record) -> list[str]:
    """Every name that a verdict was about, the one asked for first; as they are in the instance."""
    if record["type"] != VERDICT:
        return []
    return [unescape(entry["name"]) for entry in (record["entry"], *record.get("also", ()))]


def by_subject(key: str, values: Iterable[str | int]) -> Test:
    """What asked is one of these; for `cgroup`, also in a cgroup below one of them."""
    if key == "cgroup":
        return _in_cgroup([str(value) for value in values])
    wanted = frozenset(escape(value) if isinstance(value, str) else value for value in values)
    return lambda record: _subject(record).get(key) in wanted


def _in_cgroup(roots: Iterable[str]) -> Test:
    tops = [escape(root).rstrip("/") for root in roots]

    def inside(record: Record) -> bool:
        cgroup = _subject(record).get("cgroup")
        return cgroup is not None and any(cgroup == top or cgroup.startswith(f"{top}/") for top in tops)

    return inside


def _subject(record: Record) -> dict[str, Any]:
    return record["subject"] if record["type"] == VERDICT else {}

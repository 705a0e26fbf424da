"""Whether a log is whole: every number is there, once, and time goes forward.

What this cannot see: a log whose end was cut off, or out of which a whole run was taken, looks complete. A second
target that the one who can write the first cannot, such as syslog, is what helps against that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from fdstorefs.audit.reader import Record
from fdstorefs.audit.record import Event
from fdstorefs.audit.text import unescape

Numbers = tuple[int, int]
"""From one `seq` to another, both among them."""


SLACK = 1_000_000_000
"""Nanoseconds by which the clock of a record may be behind the one before: the time is taken, then the number."""


@dataclass(slots=True)
class Stretch:
    """Records of one run that follow one another in one file. `lost_first` is the `lost_before` of the first,
    `began` and `ended` are the `boottime` of the first and the latest so far.
    """

    first: int
    last: int
    began: int
    ended: int
    lost_first: int


@dataclass(slots=True)
class Run:
    """One run of a server as the log has it.

    `missing` are numbers that nothing accounts for; `lost` counts what the log itself says was not written;
    `repeated` are numbers that come again or too late; `backwards` those whose clock is behind the one before.
    `beginning` is over 1 where what comes before may have been rotated away.
    """

    run: str
    instance: str
    began: str
    records: int = 0
    lost: int = 0
    stopped: bool = False
    beginning: int = 1
    missing: list[Numbers] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    backwards: list[int] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    told: list[Numbers] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether every record that was made is there."""
        return not (self.lost or self.missing or self.repeated or self.backwards)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        names = ("run", "instance", "began", "records", "lost", "stopped", "beginning")
        lists = ("missing", "repeated", "backwards")
        return {
            **{name: getattr(self, name) for name in names},
            **{name: getattr(self, name) for name in lists},
        }


def verify(files: Iterable[Iterable[Record]]) -> list[Run]:
    """What each run in the files of a log lacks, the earliest run first. The order of the files does not matter."""
    runs: dict[str, Run] = {}
    for records in files:
        _read_file(records, runs)
    found = sorted(runs.values(), key=lambda run: run.began)
    seen: set[str] = set()
    for run in found:
        # Rotation drops what is oldest: the one run of an instance that may lack its beginning is the first.
        _join(run, may_begin_late=run.instance not in seen)
        seen.add(run.instance)
    return found


def _read_file(records: Iterable[Record], runs: dict[str, Run]) -> None:
    at_end: dict[str, Stretch] = {}
    for record in records:
        name = record["run"]
        run = runs.get(name)
        if run is None:
            run = runs[name] = Run(name, unescape(record["instance"]), record["ts"])
        _note(run, record)
        at_end[name] = _extended(run, at_end.get(name), record)


def _note(run: Run, record: Record) -> None:
    run.records += 1
    run.began = min(run.began, record["ts"])
    run.stopped = run.stopped or record["type"] == Event.STOP
    if record["type"] in (Event.RESTART, Event.UPGRADE) and "first_seq" in record:
        run.told.append((record["first_seq"], record["last_seq"]))
    # Without a target it is about what `lost_before` counts already; of others this log says nothing.
    if record["type"] == Event.AUDIT_LOST and record.get("target", "").startswith("file:"):
        run.told.append((record["first_seq"], record["last_seq"]))


def _extended(run: Run, stretch: Stretch | None, record: Record) -> Stretch:
    seq, lost, boottime = record["seq"], record["lost_before"], record["boottime"]
    if stretch is None:
        stretch = Stretch(seq, seq, boottime, boottime, lost)
        run.stretches.append(stretch)
    elif seq <= stretch.last:
        run.repeated.append(seq)
    else:
        _follow(run, stretch.last, stretch.ended, seq, boottime, lost)
        stretch.last, stretch.ended = seq, max(stretch.ended, boottime)
    return stretch


def _follow(run: Run, last: int, ended: int, seq: int, boottime: int, lost: int) -> None:
    if boottime < ended - SLACK:
        run.backwards.append(seq)
    _gap(run, last, seq, lost)


def _gap(run: Run, before: int, seq: int, lost: int) -> None:
    """Account for the numbers between two records: the last `lost` of them were never written."""
    run.lost += lost
    if seq - lost - 1 > before:
        run.missing.append((before + 1, seq - lost - 1))
    elif seq - lost - 1 < before:
        run.repeated.append(seq)


def _join(run: Run, *, may_begin_late: bool) -> None:
    """Put the stretches of a run one after the other."""
    stretches = sorted(run.stretches, key=lambda stretch: stretch.first)
    first = stretches[0]
    before = max(0, first.first - first.lost_first - 1) if may_begin_late else 0
    run.beginning = before + 1
    _gap(run, before, first.first, first.lost_first)
    for one, next_one in pairwise(stretches):
        if next_one.first <= one.last:
            run.repeated.append(next_one.first)
        else:
            _follow(run, one.last, one.ended, next_one.first, next_one.began, next_one.lost_first)
    _take_away_told(run)


def _take_away_told(run: Run) -> None:
    """What an `audit-lost` or a `restart` tells of is lost, not missing without a word, where it is not there."""
    before = count(run.missing)
    for told in run.told:
        run.missing = [rest for gap in run.missing for rest in _without(gap, told)]
    run.lost += before - count(run.missing)


def _without(gap: Numbers, told: Numbers) -> list[Numbers]:
    before = (gap[0], min(gap[1], told[0] - 1))
    after = (max(gap[0], told[1] + 1), gap[1])
    return [rest for rest in (before, after) if rest[0] <= rest[1]]


def count(ranges: Sequence[Numbers]) -> int:
    """How many numbers there are in ranges that don't overlap."""
    return sum(last - first + 1 for first, last in ranges)

"""Counting records."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from fdstorefs.audit.query import names
from fdstorefs.audit.reader import Record
from fdstorefs.audit.record import VERDICT
from fdstorefs.audit.text import unescape

Tally = Counter[tuple[str, str]]
"""By what and by verdict."""


@dataclass(slots=True)
class Stats:
    """What was counted. `lost` are records that were never written, `overruled` denials that a monitoring policy
    did not get its way with. `first` and `last` are the earliest and the latest `ts`.
    """

    records: int = 0
    lost: int = 0
    overruled: int = 0
    first: str | None = None
    last: str | None = None
    verdicts: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    actions: Tally = field(default_factory=Counter)
    rules: Tally = field(default_factory=Counter)
    subjects: Tally = field(default_factory=Counter)
    entries: Tally = field(default_factory=Counter)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "records": self.records,
            "lost": self.lost,
            "first": self.first,
            "last": self.last,
            "verdicts": {word: self.verdicts[word] for word in ("allow", "deny")},
            "overruled": self.overruled,
            "events": dict(self.events.most_common()),
            "reasons": dict(self.reasons.most_common()),
            "actions": by_name(self.actions),
            "rules": by_name(self.rules),
            "subjects": by_name(self.subjects),
            "entries": by_name(self.entries),
        }


def count(records: Iterable[Record]) -> Stats:
    """Count records."""
    stats = Stats()
    for record in records:
        stats.records += 1
        stats.lost += record["lost_before"]
        stats.first = min(stats.first or record["ts"], record["ts"])
        stats.last = max(stats.last or record["ts"], record["ts"])
        if record["type"] == VERDICT:
            _count_verdict(stats, record)
        else:
            stats.events[record["type"]] += 1
    return stats


def _count_verdict(stats: Stats, record: Record) -> None:
    verdict = record["verdict"]
    stats.verdicts[verdict] += 1
    stats.overruled += verdict == "allow" and record["decided"] == "deny"
    stats.reasons[record["reason"]] += 1
    stats.actions[record["action"], verdict] += 1
    stats.subjects[subject(record), verdict] += 1
    stats.entries[names(record)[0], verdict] += 1
    for rule in record["rules"]:
        stats.rules[unescape(rule), verdict] += 1


def subject(record: Record) -> str:
    """Who asked, as it is counted: by uid and program, because processes come and go."""
    asker = record["subject"]
    program = asker.get("exe") or asker.get("comm")
    return f"uid {asker['uid']}" if program is None else f"uid {asker['uid']} {unescape(program)}"


def by_name(tally: Tally) -> dict[str, dict[str, int]]:
    """How often each was allowed and denied; what was denied most comes first, then what was asked most."""
    each = dict.fromkeys(name for name, _ in tally)
    counted = {name: {word: tally[name, word] for word in ("allow", "deny")} for name in each}
    order = sorted(counted, key=lambda name: (-counted[name]["deny"], -counted[name]["allow"], name))
    return {name: counted[name] for name in order}

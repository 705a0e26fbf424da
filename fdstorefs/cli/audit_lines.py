"""Records for people: a line each."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from fdstorefs.audit.query import names
from fdstorefs.audit.reader import Record
from fdstorefs.audit.record import ENVELOPE, VERDICT
from fdstorefs.audit.text import unescape
from fdstorefs.cli.colour import verdict_coloured
from fdstorefs.cli.visible import visible

_SECONDS = len("2026-11-21T06:10:54")
_IN_ENVELOPE = frozenset(field.name for field in ENVELOPE)
_MOST_NAMES = 3
_UNNAMED = "?"
_TARGETS = {"reach-into": "pid {}", "use-bpf": "object {}"}


def lines(record: Record, *, in_colour: bool = False) -> Iterator[str]:
    """One line, and one before it if records were lost there."""
    paint = verdict_coloured if in_colour else _plain
    if record["lost_before"]:
        yield paint(f"{local_time(record['ts'])}  {record['lost_before']} lost before this", "lost")
    is_verdict = record["type"] == VERDICT
    words = _verdict(record, paint) if is_verdict else _event(record, paint)
    yield "  ".join([local_time(record["ts"]), *words])


def _plain(text: str, tone: str) -> str:  # noqa: ARG001 - the same shape as verdict_coloured
    return text


def local_time(stamp: str) -> str:
    """A `ts` as local date and time; as it stands if there is no such day."""
    try:
        moment = datetime.fromisoformat(stamp[:_SECONDS]).replace(tzinfo=UTC)
    except ValueError:
        return visible(stamp)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _verdict(record: Record, paint: Any) -> Iterator[str]:
    yield paint(f"{outcome(record):<5}", record["decided"])
    yield f"{shown(record['action']):<8}"
    yield _object(record)
    yield subject(record["subject"])
    yield f"{reason(record)} (kernel)" if record.get("source") == "kernel" else reason(record)


def outcome(record: Record) -> str:
    """The verdict in force, and what it would have been if all policies were enforced."""
    verdict, decided = shown(record["verdict"]), shown(record["decided"])
    return verdict if verdict == decided else f"{verdict} (monitor: {decided})"


def _object(record: Record) -> str:
    """What it was about: an entry, or what of ours somebody reached for."""
    target = record.get("target")
    return _entry(record) if target is None else _TARGETS.get(record["action"], "number {}").format(target)


def _entry(record: Record) -> str:
    name, *others = (visible(each) for each in names(record))
    kind = record["entry"].get("kind")
    also = f" = {', '.join(others[:_MOST_NAMES])}" if others else ""
    what = f"{name or _UNNAMED}{also}"
    return what if kind is None else f"{what} ({shown(kind)})"


def subject(asker: dict[str, Any]) -> str:
    """Who asked: program, process, user."""
    comm = asker.get("comm")
    process = f"pid {asker['pid']}" if comm is None else f"{shown(comm)}[{asker['pid']}]"
    return f"{process} uid {asker['uid']}"


def reason(record: Record) -> str:
    """Which rules decided, or what did."""
    rules = ", ".join(map(shown, record["rules"]))
    return f"{shown(record['reason'])}: {rules}" if rules else shown(record["reason"])


def _event(record: Record, paint: Any) -> Iterator[str]:
    yield paint(shown(record["type"]), "event")
    said = [
        f"{name}: {_value(value)}"
        for name, value in record.items()
        if name not in _IN_ENVELOPE and value != []
    ]
    if said:
        yield "; ".join(said)


def _value(value: Any) -> str:
    match value:
        case str():
            return shown(value)
        case list():
            return ", ".join(map(_value, value))
        case dict():
            return ", ".join(f"{visible(name)} {_value(each)}" for name, each in value.items())
        case _:
            return str(value)


def shown(text: str) -> str:
    """A string of a record, safe to print."""
    return visible(unescape(text))

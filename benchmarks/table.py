"""Outcomes as Markdown. Pure."""

from benchmarks.outcome import Outcome, Row, Target
from benchmarks.spread import Spread

_HEADER = "| operation | contestant | median | ratio | quartiles | least - most | target |"
_RULE = "| --- | --- | ---: | ---: | ---: | ---: | --- |"


def markdown(outcome: Outcome) -> str:
    """A heading, a table with one line per operation and contestant, and the notes."""
    lines = [f"### {outcome.title}", "", _HEADER, _RULE]
    for row in outcome.rows:
        lines += _lines(row)
    lines += [f"\n{note}" for note in outcome.notes]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = 0
    while digits < 4 and abs(value) < 100 / 10**digits:
        digits += 1
    return f"{value:,.{digits}f}"


def _lines(row: Row) -> list[str]:
    label, lines = row.operation, []
    for contestant in row.series:
        lines.append(_line(row, contestant, label))
        label = ""
    return lines


def _line(row: Row, contestant: str, label: str) -> str:
    cells = [label, contestant, f"{number(row.values(contestant).median)} {row.unit}"]
    cells += _comparison(row, contestant)
    return "| " + " | ".join(cells) + " |"


def _comparison(row: Row, contestant: str) -> list[str]:
    """The four cells that hold a contestant against the peer, or show its own spread where there is none."""
    if contestant == row.peer:
        return ["1", "", _range(row.values(contestant)) + f" {row.unit}", ""]
    found = row.ratios(contestant)
    shown = row.values(contestant) if found is None else found
    ratio = "" if found is None else f"{number(found.median)} x"
    quartiles = f"{number(shown.lower)} - {number(shown.upper)}"
    return [ratio, quartiles, _range(shown), _target(row, contestant)]


def _range(shown: Spread) -> str:
    return f"{number(shown.least)} - {number(shown.most)}"


def _target(row: Row, contestant: str) -> str:
    if row.target is None or contestant not in row.target.contestants:
        return ""
    aim = _aim(row, row.target)
    if contestant != row.best():
        return aim
    return f"{aim}: **{'met' if row.meets_target() else 'missed'}**"


def _aim(row: Row, target: Target) -> str:
    unit = "x" if target.of == "ratio" else row.unit
    return f"<= {target.at_most:g} {unit}"

"""Writes what was found: JSON, tables, pictures, and the tables once more into the README."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.outcome import Outcome
from benchmarks.rate_plot import rate_plot
from benchmarks.ratio_plot import ratio_plot
from benchmarks.suites import against_entries
from benchmarks.table import markdown

BEGIN = "<!-- results: begin (written by `python -m benchmarks`) -->"
END = "<!-- results: end -->"


def publish(outcome: Outcome, facts: Mapping[str, Any], goal: Path) -> None:
    """Write NAME.json, NAME.md and NAME.svg into a directory."""
    goal.mkdir(parents=True, exist_ok=True)
    record = {"machine": dict(facts), **outcome.as_json()}
    (goal / f"{outcome.name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (goal / f"{outcome.name}.md").write_text(f"{markdown(outcome)}\n{machine(facts)}\n")
    for name, picture in _pictures(outcome).items():
        (goal / f"{name}.svg").write_text(picture)


def update_readme(readme: Path, goal: Path, order: Sequence[str]) -> None:
    """Replace what stands between the markers by the tables of all results in `goal`."""
    before, _, rest = readme.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"`{readme}` has lost its markers for the results")
    parts = [_section(goal / f"{name}.json", goal.name) for name in order if (goal / f"{name}.json").exists()]
    readme.write_text(f"{before}{BEGIN}\n\n{''.join(parts)}{END}{after}")


def machine(facts: Mapping[str, Any]) -> str:
    """The facts in one line."""
    return "Measured on: " + ", ".join(f"{name} {value}" for name, value in facts.items()) + "."


def _section(record: Path, folder: str) -> str:
    data = json.loads(record.read_text())
    outcome = Outcome.from_json(data)
    pictures = "".join(f"![{outcome.title}]({folder}/{name}.svg)\n\n" for name in _pictures(outcome))
    return f"{markdown(outcome)}\n{pictures}{machine(data['machine'])}\n\n"


def _pictures(outcome: Outcome) -> dict[str, str]:
    found = {outcome.name: ratio_plot(outcome)}
    if outcome.name == against_entries.NAME:
        title = "Retrieves a second against the number of entries"
        found[f"{outcome.name}-rate"] = rate_plot(title, against_entries.curves(outcome))
    return {name: picture for name, picture in found.items() if picture is not None}

"""docs/kernel-enforcement.md explains every reason that the kernel has to refuse something."""

import re

from fdstorefs.audit.decision import MEANING, Reason
from fdstorefs.bpf.probe import probe
from fdstorefs.cli.parsing import parser_of
from fdstorefs.cli.serving import ENFORCEMENT
from tests.unit.house.source import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "kernel-enforcement.md").read_text()
FROM_RULES = {Reason.NO_RULE, Reason.FORBIDDEN}


def first_cells(table: str) -> list[str]:
    """What stands in backticks at the beginning of each row."""
    return re.findall(r"^\| `([\w-]+)`", table, re.MULTILINE)


def test_each_reason_has_a_row() -> None:
    """In the table of what to do; and none that there isn't."""
    kernels = {reason for reason, meaning in MEANING.items() if meaning.startswith("kernel:")}
    shown = first_cells(DOCUMENT.partition("<!-- reasons begin")[2].partition("<!-- reasons end")[0])

    assert len(shown) == len(set(shown))
    assert kernels | FROM_RULES == set(shown)


def test_each_way_to_enforce_has_a_row() -> None:
    """As the option takes them."""
    table = DOCUMENT.partition("| `--enforcement` |")[2].partition("\n\n")[0]

    assert list(ENFORCEMENT) == first_cells(table)


def test_the_options_that_are_named_are_there() -> None:
    """Of the enforcer: `enforce --lockdown` and so on."""
    taken = {name for action in parser_of("enforce")._actions for name in action.option_strings}
    named = set(re.findall(r"`(?:fdstorefs )?enforce (--[\w-]+)`", DOCUMENT))

    assert {"--off", "--lockdown"} == named
    assert named <= taken


def test_what_the_doctor_misses_has_a_row() -> None:
    """By the names that he gives it; two are what a kernel has that is new enough."""
    table = DOCUMENT.partition("| it lacks | then |")[2].partition("\n\n")[0]
    shown = [row.split("|")[1].strip() for row in table.splitlines()[2:]]
    names = {finding.name for finding in probe()}
    names -= {"task storage", "ring buffer", "programs for security hooks"}

    assert [] == [name for name in names if not any(name in cell for cell in shown)]

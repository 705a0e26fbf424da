"""abi.py says the same as abi.h: every size and place of a member, every number, as the C compiler has them."""

import enum
import re
import subprocess
from pathlib import Path

import pytest

from fdstorefs.bpf import abi
from fdstorefs.bpf.layout import Layout
from tests.unit.house.source import REPOSITORY

HEADER = REPOSITORY / "bpf" / "abi.h"
MEMBER = "(unsigned long)offsetof(struct {0}, {1}), (unsigned long)sizeof(((struct {0} *)0)->{1})"
NOT_OURS = {
    "FDS_ABI_H",
    "FDS_WORDS",  # what programs are compiled for: FDS_MOST_WORDS is ours
    "FDS_USES",
    "FDS_CAPABILITIES",
}
ENUMS = (abi.Table, abi.Relation, abi.RoleKind, abi.Hook, abi.Reason)


def printed(directory: Path, statements: list[str]) -> list[str]:
    """What a C program prints that includes abi.h."""
    body = "\n".join(statements)
    includes = '#include <linux/types.h>\n#include <stddef.h>\n#include <stdio.h>\n#include "abi.h"\n'
    source = directory / "printer.c"
    source.write_text(f"{includes}int main(void) {{\n{body}\nreturn 0;\n}}\n")
    program = directory / "printer"
    subprocess.run(["gcc", f"-I{HEADER.parent}", "-o", program, source], check=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.split("\n")[:-1]


def compiled_places(directory: Path, layout: Layout) -> dict[str, tuple[int, int]]:
    """Place and size of each member that Python names, and of the whole, as C has them."""
    statements = [f'printf("%lu %lu\\n", {MEMBER.format(layout.name, member)});' for member in layout.members]
    statements.append(f'printf("0 %lu\\n", (unsigned long)sizeof(struct {layout.name}));')
    lines = [line.split() for line in printed(directory, statements)]
    names = [*layout.members, "sizeof"]
    return {name: (int(at), int(size)) for name, (at, size) in zip(names, lines, strict=True)}


@pytest.mark.parametrize("twin", abi.TWINS, ids=lambda twin: twin.LAYOUT.name)
def test_struct(tmp_path: Path, twin: type[abi.Record]) -> None:
    """Every member lies where the compiler puts it, and the whole is as long."""
    layout = twin.LAYOUT

    assert {**layout.places(), "sizeof": (0, layout.size)} == compiled_places(tmp_path, layout)


def test_every_struct_has_a_twin() -> None:
    """But those that Python doesn't touch, and the row, whose length depends on the terms."""
    declared = set(re.findall(r"^struct (\w+) \{", HEADER.read_text(), re.MULTILINE))

    assert declared - {"fds_row", "fds_people"} == {twin.LAYOUT.name for twin in abi.TWINS}


def numbers_in_python() -> dict[str, int]:
    """All numbers of abi.py by their names in C."""
    named = {
        f"FDS_{name}": value for name, value in vars(abi).items() if name.isupper() and isinstance(value, int)
    }
    del named["FDS_ALL_FROM"]  # stands in a comment there
    members: list[enum.IntEnum] = [member for names in ENUMS for member in names]
    return {**named, **{f"FDS_{member.name}": int(member) for member in members}}


def numbers_in_c() -> set[str]:
    """The names of all numbers that abi.h defines."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    macros = set(re.findall(r"#define (FDS_\w+)", text))
    members = {
        name
        for body in re.findall(r"enum \w+ \{(.*?)\}", text, re.DOTALL)
        for name in re.findall(r"FDS_\w+", body)
    }
    return (macros | members) - NOT_OURS


def test_numbers(tmp_path: Path) -> None:
    """Every number has the value that C has."""
    expected = numbers_in_python()
    statements = [f'printf("%llu\\n", (unsigned long long)({name}));' for name in expected]

    assert expected == dict(zip(expected, map(int, printed(tmp_path, statements)), strict=True))


def test_every_number_is_there() -> None:
    """No number of abi.h is missing, and none is made up."""
    aliases = {"FDS_U32", "FDS_U64", "FDS_PAD", "FDS_FLAG"}

    assert numbers_in_c() == set(numbers_in_python()) - aliases

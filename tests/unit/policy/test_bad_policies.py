"""Policies that are refused, each beside everything that is said about it: `bad_policies/*.yaml` and `*.txt`.

Where a message changes on purpose, `python -m tests.unit.policy.test_bad_policies` writes the `.txt` files anew.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fdstorefs.policy
from fdstorefs.policy.diagnostic import PolicyError
from tests.unit.policy.loading import complaints, loaded

DIRECTORY = Path(__file__).parent / "bad_policies"
POLICIES = sorted(DIRECTORY.glob("*.yaml"))

ELSEWHERE = {
    "duplicate-policy": "test_every_error_in_one_run.py",
    "too-long": "test_yaml_traps.py",
    "too-big": "test_policy_files_are_text.py",
    "too-many-items": "test_yaml_traps.py",
    "too-many-rules": "test_every_error_in_one_run.py",
}
"""What takes more than one small file to say, and where it is tested."""


@pytest.mark.parametrize("path", POLICIES, ids=[path.stem for path in POLICIES])
def test_says_all_that_is_wrong(path: Path) -> None:
    """Message, place, underlined text and hint are exactly these."""
    expected = path.with_suffix(".txt").read_text()

    assert expected == complaints(path.name, path.read_bytes())


def test_each_says_something() -> None:
    """No file is here that nothing is wrong with, and no text without its file."""
    assert [] == [path.name for path in POLICIES if not path.with_suffix(".txt").read_text()]
    assert {path.stem for path in POLICIES} == {path.stem for path in DIRECTORY.glob("*.txt")}


def test_every_code_has_an_example() -> None:
    """Whatever the code of the language can say is said about one of these files."""
    said = {code for path in POLICIES for code in _codes(path.read_bytes())} | set(ELSEWHERE)

    assert [] == [code for code in codes_in_source() if not any(re.fullmatch(code, each) for each in said)]


def _codes(data: bytes) -> list[str]:
    try:
        return [diagnostic.code for diagnostic in loaded(data).diagnostics]
    except PolicyError as error:
        return [diagnostic.code for diagnostic in error.diagnostics]


def codes_in_source() -> list[str]:
    """Every code that stands in the front end's source, as a pattern."""
    directory = Path(fdstorefs.policy.__file__).parent
    paths = [directory / "load.py", *directory.glob("parse*.py"), *directory.glob("yaml_*.py")]
    return sorted({code for path in paths for code in _codes_in(ast.parse(path.read_text()))})


def _codes_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and node.args
            and _name(node.func) in ("Wrong", "error", "warning", "_refuse")
        ):
            yield from _pattern(node.args[0])


def _pattern(code: ast.expr) -> Iterator[str]:
    if isinstance(code, ast.Constant):
        yield re.escape(code.value)
    elif isinstance(code, ast.JoinedStr):
        yield "".join(
            re.escape(part.value) if isinstance(part, ast.Constant) else "[a-z-]+" for part in code.values
        )
    elif isinstance(code, ast.IfExp):
        yield from (*_pattern(code.body), *_pattern(code.orelse))


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_codes_are_found_in_the_source() -> None:
    """The search itself works."""
    codes = codes_in_source()

    assert len(codes) > 45
    assert {re.escape(code) for code in ("duplicate-id", "too-deep", "nul-byte", "unused-set")} <= set(codes)


if __name__ == "__main__":
    for bad in POLICIES:
        bad.with_suffix(".txt").write_text(complaints(bad.name, bad.read_bytes()))

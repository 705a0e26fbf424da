"""Texts of the kernel are split at newlines and at nothing else.

`splitlines` takes carriage returns, form feeds and more for ends of lines. Users put those into names of cgroups and
mount points, and with them made lines of their own.
"""

import ast

from tests.unit.house.source import Source, parse, sources


def splits_lines(source: Source) -> bool:
    """Whether it calls a method `splitlines`."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "splitlines" for node in ast.walk(source.tree)
    )


def test_nothing_splits_lines() -> None:
    """No file of the package does."""
    assert [] == [source.name for source in sources() if splits_lines(source)]


def test_this_check_can_fail() -> None:
    """It finds what it looks for."""
    assert splits_lines(parse("host/example.py", "for line in text.splitlines(): pass"))

"""Policies for tests of running instances."""

import os
from collections.abc import Sequence
from pathlib import Path

from fdstorefs.server.enforcement.keeping import DEFAULT_MEANING

__all__ = ["ALLOW_ALL", "DEFAULT_MEANING", "allowing", "arguments", "replace", "write"]

ALLOW_ALL = """\
version: 1
name: mode-bits-decide
rules:
  - {id: everybody, effect: allow, actions: [all]}
"""
"""Leaves everything to the mode bits."""


def allowing(name: str, entries: str, *more: str, actions: str = "all") -> str:
    """A policy that allows everybody some entries; `more` are lines at the top."""
    head = [f"version: 1\nname: {name}", *more]
    rule = f"  - {{id: {name}-allows, effect: allow, actions: [{actions}], entries: ['{entries}']}}"
    return "\n".join([*head, "rules:", rule, ""])


def write(path: Path | str, text: str) -> str:
    """A file that only its owner can write to."""
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
        file.write(text)
    return str(path)


def replace(path: Path | str, text: str) -> None:
    """The same for one that is there: all at once, as it should be done."""
    aside = write(f"{path}.new", text)
    os.replace(aside, path)


def arguments(*paths: Path | str) -> Sequence[str]:
    """What tells a server of them."""
    return [word for path in paths for word in ("--policy", str(path))]

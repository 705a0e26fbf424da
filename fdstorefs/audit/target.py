"""Targets: where the command line sends records."""

import os
from dataclasses import dataclass
from typing import Literal, cast

from fdstorefs.errors import InvalidArgument

Kind = Literal["file", "stderr", "journald", "syslog"]
NONE = "none"

_WITHOUT_PATH = ("stderr", "journald", "syslog")
_HINT = "one of `file:PATH`, `stderr`, `journald`, `syslog`, `none`"


@dataclass(frozen=True, slots=True)
class Target:
    """One place for records. `path` is absolute, and there for a file only."""

    kind: Kind
    path: str = ""

    def __str__(self) -> str:
        return f"file:{self.path}" if self.kind == "file" else self.kind


def parse_targets(words: list[str]) -> tuple[Target, ...]:
    """The targets that are asked for, each once; `none` is no target. InvalidArgument if a word is none.

    A relative path is below the working directory of now.
    """
    if NONE not in words:
        return tuple(dict.fromkeys(map(parse_target, words)))
    if set(words) != {NONE}:
        raise InvalidArgument("`none` and another audit target exclude each other", hint="leave `none` out")
    return ()


def parse_target(word: str) -> Target:
    """One target but `none`. Raises InvalidArgument."""
    if word in _WITHOUT_PATH:
        return Target(cast("Kind", word))
    kind, colon, path = word.partition(":")
    if kind != "file" or not colon:
        raise InvalidArgument(f"`{word}` is not an audit target", hint=_HINT)
    if not path or path.endswith("/") or "\0" in path:
        raise InvalidArgument(f"`{word}` names no file", hint="write `file:/var/log/fdstorefs/audit.jsonl`")
    return Target("file", os.path.abspath(path))

"""A C file with its own headers put in, since bcc rewrites map operations in the main file only."""

import re
from pathlib import Path

_INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def flattened(path: Path) -> str:
    """The text of a file with every `#include "..."` in it replaced by that file's text, once each.

    Names are relative to the file that includes. Lines keep the names and numbers of where they stand.
    """
    return "".join(_lines(path, set()))


def _lines(path: Path, seen: set[Path]) -> list[str]:
    seen.add(path)
    out = [f'#line 1 "{path}"\n']
    for number, line in enumerate(path.read_text().split("\n"), start=1):
        included = _INCLUDE.match(line)
        if included is None:
            out.append(line + "\n")
            continue
        inner = path.parent / included[1]
        if inner not in seen:
            out += _lines(inner, seen)
        out.append(f'#line {number + 1} "{path}"\n')
    return out

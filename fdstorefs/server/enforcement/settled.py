"""Reading policies that stand still: all of them as they were at one moment.

Files are read one after the other. When they change meanwhile, because a link to their directory is swapped or a tool
writes them anew, the old one of this and the new one of that may allow together what neither state of them allows.
So what was read counts only if afterwards everything is where and as it was before.
"""

import os
import time
from collections.abc import Callable, Sequence

from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity
from fdstorefs.server.enforcement.policy_files import PolicyFile, policies_in, read_policy_files
from fdstorefs.server.enforcement.sighting import Sighting, sighting_at, sighting_on_the_way
from fdstorefs.server.enforcement.trail import trail

TRIES = 5
PAUSE_SECONDS = 0.05
"""Between two tries: about as long as it takes to change some files."""


class Unsettled(PolicyError):
    """The policies changed each time while they were read. Nothing is known to be wrong with them."""


def read_settled(
    paths: Sequence[str], has_moved: Callable[[], bool] = lambda: False
) -> tuple[PolicyFile, ...]:
    """The files at these absolute paths, and in directories there, as they were at one moment. May take a while.

    `has_moved` is asked before and after: whether the ways to the files are others than when it was last asked.
    Raises PolicyError with all that is wrong, or Unsettled.
    """
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        has_moved()
        before = _survey(paths)
        read = _read(paths)
        # The files last: until then nothing has changed on the ways to them.
        if has_moved() or not _as_read(read) or before != _survey(paths):
            continue
        if isinstance(read, PolicyError):
            raise read
        return read
    raise _unsettled()


def _read(paths: Sequence[str]) -> tuple[PolicyFile, ...] | PolicyError:
    try:
        return read_policy_files(paths)
    except PolicyError as error:
        return error


def _as_read(read: tuple[PolicyFile, ...] | PolicyError) -> bool:
    """Whether each path still leads to what was read there."""
    return isinstance(read, PolicyError) or all(file.sighting == sighting_at(file.name) for file in read)


def _survey(paths: Sequence[str]) -> dict[str, Sighting | None]:
    """Everything that decides what is read, by path: links, directories that they lead through, and files."""
    found: dict[str, Sighting | None] = {}
    for path in paths:
        _add_way(found, path)
        if os.path.isdir(path):
            _add_files(found, os.path.realpath(path))
    return found


def _add_way(found: dict[str, Sighting | None], path: str) -> None:
    for step in trail(path):
        if step.path not in found:
            found[step.path] = sighting_on_the_way(step.path)


def _add_files(found: dict[str, Sighting | None], directory: str) -> None:
    found[directory] = sighting_at(directory)
    try:
        files = policies_in(directory)
    except OSError:
        return  # whoever reads them is told why
    for file in files:
        if os.path.islink(file):
            _add_way(found, file)
        else:
            found[file] = sighting_on_the_way(file)


def _unsettled() -> Unsettled:
    message = f"the policies changed each of {TRIES} times while they were read"
    hint = "try again once nothing writes to them; to change several at once, swap a link to their directory"
    return Unsettled([Diagnostic(Severity.ERROR, "unsettled-files", message, None, hint)])

"""The enforcer as this server speaks to it: its methods, and what they give."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from fdstorefs.core.guard import Named
from fdstorefs.core.node import Opener, Stasher
from fdstorefs.core.subject import Userns
from fdstorefs.host import syscalls
from fdstorefs.interface import MAX_MESSAGE
from fdstorefs.server.fuse.inodes import presented
from fdstorefs.server.guarding.finding import EnforcementError
from fdstorefs.server.guarding.line import Line, LineLost, Parameters, Refusal

REGISTERING_SECONDS = 20.0
"""It may have to compile for that. It is waited for in a thread."""

FILES_AT_ONCE = 16
"""In one message: it has an answer to each before anybody's patience ends, also on a slow machine."""

TOO_MANY_NAMES, AUTHORITY = "too-many-names", "authority"
_OVERHEAD = 1024

File = tuple[int, Sequence[Named]]
"""A descriptor of an open file, and all its names."""


class Registered(NamedTuple):
    """What came of a registration: the instance's number, and what the kernel enforces now."""

    instance: int
    generation: int
    lockdown: bool
    hooks: tuple[str, ...]
    policies: tuple[str, ...]


class Answer(NamedTuple):
    """What became of an open file. `why` it is not guarded. Without `opener` it was never looked at."""

    guarded: bool
    why: str | None
    opener: Opener | None


class Enforcer:
    """Speaks to it for the instance with the user namespace `userns`. All but `register` raise Refusal or LineLost."""

    def __init__(self, line: Line, userns: Userns) -> None:
        self.line = line
        self._home = userns[0]

    def register(self, mount: str, device: int, previous: int | None) -> Registered:
        """Have the kernel enforce the policy for the mount of this `device`. Raises EnforcementError.

        Blocks: call it in a thread. No descriptor of the mount is left open, which would keep it busy.
        """
        root = os.open(mount, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if syscalls.statx_cached(root).dev != device:
                raise EnforcementError(f"something else is mounted over {mount}", "unmount it first")
            parameters = {"mount": mount, "mountDescriptor": 0, "previous": previous}
            told = self.line.call("Register", parameters, [root], REGISTERING_SECONDS)
        except Refusal as error:
            raise EnforcementError(
                f"the enforcer does not register this instance: {error.message}", error.hint or _HINT
            ) from error
        except LineLost as error:
            raise EnforcementError(str(error), _HINT) from error
        finally:
            os.close(root)
        return _registered(told)

    def protect(self, pidfd: int) -> None:
        """Have the process behind a pidfd treated as this instance's keeper: it may be given what is guarded."""
        self.line.call("Protect", {"process": 0}, [pidfd])

    def succeed(self, pidfd: int) -> None:
        """Have the process behind a pidfd be this instance's server, in our place."""
        self.line.call("Succeed", {"process": 0}, [pidfd])

    def guard(self, files: Sequence[File]) -> list[Answer]:
        """Have open files guarded by their names; one answer for each, in their order."""
        answers: list[Answer] = []
        for lot in _lots(files):
            if isinstance(lot, Answer):
                answers.append(lot)
            else:
                answers += self._guard(*lot)
        return answers

    def _guard(self, files: list[Parameters], descriptors: list[int]) -> list[Answer]:
        told = self.line.call("Guard", {"files": files}, descriptors)
        try:
            answers = [self._answer(each) for each in told["files"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise LineLost(f"the enforcer's answer makes no sense: {error}") from error
        if len(answers) != len(files):
            raise LineLost("the enforcer has answered about more or fewer files than it was asked about")
        return answers

    def release(self, descriptor: int, entries: Sequence[int] = ()) -> None:
        """The instance keeps this open file no longer; these entries held it unguarded. Does not wait."""
        inodes = [presented(number) for number in entries]
        self.line.post("Release", {"descriptor": 0, "inodes": inodes}, [descriptor])

    def _answer(self, told: Parameters) -> Answer:
        who = told["opener"]
        opener = Opener(
            who.get("uid"), who.get("gid"), int(who["capabilities"]), self._as_seen(tuple(who["userns"]))
        )
        return Answer(told["guarded"] is True, told.get("why"), opener)

    def _as_seen(self, chain: Userns) -> Userns:
        """A user namespace as this instance sees it: none above its own, and none above one that is elsewhere."""
        return chain[: chain.index(self._home) + 1] if self._home in chain else chain[:1]


_HINT = "see what it says in its own log; `--enforcement daemon` serves without it"


def _registered(told: Parameters) -> Registered:
    try:
        return Registered(
            int(told["instance"]),
            int(told["generation"]),
            told["lockdown"] is True,
            tuple(map(str, told["hooks"])),
            tuple(map(str, told["policies"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EnforcementError(f"the enforcer's answer makes no sense: {error}", _HINT) from error


Lot = tuple[list[Parameters], list[int]]


def _lots(files: Iterable[File]) -> Iterator[Lot | Answer]:
    """Files as messages can carry them, in order. One that has too much to say for a message has its answer here."""
    lot: Lot = ([], [])
    size = _OVERHEAD
    for descriptor, names in files:
        told = {"descriptor": len(lot[1]), "names": [_name(named) for named in names]}
        more = len(json.dumps(told)) + 2
        if lot[1] and (size + more > MAX_MESSAGE or len(lot[1]) == FILES_AT_ONCE):
            yield lot
            lot, size = ([], []), _OVERHEAD
            told["descriptor"] = 0
        if size + more > MAX_MESSAGE:
            yield Answer(False, TOO_MANY_NAMES, None)
            continue
        lot[0].append(told)
        lot[1].append(descriptor)
        size += more
    if lot[1]:
        yield lot


def _name(named: Named) -> dict[str, Any]:
    return {
        "path": named.path,
        "inode": presented(named.number),
        "label": named.label,
        "stasher": _stasher(named.stasher),
    }


def _stasher(who: Stasher | None) -> dict[str, Any]:
    if who is None:
        return {"uid": None, "gid": None, "capabilities": None, "userns": None}
    return {
        "uid": who.uid if who.known else None,
        "gid": who.gid if who.known else None,
        "capabilities": who.capabilities,
        "userns": None if who.userns is None else list(who.userns),
    }

"""The state file: what the next enforcer must know of this one, and cannot read out of the kernel.

It says what is in force by a digest, so that a restart with the same policies changes nothing; which policies were
switched to another mode than their files say; what policies know each instance by; and, once an enforcer has ended in
order, which names guarded files have. Whatever of it is missing, or is not of this kernel's generation, costs this:
files are delivered to nobody until their servers name them anew, and what no server keeps any more until it is closed.
If all of it is, policies are in their files' modes.
"""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Literal, TypeVar

from fdstorefs.bpf.rows import Extent
from fdstorefs.enforcer.book import GuardedFile
from fdstorefs.enforcer.generation import Generation, Standing
from fdstorefs.enforcer.switched import Switched
from fdstorefs.policy.request import UNKNOWN, EntryFacts, Person, Unsettled
from fdstorefs.policy.vocabulary import Mode
from fdstorefs.server.enforcement.applies import Whereabouts

log = logging.getLogger(__name__)

T = TypeVar("T")

VERSION = 2
MODE = 0o600


@dataclass(frozen=True, slots=True)
class State:
    """As the file has it: digests of the policies and programs in force, standings by instance, files by class set,
    switched modes by policy, and how many of the kernel's lost records are on record as lost.
    """

    generation: int = 0
    policies: str = ""
    programs: str = ""
    instances: dict[int, Standing] = field(default_factory=dict)
    files: dict[int, GuardedFile] = field(default_factory=dict)
    switches: dict[str, Switched] = field(default_factory=dict)
    reported: int = 0


def digest_of_policies(generation: Generation) -> str:
    """The same if nothing would change by putting these policies in force anew."""
    found = sha256()
    policy_set = generation.policy_set
    for text in (generation.everything.mark.hash, repr(sorted(policy_set.modes.items()))):
        found.update(text.encode() + b"\0")
    for source in policy_set.sources:
        found.update(source.text.encode(errors="surrogateescape") + b"\0")
    return found.hexdigest()


@cache
def digest_of_programs() -> str:
    """The same if the programs are."""
    found = sha256()
    for source in sorted(files("fdstorefs.bpf").iterdir(), key=lambda each: each.name):
        if source.name.endswith((".c", ".h")):
            found.update(source.read_bytes())
    return found.hexdigest()


def read_state(path: str) -> State:
    """The state in the file; an empty one if there is none, or none that is understood."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        if _a(int, found["version"]) != VERSION:
            raise ValueError(f"it is of version {found['version']!r}, not {VERSION}")
        return State(
            _a(int, found["generation"]),
            _a(str, found["policies"]),
            _a(str, found["programs"]),
            {int(number): _standing(each) for number, each in found["instances"].items()},
            {int(number): _file(each) for number, each in found["files"].items()},
            {name: _switched(each) for name, each in found["switches"].items()},
            _a(int, found.get("reported", 0)),
        )
    except FileNotFoundError:
        log.info("no former enforcer has left its state at `%s`", path)
        return State()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning(
            "the state of the former enforcer cannot be read, and modes that policies were switched to are lost: %s",
            error,
        )
        return State()


def write_state(path: str, state: State) -> None:
    """Put the state in the file's place, whole. Raises OSError."""
    told = {
        "version": VERSION,
        "generation": state.generation,
        "policies": state.policies,
        "programs": state.programs,
        "instances": {number: _of_standing(each) for number, each in state.instances.items()},
        "files": {number: _of_file(each) for number, each in state.files.items()},
        "switches": {name: [str(each.mode), each.digest] for name, each in state.switches.items()},
        "reported": state.reported,
    }
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(told, file)
    os.replace(temporary, path)


def _switched(found: list[str]) -> Switched:
    mode, digest = found
    return Switched(Mode(mode), _a(str, digest))


def _a(kind: type[T], value: Any) -> T:
    """The value, if it is one of these: what follows relies on it."""
    if type(value) is not kind:
        raise TypeError(f"it has {value!r:.40} in the place of {kind.__name__}")
    return value


def _a_or_none(kind: type[T], value: Any) -> T | None:
    return None if value is None else _a(kind, value)


def _numbers(found: Any) -> tuple[int, ...]:
    return tuple(_a(int, each) for each in _a(list, found))


# Standings


def _of_standing(standing: Standing) -> dict[str, Any]:
    here = standing.here
    return {
        "mount": here.mount,
        "owner": here.owner,
        "cgroup": here.cgroup,
        "uids": _of_extents(standing.uid_extents),
        "gids": _of_extents(standing.gid_extents),
    }


def _standing(found: dict[str, Any]) -> Standing:
    here = Whereabouts(_a(str, found["mount"]), _a(int, found["owner"]), _a_or_none(str, found["cgroup"]))
    return Standing(here, _extents(found["uids"]), _extents(found["gids"]))


def _of_extents(extents: Iterable[Extent]) -> list[list[int]]:
    return [[each.inner, each.outer, each.count] for each in extents]


def _extents(found: Iterable[list[int]]) -> tuple[Extent, ...]:
    return tuple(Extent(*_numbers(each)) for each in found)


# Guarded files


def _of_file(file: GuardedFile) -> dict[str, Any]:
    return {
        "instance": file.instance,
        "names": [_of_facts(facts) for facts in file.names],
        "inodes": sorted(file.inodes),
        "classes": list(file.classes),
    }


def _file(found: dict[str, Any]) -> GuardedFile:
    return GuardedFile(
        _a(int, found["instance"]),
        tuple(map(_facts, found["names"])),
        frozenset(_numbers(found["inodes"])),
        _numbers(found["classes"]),
    )


def _of_facts(facts: EntryFacts) -> dict[str, Any]:
    return {
        "path": facts.path,
        "kind": _told(facts.kind),
        "filesystem": _told(facts.filesystem),
        "access": _told(facts.access),
        "label": facts.label,
        "stasher": _of_person(facts.stasher),
        "opener": _of_person(facts.opener),
    }


def _facts(found: dict[str, Any]) -> EntryFacts:
    return EntryFacts(
        _a(str, found["path"]),
        _or_unknown(str, found["kind"]),
        _or_unknown(str, found["filesystem"]),
        _or_unknown(str, found["access"]),
        _a_or_none(str, found["label"]),
        _person(found["stasher"]),
        _person(found["opener"]),
        guarded=True,
    )


def _of_person(person: Person) -> list[Any]:
    return [_told(person.uid), _told(person.capabilities), _told(person.userns)]


def _person(found: list[Any]) -> Person:
    uid, capabilities, userns = found
    return Person(
        _or_unknown(int, uid),
        _or_unknown(int, capabilities),
        UNKNOWN if userns is None else _numbers(userns),
    )


def _told(value: object) -> Any:
    return None if isinstance(value, Unsettled) else value


def _or_unknown(kind: type[T], value: Any) -> T | Literal[Unsettled.UNKNOWN]:
    return UNKNOWN if value is None else _a(kind, value)

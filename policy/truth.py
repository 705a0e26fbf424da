"""Whether one condition is true, straight from its meaning (docs/policy/semantics.md). Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from fdstorefs.policy.cgroup_globs import fits
from fdstorefs.policy.glob import compiled
from fdstorefs.policy.model import Conditions, Ids, SubjectConditions
from fdstorefs.policy.request import (
    OPEN,
    UNKNOWN,
    EntryFacts,
    Open,
    Person,
    Subject,
    Unknown,
    Userns,
    relation,
)
from fdstorefs.policy.vocabulary import EMPTY, Relation


class Truth(Enum):
    """What can be said of a condition. OPEN: there is no value yet, and whatever serves the subject is taken."""

    FALSE = "false"
    UNKNOWN = "unknown"
    TRUE = "true"
    OPEN = "open"


FALSE: Final = Truth.FALSE
TRUE: Final = Truth.TRUE


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a rule is judged by: the entry under one name, the subject, and whoever stands for the opener."""

    entry: EntryFacts
    subject: Subject
    instance: Userns
    opener: Person


@dataclass(frozen=True, slots=True)
class Key:
    """A condition that a policy can make. `wanted` is None where it doesn't; `found` is the value in question."""

    name: str
    wanted: Callable[[Any], Any]
    found: Callable[[Scene], Any]
    truth: Callable[[Any, Scene], Truth]


def conditions_on_entry(when: Conditions) -> Iterator[tuple[Key, Any]]:
    """What is asked of entry, stasher and opener: each key with what it wants."""
    return _asked(KEYS_OF_ENTRY, when)


def conditions_on_subject(subject: SubjectConditions) -> Iterator[tuple[Key, Any]]:
    """What is asked of the subject."""
    return _asked(KEYS_OF_SUBJECT, subject)


def _asked(keys: tuple[Key, ...], conditions: object) -> Iterator[tuple[Key, Any]]:
    for key in keys:
        wanted = key.wanted(conditions)
        if wanted is not None:
            yield key, wanted


def _of(holds: bool) -> Truth:
    return TRUE if holds else FALSE


def _unsettled(value: object) -> Truth:
    return Truth.OPEN if value is OPEN else Truth.UNKNOWN


def _listed(found: Callable[[Scene], Any]) -> Callable[[frozenset[Any], Scene], Truth]:
    def truth(wanted: frozenset[Any], scene: Scene) -> Truth:
        value = found(scene)
        if value is UNKNOWN or value is OPEN:
            return _unsettled(value)
        return _of(value in wanted)

    return truth


def _entries(globs: tuple[str, ...], scene: Scene) -> Truth:
    return _of(any(compiled(glob).fullmatch(scene.entry.path) for glob in globs))


def _kinds(kinds: frozenset[str], scene: Scene) -> Truth:
    kind = scene.entry.kind
    if kind == EMPTY and EMPTY not in kinds:
        return Truth.OPEN
    return _unsettled(kind) if kind is UNKNOWN else _of(kind in kinds)


def _guarded(wanted: bool, scene: Scene) -> Truth:
    guarded = scene.entry.guarded
    return _of(guarded is wanted) if isinstance(guarded, bool) else _unsettled(guarded)


def _else(ids: Ids) -> Truth:
    """What a value is that isn't listed."""
    return Truth.UNKNOWN if ids.undetermined else FALSE


def _uid_of(whose: Callable[[Scene], Person]) -> Callable[[Ids, Scene], Truth]:
    def truth(ids: Ids, scene: Scene) -> Truth:
        uid = whose(scene).uid
        if uid is UNKNOWN or uid is OPEN:
            return _unsettled(uid)
        if uid in ids.known:
            return TRUE
        if not ids.same:
            return _else(ids)
        own = scene.subject.uid
        if own is UNKNOWN:
            return Truth.UNKNOWN
        return TRUE if uid == own else _else(ids)

    return truth


def _userns_of(whose: Callable[[Scene], Person]) -> Callable[[Scene], Relation | Unknown | Open]:
    def found(scene: Scene) -> Relation | Unknown | Open:
        return relation(whose(scene).userns, scene.subject.userns, scene.instance)

    return found


def _wanted_capabilities(when: Conditions) -> tuple[int | None, bool] | None:
    if when.opener_capabilities is None and not when.opener_no_more:
        return None
    return when.opener_capabilities, when.opener_no_more


def _opener_capabilities(wanted: tuple[int | None, bool], scene: Scene) -> Truth:
    mask, no_more = wanted
    held = scene.opener.capabilities
    if held is OPEN or (held is UNKNOWN and mask is not None):
        return _unsettled(held)
    listed = TRUE if mask is None or held is UNKNOWN else _of(mask & ~held == 0)
    if not no_more or listed is FALSE:
        return listed
    return _no_more(held, scene.subject)


def _no_more(held: int | Unknown, subject: Subject) -> Truth:
    if held is UNKNOWN:
        return Truth.UNKNOWN
    if held == 0:
        return TRUE
    own = subject.capabilities
    return Truth.UNKNOWN if own is UNKNOWN else _of(held & ~own == 0)


def _uid(ids: Ids, scene: Scene) -> Truth:
    uid = scene.subject.uid
    if uid is UNKNOWN:
        return Truth.UNKNOWN
    return TRUE if uid in ids.known else _else(ids)


def _gid(ids: Ids, scene: Scene) -> Truth:
    gids = scene.subject.gids
    if gids is UNKNOWN:
        return Truth.UNKNOWN
    return TRUE if gids & ids.known else _else(ids)


def _cgroup(globs: tuple[str, ...], scene: Scene) -> Truth:
    cgroup = scene.subject.cgroup
    if cgroup is UNKNOWN:
        return Truth.UNKNOWN
    return _of(any(fits(glob, cgroup) for glob in globs))


def _capabilities(mask: int, scene: Scene) -> Truth:
    held = scene.subject.capabilities
    return Truth.UNKNOWN if held is UNKNOWN else _of(mask & ~held == 0)


def _standing(scene: Scene) -> Relation | Unknown | Open:
    return relation(scene.subject.userns, scene.instance, scene.instance)


def _stasher(scene: Scene) -> Person:
    return scene.entry.stasher


def _opener(scene: Scene) -> Person:
    return scene.opener


def _key_of_list(name: str, wanted: Callable[[Any], Any], found: Callable[[Scene], Any]) -> Key:
    return Key(name, wanted, found, _listed(found))


KEYS_OF_ENTRY: tuple[Key, ...] = (
    Key("entries", lambda c: c.entries, lambda s: s.entry.path, _entries),
    Key("kinds", lambda c: c.kinds, lambda s: s.entry.kind, _kinds),
    _key_of_list("filesystems", lambda c: c.filesystems, lambda s: s.entry.filesystem),
    _key_of_list("access", lambda c: c.access, lambda s: s.entry.access),
    Key("guarded", lambda c: c.guarded, lambda s: s.entry.guarded, _guarded),
    _key_of_list("labels", lambda c: c.labels, lambda s: s.entry.label),
    Key("stasher.uid", lambda c: c.stasher_uid, lambda s: s.entry.stasher.uid, _uid_of(_stasher)),
    _key_of_list("stasher.userns", lambda c: c.stasher_userns, _userns_of(_stasher)),
    Key("opener.uid", lambda c: c.opener_uid, lambda s: s.opener.uid, _uid_of(_opener)),
    Key("opener.capabilities", _wanted_capabilities, lambda s: s.opener.capabilities, _opener_capabilities),
    _key_of_list("opener.userns", lambda c: c.opener_userns, _userns_of(_opener)),
)
KEYS_OF_SUBJECT: tuple[Key, ...] = (
    Key("subject.uid", lambda c: c.uid, lambda s: s.subject.uid, _uid),
    Key("subject.gid", lambda c: c.gid, lambda s: s.subject.gids, _gid),
    Key("subject.cgroup", lambda c: c.cgroups, lambda s: s.subject.cgroup, _cgroup),
    Key("subject.capabilities", lambda c: c.capabilities, lambda s: s.subject.capabilities, _capabilities),
    _key_of_list("subject.userns", lambda c: c.userns, _standing),
)

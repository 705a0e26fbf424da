"""Small spaces of requests, each with policies that can tell them apart: all of it can be tried out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from random import Random
from typing import Any

from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.request import (
    OPEN,
    UNKNOWN,
    EntryFacts,
    Open,
    Person,
    Request,
    SubjectFacts,
    Unknown,
    Userns,
)
from fdstorefs.policy.vocabulary import Action, Effect, Mode, OpenerUnknown, Relation

NAMES = ("a", "b", "ab", "x", "a/a", "a/b", "a/x", "b/a", "x/a", "x/x", "a/a/a", "a/b/x", "x/x/x", "b/x/a")
GLOBS = ("a", "a/*", "a/**", "**", "*", "?", "**/a", "[ab]/*", "a*", "*/x/**", "[!a]*", "x/x")
FILES = (
    ("socket", "sockfs"),
    *(("regular", filesystem) for filesystem in ("proc", "ext4", "sockfs", "tmpfs", "nsfs")),
    ("memfd", "tmpfs"),
    ("memfd", "hugetlbfs"),
    *(("directory", filesystem) for filesystem in ("proc", "ext4", "sockfs", "tmpfs", "nsfs")),
)
NOTHING: tuple[tuple[str, Open], ...] = (("empty", OPEN), ("box", OPEN))
UNSURE: tuple[tuple[str | Unknown, str | Unknown], ...] = (
    (UNKNOWN, "proc"),
    (UNKNOWN, UNKNOWN),
    ("regular", UNKNOWN),
    ("socket", UNKNOWN),
)
NAMESPACES = ((1,), (2, 1), (9, 20), (3, 2, 1), (3, 9, 20), (8, 20))
NOBODY = Person(OPEN, OPEN, OPEN)
KINDS = ("socket", "regular", "memfd", "empty", "box")
FILESYSTEMS = ("sockfs", "proc", "tmpfs", "nsfs")
RELATIONS = tuple(Relation)


@dataclass(frozen=True)
class Space:
    """Requests, with everything known or not, and a maker of rules about them."""

    requests: Callable[[], Iterator[Request]]
    conditions: Callable[[Random], dict[str, Any]]


def maybe(random: Random, values: tuple[Any, ...], most: int = 2) -> frozenset[Any] | None:
    return frozenset(random.sample(values, random.randint(1, most))) if random.random() < 0.5 else None


def _files() -> Iterator[Request]:
    actions = (Action.RETRIEVE, Action.STASH, Action.LIST)
    subject = SubjectFacts(1, frozenset(), 0, (1,), "/")
    person = Person(1, 0, (1,))
    files: tuple[tuple[str | Unknown, str | Unknown | Open], ...] = (*FILES, *NOTHING, *UNSURE)
    for action, (kind, filesystem), path in product(actions, files, NAMES):
        nothing = filesystem is OPEN
        opener = NOBODY if nothing else person
        entry = EntryFacts(
            path,
            kind,
            filesystem,
            OPEN if nothing else "rw",
            None,
            person,
            opener,
            OPEN if nothing else False,
        )
        yield Request(action, entry, subject, (1,))


def _file_conditions(random: Random) -> dict[str, Any]:
    globs = maybe(random, GLOBS)
    return {
        "entries": None if globs is None else tuple(sorted(globs)),
        "kinds": maybe(random, KINDS),
        "filesystems": maybe(random, FILESYSTEMS),
    }


def _guards() -> Iterator[Request]:
    actions = (Action.RETRIEVE, Action.STASH, Action.LIST)
    subject = SubjectFacts(1, frozenset(), 0, (1,), "/")
    person = Person(1, 0, (1,))
    modes: tuple[str | Unknown, ...] = ("r", "rw", "w", UNKNOWN)
    guarded: tuple[bool | Unknown, ...] = (True, False, UNKNOWN)
    for action, kind, path in product(actions, ("regular", "memfd", "directory"), ("a", "b", "x")):
        for access, is_guarded in product(modes, guarded):
            entry = EntryFacts(path, kind, "tmpfs", access, None, person, person, is_guarded)
            yield Request(action, entry, subject, (1,))
    for action, kind, path in product(actions, ("empty", "box"), ("a", "b", "x")):
        entry = EntryFacts(path, kind, OPEN, OPEN, None, person, NOBODY, OPEN)
        yield Request(action, entry, subject, (1,))


def _guard_conditions(random: Random) -> dict[str, Any]:
    path = random.choice((None, None, "a", "b"))
    return {
        "entries": None if path is None else (path,),
        "kinds": maybe(random, ("regular", "memfd", "empty", "box")),
        "access": maybe(random, ("r", "rw")),
        "guarded": random.choice((None, True, False)),
    }


def _people() -> Iterator[Request]:
    ids: tuple[int | Unknown, ...] = (1, 2, 3, 4, 5, UNKNOWN)
    kinds = ("regular", "empty", "box")
    for action, kind, own, theirs in product((Action.RETRIEVE, Action.DISCARD), kinds, ids, ids):
        subject = SubjectFacts(own, frozenset(), 0, (1,), "/")
        stasher = Person(theirs, 0, (1,))
        if kind != "regular":
            yield Request(
                action, EntryFacts("x", kind, OPEN, OPEN, None, stasher, NOBODY, OPEN), subject, (1,)
            )
            continue
        for openers in ids:
            entry = EntryFacts("x", kind, "ext4", "rw", None, stasher, Person(openers, 0, (1,)), False)
            yield Request(action, entry, subject, (1,))


def _ids(random: Random, *, same: bool) -> Ids | None:
    if random.random() < 0.5:
        return None
    known = frozenset(random.sample((1, 2), random.randint(0, 2)))
    return Ids(known, same=same and random.random() < 0.6, undetermined=random.random() < 0.2)


def _people_conditions(random: Random) -> dict[str, Any]:
    subjects = [SubjectConditions(uid=_ids(random, same=False)) for _ in range(random.choice((0, 1, 1, 2)))]
    return {
        "stasher_uid": _ids(random, same=True),
        "opener_uid": _ids(random, same=True),
        "subjects": tuple(subjects),
    }


def _powers() -> Iterator[Request]:
    masks: tuple[int | Unknown, ...] = (0, 1, 2, 3, 4, 5, 6, 7, UNKNOWN)
    for own, theirs, stashers in product(masks, masks, (*masks[:1], *masks[5:6], UNKNOWN)):
        subject = SubjectFacts(1, frozenset(), own, (1,), "/")
        entry = EntryFacts(
            "x", "regular", "ext4", "rw", None, Person(1, stashers, (1,)), Person(1, theirs, (1,)), False
        )
        yield Request(Action.RETRIEVE, entry, subject, (1,))
        if theirs is UNKNOWN:
            yield Request(Action.RETRIEVE, _emptied(entry), subject, (1,))


def _emptied(entry: EntryFacts) -> EntryFacts:
    """The entry before there is a file in it, and with it an opener."""
    return replace(entry, kind="empty", filesystem=OPEN, access=OPEN, opener=NOBODY, guarded=OPEN)


def _power_conditions(random: Random) -> dict[str, Any]:
    own = random.choice((None, 1, 2, 3))
    return {
        "opener_capabilities": random.choice((None, None, 1, 2)),
        "opener_no_more": random.random() < 0.4,
        "subjects": () if own is None else (SubjectConditions(capabilities=own),),
    }


def _namespaces() -> Iterator[Request]:
    chains: tuple[Userns | Unknown, ...] = (*NAMESPACES, UNKNOWN)
    for own, stashers, openers in product(chains, chains, chains):
        subject = SubjectFacts(1, frozenset(), 0, own, "/")
        entry = EntryFacts(
            "x", "regular", "ext4", "rw", None, Person(1, 0, stashers), Person(1, 0, openers), False
        )
        yield Request(Action.RETRIEVE, entry, subject, (1,))
        if openers is UNKNOWN:
            yield Request(Action.RETRIEVE, _emptied(entry), subject, (1,))


def _namespace_conditions(random: Random) -> dict[str, Any]:
    return {
        "stasher_userns": maybe(random, RELATIONS),
        "opener_userns": maybe(random, RELATIONS),
        "subjects": (SubjectConditions(userns=maybe(random, RELATIONS)),),
    }


def _groups() -> Iterator[Request]:
    cgroups = [f"/{'/'.join(parts)}" for depth in range(4) for parts in product("abx", repeat=depth)]
    paths: list[str | Unknown] = [*cgroups, UNKNOWN]
    some = [frozenset(gid for gid in (1, 2, 3) if mask >> gid & 1) for mask in range(0, 16, 2)]
    groups: list[frozenset[int] | Unknown] = [*some, UNKNOWN]
    for gids, cgroup in product(groups, paths):
        subject = SubjectFacts(1, gids, 0, (1,), cgroup)
        person = Person(1, 0, (1,))
        yield Request(
            Action.RETRIEVE,
            EntryFacts("x", "regular", "ext4", "rw", None, person, person, False),
            subject,
            (1,),
        )


def _group_conditions(random: Random) -> dict[str, Any]:
    cgroups = maybe(random, ("/", "/a", "/a/**", "/*/b", "/x*", "/b"))
    subject = SubjectConditions(
        gid=_ids(random, same=False), cgroups=None if cgroups is None else tuple(sorted(cgroups))
    )
    return {"subjects": (subject,)}


SPACES = {
    "files": Space(_files, _file_conditions),
    "guards": Space(_guards, _guard_conditions),
    "people": Space(_people, _people_conditions),
    "powers": Space(_powers, _power_conditions),
    "namespaces": Space(_namespaces, _namespace_conditions),
    "groups": Space(_groups, _group_conditions),
}
ACTIONS = (Action.RETRIEVE, Action.STASH, Action.LIST, Action.DISCARD)


def policies(space: Space, random: Random, rules: int) -> list[Policy]:
    """One or two policies about the space, with so many rules together."""
    made = tuple(_rule(space, random, f"r{number}") for number in range(rules))
    cut = random.choice((0, 0, random.randint(0, rules)))
    return [_policy(f"p{number}", part, random) for number, part in enumerate((made[:cut], made[cut:]))]


def _policy(name: str, rules: tuple[Rule, ...], random: Random) -> Policy:
    return Policy(
        name,
        rules,
        mode=Mode.MONITOR if random.random() < 0.15 else Mode.ENFORCE,
        opener_unknown=OpenerUnknown.ASSUME_STASHER if random.random() < 0.3 else OpenerUnknown.DENY,
    )


def _rule(space: Space, random: Random, rule_id: str) -> Rule:
    unless = None
    if random.random() < 0.35:
        given = space.conditions(random)
        unless = Conditions(**{**given, "entries": None, "subjects": given.get("subjects", ())[:1]})
    return Rule(
        rule_id,
        random.choice((Effect.ALLOW, Effect.ALLOW, Effect.FORBID)),
        frozenset(random.sample(ACTIONS, random.randint(1, 3))),
        Conditions(**space.conditions(random)),
        unless,
    )

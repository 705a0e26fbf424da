"""Questions: a request from words, as the command line and cases files give them.

What isn't given:

- `action` and `entry` must be.
- `kind`, `filesystem`, `access`, `guarded`: unknown. A kind that is on one file system only is there. Nothing is in
  an `empty` entry and in a `box`, so these have no file system, access mode and opener to ask about, and nothing to
  guard. `guarded` is `yes` or `no`; it is `no` wherever the kernel does not enforce.
- `label`: the entry has none.
- `uid`: unknown. `gid`: no groups if the uid is given, else unknown. `cap`: no capabilities.
- `cgroup`: unknown. `userns`: `same`, the instance's. It is `same`, `below` or `other` than the instance's.
- `stasher-*`, `opener-*`: unknown, all of them; but where the uid is given, `cap` is no capabilities and `userns` is
  `same`. These are `same`, `below` or `other` than the subject's.
- `also`: the file has no other name.

`unknown` can be given for any value but `action`, `entry`, `label` and `also`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from fdstorefs.policy.diagnostic import quoted
from fdstorefs.policy.kind_filesystems import ONLY_ON, may_be_on
from fdstorefs.policy.names import Names
from fdstorefs.policy.nearest import did_you_mean
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
from fdstorefs.policy.vocabulary import ACCESS, ACTIONS, BOX, CAPABILITIES, EMPTY, KINDS, capability_mask

SINGLE: Final = (
    "action",
    "entry",
    "kind",
    "filesystem",
    "access",
    "guarded",
    "label",
    "uid",
    "cgroup",
    "userns",
    "stasher-uid",
    "stasher-userns",
    "opener-uid",
    "opener-userns",
)
LISTS: Final = ("gid", "cap", "stasher-cap", "opener-cap", "also")
KEYS: Final = (*SINGLE, *LISTS)
USERNS: Final = ("same", "below", "other")
GUARDED: Final = {"yes": True, "no": False}
UNKNOWN_WORD: Final = "unknown"
MAX_ID: Final = 2**32 - 2

INSTANCE: Final[Userns] = (1,)
_OF_SUBJECT: Final[dict[str, Userns]] = {"same": (1,), "below": (2, 1), "other": (9, 20)}
_ELSEWHERE: Final[dict[str, Userns]] = {"same": (9,), "below": (1,), "other": (8, 20)}
"""By the subject's, a user namespace that is neither the subject's nor below it, and can be told to be."""

_OPEN_PERSON: Final = Person(OPEN, OPEN, OPEN)


class QuestionError(ValueError):
    """A question can't be asked so: `key` is the one that is wrong."""

    def __init__(self, key: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.hint = hint


def ask(fields: Mapping[str, Sequence[str] | str], names: Names) -> Request:
    """The request that these words describe. Raises QuestionError."""
    given = _Given(fields, names)
    subject_userns = given.word("userns", USERNS) or "same"
    return Request(
        action=ACTIONS[given.required_word("action", ACTIONS)],
        entry=(entry := _entry(given, subject_userns)),
        subject=_subject(given, subject_userns),
        instance=INSTANCE,
        also=tuple(replace(entry, path=_path("also", name)) for name in given.several("also")),
    )


class _Given:
    """The words that were given, by key."""

    def __init__(self, fields: Mapping[str, Sequence[str] | str], names: Names) -> None:
        self._fields = {
            key: [value] if isinstance(value, str) else list(value) for key, value in fields.items()
        }
        self._names = names
        for key in self._fields:
            if key not in KEYS:
                raise QuestionError(key, f"there is no {quoted(key)} in a request", did_you_mean(key, KEYS))

    def has(self, key: str) -> bool:
        return bool(self._fields.get(key))

    def several(self, key: str) -> list[str]:
        return self._fields.get(key, [])

    def one(self, key: str) -> str | None:
        values = self.several(key)
        if len(values) > 1:
            raise QuestionError(key, f"{quoted(key)} is given {len(values)} times", "a request has one")
        return values[0] if values else None

    def required(self, key: str) -> str:
        value = self.one(key)
        if value is None:
            raise QuestionError(key, f"the request has no {quoted(key)}", f"say which {key} it is about")
        return value

    def required_word(self, key: str, known: Iterable[str]) -> str:
        return _known(key, self.required(key), known)

    def word(self, key: str, known: Iterable[str]) -> str | None:
        """One of the known words, or `unknown`; None where nothing is given."""
        value = self.one(key)
        return value if value is None or value == UNKNOWN_WORD else _known(key, value, known)

    def uid(self, key: str) -> int | Unknown:
        value = self.one(key)
        return (
            UNKNOWN if value is None or value == UNKNOWN_WORD else _id(key, value, self._names.user, "user")
        )

    def gids(self) -> frozenset[int] | Unknown:
        values = self.several("gid")
        if UNKNOWN_WORD in values or not (values or self.has("uid")):
            return UNKNOWN
        return frozenset(_id("gid", value, self._names.group, "group") for value in values)

    def capabilities(self, key: str) -> int | Unknown:
        values = self.several(key)
        if UNKNOWN_WORD in values:
            return UNKNOWN
        return capability_mask([_capability(key, value) for value in values])


def _known(key: str, value: str, known: Iterable[str]) -> str:
    words = list(known)
    if value not in words:
        hint = did_you_mean(value, words) or f"it is one of {', '.join(words)}"
        raise QuestionError(key, f"{quoted(value)} is no {key}", hint)
    return value


def _id(key: str, value: str, find: Callable[[str], int | None], what: str) -> int:
    if value.isascii() and value.isdigit():
        number = int(value)
        if number > MAX_ID:
            raise QuestionError(key, f"{quoted(value)} is no {key}: the highest is {MAX_ID}")
        return number
    found = find(value)
    if found is None:
        raise QuestionError(key, f"there is no {what} {quoted(value)}", "a number always works")
    return found


def _capability(key: str, value: str) -> str:
    name = value.upper()
    if name not in CAPABILITIES and f"CAP_{name}" in CAPABILITIES:
        return f"CAP_{name}"
    if name not in CAPABILITIES:
        hint = did_you_mean(name, CAPABILITIES)
        raise QuestionError(key, f"there is no capability {quoted(value)}", hint)
    return name


def _path(key: str, value: str) -> str:
    if value.startswith("/"):
        raise QuestionError(key, f"{quoted(value)} has a leading slash", "names are relative to the mount")
    if "\0" in value or any(part in ("", ".", "..") for part in value.split("/")):
        hint = "a name has no empty component, `.` or `..`, and no NUL"
        raise QuestionError(key, f"{quoted(value)} is no name of an entry", hint)
    return value


def _subject(given: _Given, userns: str) -> SubjectFacts:
    return SubjectFacts(
        uid=given.uid("uid"),
        gids=given.gids(),
        capabilities=given.capabilities("cap"),
        userns=UNKNOWN if userns == UNKNOWN_WORD else _OF_SUBJECT[userns],
        cgroup=_cgroup(given),
    )


def _cgroup(given: _Given) -> str | Unknown:
    value = given.one("cgroup")
    if value is None or value == UNKNOWN_WORD:
        return UNKNOWN
    if not value.startswith("/"):
        hint = f"write {quoted('/' + value)}: the path as in /proc/<pid>/cgroup, after the colons"
        raise QuestionError("cgroup", f"{quoted(value)} has no leading slash", hint)
    return value


def _entry(given: _Given, subject_userns: str) -> EntryFacts:
    kind = given.word("kind", KINDS)
    holds_nothing = kind in (EMPTY, BOX)
    if holds_nothing:
        _refuse_what_is_not_there(given, kind)
    return EntryFacts(
        path=_path("entry", given.required("entry")),
        kind=_settled(kind),
        filesystem=OPEN if holds_nothing else _filesystem(given, kind),
        access=OPEN if holds_nothing else _settled(given.word("access", ACCESS)),
        label=given.one("label"),
        stasher=_person(given, "stasher", subject_userns),
        opener=_OPEN_PERSON if holds_nothing else _person(given, "opener", subject_userns),
        guarded=OPEN if holds_nothing else _guarded(given),
    )


def _settled(word: str | None) -> str | Unknown:
    return UNKNOWN if word is None or word == UNKNOWN_WORD else word


def _guarded(given: _Given) -> bool | Unknown:
    word = given.one("guarded")
    if word is None or word == UNKNOWN_WORD:
        return UNKNOWN
    if word not in GUARDED:
        hint = f"it is one of {', '.join((*GUARDED, UNKNOWN_WORD))}"
        raise QuestionError("guarded", f"{quoted(word)} doesn't say whether the file is guarded", hint)
    return GUARDED[word]


def yes_or_no(guarded: bool) -> str:
    """The word for `guarded`."""
    return next(word for word, means in GUARDED.items() if means is guarded)


def _refuse_what_is_not_there(given: _Given, kind: str | None) -> None:
    for key in ("filesystem", "access", "guarded", "opener-uid", "opener-cap", "opener-userns"):
        if given.has(key):
            message = f"{quoted(kind or '')} holds no file, so there is no {quoted(key)} to tell of it"
            raise QuestionError(key, message, "leave it out")


def _filesystem(given: _Given, kind: str | None) -> str | Unknown | Open:
    value = given.one("filesystem")
    possible = ONLY_ON.get(kind or "", frozenset())
    if value is None:
        return next(iter(possible)) if len(possible) == 1 else UNKNOWN
    if value == UNKNOWN_WORD:
        return UNKNOWN
    if kind is not None and not may_be_on(kind, value):
        hint = f"it is on {' or '.join(sorted(possible))}"
        raise QuestionError("filesystem", f"no {kind} is on {quoted(value)}", hint)
    return value


def _person(given: _Given, who: str, subject_userns: str) -> Person:
    has_uid = given.has(f"{who}-uid")
    has_capabilities = has_uid or given.has(f"{who}-cap")
    userns = given.word(f"{who}-userns", USERNS) or ("same" if has_uid else UNKNOWN_WORD)
    return Person(
        uid=given.uid(f"{who}-uid"),
        capabilities=given.capabilities(f"{who}-cap") if has_capabilities else UNKNOWN,
        userns=_userns(userns, subject_userns),
    )


def _userns(word: str, subject_userns: str) -> Userns | Unknown:
    if UNKNOWN_WORD in (word, subject_userns):
        return UNKNOWN
    subject = _OF_SUBJECT[subject_userns]
    if word == "same":
        return subject
    return (3, *subject) if word == "below" else _ELSEWHERE[subject_userns]

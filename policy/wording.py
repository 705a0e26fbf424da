"""Conditions in words: what was found, and what a rule wanted. Pure."""

from collections.abc import Callable, Iterable
from typing import Any

from fdstorefs.policy.diagnostic import printable
from fdstorefs.policy.model import Ids
from fdstorefs.policy.request import OPEN, UNKNOWN
from fdstorefs.policy.truth import Truth
from fdstorefs.policy.vocabulary import EMPTY, SAME, Action, capability_names

MOST_LISTED = 6
"""Most values of one list that are written out."""


def sentence(key: str, wanted: Any, found: Any, truth: Truth) -> str:
    """One condition as it turned out: `subject.uid is 1000, not 33`."""
    is_what = f"{name_of(key)} is {found_in_words(key, found)}"
    wish = wanted_in_words(key, wanted)
    match truth:
        case Truth.TRUE:
            return is_what
        case Truth.FALSE:
            return f"{is_what}, {_missed(key, wish)}"
        case Truth.OPEN:
            return f"{name_of(key)} is open: nothing is there yet"
        case Truth.UNKNOWN:
            verb, whatever = verb_and_object(key, wanted)
            return f"{is_what}, so it can't be told whether it {_VERBS[verb]} {whatever}"


def name_of(key: str) -> str:
    """What people call a key."""
    return _NAMES.get(key, key)


_NAMES = {
    "actions": "the action",
    "entries": "the name",
    "kinds": "the kind",
    "filesystems": "the file system",
    "access": "the access mode",
    "labels": "the label",
}


def _missed(key: str, wish: str) -> str:
    if key in ("entries", "subject.cgroup"):
        return f"which doesn't fit {wish}"
    if key in ("subject.capabilities", "opener.capabilities"):
        return f"which lacks {wish}" if NO_MORE_IN_WORDS not in wish else f"not {wish}"
    return f"not {wish}"


NO_MORE_IN_WORDS = "no more than the subject's"
_VERBS = {"be": "is", "fit": "fits", "contain": "contains"}


def verb_and_object(key: str, wanted: Any) -> tuple[str, str]:
    """How a value is as a rule wants it: `be`, `33`; `fit`, `` `a/**` ``; `contain`, `CAP_CHOWN`."""
    wish = wanted_in_words(key, wanted)
    if key in ("entries", "subject.cgroup"):
        return "fit", wish
    if key == "subject.capabilities" or (key == "opener.capabilities" and wanted[0] is not None):
        return "contain", wish
    return "be", wish


def found_in_words(key: str, found: Any) -> str:
    """A value of a request: `1000`, `` `a/b` ``, `unknown`."""
    if found is UNKNOWN:
        return "unknown"
    if found is OPEN:
        return "open"
    return _FOUND.get(key, _plain)(found)


def _plain(found: Any) -> str:
    if found is None:
        return "none"
    if isinstance(found, bool):
        return "true" if found else "false"
    return found.word if isinstance(found, Action) else printable(str(found))


def _quoted(found: str) -> str:
    return f"`{printable(found)}`"


def _mask(found: int) -> str:
    return ", ".join(capability_names(found)) or "none"


def _numbers(found: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(found))) or "none"


_FOUND: dict[str, Callable[[Any], str]] = {
    "entries": _quoted,
    "subject.cgroup": _quoted,
    "labels": lambda found: "none" if found is None else _quoted(found),
    "kinds": lambda found: "empty" if found == EMPTY else printable(found),
    "subject.gid": _numbers,
    "subject.capabilities": _mask,
    "opener.capabilities": _mask,
}


def wanted_in_words(key: str, wanted: Any) -> str:
    """What a rule wants of a key: `33 or 34`, `` `a/**` ``."""
    in_words: Callable[[Any], str] = _WANTED.get(key, _any_of)
    return in_words(wanted)


def _any_of(wanted: Iterable[Any]) -> str:
    return either(sorted(map(_plain, wanted)))


def either(words: list[str]) -> str:
    """Words of which one will do; a long list is cut."""
    if len(words) > MOST_LISTED:
        words = [*words[: MOST_LISTED - 1], f"one of {len(words) - MOST_LISTED + 1} more"]
    return " or ".join(words) or "anything on an empty list"


def _ids(ids: Ids) -> str:
    words = list(map(str, sorted(ids.known)))
    if ids.same:
        words.append("the subject's own" if ids.known else f"the subject's own (`{SAME}`)")
    if ids.undetermined:
        words.append("an id of the host that can't be told here")
    return either(words)


def _globs(globs: tuple[str, ...]) -> str:
    return either([f"`{printable(glob)}`" for glob in globs])


def _opener_capabilities(wanted: tuple[int | None, bool]) -> str:
    mask, no_more = wanted
    words = [] if mask is None else [_mask(mask)]
    return ", and be ".join([*words, NO_MORE_IN_WORDS] if no_more else words)


_WANTED: dict[str, Callable[[Any], str]] = {
    "entries": _globs,
    "subject.cgroup": _globs,
    "guarded": _plain,
    "labels": lambda wanted: either([f"`{printable(label)}`" for label in sorted(wanted)]),
    "subject.uid": _ids,
    "subject.gid": _ids,
    "stasher.uid": _ids,
    "opener.uid": _ids,
    "subject.capabilities": _mask,
    "opener.capabilities": _opener_capabilities,
}

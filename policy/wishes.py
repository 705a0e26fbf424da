"""Wishes in words: what would have to hold for a condition to turn out otherwise. Pure."""

from collections.abc import Iterable

from fdstorefs.policy.evaluate import UNLESS, Condition
from fdstorefs.policy.truth import Truth
from fdstorefs.policy.wording import name_of, verb_and_object


def to_hold(conditions: Iterable[Condition]) -> str:
    """All of them at once: `subject.uid would have to be 33, and subject.cgroup to fit ...`."""
    given = list(conditions)
    separator = "; " if any(each.truth is Truth.UNKNOWN for each in given) else ", and "
    return _joined([(each.key, _wish(each)) for each in given], separator)


def to_fail(conditions: Iterable[Condition]) -> str:
    """One of them: `the kind would have to not be socket, or subject.uid to not be 33`."""
    return _joined([(each.key, _refusal(each)) for each in conditions], ", or ")


def _joined(wishes: list[tuple[str, str]], separator: str) -> str:
    named = [(name_of(key.removeprefix(UNLESS)), wish) for key, wish in wishes]
    first, *others = named
    return separator.join(
        [f"{first[0]} would have to {first[1]}", *(f"{name} to {wish}" for name, wish in others)]
    )


def _parts(condition: Condition) -> tuple[str, str]:
    return verb_and_object(condition.key.removeprefix(UNLESS), condition.wanted)


def _wish(condition: Condition) -> str:
    verb, wanted = _parts(condition)
    if condition.truth is not Truth.UNKNOWN:
        return f"{verb} {wanted}"
    return f"be known, and {_known_to(verb)}{wanted}"


def _refusal(condition: Condition) -> str:
    verb, wanted = _parts(condition)
    if condition.truth is not Truth.UNKNOWN:
        return f"not {verb} {wanted}"
    return f"be known, and not {_known_to(verb)}{wanted}"


def _known_to(verb: str) -> str:
    """After `be known, and`, where another `be` is one too many."""
    return "" if verb == "be" else f"to {verb} "

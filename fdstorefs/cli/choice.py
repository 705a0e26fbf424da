"""Which verb a command line names, and what to say to one that names none."""

from collections.abc import Iterable, Sequence

from fdstorefs.cli.failure import UsageError
from fdstorefs.cli.verbs import FAMILIES, VERBS, members

HELP = ("--help", "-h")


def choose(words: Sequence[str]) -> tuple[str, list[str]]:
    """The verb that the first word, or the first two, name, and what follows. Raises UsageError."""
    first, *rest = words
    if first in VERBS:
        return first, rest
    if first in FAMILIES:
        return _member(first, rest)
    raise UsageError(
        f"`{first}` is no command of fdstorefs",
        hint=_close(first, [*VERBS, *FAMILIES]) or "`fdstorefs --help` lists them",
    )


def _member(family: str, rest: Sequence[str]) -> tuple[str, list[str]]:
    known = members(family)
    if not rest:
        raise UsageError(f"`fdstorefs {family}` needs to know what to do", hint=_all_of(family, known))
    second, *arguments = rest
    if second in known:
        return f"{family} {second}", arguments
    raise UsageError(
        f"`{second}` is no command of `fdstorefs {family}`",
        hint=_close(second, known, f"{family} ") or _all_of(family, known),
    )


def _close(word: str, known: Iterable[str], before: str = "") -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f"did you mean `{before}{close[0]}`?" if close else None


def _all_of(family: str, known: Iterable[str]) -> str:
    return f"one of {', '.join(known)}; `fdstorefs {family} --help` says what each does"

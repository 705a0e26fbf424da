"""Single values: texts, names, words, numbers. Whatever isn't right is raised as Wrong."""

import re
from collections.abc import Collection

from fdstorefs.policy.definitions import Key
from fdstorefs.policy.diagnostic import quoted
from fdstorefs.policy.findings import Wrong
from fdstorefs.policy.nearest import did_you_mean
from fdstorefs.policy.nodes import Node, Scalar, what
from fdstorefs.policy.value_types import Type
from fdstorefs.policy.vocabulary import VERSION
from fdstorefs.policy.yaml_traps import DECIMAL, NUMBER, NUMBERS, meaning, type_of_plain

MAX_NUMBER = 2**32 - 2
"""The largest number there is; as an id, one more means none (user_namespaces(7))."""

MAX_LENGTH = 4096
"""Most characters of a value; no path is longer (PATH_MAX, limits.h)."""

BOOLEANS = {"true": True, "false": False}
"""Without quotes; YAML readers know many other spellings."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_NAME = re.compile(NAME)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_PROSE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def scalar(node: Node, key: Key) -> Scalar:
    """The node, which must be one value and be there; what isn't prose is short and on one line."""
    if not isinstance(node, Scalar):
        message = f"`{key.name}` takes {key.type.value}, not {what(node)}"
        raise Wrong("wrong-type", message, node.span, example(key))
    if node.plain and not node.text:
        raise Wrong("empty-value", f"`{key.name}` has no value", node.span, example(key))
    if key.type is not Type.TEXT:
        _refuse_prose(node)
    return node


def _refuse_prose(node: Scalar) -> None:
    if node.line != node.end_line:
        hint = "write it on one line; each item of a list begins with its own `-`"
        raise Wrong("several-lines", "YAML makes one value of these lines", node.span, hint)
    if len(node.text) > MAX_LENGTH:
        message = f"this has {len(node.text):,} characters"
        raise Wrong("too-long", message, node.span, f"at most {MAX_LENGTH:,} are taken, as no path is longer")


def as_written(node: Scalar) -> str:
    """The scalar as a message shows it where quotes make the difference."""
    return quoted(node.text if node.plain else f'"{node.text}"')


def example(key: Key) -> str:
    """A hint that shows how the key is used."""
    return f"for example `{key.example}`"


def text(node: Node, key: Key) -> str:
    """A text that no YAML reader takes for anything else."""
    return _text(scalar(node, key), _CONTROL)


def prose(node: Node, key: Key) -> str:
    """A text that may have several lines."""
    return _text(scalar(node, key), _CONTROL_IN_PROSE)


def _text(node: Scalar, forbidden: re.Pattern[str]) -> str:
    refuse_trap(node)
    found = forbidden.search(node.text)
    if found is not None:
        message = f"{quoted(found.group())} can't stand in a text"
        raise Wrong("forbidden-character", message, node.span, "control characters have no place in a policy")
    if not node.text:
        raise Wrong("empty-value", "the text is empty", node.span, "write something, or leave the key out")
    return node.text


def refuse_trap(node: Scalar) -> None:
    """Raises Wrong for an unquoted word that is no text to other YAML readers."""
    kind = type_of_plain(node.text) if node.plain else None
    if kind is not None:
        message = f"{quoted(node.text)} without quotes is {meaning(kind)} in YAML"
        raise Wrong("yaml-trap", message, node.span, f'write `"{node.text}"` for the text')


def name(node: Node, key: Key) -> str:
    """A name as rules, sets and policies have it."""
    return checked_name(scalar(node, key), f"`{key.name}`")


def checked_name(node: Scalar, whose: str) -> str:
    """The scalar's text, which must fit NAME; `whose` begins the message."""
    refuse_trap(node)
    if not _NAME.fullmatch(node.text):
        hint = "use letters, digits, `.`, `_` and `-`, a letter or digit first, at most 64 of them"
        raise Wrong("bad-name", f"{whose} can't be {quoted(node.text)}", node.span, hint)
    return node.text


def is_name(candidate: str) -> bool:
    """Whether a text fits NAME."""
    return _NAME.fullmatch(candidate) is not None


def word(node: Scalar, noun: str, known: Collection[str]) -> str:
    """One of the known words."""
    if node.text in known:
        return node.text
    hint = did_you_mean(node.text, known) or f"one of {', '.join(f'`{each}`' for each in known)}"
    raise Wrong(
        f"unknown-{noun.replace(' ', '-')}", f"there is no {noun} {quoted(node.text)}", node.span, hint
    )


def boolean(node: Node, key: Key) -> bool:
    """`true` or `false`, and none of their many other spellings."""
    only = scalar(node, key)
    if only.plain and only.text in BOOLEANS:
        return BOOLEANS[only.text]
    message = f"`{key.name}` takes {key.type.value}, not {as_written(only)}"
    raise Wrong("wrong-type", message, only.span, "in small letters and without quotes")


def version(node: Node, key: Key) -> int:
    """The version, if there is such a one."""
    only = scalar(node, key)
    if only.plain and only.text == str(VERSION):
        return VERSION
    message = f"there is no version {as_written(only)} of the language"
    raise Wrong("unknown-version", message, only.span, f"write `version: {VERSION}`")


def count(node: Node, key: Key) -> int:
    """A number of things."""
    only = scalar(node, key)
    if not only.plain:
        message = f"{quoted(only.text)} in quotes is a text, and `{key.name}` takes {key.type.value}"
        raise Wrong("bad-number", message, only.span, "take the quotes away")
    return decimal(only)


def decimal(node: Scalar) -> int:
    """A number from 0 to MAX_NUMBER, in decimal and without signs or zeros before it."""
    kind = type_of_plain(node.text)
    if kind != DECIMAL:
        raise _not_decimal(node, kind)
    if len(node.text) > len(str(MAX_NUMBER)) or int(node.text) > MAX_NUMBER:
        message = f"{quoted(node.text)} is too large"
        raise Wrong("bad-number", message, node.span, f"the largest number is {MAX_NUMBER}")
    return int(node.text)


def _not_decimal(node: Scalar, kind: str | None) -> Wrong:
    if node.text.startswith("-") and kind in NUMBERS:
        return Wrong(
            "bad-number", f"{quoted(node.text)} is negative", node.span, "write a number from 0 upwards"
        )
    if kind is None:
        return Wrong("bad-number", f"{quoted(node.text)} is no number", node.span, "write digits only")
    if kind == NUMBER:
        return Wrong(
            "bad-number", f"{quoted(node.text)} is no whole decimal number", node.span, "write digits only"
        )
    wanted = "a decimal one" if kind in NUMBERS else "a number"
    message = f"{quoted(node.text)} is {meaning(kind)} in YAML, not {wanted}"
    return Wrong("yaml-trap", message, node.span, "write digits only, without a zero before them")

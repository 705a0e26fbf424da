"""Uids and gids: numbers, names, ids of the host, and `same`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fdstorefs.policy.diagnostic import quoted
from fdstorefs.policy.findings import Wrong
from fdstorefs.policy.model import Ids
from fdstorefs.policy.nodes import Scalar
from fdstorefs.policy.parse_scalars import as_written, decimal
from fdstorefs.policy.vocabulary import SAME
from fdstorefs.policy.yaml_traps import DECIMAL, NUMBERS, meaning, type_of_plain

HOST = "host:"
"""Before a number: an id as the host has it, not the instance."""

_DIGITS = re.compile(r"[0-9]+")
_RANGE = re.compile(r"[0-9]+\s*(?:-|\.\.+|:)\s*[0-9]+")
_FORBIDDEN = re.compile("[\x00-\x20\x7f-\x9f:/\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class IdKind:
    """Users or groups: what they are called, who knows them, and why `same` says nothing (None: it does)."""

    id: str
    owner: str
    find: Callable[[str], int | None]
    translate: Callable[[int], int | None]
    why_not_same: str | None = None


def one_id(node: Scalar, kind: IdKind) -> Ids:
    """What one item stands for; raises Wrong."""
    if node.text == SAME:
        return _same(node, kind)
    if node.text.startswith(HOST):
        return _of_host(node, kind)
    if node.plain and type_of_plain(node.text) is not None:
        return Ids(frozenset({_number(node, kind)}))
    return Ids(frozenset({_by_name(node, kind)}))


def merged(ids: Iterable[Ids]) -> Ids:
    """All of them as one."""
    every = list(ids)
    return Ids(
        frozenset().union(*(each.known for each in every)),
        any(each.same for each in every),
        any(each.undetermined for each in every),
    )


def _same(node: Scalar, kind: IdKind) -> Ids:
    if kind.why_not_same is not None:
        message = f"`same` has no meaning here: {kind.why_not_same}"
        raise Wrong(
            "misplaced-same",
            message,
            node.span,
            f"write {kind.id}s; `same` is for the uid of `stasher` and `opener`",
        )
    return Ids(same=True)


def _of_host(node: Scalar, kind: IdKind) -> Ids:
    after = node.text.removeprefix(HOST)
    if type_of_plain(after) != DECIMAL:
        message = f"{quoted(node.text)} is no {kind.id} of the host"
        hint = f"after `{HOST}` stands the number: names may mean something else there"
        raise Wrong(f"bad-{kind.id}", message, node.span, hint)
    where = (node.line, node.column, node.end_line, node.end_column)
    translated = kind.translate(decimal(Scalar(node.source, where, after, plain=True)))
    return Ids(undetermined=True) if translated is None else Ids(frozenset({translated}))


def _number(node: Scalar, kind: IdKind) -> int:
    trap = type_of_plain(node.text)
    if trap in NUMBERS:
        return decimal(node)
    message = f"{quoted(node.text)} without quotes is {meaning(trap or '')} in YAML, not a {kind.owner}"
    raise Wrong("yaml-trap", message, node.span, f'write `"{node.text}"` for the name')


def _by_name(node: Scalar, kind: IdKind) -> int:
    if _DIGITS.fullmatch(node.text):
        message = f"{as_written(node)} in quotes is a name, not a {kind.id}"
        raise Wrong(f"bad-{kind.id}", message, node.span, f"take the quotes away for the {kind.id}")
    if _RANGE.fullmatch(node.text):
        message = f"{quoted(node.text)} is a range, and there are no ranges of {kind.id}s"
        raise Wrong(
            f"bad-{kind.id}", message, node.span, f"list the {kind.id}s, or ask for a `cgroup` or `userns`"
        )
    if not node.text or _FORBIDDEN.search(node.text):
        message = f"{quoted(node.text)} is no name of a {kind.owner}"
        raise Wrong(f"bad-{kind.id}", message, node.span, f"write a {kind.owner} name or a number")
    found = kind.find(node.text)
    if found is None:
        message = f"there is no {kind.owner} {quoted(node.text)} here"
        hint = f"make the {kind.owner} first, or write the {kind.id} as a number"
        raise Wrong(f"unknown-{kind.owner}", message, node.span, hint)
    return found

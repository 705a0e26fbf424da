"""Values by type: for each type of the definitions, how a node becomes what the model has."""

import re
from collections.abc import Callable, Collection
from typing import Any, TypeAlias, TypeVar

from fdstorefs.policy import parse_scalars
from fdstorefs.policy.definitions import Key, Place
from fdstorefs.policy.diagnostic import quoted
from fdstorefs.policy.filesystems import FILESYSTEMS, is_known
from fdstorefs.policy.findings import Wrong
from fdstorefs.policy.model import Ids
from fdstorefs.policy.nearest import did_you_mean
from fdstorefs.policy.nodes import Node, Scalar, Sequence
from fdstorefs.policy.parse_ids import IdKind, merged, one_id
from fdstorefs.policy.parse_paths import absolute_glob, absolute_path, entry_glob
from fdstorefs.policy.reading import Reading
from fdstorefs.policy.value_types import Type
from fdstorefs.policy.vocabulary import (
    ACCESS,
    ACTIONS,
    ALL,
    CAPABILITIES,
    KINDS,
    NO_MORE,
    ON_ENTRIES,
    USERNS_WORDS,
    Action,
    Effect,
    Mode,
    OpenerUnknown,
    Relation,
)

Item = TypeVar("Item")
Reader: TypeAlias = Callable[[Node, Key, Reading], Any]

_FILESYSTEM = re.compile(r"[a-z0-9._-]+")


def items(node: Node, key: Key, reading: Reading, read: Callable[[Scalar], Item]) -> list[Item]:
    """Each item of a list, or the one value that stands for a list of one. Items that are wrong are left out."""
    if not isinstance(node, Sequence):
        return [read(parse_scalars.scalar(node, key))]
    if not node.items:
        message = f"`{key.name}` is a list that can match nothing"
        raise Wrong("empty-list", message, node.span, "leave the key out if it doesn't matter")
    found: list[Item] = []
    for item in unrepeated(node, key, reading):
        try:
            found.append(read(parse_scalars.scalar(item, key)))
        except Wrong as wrong:
            reading.findings.add(wrong.diagnostic)
    return found


def unrepeated(node: Sequence, key: Key, reading: Reading) -> list[Node]:
    """The items, without those that were there before: a slip, but a harmless one."""
    seen: set[tuple[str, bool]] = set()
    kept: list[Node] = []
    for item in node.items:
        if isinstance(item, Scalar):
            if (item.text, item.plain) in seen:
                message = f"{quoted(item.text)} is in `{key.name}` twice"
                reading.findings.warning("repeated-value", message, item.span, "once is enough")
                continue
            seen.add((item.text, item.plain))
        kept.append(item)
    return kept


def _words(noun: str, known: Collection[str]) -> Reader:
    def read(node: Node, key: Key, reading: Reading) -> frozenset[str]:
        return frozenset(items(node, key, reading, lambda item: parse_scalars.word(item, noun, known)))

    return read


def _texts(node: Node, key: Key, reading: Reading) -> frozenset[str]:
    return frozenset(items(node, key, reading, lambda item: parse_scalars.text(item, key)))


def _actions(node: Node, key: Key, reading: Reading) -> frozenset[Action]:
    known = (*ACTIONS, ALL)
    words = items(node, key, reading, lambda item: parse_scalars.word(item, "action", known))
    named = frozenset(ACTIONS[word] for word in words if word != ALL)
    return named | ON_ENTRIES if ALL in words else named


def _filesystems(node: Node, key: Key, reading: Reading) -> frozenset[str]:
    return frozenset(items(node, key, reading, lambda item: _filesystem(item, key, reading)))


def _filesystem(node: Scalar, key: Key, reading: Reading) -> str:
    name = parse_scalars.text(node, key)
    if not _FILESYSTEM.fullmatch(name):
        hint = did_you_mean(name, FILESYSTEMS) or "such names have small letters, digits, `.`, `_` and `-`"
        raise Wrong("bad-filesystem", f"{quoted(name)} is no name of a file system", node.span, hint)
    if not is_known(name):
        hint = did_you_mean(name, FILESYSTEMS) or "filesystems(5) lists the usual ones"
        message = f"no file system {quoted(name)} is known"
        reading.findings.warning("unknown-filesystem", message, node.span, hint)
    return name


def _globs(node: Node, key: Key, reading: Reading) -> tuple[str, ...]:
    return tuple(items(node, key, reading, lambda item: entry_glob(item, parse_scalars.text(item, key))))


def _cgroups(node: Node, key: Key, reading: Reading) -> tuple[str, ...]:
    def read(item: Scalar) -> str:
        return absolute_glob(item, parse_scalars.text(item, key), "cgroup")

    return tuple(items(node, key, reading, read))


def _cgroup(node: Node, key: Key, _: Reading) -> str:
    path = parse_scalars.text(node, key)
    return absolute_path(parse_scalars.scalar(node, key), path, "cgroup")


def _capability(node: Scalar, others: tuple[str, ...] = ()) -> str:
    if node.text in CAPABILITIES:
        return node.text
    full = node.text.upper() if node.text.upper().startswith("CAP_") else f"CAP_{node.text.upper()}"
    hint = f"did you mean `{full}`?" if full in CAPABILITIES else _similar(node.text, full, others)
    message = f"there is no capability {quoted(node.text)}"
    raise Wrong("unknown-capability", message, node.span, hint or "capabilities(7) lists them")


def _similar(written: str, full: str, others: tuple[str, ...]) -> str | None:
    return did_you_mean(full, CAPABILITIES) or did_you_mean(written, others)


def _capabilities(node: Node, key: Key, reading: Reading) -> frozenset[str]:
    return frozenset(items(node, key, reading, _capability))


def _capabilities_or_no_more(node: Node, key: Key, reading: Reading) -> frozenset[str]:
    def read(item: Scalar) -> str:
        return NO_MORE if item.text == NO_MORE else _capability(item, (NO_MORE,))

    return frozenset(items(node, key, reading, read))


def _userns(node: Node, key: Key, _: Reading) -> frozenset[Relation]:
    return USERNS_WORDS[parse_scalars.word(parse_scalars.scalar(node, key), "relation", USERNS_WORDS)]


def _uids(node: Node, key: Key, reading: Reading) -> Ids:
    why = "an instance has no subject" if Place.INSTANCE in key.places else "this is the subject's own uid"
    return _ids(node, key, reading, _users(reading, why))


def _uids_or_same(node: Node, key: Key, reading: Reading) -> Ids:
    return _ids(node, key, reading, _users(reading, None))


def _users(reading: Reading, why_not_same: str | None) -> IdKind:
    return IdKind("uid", "user", reading.names.user, reading.names.host_uid, why_not_same)


def _gids(node: Node, key: Key, reading: Reading) -> Ids:
    names = reading.names
    return _ids(
        node,
        key,
        reading,
        IdKind("gid", "group", names.group, names.host_gid, "this is the subject's own gid"),
    )


def _ids(node: Node, key: Key, reading: Reading, kind: IdKind) -> Ids:
    return merged(items(node, key, reading, lambda item: one_id(item, kind)))


def _set_names(node: Node, key: Key, reading: Reading) -> list[Scalar]:
    def read(item: Scalar) -> Scalar:
        parse_scalars.refuse_trap(item)
        return item

    return items(node, key, reading, read)


def _plain(read: Callable[[Node, Key], Any]) -> Reader:
    return lambda node, key, _: read(node, key)


def _enumeration(noun: str, words: Callable[[str], Any], known: Collection[str]) -> Reader:
    return lambda node, key, _: words(parse_scalars.word(parse_scalars.scalar(node, key), noun, known))


def _as_it_stands(node: Node, key: Key, reading: Reading) -> Node:  # noqa: ARG001 - the same shape as the others
    return node


def instance_mount(node: Scalar, key: Key) -> str:
    """The path of a mount, in `instances`."""
    return absolute_glob(node, parse_scalars.text(node, key), "mount path")


READERS: dict[Type, Reader] = {
    Type.VERSION: _plain(parse_scalars.version),
    Type.NAME: _plain(parse_scalars.name),
    Type.TEXT: _plain(parse_scalars.prose),
    Type.BOOLEAN: _plain(parse_scalars.boolean),
    Type.COUNT: _plain(parse_scalars.count),
    Type.MODE: _enumeration("mode", Mode, tuple(Mode)),
    Type.OPENER_UNKNOWN: _enumeration("stand-in", OpenerUnknown, tuple(OpenerUnknown)),
    Type.EFFECT: _enumeration("effect", Effect, tuple(Effect)),
    Type.ACTIONS: _actions,
    Type.KINDS: _words("kind", KINDS),
    Type.ACCESS: _words("access mode", ACCESS),
    Type.FILESYSTEMS: _filesystems,
    Type.LABELS: _texts,
    Type.GLOBS: _globs,
    Type.UIDS: _uids,
    Type.UIDS_OR_SAME: _uids_or_same,
    Type.GIDS: _gids,
    Type.CGROUP: _cgroup,
    Type.CGROUPS: _cgroups,
    Type.CAPABILITIES: _capabilities,
    Type.CAPABILITIES_OR_NO_MORE: _capabilities_or_no_more,
    Type.USERNS: _userns,
    Type.SET_NAMES: _set_names,
    Type.INSTANCES: _as_it_stands,
    Type.SETS: _as_it_stands,
    Type.RULES: _as_it_stands,
}
"""How each type is read; a mapping's keys are read by `parse_fields`."""

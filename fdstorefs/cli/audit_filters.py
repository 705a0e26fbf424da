"""Which records are asked for: the options that all readers of the audit log share."""

import argparse
import pwd
from collections import defaultdict
from typing import TYPE_CHECKING

from fdstorefs.cli.failure import UsageError
from fdstorefs.cli.time_point import time_point

if TYPE_CHECKING:
    from fdstorefs.audit.query import Test

_VERDICTS = ("allow", "deny")
_SOURCES = ("daemon", "kernel")
_FIELDS = ("verdict", "decided", "source", "action", "instance", "reason")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    group = parser.add_argument_group("filters")
    group.add_argument(
        "--since",
        type=time_point,
        metavar="TIME",
        help="not before: `10m` or `2h` ago, `today`, `yesterday`, `2026-11-21T15:30`",
    )
    group.add_argument("--until", type=time_point, metavar="TIME", help="before, in the same forms")
    _add(
        group,
        "subject",
        "KEY:VALUE",
        "who asked: uid:USER, pid:N, comm:NAME, exe:PATH, or cgroup:PATH with all below",
    )
    _add(group, "entry", "GLOB", "what for; any name of the open file will do")
    group.add_argument("--verdict", action="append", choices=_VERDICTS, help="what was in force")
    group.add_argument(
        "--decided",
        action="append",
        choices=_VERDICTS,
        help="what all rules decided, those of policies that only monitor too",
    )
    group.add_argument(
        "--source", action="append", choices=_SOURCES, help="who decided: a server, or the kernel"
    )
    _add(group, "action", "ACTION", "what was asked: retrieve, take, stash, ...")
    _add(group, "rule", "ID", "a rule that decided")
    _add(group, "instance", "MOUNT", "where")
    _add(group, "reason", "REASON", "why: rule, forbidden, no-rule, mode-bits, ...")


def _add(group: "argparse._ArgumentGroup", name: str, metavar: str, says: str) -> None:
    group.add_argument(f"--{name}", action="append", metavar=metavar, help=says)


def tests_of(options: argparse.Namespace) -> "list[Test]":
    """The tests that the options ask for. Raises UsageError."""
    from fdstorefs.audit import query

    tests = [query.one_of(field, given) for field in _FIELDS if (given := getattr(options, field))]
    if options.since is not None:
        tests.append(query.since(options.since))
    if options.until is not None:
        tests.append(query.until(options.until))
    if options.rule:
        tests.append(query.by_rule(options.rule))
    if options.entry:
        tests.append(_by_entry(options.entry))
    return tests + [query.by_subject(key, values) for key, values in _subjects(options.subject or []).items()]


def _by_entry(globs: list[str]) -> "Test":
    from fdstorefs.audit.query import by_entry
    from fdstorefs.policy.glob import BadGlob

    try:
        return by_entry(globs)
    except BadGlob as error:
        raise UsageError(f"argument --entry: {error}", hint=error.hint) from error


def _subjects(words: list[str]) -> dict[str, list[str | int]]:
    from fdstorefs.audit.query import SUBJECT_KEYS

    wanted: dict[str, list[str | int]] = defaultdict(list)
    for word in words:
        key, colon, value = word.partition(":")
        if key not in SUBJECT_KEYS or not colon or not value:
            raise UsageError(f"argument --subject: `{word}` is no subject", hint=_FORMS)
        wanted[key].append(_value(key, value))
    return wanted


_FORMS = "write `uid:1000`, `uid:www-data`, `pid:77`, `comm:nginx`, `exe:/usr/sbin/nginx` or `cgroup:/system.slice`"


def _value(key: str, value: str) -> str | int:
    if key not in ("uid", "pid"):
        return value
    if value.isascii() and value.isdigit():
        return int(value)
    if key == "uid":
        return _uid(value)
    raise UsageError(f"argument --subject: `{value}` is no pid", hint=_FORMS)


def _uid(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise UsageError(
            f"argument --subject: there is no user `{name}`", hint="a number always works"
        ) from None

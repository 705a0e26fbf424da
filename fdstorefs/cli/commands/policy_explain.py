"""`fdstorefs policy explain POLICY... --action A --entry E`: say whether a request is allowed, and why."""

import sys
from typing import TYPE_CHECKING, NamedTuple

from fdstorefs.cli.failure import UsageError

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.policy.model import Policy
    from fdstorefs.policy.names import Names

EXAMPLES = """\
  fdstorefs policy explain web.yaml --action retrieve --entry listen/web --kind socket \\
      --uid www-data --cgroup /system.slice/nginx.service --cap net_bind_service
  fdstorefs policy explain web.yaml --action take --entry gpu --kind device \\
      --uid 1000 --opener-uid 0 --opener-cap sys_admin
  fdstorefs policy explain --action retrieve --entry x --uid 1000 --stasher-uid 0

The last names no policy: it asks what holds without any. What isn't given is unknown, and no
allow rule that asks for what is unknown matches, while every forbid rule does. So with
--guarded no and without --opener-... it answers as the server does, and with what the kernel
knows as the kernel does.

The exit code is 0 if it is allowed, 3 if denied, 1 if there are errors in the policies.
"""


DENIED = 3


class _Option(NamedTuple):
    metavar: str
    says: str
    is_list: bool = False


_ASKED = {
    "action": _Option(
        "ACTION", "what is asked for: stash, retrieve, take, discard, list, describe, rename, link, ..."
    ),
    "entry": _Option("NAME", "the entry"),
    "also": _Option("NAME", "another name of the same open file", is_list=True),
}
_ENTRY = {
    "kind": _Option("KIND", "what it is: socket, pipe, memfd, regular, device, empty, box, ..."),
    "filesystem": _Option("TYPE", "the type of the file system it is on"),
    "access": _Option("ACCESS", "how it is open: r, w, rw or path"),
    "guarded": _Option("ANSWER", "whether the kernel enforces the policy on it wherever it goes: yes or no"),
    "label": _Option("LABEL", "its label; otherwise it has none"),
}
_SUBJECT = {
    "uid": _Option("USER", "the user that the process that asks runs as, by name or number"),
    "gid": _Option("GROUP", "a group of it", is_list=True),
    "cgroup": _Option("PATH", "its cgroup, such as `/system.slice/nginx.service`"),
    "cap": _Option("NAME", "an effective capability of it; otherwise it has none", is_list=True),
    "userns": _Option(
        "RELATION", "its user namespace: the instance's (`same`, if not given), `below` it, or `other`"
    ),
}


def _person(who: str) -> dict[str, _Option]:
    return {
        f"{who}-uid": _Option("USER", f"the {who}, by name or number"),
        f"{who}-cap": _Option("NAME", f"an effective capability of the {who}", is_list=True),
        f"{who}-userns": _Option(
            "RELATION", f"the {who}'s user namespace, seen from the subject's: as for --userns"
        ),
    }


_GROUPS = {
    "the request": _ASKED,
    "the entry": _ENTRY,
    "the subject": _SUBJECT,
    "who stashed it": _person("stasher"),
    "who opened it": _person("opener"),
}


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.policies import add_policies

    add_policies(parser, nargs="*")
    for title, options in _GROUPS.items():
        group = parser.add_argument_group(title)
        for key, option in options.items():
            group.add_argument(
                f"--{key}",
                action="append" if option.is_list else "store",
                required=key in ("action", "entry"),
                metavar=option.metavar,
                help=option.says,
            )
    parser.add_json("the explanation")


def run(options: "argparse.Namespace") -> int:
    """Ask, explain."""
    from fdstorefs.cli.policies import names_here
    from fdstorefs.policy.explain import explain
    from fdstorefs.policy.question import QuestionError, ask

    names = names_here()
    try:
        request = ask(_asked(options), names)
    except QuestionError as error:
        raise UsageError(f"argument --{error.key}: {error.message}", hint=error.hint) from error
    explanation = explain(_policies(options.policies, names), request)
    if options.json:
        from fdstorefs.cli.json_output import pretty
        from fdstorefs.policy.explain import as_json

        print(pretty(as_json(explanation)))
    else:
        from fdstorefs.cli.colour import wants_colour
        from fdstorefs.policy.explain import as_text

        print(as_text(explanation, colour=wants_colour(sys.stdout)))
    return 0 if explanation.allowed else DENIED


def _asked(options: "argparse.Namespace") -> dict[str, list[str] | str]:
    keys = [key for group in _GROUPS.values() for key in group]
    given = {key: getattr(options, key.replace("-", "_")) for key in keys}
    return {key: value for key, value in given.items() if value is not None}


def _policies(paths: list[str], names: "Names") -> "tuple[Policy, ...]":
    if paths:
        from fdstorefs.cli.policies import usable

        return usable(paths, names).policies
    from fdstorefs.policy.default import DEFAULT
    from fdstorefs.policy.load import load

    return load([DEFAULT], names).policies

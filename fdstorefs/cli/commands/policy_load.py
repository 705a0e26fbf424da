"""`fdstorefs policy load [POLICY...]`: put policies in force on this host."""

import os
import sys
from typing import TYPE_CHECKING

from fdstorefs.cli.failure import UsageError

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.enforcer import Loaded

EXAMPLES = """\
  fdstorefs policy load                        read again what the enforcer has, now
  fdstorefs policy load /etc/fdstorefs/policies
  fdstorefs policy load web.yaml base.yaml     these two, instead of all that is in force
  fdstorefs policy load --json | jq .generation

Takes root. All of it is in force when the command returns, or nothing of it: a policy with errors
changes nothing, and at no moment is there no policy. Until it is started anew, the enforcer goes on
with the files named here, and follows their changes by itself. For good, name them in its
`--policy`.

Exit codes: 0 in force, 1 not (what was in force stays), 3 not root, 5 no enforcer runs.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument(
        "policies",
        metavar="POLICY",
        nargs="*",
        help="a policy, or a directory of them; together they take the place of those in force",
    )
    parser.add_json("what was put in force")
    parser.add_enforcer()


def run(options: "argparse.Namespace") -> int:
    """Check here, where mistakes can be shown in full; have the enforcer load; say what is in force."""
    paths = _paths(options.policies)
    if paths:
        _check(paths)
    loaded = _load(paths, options.enforcer)
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty(loaded._asdict()))
    else:
        print(line(loaded))
    return 0


def _load(paths: list[str], socket: str) -> "Loaded":
    """The enforcer may see other mistakes than we do: it may have other files, or have been told of none here."""
    from fdstorefs.cli.visible import printable
    from fdstorefs.client.enforcer import BadPolicy, load

    try:
        return load(paths, socket)
    except BadPolicy as error:
        for each in error.errors:
            print(printable(each), file=sys.stderr)
        raise


def line(loaded: "Loaded") -> str:
    """What is in force now, for people."""
    from fdstorefs.cli.in_force import WITHOUT
    from fdstorefs.cli.policies import counted
    from fdstorefs.cli.visible import visible

    names = ", ".join(map(visible, loaded.policies)) or WITHOUT
    warnings = f"; {counted(loaded.warnings, 'warning')}" if loaded.warnings else ""
    return f"in force: {names}, generation {loaded.generation}{warnings}"


def _paths(given: list[str]) -> list[str]:
    from fdstorefs.cli.policies import STDIN

    if STDIN in given:
        raise UsageError("the enforcer reads files, not stdin", hint="write the policy to a file")
    return [os.path.abspath(path) for path in given]


def _check(paths: list[str]) -> None:
    from fdstorefs.cli import serving
    from fdstorefs.policy.diagnostic import PolicyError
    from fdstorefs.server.enforcement.loading import checked

    try:
        _, _, warnings = checked(paths)
    except PolicyError as error:
        raise serving.refusal(error, "not loaded, so what was in force still is") from error
    serving.show(warnings)

"""`fdstorefs policy diff OLD NEW`: say what a change of policies allows and denies."""

import sys
from typing import TYPE_CHECKING

from fdstorefs.cli.failure import Failure, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.policy.difference import Change
    from fdstorefs.policy.model import Policy

EXAMPLES = """\
  fdstorefs policy diff web.yaml.orig web.yaml
  fdstorefs policy diff --exit-code /etc/fdstorefs/policies ./policies
  git show HEAD:web.yaml | fdstorefs policy diff - web.yaml

It compares verdicts, not texts: a rule that is written another way and means the same is no
difference. The exit code tells of differences only with --exit-code.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("old", metavar="OLD", help="a policy, or a directory of policies; `-` for stdin")
    parser.add_argument("new", metavar="NEW", help="what it is to become, in the same forms")
    parser.add_argument("--exit-code", action="store_true", help="end with 1 if there are differences")
    parser.add_json("the differences")


def run(options: "argparse.Namespace") -> int:
    """Compare, print."""
    from fdstorefs.cli.policies import STDIN, usable

    if options.old == options.new == STDIN:
        raise UsageError("`-` can't be both OLD and NEW")
    changes = _changes(usable([options.old]).policies, usable([options.new]).policies)
    if options.json:
        from fdstorefs.cli.json_output import pretty
        from fdstorefs.policy.difference import as_json

        print(pretty(as_json(changes)))
    else:
        from fdstorefs.cli.colour import wants_colour
        from fdstorefs.policy.difference import as_text

        print(as_text(changes, colour=wants_colour(sys.stdout)))
    return 1 if changes and options.exit_code else 0


def _changes(old: "Sequence[Policy]", new: "Sequence[Policy]") -> "list[Change]":
    from fdstorefs.policy.budget import TooMuch
    from fdstorefs.policy.difference import difference
    from fdstorefs.policy.glob_classes import TooManyClasses

    try:
        return difference(old, new)
    except (TooMuch, TooManyClasses) as error:
        raise Failure(
            "the rules overlap in too many ways to find every difference",
            hint="compare fewer policies at a time, or ask `fdstorefs policy explain` for what matters to you",
        ) from error

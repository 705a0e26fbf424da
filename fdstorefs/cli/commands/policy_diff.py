"""`fdstorefs policy diff OLD NEW`: say what a change of policies allows and denies."""

import sys
from typing import TYPE_CHECKING

from fdstorefs.cli.failure import UsageError

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

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
    from fdstorefs.policy.difference import difference

    if options.old == options.new == STDIN:
        raise UsageError("`-` can't be both OLD and NEW")
    changes = difference(usable([options.old]).policies, usable([options.new]).policies)
    if options.json:
        from fdstorefs.cli.json_output import pretty
        from fdstorefs.policy.difference import as_json

        print(pretty([as_json(change) for change in changes]))
    else:
        print(_text(changes))
    return 1 if changes and options.exit_code else 0

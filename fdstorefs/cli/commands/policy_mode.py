"""`fdstorefs policy mode NAME enforce|monitor`: have a policy refuse, or only log what it would refuse."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

MODES = ("enforce", "monitor")

EXAMPLES = """\
  fdstorefs policy mode web monitor            log what web would refuse, refuse nothing by it
  fdstorefs audit tail -f --decided deny       watch what that is
  fdstorefs policy mode web enforce            now refuse it

The switch is the enforcer's, takes root, and is in force when the command returns. It leaves the
policy's file alone: what the file says is in force again when the file is changed or the machine
boots; the next enforcer keeps to the switch. For good, write it into the file.

Exit codes: 0 switched, 1 no such policy, 3 not root, 5 no enforcer runs.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("policy", metavar="NAME", help="the policy, by the `name:` in it")
    parser.add_argument("mode", metavar="MODE", choices=MODES, help="enforce or monitor")
    parser.add_json("what was changed")
    parser.add_enforcer()


def run(options: "argparse.Namespace") -> int:
    """Switch, say what was before."""
    from fdstorefs.cli.visible import visible
    from fdstorefs.client.enforcer import set_mode

    done = set_mode(options.policy, options.mode, options.enforcer)
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty({"policy": options.policy, "mode": options.mode, **done._asdict()}))
        return 0
    if done.former == options.mode:
        print(f"{visible(options.policy)}: {options.mode}, as before")
    else:
        print(f"{visible(options.policy)}: {options.mode}, no longer {visible(done.former)}")
    return 0

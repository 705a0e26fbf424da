"""`fdstorefs policy check POLICY...`: find what is wrong in policies."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.cli.policies import Checked

EXAMPLES = """\
  fdstorefs policy check web.yaml
  fdstorefs policy check --strict /etc/fdstorefs/policies      warnings fail, too
  fdstorefs policy check - < web.yaml
  fdstorefs policy check --json web.yaml | jq -r '.diagnostics[].message'

The exit code is 1 if there are errors. A policy with errors is never in force.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.policies import add_policies

    add_policies(parser)
    parser.add_argument("--strict", action="store_true", help="fail for warnings as for errors")
    parser.add_json("what is found")


def run(options: "argparse.Namespace") -> int:
    """Read, judge, print."""
    from fdstorefs.cli.policies import read, show

    checked = read(options.policies)
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty(_object(checked)))
    else:
        show(checked.diagnostics, sys.stdout)
        print(summary(checked))
    return 1 if checked.errors or (options.strict and checked.warnings) else 0


def summary(checked: "Checked") -> str:
    """What was found, in a line."""
    from fdstorefs.cli.policies import counted

    if checked.errors:
        return f"{counted(checked.errors, 'error')}, {counted(checked.warnings, 'warning')}"
    policies = "1 policy" if len(checked.policies) == 1 else f"{len(checked.policies)} policies"
    rules = counted(sum(len(policy.rules) for policy in checked.policies), "rule")
    found = counted(checked.warnings, "warning") if checked.warnings else "nothing wrong"
    return f"{policies}, {rules}: {found}"


def _object(checked: "Checked") -> dict[str, object]:
    from fdstorefs.policy.diagnostic import as_json

    return {
        "ok": not checked.errors,
        "errors": checked.errors,
        "warnings": checked.warnings,
        "policies": [
            {"name": policy.name, "mode": policy.mode.value, "rules": len(policy.rules)}
            for policy in checked.policies
        ],
        "diagnostics": [as_json(diagnostic) for diagnostic in checked.diagnostics],
    }

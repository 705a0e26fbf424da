"""`fdstorefs policy compile POLICY...`: turn policies into the tables that decide."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.policy.model import Policy
    from fdstorefs.policy.tables import Tables

EXAMPLES = """\
  fdstorefs policy compile web.yaml                        in a terminal: how large, which hash
  fdstorefs policy compile --output web.tables.json web.yaml
  fdstorefs policy compile web.yaml | jq .terms            otherwise: the tables

Policies that mean the same to every request may differ in hash; the same policies never do.
"""

WORD_BITS = 64
"""Bits of a machine word: a verdict takes as many operations as there are words to a vector."""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.policies import add_policies

    add_policies(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write the tables to FILE, and the summary to stdout"
    )
    parser.add_json("the tables (as to anything but a terminal)")


def run(options: "argparse.Namespace") -> int:
    """Compile, write."""
    from fdstorefs.cli.policies import usable
    from fdstorefs.policy.compile import compile_policies

    policies = usable(options.policies).policies
    tables = compile_policies(policies)
    if options.output is not None:
        Path(options.output).write_text(_text(tables) + "\n", encoding="utf-8")
    if options.json or (options.output is None and not sys.stdout.isatty()):
        print(_text(tables))
    else:
        print("\n".join(summary(policies, tables)))
    return 0


def _text(tables: "Tables") -> str:
    from fdstorefs.cli.json_output import pretty

    return pretty({**tables.to_json(), "hash": tables.hash})


def summary(policies: "tuple[Policy, ...]", tables: "Tables") -> list[str]:
    """What the tables are, for people."""
    from fdstorefs.cli.columns import fields
    from fdstorefs.cli.visible import visible

    return fields(
        [
            ("policies", ", ".join(f"{visible(policy.name)} ({policy.mode.value})" for policy in policies)),
            ("rules", str(sum(len(policy.rules) for policy in policies))),
            ("terms", str(tables.terms)),
            ("words", str(-(-tables.terms // WORD_BITS))),
            ("hash", tables.hash),
        ]
    )

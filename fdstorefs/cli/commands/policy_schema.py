"""`fdstorefs policy schema`: print the JSON Schema of policies."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs policy schema > ~/.config/fdstorefs/policy.schema.json

Editors that speak YAML then complete and check as you type, if a policy begins with
  # yaml-language-server: $schema=/home/ann/.config/fdstorefs/policy.schema.json

The schema knows shapes and words. `fdstorefs policy check` knows the rest.
"""


def configure(parser: "Parser") -> None:
    """There is nothing to add."""


def run(options: "argparse.Namespace") -> int:  # noqa: ARG001 - a command's shape
    """Print it."""
    from fdstorefs.policy.schema import text

    print(text(), end="")
    return 0

"""`fdstorefs stat NAME`: all about one entry."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs stat web
  fdstorefs stat --json web | jq .details
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("name", metavar="NAME", help="an entry or a box")
    parser.add_json("it")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Describe."""
    from fdstorefs.client.store import connect

    with connect(options.at) as store:
        description = store.describe(options.name)
    if options.json:
        from fdstorefs.cli.json_output import entry_object, pretty

        print(pretty({**entry_object(description.entry), "details": description.details}))
        return 0
    from fdstorefs.cli.portrait import portrait

    print("\n".join(portrait(description)))
    return 0

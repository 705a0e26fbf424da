"""Command lines: one parser per verb, built only when that verb runs."""

import argparse
from typing import NoReturn

from fdstorefs.cli.failure import UsageError
from fdstorefs.cli.verbs import VERBS, Command, load


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations and raises UsageError."""

    def __init__(self, verb: str, examples: str) -> None:
        super().__init__(
            prog=f"fdstorefs {verb}",
            description=_sentence(VERBS[verb].summary),
            epilog=f"examples:\n{examples.rstrip()}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_at(self) -> None:
        """Add `--at`, for what talks to an instance."""
        self.add_argument(
            "--at",
            metavar="MOUNT",
            help="the instance mounted there, instead of the one that `fdstorefs --help` tells of",
        )

    def add_json(self, what: str) -> None:
        """Add `--json`."""
        self.add_argument("--json", action="store_true", help=f"print {what} as JSON")

    def error(self, message: str) -> NoReturn:
        """Called by argparse for a command line that makes no sense."""
        raise UsageError(message, hint=f"see `{self.prog} --help`")


def parser_of(verb: str, command: Command | None = None) -> Parser:
    """The parser of one verb."""
    command = command or load(verb)
    parser = Parser(verb, command.EXAMPLES)
    command.configure(parser)
    if VERBS[verb].runs_command:
        ours = parser.format_usage().removeprefix("usage: ").strip()
        parser.usage = f"{' '.join(ours.split())} -- COMMAND [ARGUMENT...]"
    return parser


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def octal_mode(text: str) -> int:
    """Permission bits as chmod(1) takes them in digits."""
    mode = int(text, 8)
    if not 0 <= mode <= 0o7777:
        raise argparse.ArgumentTypeError(f"`{text}` is no octal mode")
    return mode


octal_mode.__name__ = "octal mode"  # argparse names the type in its message


def count(text: str) -> int:
    """A number of things, at least one."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not at least 1")
    return number


def descriptor_number(text: str) -> int:
    """The number of a descriptor."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no descriptor")
    return number


descriptor_number.__name__ = "descriptor number"

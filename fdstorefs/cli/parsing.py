"""Command lines: one parser per verb, built only when that verb runs."""

import argparse
import os
import sys
from typing import NoReturn

from fdstorefs.cli.failure import UsageError
from fdstorefs.cli.verbs import VERBS, Command, load

_DEFAULT_WIDTH = 80


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Finds the width by itself: argparse imports half an archiver to do it, for every command that runs."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width() - 2)


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else _DEFAULT_WIDTH
    except OSError:
        return _DEFAULT_WIDTH


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations and raises UsageError."""

    def __init__(self, verb: str, examples: str) -> None:
        super().__init__(
            prog=f"fdstorefs {verb}",
            description=_sentence(VERBS[verb].summary),
            epilog=f"examples:\n{examples.rstrip()}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self._runs_command = VERBS[verb].runs_command

    def add_at(self) -> None:
        """Add `--at`, for what talks to an instance."""
        self.add_argument(
            "--at",
            metavar="MOUNT",
            help="the instance mounted there, instead of the one that `fdstorefs --help` tells of",
        )

    def add_enforcer(self) -> None:
        """Add `--enforcer`, for what talks to the host's enforcer."""
        from fdstorefs.interface.enforcer import SOCKET

        self.add_argument(
            "--enforcer",
            metavar="SOCKET",
            default=SOCKET,
            help=f"the enforcer that listens there (default: {SOCKET})",
        )

    def add_json(self, what: str) -> None:
        """Add `--json`."""
        self.add_argument("--json", action="store_true", help=f"print {what} as JSON")

    def format_usage(self) -> str:
        """The usage line, with the command that comes after ours."""
        return self._with_command(super().format_usage())

    def format_help(self) -> str:
        """The whole help."""
        usage = super().format_usage()
        return super().format_help().replace(usage, self._with_command(usage), 1)

    def _with_command(self, usage: str) -> str:
        return f"{usage.rstrip()} -- COMMAND [ARGUMENT...]\n" if self._runs_command else usage

    def error(self, message: str) -> NoReturn:
        """Called by argparse for a command line that makes no sense."""
        raise UsageError(message, hint=f"see `{self.prog} --help`")


def parser_of(verb: str, command: Command | None = None) -> Parser:
    """The parser of one verb."""
    command = command or load(verb)
    parser = Parser(verb, command.EXAMPLES)
    command.configure(parser)
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


def number(text: str) -> int:
    """A number of things, perhaps none."""
    found = int(text)
    if found < 0:
        raise argparse.ArgumentTypeError(f"`{text}` is less than none")
    return found


def descriptor_number(text: str) -> int:
    """The number of a descriptor."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no descriptor")
    return number


descriptor_number.__name__ = "descriptor number"


def systemd_store(text: str) -> str:
    """`auto`, `no`, or how many descriptors systemd keeps."""
    if text not in ("auto", "no") and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"`{text}` is neither `auto`, `no` nor a number of descriptors")
    return text


def duration(text: str) -> float:
    """Seconds of `90s`, `2h`, `1h30m`."""
    from fdstorefs.core.duration import SECOND, parse_duration
    from fdstorefs.errors import InvalidArgument

    try:
        return parse_duration(text) / SECOND
    except InvalidArgument as error:
        raise argparse.ArgumentTypeError(
            f"{error.message}; {error.hint}" if error.hint else error.message
        ) from None

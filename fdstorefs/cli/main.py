"""The command `fdstorefs`: finds the verb, runs it, and turns what it raises into words and an exit code."""

import os
import sys
from collections.abc import Sequence
from types import TracebackType

from fdstorefs.cli.choice import HELP, choose
from fdstorefs.cli.failure import BROKEN_PIPE, FAILED, INTERRUPTED, Failure, UsageError, report, say
from fdstorefs.cli.verbs import FAMILIES, load, split_command


def entry() -> None:
    """Run the command line of this process, and end it."""
    sys.excepthook = _confess
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # they are TextIOWrapper
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        code = _dispatch(list(argv))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except (Failure, OSError) as error:
        return report(error)


def _dispatch(argv: list[str]) -> int:
    at, argv = _leading_at(argv)
    if not argv:
        raise UsageError("no command given", hint="`fdstorefs --help` lists them")
    if argv[0] in (*HELP, "help"):
        return _help(argv[1:])
    if argv[0] == "--version":
        return _version()
    if argv[0] in FAMILIES:
        more, rest = _leading_at(argv[1:])
        if rest and rest[0] in (*HELP, "help"):
            return _help([argv[0], *rest[1:]])
        at, argv = [*at, *more], [argv[0], *rest]
    verb, arguments = choose(argv)
    return _run(verb, [*at, *arguments])


def _leading_at(argv: list[str]) -> tuple[list[str], list[str]]:
    """Cut `--at MOUNT` off the front, where it may stand as well as after the verb."""
    end = 0
    while end < len(argv) and argv[end].partition("=")[0] == "--at":
        end += 1 if "=" in argv[end] else 2
    return argv[:end], argv[end:]


def _run(verb: str, arguments: list[str]) -> int:
    from fdstorefs.cli.parsing import parser_of

    ours, theirs = split_command(verb, arguments)
    command = load(verb)
    try:
        options = parser_of(verb, command).parse_args(ours)
    except SystemExit as end:  # argparse has printed the help
        return end.code if isinstance(end.code, int) else FAILED
    options.command = theirs
    return command.run(options)


def _help(words: list[str]) -> int:
    from fdstorefs.cli.overview import family_overview, overview

    if not words or words[0].startswith("-"):
        print(overview())
    elif words[0] in FAMILIES and len(words) == 1:
        print(family_overview(words[0]))
    else:
        return _run(choose(words)[0], ["--help"])
    return 0


def _version() -> int:
    from fdstorefs import __version__

    print(f"fdstorefs {__version__}")
    return 0


def _silence_stdout() -> None:
    """Keep the interpreter from complaining about the reader that left when it flushes at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _confess(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report a mistake of ours; its whereabouts only to those who ask."""
    if os.environ.get("FDSTOREFS_DEBUG"):
        sys.__excepthook__(kind, error, trace)
        return
    say(
        f"this is a mistake in fdstorefs: {kind.__name__}: {error}",
        "FDSTOREFS_DEBUG=1 in the environment shows where; please report it",
    )

"""Policies from the files that a command line names, and what is wrong with them."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from fdstorefs.cli.failure import Failure
from fdstorefs.policy.files import CASES_SUFFIXES, is_policy

if TYPE_CHECKING:
    import argparse

    from fdstorefs.policy.diagnostic import Diagnostic
    from fdstorefs.policy.model import Policy
    from fdstorefs.policy.names import Names
    from fdstorefs.policy.span import Source

STDIN = "-"
STDIN_NAME = "<stdin>"


class Checked(NamedTuple):
    """Policies and everything that is wrong with them; not to be used unless `errors` is 0."""

    policies: "tuple[Policy, ...]"
    diagnostics: "tuple[Diagnostic, ...]"
    files: tuple[str, ...]

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return len(self.diagnostics) - self.errors


def add_policies(parser: "argparse.ArgumentParser", *, nargs: str = "+") -> None:
    """Add the argument that names policies."""
    parser.add_argument(
        "policies",
        metavar="POLICY",
        nargs=nargs,
        help="a policy; a directory, for the `*.yaml` in it; `-` for stdin. All are judged together",
    )


def read(paths: Iterable[str], names: "Names | None" = None) -> Checked:
    """Read and check policies that are in force together. Raises Failure for a directory without any."""
    from fdstorefs.policy.check import check
    from fdstorefs.policy.load import load

    sources, diagnostics = _sources([file for path in paths for file in files_of(path)])
    loaded = load(sources, names or names_here())
    found = [*diagnostics, *loaded.diagnostics]
    if loaded.ok and not diagnostics:
        found += check(loaded.policies)
    return Checked(loaded.policies, tuple(found), tuple(source.name for source in sources))


def usable(paths: Sequence[str], names: "Names | None" = None) -> Checked:
    """Read policies to use them. Errors go to stderr and raise Failure; warnings are for `policy check` to tell."""
    checked = read(paths, names)
    if checked.errors:
        show([each for each in checked.diagnostics if each.severity == "error"], sys.stderr)
        raise Failure(
            f"{counted(checked.errors, 'error')} in the policies",
            hint="nothing is decided by a policy with errors",
        )
    return checked


def names_here() -> "Names":
    """The users and groups of this machine."""
    from fdstorefs.host.user_database import HostNames

    return HostNames()


def files_of(path: str) -> list[str]:
    """The policies that an argument stands for. Raises Failure for cases, and for a directory without policies."""
    if path.endswith(CASES_SUFFIXES):
        raise Failure(
            f"`{path}` holds cases, not a policy",
            hint="`fdstorefs policy test` decides them; a directory stands for the policies in it alone",
        )
    if path == STDIN or not Path(path).is_dir():
        return [path]
    found = sorted(str(file) for file in Path(path).iterdir() if is_policy(file.name))
    if not found:
        raise Failure(f"no policies in `{path}`", hint="they are called `NAME.yaml`")
    return found


def _sources(files: Iterable[str]) -> "tuple[list[Source], list[Diagnostic]]":
    from fdstorefs.policy.diagnostic import PolicyError

    sources: list[Source] = []
    diagnostics: list[Diagnostic] = []
    for file in files:
        try:
            sources.append(source(file))
        except PolicyError as error:
            diagnostics += error.diagnostics
    return sources, diagnostics


def source(file: str) -> "Source":
    """The text of a file, or of stdin. Raises PolicyError for what is no text, OSError."""
    from fdstorefs.policy.files import MAX_BYTES
    from fdstorefs.policy.load import source_from_bytes

    # One byte more than a policy may have is enough to refuse it, and a device never ends.
    if file == STDIN:
        return source_from_bytes(STDIN_NAME, sys.stdin.buffer.read(MAX_BYTES + 1))
    with open(file, "rb") as opened:
        return source_from_bytes(file, opened.read(MAX_BYTES + 1))


def show(diagnostics: "Sequence[Diagnostic]", stream: TextIO) -> None:
    """Print diagnostics, in colours where the stream is a terminal."""
    if diagnostics:
        from fdstorefs.cli.colour import wants_colour
        from fdstorefs.policy.diagnostic import render_all

        print(render_all(diagnostics, colour=wants_colour(stream)), file=stream)


def counted(number: int, thing: str) -> str:
    """Such as `1 rule` or `3 rules`; for words that take an s."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"

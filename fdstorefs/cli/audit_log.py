"""The audit log that a command reads: its files, its records, and what in it is damaged."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from fdstorefs.cli.failure import Failure
from fdstorefs.cli.visible import printable

if TYPE_CHECKING:
    import argparse

    from fdstorefs.audit.reader import Damage, Record

_FILE = "file:"
_MOST_SHOWN = 5


def add_logs(parser: "argparse.ArgumentParser", *, nargs: str = "*") -> None:
    """Add the argument that names files of a log."""
    parser.add_argument(
        "logs",
        metavar="FILE",
        nargs=nargs,
        help="a log, also one that was rotated or compressed (.gz); `-` for stdin; if none is given, the instance's own"
        " with all that rotation left of it",
    )


def files(options: "argparse.Namespace") -> list[str]:
    """The files that are asked for. Raises Failure if the instance writes none."""
    if options.logs:
        return list(options.logs)
    from fdstorefs.audit.log_files import with_rotated

    return with_rotated(log_of_instance(options.at))


def log_of_instance(at: str | None) -> str:
    """The file that an instance writes its audit log to. Raises Failure, StoreError."""
    from fdstorefs.client.store import connect

    with connect(at) as store:
        status = store.status()
    for target in status.audit:
        if target["target"].startswith(_FILE):
            return str(target["target"]).removeprefix(_FILE)
    others = ", ".join(str(target["target"]) for target in status.audit)
    raise Failure(
        f"the instance at `{status.mount}` "
        + (
            f"logs to {others} only"
            if others
            else "has no audit log, or doesn't tell: only its owner is told"
        ),
        hint="name a file, or serve with `--audit file:PATH`",
    )


class Damages:
    """Counts lines that are no records; says so in the end, with the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Damage] = []

    def __call__(self, damage: "Damage") -> None:
        """One more."""
        self.count += 1
        if len(self.first) < _MOST_SHOWN:
            self.first.append(damage)

    def report(self) -> None:
        """Tell of them, on stderr."""
        for damage in self.first:
            print(f"fdstorefs: {printable(str(damage))}", file=sys.stderr)
        if self.count > len(self.first):
            print(f"fdstorefs: {self.count} lines that are no records in all", file=sys.stderr)


@contextmanager
def records(paths: Iterable[str]) -> "Iterator[tuple[Iterator[Record], Damages]]":
    """The records of some files, in the order of their time, and the damages; these are told of in the end."""
    from heapq import merge

    damages = Damages()
    with each_file(paths, damages) as streams:
        yield merge(*streams, key=lambda record: record["ts"]), damages
    damages.report()


@contextmanager
def each_file(paths: Iterable[str], damages: Damages) -> "Iterator[list[Iterator[Record]]]":
    """The records of each file. Raises OSError for one that can't be opened."""
    from fdstorefs.audit.log_files import lines_of, open_log
    from fdstorefs.audit.reader import read

    with ExitStack() as opened:
        # All are opened before any is read: a file that isn't there is said at once.
        pairs = [(path, opened.enter_context(open_log(path))) for path in paths]
        yield [read(lines_of(file), path, damages) for path, file in pairs]

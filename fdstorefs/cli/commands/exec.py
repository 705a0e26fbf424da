"""`fdstorefs exec NAME... -- COMMAND`: a command with retrieved descriptors."""

import argparse
import os
from typing import TYPE_CHECKING

from fdstorefs.cli import placement
from fdstorefs.cli.failure import CANNOT_RUN, NO_SUCH_COMMAND, Failure, UsageError, say
from fdstorefs.cli.supervision import execute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.retrieved import Retrieved

EXAMPLES = """\
  fdstorefs exec web -- ./server               `web` is descriptor 3, as LISTEN_FDS=1 tells
  fdstorefs exec web admin -- ./server         3 and 4, LISTEN_FDNAMES=web:admin
  fdstorefs exec --stdin notes -- cat
  fdstorefs exec --fd 1=log --fd 2=log -- make
  fdstorefs exec --take web -- ./server        `web` leaves the store

LISTEN_FDNAMES carries printable ASCII without colons, at most 255 bytes: anything
else in a name is `_` there. Whatever this process inherited at a number that an
entry gets is closed; LISTEN_ variables that it inherited are not passed on.

If COMMAND can't be run, the exit code is 127 (not found) or 126, as a shell's.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="becomes a descriptor from 3 up")
    parser.add_argument("--stdin", metavar="NAME", help="becomes descriptor 0")
    parser.add_argument(
        "--fd",
        metavar="N=NAME",
        dest="numbered",
        type=numbered,
        action="append",
        default=[],
        help="becomes descriptor N; repeatable",
    )
    parser.add_argument("--take", action="store_true", help="take the entries out of the store")
    parser.add_at()


def numbered(text: str) -> tuple[int, str]:
    """An argument of the form N=NAME."""
    try:
        return placement.parse_numbered(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` isn't a number, `=` and a name") from None


def run(options: "argparse.Namespace") -> int:
    """Retrieve, arrange, become the command."""
    if not options.command:
        raise UsageError("no command to run", hint="give it after `--`: `fdstorefs exec NAME -- COMMAND`")
    plan = placement.plan(options.stdin, options.numbered, options.names)
    _require_numbers(plan)
    if options.take:
        _require_runnable(options.command[0])
    mount, retrieved = _retrieve(options.at, plan.names, take=options.take)
    files = {name: file.fileno() for name, file in retrieved.items()}
    try:
        environment = placement.environment(plan, os.environ, mount)
        copies = placement.place({number: files[name] for number, name in plan.at.items()})
        files = {name: copies[number] for number, name in plan.at.items()}
        return execute(options.command, environment)
    finally:
        # Nobody comes here but after a failure: otherwise we are the command by now.
        if options.take:
            _put_back(mount, files)


def _retrieve(at: str | None, names: "Sequence[str]", *, take: bool) -> "tuple[str, dict[str, Retrieved]]":
    from fdstorefs.client.store import connect

    with connect(at) as store:
        return store.mount, store.take_many(names) if take else store.retrieve_many(names)


def _require_numbers(plan: placement.Placement) -> None:
    """Refuse a number that no descriptor of ours can have."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(plan.at)
    if limit != resource.RLIM_INFINITY and highest + len(plan.at) >= limit:
        raise UsageError(
            f"descriptor {highest} is too near the limit, which is {limit}", hint="see `ulimit -n`"
        )


def _require_runnable(command: str) -> None:
    """Refuse a command that can't be run before anything is taken for it."""
    places = [""] if "/" in command else os.get_exec_path()
    paths = [path for place in places if os.path.exists(path := os.path.join(place, command))]
    if not paths:
        raise Failure(f"cannot run `{command}`: no such file or directory", exit_code=NO_SUCH_COMMAND)
    if not any(os.access(path, os.X_OK) for path in paths):
        raise Failure(f"cannot run `{command}`: permission denied", exit_code=CANNOT_RUN)


def _put_back(mount: str, taken: "Mapping[str, int]") -> None:
    """Stash again what was taken for a command that turned out not to run."""
    from fdstorefs.client.store import connect

    with connect(mount) as store:
        store.stash_many(taken)
    say("what was taken for it is stashed again")

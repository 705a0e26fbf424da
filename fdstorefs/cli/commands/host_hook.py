"""`fdstorefs host hook`: what a container runtime calls when it has made a container."""

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from fdstorefs.cli import hosting
from fdstorefs.cli.failure import Failure

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

ANNOTATION = "io.fdstorefs.mount"
_MOST_BYTES = 1 << 24
_RUNNING = "running"

EXAMPLES = """\
  fdstorefs host hook < state.json
  "hooks": {"createRuntime": [{"path": "/usr/bin/fdstorefs", "args": ["fdstorefs", "host", "hook"]}]}
  "annotations": {"io.fdstorefs.mount": "/run/fdstore"}

For the config.json of an OCI runtime (crun, runc, youki). It reads the state of the container on standard input,
and has an instance started where the annotation says; a container without the annotation gets none. If that fails,
so does the container. `--always` gives one to every container.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument(
        "--always", action="store_true", help="also for a container without the annotation, at /run/fdstore"
    )
    hosting.add_socket(parser)


def run(options: "argparse.Namespace") -> int:
    """Have an instance started for the container whose state we are given."""
    from fdstorefs.client import host

    state = read_state(sys.stdin.buffer.read(_MOST_BYTES))
    if state.mount is None and not options.always:
        return 0
    pidfd = hosting.pidfd_of(state.pid)
    root = None if state.bundle is None else open_root(state.pid, state.bundle)
    host.start(pidfd, state.mount, hosting.socket_of(options), root=root)
    return 0


class State(NamedTuple):
    """What matters of a container's state. `bundle` is None once it runs."""

    pid: int
    mount: str | None
    bundle: str | None


def read_state(text: bytes) -> State:
    """The state of a container as an OCI runtime tells it. Raises Failure."""
    import json

    try:
        state = json.loads(text)
        annotations = state.get("annotations") or {}
        pid, mount = state["pid"], annotations.get(ANNOTATION)
        bundle = None if state.get("status") == _RUNNING else state.get("bundle")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Failure(
            f"standard input is not the state of a container: {error}",
            hint="this is for container runtimes: see `fdstorefs host hook --help`",
        ) from None
    if type(pid) is not int or pid <= 0:
        raise Failure(f"the container's state has no process: `{pid}`", hint="use the hook `createRuntime`")
    if mount is not None and (type(mount) is not str or not mount.startswith("/")):
        raise Failure(f"the annotation `{ANNOTATION}` is not an absolute path: `{mount}`")
    return State(pid, mount, bundle if type(bundle) is str else None)


def open_root(pid: int, bundle: str) -> int:
    """The directory that is to be the container's root, as its first process has it. Raises Failure.

    At this time that process is in the container's mount namespace, and has not changed its root directory yet.
    """
    import json

    from fdstorefs.host import procfs, syscalls

    try:
        with open(os.path.join(bundle, "config.json"), encoding="utf-8") as file:
            path = os.path.join(bundle, json.load(file)["root"]["path"])
        here = procfs.open_root(pid)
        try:
            flags = os.O_PATH | os.O_DIRECTORY
            return syscalls.openat2(here, os.path.realpath(path), flags, syscalls.RESOLVE_IN_ROOT)
        finally:
            os.close(here)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"the root directory of the container in `{bundle}` is not to be found: {error}"
        ) from None

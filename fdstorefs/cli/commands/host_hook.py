"""`fdstorefs host hook`: what a container runtime calls when it has made a container."""

import os
import sys
from typing import TYPE_CHECKING

from fdstorefs.cli import hosting
from fdstorefs.cli.failure import Failure

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

ANNOTATION = "io.fdstorefs.mount"
_MOST_BYTES = 1 << 24

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

    pid, mount = read_state(sys.stdin.buffer.read(_MOST_BYTES))
    if mount is None and not options.always:
        return 0
    pidfd = hosting.pidfd_of(pid)
    host.start(pidfd, mount, hosting.socket_of(options))
    if pidfd is not None:
        os.close(pidfd)
    return 0


def read_state(text: bytes) -> tuple[int, str | None]:
    """The container's process and where it wants its instance, of the state of an OCI runtime. Raises Failure."""
    import json

    try:
        state = json.loads(text)
        annotations = state.get("annotations") or {}
        pid, mount = state["pid"], annotations.get(ANNOTATION)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Failure(
            f"standard input is not the state of a container: {error}",
            hint="this is for container runtimes: see `fdstorefs host hook --help`",
        ) from None
    if type(pid) is not int or pid <= 0:
        raise Failure(f"the container's state has no process: `{pid}`", hint="use the hook `createRuntime`")
    if mount is not None and (type(mount) is not str or not mount.startswith("/")):
        raise Failure(f"the annotation `{ANNOTATION}` is not an absolute path: `{mount}`")
    return pid, mount

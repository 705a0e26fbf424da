"""An instance as `fdstorefs serve` starts it, with a kernel that is a directory (see `fake_enforcer`).

`python -m tests.mount.guarding.serving MOUNT READY_FD ENFORCEMENT SOCKET KERNEL AUDIT_FILE [keeper]`
"""

import logging
import os
import sys

from fdstorefs.audit.options import AuditOptions
from fdstorefs.audit.target import Target
from fdstorefs.keeper.holding import Held
from fdstorefs.keeper.keeper import Keeper
from fdstorefs.keeper.program import HowToStart
from fdstorefs.server.instance import serve
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.kept import take_up
from fdstorefs.server.mounting import MountError
from fdstorefs.server.options import ServeOptions
from fdstorefs.server.readiness_notice import announce
from tests.mount.guarding.fake_enforcer import Kernel


def serve_kept(options: ServeOptions, kernel: str, held: Held) -> int:
    """As the child of a keeper."""
    if not held.restarts:
        assert options.ready_fd is not None
        os.close(options.ready_fd)
    line = KeeperLine(held, HowToStart(__name__, "none", {}))
    serve(options, Kernel(kernel).ask, take_up(held, line))
    line.end(0)
    return 0


def main(
    mount: str, ready_fd: str, enforcement: str, socket: str, kernel: str, audit: str, keeper: str = ""
) -> int:
    """Serve; errors as the command line says them."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = ServeOptions(
        mount,
        ready_fd=int(ready_fd),
        enforcement=enforcement,
        enforcer_socket=socket,
        audit=AuditOptions((Target("file", audit),)),
    )
    if keeper:
        return Keeper(
            lambda held: serve_kept(options, kernel, held), lambda: announce(options.ready_fd)
        ).run()
    try:
        serve(options, Kernel(kernel).ask)
    except MountError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

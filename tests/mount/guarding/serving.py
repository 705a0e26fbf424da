"""An instance as `fdstorefs serve` starts it, with a kernel that is a directory (see `fake_enforcer`).

`python -m tests.mount.guarding.serving MOUNT READY_FD ENFORCEMENT SOCKET KERNEL AUDIT_FILE`
"""

import logging
import sys

from fdstorefs.audit.options import AuditOptions
from fdstorefs.audit.target import Target
from fdstorefs.server.instance import serve
from fdstorefs.server.mounting import MountError
from fdstorefs.server.options import ServeOptions
from tests.mount.guarding.fake_enforcer import Kernel


def main(mount: str, ready_fd: str, enforcement: str, socket: str, kernel: str, audit: str) -> int:
    """Serve; errors as the command line says them."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = ServeOptions(
        mount,
        ready_fd=int(ready_fd),
        enforcement=enforcement,
        enforcer_socket=socket,
        audit=AuditOptions((Target("file", audit),)),
    )
    try:
        serve(options, Kernel(kernel).ask)
    except MountError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

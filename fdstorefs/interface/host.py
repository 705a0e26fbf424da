"""The Varlink interface of the service that starts instances for containers, and where it is served."""

import os

NAME = "io.fdstorefs.Host"
SOCKET = "/run/fdstorefs/host.sock"
"""Where that of the whole host is."""

_IN_RUNTIME_DIRECTORY = "fdstorefs/host.sock"


def own_socket() -> str:
    """Where the service of this user is: root's is that of the whole host."""
    directory = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() == 0 or not directory:
        return SOCKET
    return os.path.join(directory, _IN_RUNTIME_DIRECTORY)


def description() -> str:
    """The interface definition, as GetInterfaceDescription returns it."""
    from importlib.resources import files

    return files(__package__).joinpath(f"{NAME}.varlink").read_text(encoding="utf-8")

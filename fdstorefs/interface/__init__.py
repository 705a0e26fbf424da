"""The Varlink interface, in one file that the server returns, the clients speak and the docs include."""

NAME = "io.fdstorefs.Store"
MAX_DESCRIPTORS = 253
"""Most descriptors that one message can carry (SCM_MAX_FD of Linux)."""

MAX_MESSAGE = 1 << 20
"""Most bytes of one request, its NUL terminator not counted; a longer one ends the connection."""


def description() -> str:
    """The interface definition, as GetInterfaceDescription returns it."""
    # Imported here: it is slow, and clients want only the constants.
    from importlib.resources import files

    return files(__package__).joinpath(f"{NAME}.varlink").read_text(encoding="utf-8")

"""The Varlink interface of the host's enforcer, and where it is served."""

NAME = "io.fdstorefs.Enforcer"
SOCKET = "/run/fdstorefs/enforcer.sock"
"""Where servers look for it."""


def description() -> str:
    """The interface definition, as GetInterfaceDescription returns it."""
    from importlib.resources import files

    return files(__package__).joinpath(f"{NAME}.varlink").read_text(encoding="utf-8")

"""What a server asks of the service that once started it: another keeper, when it has lost its own."""

from fdstorefs.client import host
from fdstorefs.errors import StoreError
from fdstorefs.keeper import wire
from fdstorefs.keeper.replacement import Spare

_PATIENCE_SECONDS = 5.0


def ask_for_keeper(socket: str, name: str, container: tuple[int, ...]) -> Spare:
    """A new process of the service, with its rights and not ours, at the other end of a line. Raises OSError.

    `container` are the descriptors that the instance's servers begin with.

    While there is no service, nothing more can be kept; what is stored stays, and the service is asked again.
    """
    ours, its = wire.line()
    try:
        told = {"instance": name, "line": 0, "container": [*range(1, 1 + len(container))]}
        reply = host.call(socket, "Keep", told, (its.fileno(), *container), _PATIENCE_SECONDS)
        return Spare(reply["keeper"], ours)
    except (StoreError, KeyError) as error:
        ours.close()
        raise OSError(getattr(error, "errno", None) or 0, f"no other keeper is to be had: {error}") from error
    finally:
        its.close()

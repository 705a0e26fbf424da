"""A service of this host beside the instances, and one call to it on a connection of its own."""

import errno
import json
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.wire import Parameters
from fdstorefs.errors import BY_IDENTIFIER, ProtocolError, StoreError

Record = TypeVar("Record")

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED)
"""What connecting fails with where nobody listens."""

_SUN_PATH = 107


class Service(ABC):
    """How messages name it, its interface, the errors that only it has, and what is raised where it is not there."""

    name: str
    interface: str
    kinds: ClassVar[Mapping[str, type[StoreError]]]
    absent: type[StoreError]
    hint_if_it_ended: str
    hint_if_it_is_slow: str | None = None

    @abstractmethod
    def unreachable(self, error: OSError, path: str) -> StoreError:
        """What it means that connecting failed."""

    def call(
        self,
        path: str,
        method: str,
        parameters: Mapping[str, Any],
        descriptors: Sequence[int] = (),
        *,
        patience: float,
    ) -> Parameters:
        """Call a method; `patience` is in seconds. Raises StoreError."""
        message = json.dumps({"method": f"{self.interface}.{method}", "parameters": parameters}).encode()
        channel = Channel(self._connect(path, patience))
        try:
            channel.send_all(message + b"\0", descriptors)
            reply, *_ = channel.receive()
        except Disconnected:
            raise self.absent(
                f"{self.name} at `{path}` ended the connection without an answer", hint=self.hint_if_it_ended
            ) from None
        except TimeoutError:
            raise ProtocolError(
                f"{self.name} at `{path}` has not answered for {patience:g} seconds",
                hint=self.hint_if_it_is_slow,
            ) from None
        finally:
            channel.close()
        return self._parameters(reply)

    def understand(self, make: Callable[[Parameters], Record], told: Parameters) -> Record:
        """Make something of what it told. Raises ProtocolError if that can't be."""
        try:
            return make(told)
        except (AttributeError, KeyError, TypeError) as error:
            raise ProtocolError(
                f"{self.name} sent an answer that makes no sense: {error!r}",
                hint="it may be another version: `fdstorefs --version`, and restart it",
            ) from None

    def _connect(self, path: str, patience: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(patience)
            connection.connect(_fitting(path))
        except OSError as error:
            connection.close()
            raise self.unreachable(error, path) from None
        return connection

    def _parameters(self, message: bytes) -> Parameters:
        """What a reply holds. Raises the error that it is."""
        try:
            reply = json.loads(message)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"{self.name} sent what is no message: {error}") from None
        parameters = reply.get("parameters", {}) if isinstance(reply, dict) else None
        if not isinstance(parameters, dict):
            raise ProtocolError(f"{self.name} sent a message that is no reply")
        if "error" in reply:
            raise self.error(str(reply["error"]), parameters)
        return parameters

    def error(self, error: str, told: Parameters) -> StoreError:
        """The error that it answered, with its words."""
        interface, _, identifier = error.rpartition(".")
        kinds = {**BY_IDENTIFIER, **self.kinds} if interface == self.interface else {}
        message = _text(told.get("message")) or f"{self.name} answered `{error}`"
        kind = kinds.get(identifier, StoreError)
        return kind(message, name=_text(told.get("name")), hint=_text(told.get("hint")))


def _fitting(path: str) -> bytes:
    name = os.fsencode(path)
    if len(name) > _SUN_PATH:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    return name


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

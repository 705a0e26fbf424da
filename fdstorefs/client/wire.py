"""The wire: calls become bytes, bytes become replies. No sockets here, and no descriptors.

A message is a JSON object and a NUL.
"""

import json
from typing import Any

from fdstorefs.errors import BY_IDENTIFIER, InvalidArgument, ProtocolError, StoreError
from fdstorefs.interface import MAX_MESSAGE
from fdstorefs.interface import NAME as INTERFACE

MAX_REPLY = 1 << 24
"""Most bytes of one reply that a client is willing to hold: 16 MiB."""

Parameters = dict[str, Any]

_dump = json.JSONEncoder(separators=(",", ":")).encode
_load_start = json.JSONDecoder().raw_decode
_BEFORE_NAME = f'{{"method":"{INTERFACE}.Retrieve","parameters":{{"names":['


def encode(method: str, parameters: Parameters, *, more: bool = False) -> bytes:
    """The bytes of a call; a parameter that is None is left out. Raises InvalidArgument over 1 MiB."""
    call: Parameters = {
        "method": f"{INTERFACE}.{method}",
        "parameters": {key: value for key, value in parameters.items() if value is not None},
    }
    if more:
        call["more"] = True
    return _terminated(_dump(call))


def encode_retrieve(name: str) -> bytes:
    """The bytes that `encode` makes of a Retrieve of one name, in a third of the time."""
    return _terminated(f"{_BEFORE_NAME}{_dump(name)}]}}}}")


def _terminated(text: str) -> bytes:
    if len(text) > MAX_MESSAGE:
        raise InvalidArgument(
            f"the call is {len(text)} bytes long, and one of more than {MAX_MESSAGE} is refused",
            hint="give fewer names at a time",
        )
    return text.encode("ascii") + b"\0"


def decode(message: bytes) -> tuple[Parameters, bool]:
    """The parameters of a reply and whether more replies follow; raises the StoreError that the reply is.

    Raises ProtocolError for what is no reply.
    """
    try:
        reply = _load(message.decode())
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the instance sent what is no message: {error}") from None
    if type(reply) is not dict:
        raise ProtocolError("the instance sent a message that is no object")
    parameters = reply.get("parameters")
    if parameters is None:
        parameters = {}
    elif type(parameters) is not dict:
        raise ProtocolError("the instance sent parameters that are no object")
    if "error" in reply:
        raise error_from(reply["error"], parameters)
    return parameters, reply.get("continues") is True


def _load(text: str) -> Any:
    # json.loads looks for white space on either side with a regular expression; there never is any.
    try:
        value, end = _load_start(text)
    except ValueError:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def error_from(error: object, parameters: Parameters) -> StoreError:
    """The error that an error reply stands for; StoreError itself for one that this client doesn't know."""
    interface, _, identifier = str(error).rpartition(".")
    kind = BY_IDENTIFIER.get(identifier, StoreError) if interface == INTERFACE else StoreError
    message = _text(parameters.get("message")) or f"the instance answered `{error}`"
    found = kind(message, name=_text(parameters.get("name")), hint=_text(parameters.get("hint")))
    found.reason, found.decision = _text(parameters.get("reason")), _text(parameters.get("decision"))
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class Inbox:
    """Cuts a stream of bytes into messages."""

    __slots__ = ("_partial", "_whole")

    def __init__(self) -> None:
        self._whole: list[bytes] = []
        self._partial = b""

    def push(self, chunk: bytes) -> None:
        """Add what was received. Raises ProtocolError when a message never ends."""
        *whole, self._partial = (self._partial + chunk).split(b"\0")
        self._whole += whole
        if len(self._partial) > MAX_REPLY:
            raise ProtocolError(f"the instance sent a message of more than {MAX_REPLY} bytes")

    def pop(self) -> bytes | None:
        """The next whole message without its NUL, None if there is none yet."""
        return self._whole.pop(0) if self._whole else None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left over, neither a message nor the beginning of one."""
        return not self._whole and not self._partial

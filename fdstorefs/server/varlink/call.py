"""A call: what a message asks for, parsed and checked as far as every method has it in common. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from fdstorefs.core.subject import Subject
from fdstorefs.interface import NAME
from fdstorefs.server.varlink.session import NOBODYS, Session
from fdstorefs.server.varlink.standard import invalid_parameter

Parameters = dict[str, Any]

FLAGS = frozenset({"more", "oneway", "upgrade"})

RETRIEVE = f"{NAME}.Retrieve"
RETRIEVE_START = f'{{"method":"{RETRIEVE}","parameters":{{"names":["'.encode()
RETRIEVE_END = b'"]}}'

CONSUMED = -1
"""Stands in `Call.descriptors` for a descriptor that somebody else has taken over."""


class Malformed(ValueError):
    """The bytes are no call; whoever sent them does not speak Varlink, so the connection ends."""


@dataclass(slots=True)
class Call:
    """One call and who makes it.

    `descriptors` came with it; a method that keeps one puts CONSUMED in its place. `session` is for what a client
    does in several calls.
    """

    method: str
    parameters: Parameters
    subject: Subject
    descriptors: list[int]
    more: bool = False
    oneway: bool = False
    session: Session = NOBODYS


def parse(data: bytes, subject: Subject, descriptors: list[int]) -> Call:
    """The call in the bytes of a message. Raises Malformed, or InvalidParameter for a wrong flag."""
    names = plain_retrieve(data)
    if names is not None:
        return Call(RETRIEVE, {"names": names}, subject, descriptors)
    message = _load(data)
    method = message.pop("method", None)
    parameters = message.pop("parameters", None)
    if type(method) is not str:
        raise Malformed("a call without a method")
    if parameters is None:
        parameters = {}
    elif type(parameters) is not dict:
        raise invalid_parameter("parameters")
    call = Call(method, parameters, subject, descriptors)
    if message:
        _read_flags(call, message)
    return call


def plain_retrieve(data: bytes) -> list[str] | None:
    """The names, if these are the bytes of a Retrieve as clients usually write it; None says nothing.

    That takes a third of the time of the parser, which understands them alike.
    """
    if not data.startswith(RETRIEVE_START) or not data.endswith(RETRIEVE_END):
        return None
    inside = data[len(RETRIEVE_START) : -len(RETRIEVE_END)]
    if b"\\" in inside or not inside.isascii():
        return None
    text = inside.decode("ascii")
    names = text.split('","')
    if not text.isprintable() or text.count('"') != 2 * len(names) - 2:
        return None
    return names


def _read_flags(call: Call, flags: dict[str, Any]) -> None:
    for name in flags:
        if name not in FLAGS:
            raise invalid_parameter(name)
    call.more, call.oneway = _flag(flags, "more"), _flag(flags, "oneway")
    if _flag(flags, "upgrade"):
        raise invalid_parameter("upgrade")


def _flag(flags: dict[str, Any], name: str) -> bool:
    value = flags.get(name)
    if value is None:
        return False
    if type(value) is not bool:
        raise invalid_parameter(name)
    return value


def _load(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode()
        message = _scan(text)
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    except ValueError as error:
        raise Malformed(f"it is not JSON: {error}") from None
    if type(message) is not dict:
        raise Malformed("it is not a JSON object")
    return message


def _scan(text: str) -> Any:
    # The decoder's own entry looks for white space with regular expressions; there rarely is any.
    try:
        value, end = _scan_once(text, 0)
    except StopIteration:
        return _decoder.decode(text)
    return value if end == len(text) else _decoder.decode(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
_scan_once: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]

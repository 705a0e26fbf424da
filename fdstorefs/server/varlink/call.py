"""A call: what a message asks for, parsed and checked as far as every method has it in common. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from fdstorefs.core.subject import Subject
from fdstorefs.server.varlink.standard import invalid_parameter

Parameters = dict[str, Any]

CONSUMED = -1
"""Stands in `Call.descriptors` for a descriptor that somebody else has taken over."""


class Malformed(ValueError):
    """The bytes are no call; whoever sent them does not speak Varlink, so the connection ends."""


@dataclass(slots=True)
class Call:
    """One call and who makes it.

    `descriptors` came with it; a method that keeps one puts CONSUMED in its place.
    """

    method: str
    parameters: Parameters
    subject: Subject
    descriptors: list[int]
    more: bool = False


@dataclass(slots=True)
class Request:
    """What the bytes of a message say."""

    method: str
    parameters: Parameters
    more: bool = False
    oneway: bool = False


def parse(data: bytes) -> Request:
    """The request in the bytes of a message. Raises Malformed, or InvalidParameter for a wrong flag."""
    message = _load(data)
    method = message.pop("method", None)
    parameters = message.pop("parameters", None)
    if type(method) is not str:
        raise Malformed("a call without a method")
    if parameters is None:
        parameters = {}
    elif type(parameters) is not dict:
        raise invalid_parameter("parameters")
    request = Request(method, parameters)
    if message:
        _flags(request, message)
    return request


def _flags(request: Request, message: dict[str, Any]) -> None:
    more, oneway = message.pop("more", None), message.pop("oneway", None)
    for name, value in (("more", more), ("oneway", oneway)):
        if value not in (True, False, None) or type(value) is int:
            raise invalid_parameter(name)
    if message.pop("upgrade", None) not in (False, None):
        raise invalid_parameter("upgrade")
    if message:
        raise invalid_parameter(next(iter(message)))
    request.more, request.oneway = more is True, oneway is True


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

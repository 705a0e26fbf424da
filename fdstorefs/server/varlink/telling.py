"""Telling: messages and who sent them, for JSON, for the server that takes a connection over."""

from fdstorefs.server.passed import Packing, Place, Told, Unpacking
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.peer import HeldPeer

FORMAT = 1


def tell_bytes(data: bytes | None, packing: Packing) -> Place | None:
    """Bytes, if there are any."""
    return packing.bytes(data) if data is not None else None


def bytes_again(place: Place | None, unpacking: Unpacking) -> bytes | None:
    """The same."""
    return unpacking.bytes(place) if place is not None else None


def tell_descriptor(fd: int | None, packing: Packing) -> int | None:
    """A descriptor, if there is one."""
    return packing.descriptor(fd) if fd is not None else None


def tell_message(message: Message, packing: Packing) -> Told:
    """A message, whole or not, with what came beside it."""
    return {
        "data": packing.bytes(message.data),
        "credentials": tell_bytes(message.credentials, packing),
        "descriptors": [packing.descriptor(fd) for fd in message.descriptors],
        "lost": message.lost,
    }


def message_again(told: Told, unpacking: Unpacking) -> Message:
    """The same message."""
    return Message(
        unpacking.bytes(told["data"]),
        bytes_again(told["credentials"], unpacking),
        [unpacking.descriptor(number) for number in told["descriptors"]],
        bool(told["lost"]),
    )


def tell_peer(held: HeldPeer, packing: Packing) -> Told:
    """By what a process is held."""
    return {
        "pidfd": tell_descriptor(held.pidfd, packing),
        "directory": tell_descriptor(held.directory, packing),
    }


def peer_again(told: Told, unpacking: Unpacking) -> HeldPeer:
    """The same process."""
    pidfd, directory = told["pidfd"], told["directory"]
    return HeldPeer(
        unpacking.descriptor(pidfd) if pidfd is not None else None,
        unpacking.descriptor(directory) if directory is not None else None,
    )

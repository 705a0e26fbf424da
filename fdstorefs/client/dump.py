"""A dump: everything in a store that matches, with its open files, a lot at a time."""

import errno
from typing import Any, NamedTuple, Self

from fdstorefs.client import calls
from fdstorefs.client.address import open_socket
from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.closing import Closing
from fdstorefs.client.forked import abandon_in_children
from fdstorefs.client.reply import gone, table_is_full
from fdstorefs.client.retrieved import close_all
from fdstorefs.client.wire import Parameters, decode
from fdstorefs.errors import Denied, ProtocolError

Node = dict[str, Any]
"""A box or an entry as the interface has it; `fileDescriptor` is an index into the descriptors of its lot."""


class LeftOut(NamedTuple):
    """Something that could be listed and was not to be had."""

    name: str
    why: str


class Lot(Closing):
    """Some nodes and the descriptors that came with them, which it owns; a context manager."""

    __slots__ = ("descriptors", "nodes")

    def __init__(self, nodes: list[Node], descriptors: list[int]) -> None:
        self.nodes = nodes
        self.descriptors = descriptors

    def close(self) -> None:
        """Close the descriptors; nothing happens if they are closed."""
        descriptors, self.descriptors = self.descriptors, []
        close_all(descriptors)


class Dump(Closing):
    """Yields lots; has a connection of its own. A context manager.

    Boxes come before what is in them, and an open file with the first entry that holds it. Whoever takes a lot closes
    it. Raises what keeps the caller from having all of it: then what came before is not everything, either.
    For one thread, and not for a forked child.
    """

    def __init__(self, mount: str, pattern: str | None = None, *, leave_out: bool = False) -> None:
        self.mount = mount
        self.left_out: list[LeftOut] = []
        """Complete when all lots have come."""
        self._descriptors: list[int] = []
        self._call = calls.dump(pattern, leave_out)
        self._channel: Channel | None = Channel(open_socket(mount))
        abandon_in_children(self)
        try:
            self._channel.send_all(self._call.message)
        except Disconnected:
            self.close()
            raise gone(mount) from None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Lot:
        if self._channel is None:
            raise StopIteration
        try:
            return self._next(self._channel)
        except Disconnected:
            self.close()
            raise gone(self.mount) from None
        except BaseException:
            self.close()
            raise

    def _next(self, channel: Channel) -> Lot:
        message, descriptors, truncated = channel.receive()
        # They may have come with the end of the message before.
        self._descriptors += descriptors
        reply, continues = decode(message)
        nodes = _nodes(reply)
        taken, self._descriptors = _take(self._descriptors, nodes, channel, truncated)
        if not continues:
            self.left_out = [LeftOut(each["name"], each["why"]) for each in reply.get("leftOut") or ()]
            self.close()
            if not nodes:
                raise StopIteration
        return Lot(nodes, taken)

    def close(self) -> None:
        """End it."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        descriptors, self._descriptors = self._descriptors, []
        close_all(descriptors)

    def abandon(self) -> None:
        """In a forked child: leave it to the parent."""
        self.close()


def _nodes(reply: Parameters) -> list[Node]:
    nodes = reply.get("nodes")
    if type(nodes) is not list or not all(type(node) is dict for node in nodes):
        raise ProtocolError("the instance dumped what are no nodes")
    return nodes


def _take(
    arrived: list[int], nodes: list[Node], channel: Channel, truncated: bool
) -> tuple[list[int], list[int]]:
    """The descriptors of these nodes, and those that belong to others."""
    wanted = {node["fileDescriptor"]: node for node in nodes if node.get("fileDescriptor") is not None}
    if wanted.keys() != set(range(len(wanted))):
        raise ProtocolError("the instance dumped nodes whose descriptors are not counted from 0")
    if len(arrived) >= len(wanted) and not truncated:
        return arrived[: len(wanted)], arrived[len(wanted) :]
    name = _name(wanted.get(len(arrived)))
    if table_is_full(channel.fileno()):
        raise OSError(errno.EMFILE, f"cannot receive {name}: this process has as many descriptors as it may")
    raise Denied(
        f"the kernel refused to deliver {name}",
        hint="a policy that the kernel enforces forbids it to this process; the audit log names the rule",
    )


def _name(node: Node | None) -> str:
    names = node.get("names") if node is not None else None
    return f"`{names[0]}`" if isinstance(names, list) and names else "a descriptor"

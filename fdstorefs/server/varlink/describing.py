"""Describe: all about one entry or box. What the kernel has to be asked for is asked beside the loop."""

from typing import Any

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Entry, OpenFile
from fdstorefs.errors import NoSuchEntry
from fdstorefs.host import procfs
from fdstorefs.host.file_kind import Kind
from fdstorefs.host.sockets import Unavailable, socket_details
from fdstorefs.server.context import Context
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.call import Call
from fdstorefs.server.varlink.reply import Reply, success

PARAMETERS = frozenset({"name"})
Details = dict[str, str]


def describe(context: Context, call: Call) -> "Reply | Describing":
    """The record and what the kernel tells of the open file."""
    parameters.only(call.parameters, PARAMETERS)
    target = context.store.locate(call.subject, parameters.text(call.parameters, "name"), Action.DESCRIBE)
    node = target.node
    if node is None:
        raise NoSuchEntry(f"no entry `{target.path}`", name=target.path)
    context.store.require(call.subject, Action.DESCRIBE, target)
    if isinstance(node, Entry) and node.file is not None:
        return Describing(context, call, target, node, node.file)
    return success({"entry": context.records.described(call.subject, target, node), "details": {}})


class Describing:
    """The activity of one Describe of an entry that holds something."""

    def __init__(self, context: Context, call: Call, target: Target, entry: Entry, file: OpenFile) -> None:
        self._record = context.records.described(call.subject, target, entry)
        self._file = file

    def start(self, exchange: Exchange) -> None:
        """Ask, in a thread that keeps the file open meanwhile."""
        self._exchange = exchange
        file = self._file.hold()
        exchange.in_thread(lambda: details(file.descriptor, file.kind), lambda found: self._told(file, found))

    def drained(self) -> None:
        """Nothing was said yet."""

    def stop(self) -> None:
        """The thread's answer comes and lets go of the file."""

    def _told(self, file: OpenFile, found: Details | Exception) -> None:
        file.drop()
        self._exchange.run(lambda: self._finish(found))

    def _finish(self, found: Details | Exception) -> None:
        if isinstance(found, Exception):
            raise found
        self._exchange.finish(success({"entry": self._record, "details": found}))


def details(descriptor: int, kind: str) -> Details:
    """What the kernel tells of an open file, by topic. Blocks for a moment."""
    if kind == Kind.EPOLL:
        return {}
    found = {key: _as_text(value) for key, value in procfs.fdinfo(descriptor).items()}
    if kind == Kind.SOCKET:
        found |= _socket(descriptor)
    return found


def _as_text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "\n".join(value)


def _socket(descriptor: int) -> Details:
    told: Any = socket_details(descriptor)
    if isinstance(told, Unavailable):
        return {"socket": told.reason}
    topics = {name: getattr(told, name) for name in told.__slots__}
    return {f"socket_{name}": str(value) for name, value in topics.items() if value is not None}

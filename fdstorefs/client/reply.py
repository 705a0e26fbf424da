"""What to make of a reply: its result, its error, or why its descriptors didn't come."""

import errno
import os

from fdstorefs.client.calls import Call, Result
from fdstorefs.client.channel import Channel, Disconnected
from fdstorefs.client.retrieved import close_all
from fdstorefs.client.wire import Parameters, decode
from fdstorefs.errors import Denied, NoInstance, ProtocolError


def result_of(call: Call[Result], channel: Channel) -> Result:
    """Read the one reply to a call from a channel. Raises the error it is, Disconnected, or BlockingIOError.

    Whatever it raises, no descriptor that came with the reply is left open.
    """
    message, descriptors, truncated = channel.receive()
    try:
        parameters, continues = decode(message)
        if continues or not channel.is_idle:
            raise ProtocolError("the instance sent more than the one reply that was asked for")
        if truncated:
            raise _not_delivered(parameters, descriptors, channel, call)
        if descriptors and not call.receives:
            raise ProtocolError("the instance sent descriptors that nobody asked for")
    except BaseException:
        close_all(descriptors)
        raise
    return call.read(parameters, descriptors)


def raise_last_words(call: Call[Result], channel: Channel) -> None:
    """Raise what the instance said before it closed the connection, if it said anything: why."""
    try:
        result_of(call, channel)
    except Disconnected:
        return


def part_of(call: Call[Result], channel: Channel) -> tuple[Result, bool]:
    """Read one of several replies, and whether more follow. Raises as `result_of` does."""
    message, descriptors, _ = channel.receive()
    if descriptors:
        close_all(descriptors)
        raise ProtocolError("the instance sent descriptors that nobody asked for")
    parameters, continues = decode(message)
    return call.read(parameters, descriptors), continues


def outcome_unknown(call: Call[Result], mount: str) -> ProtocolError:
    """The error for a call that was sent, may have been carried out, and must not be sent again."""
    return ProtocolError(
        f"the instance at `{mount}` went away in the middle of a call: whether it did the {call.subject} "
        "is unknown",
        hint="list the entries, and look, before you try again",
    )


def gone(mount: str) -> NoInstance:
    """The error for an instance that accepts a connection and ends it."""
    return NoInstance(
        f"the instance at `{mount}` ended the connection without an answer",
        hint=f"see whether it runs: `fdstorefs status --at {mount}`",
    )


def _not_delivered(
    parameters: Parameters, arrived: list[int], channel: Channel, call: Call[Result]
) -> OSError:
    """Why the kernel left out descriptors: the receiver's table is full, or a policy refused one.

    The kernel stops at the first that it can't install, so that is the one after the last that arrived.
    """
    name = _name_at(parameters, len(arrived))
    what = f"`{name}`" if name else "a descriptor"
    loss = "" if call.repeatable else "; it has left the store nonetheless"
    if table_is_full(channel.fileno()):
        return OSError(
            errno.EMFILE, f"cannot receive {what}: this process has as many descriptors as it may{loss}"
        )
    return Denied(
        f"the kernel refused to deliver {what}{loss}",
        name=name,
        hint="a policy that the kernel enforces forbids it to this process; the audit log names the rule",
    )


def _name_at(parameters: Parameters, index: int) -> str | None:
    entries = parameters.get("entries")
    for named in entries if isinstance(entries, list) else ():
        if isinstance(named, dict) and named.get("fileDescriptor") == index:
            name = named.get("name")
            return name if isinstance(name, str) else None
    return None


def table_is_full(open_descriptor: int) -> bool:
    """Whether this process can have no more descriptors."""
    try:
        os.close(os.dup(open_descriptor))
    except OSError as error:
        if error.errno == errno.EMFILE:
            return True
        raise
    return False

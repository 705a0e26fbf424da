"""The calls of the interface, each as the bytes to send and the way to read its reply."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from fdstorefs.client import records, wire
from fdstorefs.client.retrieved import Retrieved, adopt
from fdstorefs.client.wire import Parameters
from fdstorefs.errors import InvalidArgument
from fdstorefs.interface import MAX_DESCRIPTORS

Result = TypeVar("Result")

MOST_IDENTIFIED = 1000
"""Names that one call takes away with a look at what they stand for."""


class HasFileno(Protocol):
    """A file, a socket, a Retrieved: anything that knows its descriptor."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


Stashable = int | HasFileno


class Call(Generic[Result]):
    """One call.

    `read` makes the result of the reply's parameters and descriptors; where it is called with descriptors
    it owns them. `repeatable`: sending it twice does no more than sending it once. `subject` is for error
    messages.
    """

    __slots__ = ("descriptors", "message", "read", "receives", "repeatable", "subject")

    def __init__(
        self,
        message: bytes,
        read: Callable[[Parameters, list[int]], Result],
        subject: str,
        *,
        descriptors: Sequence[int] = (),
        receives: bool = False,
        repeatable: bool = False,
    ) -> None:
        self.message = message
        self.read = read
        self.subject = subject
        self.descriptors = descriptors
        self.receives = receives
        self.repeatable = repeatable


def _nothing(_parameters: Parameters, _descriptors: list[int]) -> None:
    return None


def _change(method: str, subject: str, **parameters: Any) -> Call[None]:
    return Call(wire.encode(method, parameters), _nothing, f"{method} of `{subject}`")


def stash(
    files: Mapping[str, Stashable],
    *,
    replace: bool = False,
    mode: int | None = None,
    label: str | None = None,
    expires: float | None = None,
    poll: bool | None = None,
) -> Call[dict[str, int]]:
    """Stash under several names, all or none; gives the id of each."""
    names = list(files)
    _check_count(names, "stashed")
    parameters = {
        "entries": [{"name": name, "fileDescriptor": index} for index, name in enumerate(names)],
        "replace": replace or None,
        "mode": mode,
        "label": label,
        "lifetime": None if expires is None else round(expires * 1e9),
        "poll": poll,
    }

    def ids(reply: Parameters, _descriptors: list[int]) -> dict[str, int]:
        return dict(zip(names, reply.get("ids", ()), strict=False))

    numbers = [file if isinstance(file, int) else file.fileno() for file in files.values()]
    return Call(wire.encode("Stash", parameters), ids, f"Stash of {_quoted(names)}", descriptors=numbers)


def _one(parameters: Parameters, descriptors: list[int]) -> Retrieved:
    (only,) = adopt(parameters, descriptors, 1)
    return only


def _each(names: Sequence[str]) -> Callable[[Parameters, list[int]], dict[str, Retrieved]]:
    def by_name(parameters: Parameters, descriptors: list[int]) -> dict[str, Retrieved]:
        return dict(zip(names, adopt(parameters, descriptors, len(names)), strict=True))

    return by_name


def retrieve(name: str) -> Call[Retrieved]:
    """Retrieve one."""
    return Call(wire.encode_retrieve(name), _one, name, receives=True, repeatable=True)


def retrieve_many(names: Sequence[str]) -> Call[dict[str, Retrieved]]:
    """Retrieve several, all or none."""
    message = wire.encode("Retrieve", {"names": names})
    return Call(message, _each(names), f"Retrieve of {_quoted(names)}", receives=True, repeatable=True)


def take(name: str) -> Call[Retrieved]:
    """Retrieve and discard one."""
    return Call(wire.encode("Take", {"names": [name]}), _one, f"Take of `{name}`", receives=True)


def take_many(names: Sequence[str]) -> Call[dict[str, Retrieved]]:
    """Retrieve and discard several, all or none."""
    _check_count(names, "taken")
    return Call(
        wire.encode("Take", {"names": names}), _each(names), f"Take of {_quoted(names)}", receives=True
    )


def dump(pattern: str | None, leave_out: bool) -> Call[Parameters]:
    """Dump; has several replies, with descriptors."""
    message = wire.encode("Dump", {"pattern": pattern, "leaveOut": leave_out or None}, more=True)
    return Call(message, lambda reply, _: reply, "Dump", receives=True)


def restore(
    nodes: Sequence[Parameters],
    descriptors: Sequence[int] = (),
    *,
    first: bool = False,
    into: str | None = None,
    replace: bool = False,
    last: bool = False,
) -> Call[list[int]]:
    """Some of what is to be restored; with `last` all is stored. Gives the ids."""
    parameters = {
        "nodes": nodes,
        "first": first or None,
        "into": into,
        "replace": replace or None,
        "last": last or None,
    }
    message = wire.encode("Restore", parameters)
    return Call(message, lambda reply, _: list(reply.get("ids", ())), "Restore", descriptors=descriptors)


def discard_unchanged(entries: Sequence[tuple[str, int, int | None]]) -> Call[list[str]]:
    """Take names away that still stand for this id and this file; gives those that don't."""
    told = [
        {"name": name, "id": number} | ({} if file is None else {"file": file})
        for name, number, file in entries
    ]
    message = wire.encode("DiscardUnchanged", {"entries": told})

    def changed(reply: Parameters, _descriptors: list[int]) -> list[str]:
        return list(reply.get("changed", ()))

    return Call(message, changed, "DiscardUnchanged")


def discard(names: Sequence[str]) -> Call[None]:
    """Take names away, all or none."""
    return Call(wire.encode("Discard", {"names": names}), _nothing, f"Discard of {_quoted(names)}")


def list_(pattern: str | None, details: bool) -> Call[list[records.Entry]]:
    """List; has several replies, each with some of the entries."""
    message = wire.encode("List", {"pattern": pattern, "details": details}, more=True)
    return Call(message, lambda reply, _: records.entries_from(reply), "List", repeatable=True)


def watch(pattern: str | None) -> Call[records.Change]:
    """Watch; has no end of replies."""
    message = wire.encode("Watch", {"pattern": pattern}, more=True)
    return Call(message, lambda reply, _: records.change_from(reply), "Watch", repeatable=True)


def describe(name: str) -> Call[records.Description]:
    """All about one entry."""
    message = wire.encode("Describe", {"name": name})
    return Call(message, lambda reply, _: records.description_from(reply), name, repeatable=True)


def rename(source: str, goal: str, *, replace: bool) -> Call[None]:
    """Rename."""
    return _change("Rename", source, **{"from": source, "to": goal, "replace": replace or None})


def link(source: str, goal: str) -> Call[None]:
    """Give a second name."""
    return _change("Link", source, **{"from": source, "to": goal})


def make_box(name: str, mode: int | None) -> Call[int]:
    """Make a box; gives its id."""
    message = wire.encode("MakeBox", {"name": name, "mode": mode})
    return Call(message, lambda reply, _: int(reply.get("id", 0)), f"MakeBox of `{name}`")


def remove_box(name: str) -> Call[None]:
    """Remove an empty box."""
    return _change("RemoveBox", name, name=name)


def seal(name: str) -> Call[None]:
    """Seal a box."""
    return _change("Seal", name, name=name)


def unseal(name: str) -> Call[None]:
    """Unseal a box."""
    return _change("Unseal", name, name=name)


def status() -> Call[records.Status]:
    """What the instance is."""
    message = wire.encode("Status", {})
    return Call(message, lambda reply, _: records.status_from(reply), "Status", repeatable=True)


def upgrade() -> Call[records.Upgraded]:
    """Have another program take over."""
    message = wire.encode("Upgrade", {})
    return Call(message, lambda reply, _: records.upgraded_from(reply), "Upgrade")


def chunks(names: Sequence[str]) -> list[Sequence[str]]:
    """Cut distinct names into lots that fit one message each."""
    distinct = list(dict.fromkeys(names))
    return [distinct[start : start + MAX_DESCRIPTORS] for start in range(0, len(distinct), MAX_DESCRIPTORS)]


def _check_count(names: Collection[str], done: str) -> None:
    if len(names) > MAX_DESCRIPTORS:
        raise InvalidArgument(
            f"{len(names)} entries can't be {done} at once: a message carries {MAX_DESCRIPTORS} descriptors",
            hint="use several calls; each is done wholly or not at all",
        )


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"

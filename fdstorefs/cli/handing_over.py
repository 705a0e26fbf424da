"""What the commands that dump and restore have to say when they are done."""

from typing import TYPE_CHECKING, Any

from fdstorefs.cli.failure import say
from fdstorefs.cli.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fdstorefs.cli.meeting import Peer
    from fdstorefs.client.dump import LeftOut
    from fdstorefs.client.restoration import Restored


def summary(restored: "Restored") -> str:
    """How much it was, in words."""
    entries, boxes, files = restored
    return (
        f"{entries} {'entry' if entries == 1 else 'entries'} with {files} open file{'' if files == 1 else 's'}, "
        f"{boxes} box{'' if boxes == 1 else 'es'}"
    )


def as_object(
    restored: "Restored", peer: "Peer | None", left_out: "Iterable[LeftOut] | None"
) -> dict[str, Any]:
    """The same for programs. Of what does not apply there is no field."""
    told: dict[str, Any] = restored._asdict()
    if peer is not None:
        told["peer"] = peer._asdict()
    if left_out is not None:
        told["left_out"] = [each._asdict() for each in left_out]
    return told


def say_left_out(left_out: "Iterable[LeftOut]") -> None:
    """On stderr, as it is not there."""
    for name, why in left_out:
        say(f"left out: `{visible(name)}`: {why}")


def require_some(restored: "Restored", pattern: str | None) -> None:
    """Say so if nothing matched."""
    if pattern is not None and not restored.entries and not restored.boxes:
        say(f"nothing matches `{visible(pattern)}`")

"""States: what is left of a connection when its server stops, for another to go on with."""

from dataclasses import dataclass

from fdstorefs.server.passed import Told
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reply import Landed


@dataclass(slots=True)
class State:
    """A connection at rest, for another server to go on with: all but what its socket tells.

    `half` is what has come of a message and `inbox` those that are not served yet, `queued` what the client has to
    read first, `call` what is being answered and `told` how far that is.
    """

    half: Message
    violation: str | None
    inbox: list[Message]
    ending: bool
    last_words: bytes | None
    queued: bytes
    in_flight: int
    landings: list[Landed]
    call: Message | None
    told: Told

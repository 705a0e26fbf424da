"""Framing: from the pieces that recvmsg returns to whole messages. Pure: no sockets, and nothing is closed.

What Linux promises about a stream of Unix packets, and what this relies on:
- One recvmsg never returns bytes that were sent with different credentials.
- Descriptors come with the first byte read of the packet they were sent with, and the recvmsg that brings
  them stops at the end of that packet. What was sent before it may stand in front of it in the same piece.

So descriptors belong to the message that holds the *last* byte of the piece that brought them. That is exact
for a sender that sends a message with descriptors by a sendmsg of its own, as Varlink libraries do. One that
puts a second message behind it in the same sendmsg gives the descriptors to that second message.
"""

from dataclasses import dataclass, field

from fdstorefs.interface import MAX_DESCRIPTORS, MAX_MESSAGE


@dataclass(slots=True)
class Message:
    """One message without its NUL, and what came with it.

    `credentials` is the sender's `struct ucred`, None if the kernel did not say. `lost` says that descriptors
    were sent with it and did not arrive.
    """

    data: bytes
    credentials: bytes | None
    descriptors: list[int] = field(default_factory=list)
    lost: bool = False


class Framing:
    """Cuts a stream into messages. After a violation, which `violation` describes, nothing more comes out.

    `is_at_rest` is True while no message is half here and there was no violation.
    """

    __slots__ = ("_credentials", "_descriptors", "_lost", "_partial", "is_at_rest", "violation")

    def __init__(self) -> None:
        self.violation: str | None = None
        self.is_at_rest = True
        self._partial = bytearray()
        self._credentials: bytes | None = None
        self._descriptors: list[int] = []
        self._lost = False

    @property
    def half(self) -> Message:
        """What has come of a message that is not whole."""
        return Message(bytes(self._partial), self._credentials, self._descriptors, self._lost)

    def go_on_with(self, half: Message, violation: str | None) -> None:
        """Begin with what another server has received."""
        self._partial += half.data
        self._credentials, self._lost, self.violation = half.credentials, half.lost, violation
        self._descriptors = half.descriptors
        self.is_at_rest = not self._partial and violation is None

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished message has come."""
        return len(self._partial)

    @property
    def pending_descriptors(self) -> list[int]:
        """Those that belong to no whole message yet."""
        return self._descriptors

    def abandon(self) -> list[int]:
        """Give up the descriptors that belong to no whole message; the caller closes them."""
        left, self._descriptors = self._descriptors, []
        return left

    def feed(
        self, piece: bytes, credentials: bytes | None, descriptors: list[int], lost: bool = False
    ) -> list[Message]:
        """The messages that `piece`, as one recvmsg returned it, completes."""
        if self.is_at_rest and piece.find(b"\0") == len(piece) - 1 <= MAX_MESSAGE:
            return [Message(piece[:-1], credentials, descriptors, lost)]
        return self._cut(piece, credentials, descriptors, lost)

    def _cut(
        self, piece: bytes, credentials: bytes | None, descriptors: list[int], lost: bool
    ) -> list[Message]:
        *ends, rest = piece.split(b"\0")
        whole: list[Message] = []
        for number, end in enumerate(ends):
            self._append(end, credentials)
            if not rest and number == len(ends) - 1:
                self._attach(descriptors, lost)
                descriptors, lost = [], False
            if self.violation is not None:
                break
            whole.append(self._finish(credentials))
        self._append(rest, credentials)
        self._attach(descriptors, lost)
        self.is_at_rest = not self._partial and self.violation is None
        return whole

    def _append(self, part: bytes, credentials: bytes | None) -> None:
        if self.violation is not None:
            return
        if self._partial and credentials != self._credentials:
            self.violation = "two processes have sent parts of one message"
        elif len(self._partial) + len(part) > MAX_MESSAGE:
            self.violation = f"a message is over {MAX_MESSAGE} bytes long"
        else:
            self._credentials = credentials
            self._partial += part

    def _attach(self, descriptors: list[int], lost: bool) -> None:
        self._descriptors += descriptors
        self._lost = self._lost or lost
        if len(self._descriptors) > MAX_DESCRIPTORS and self.violation is None:
            self.violation = f"a message has more than {MAX_DESCRIPTORS} descriptors"

    def _finish(self, credentials: bytes | None) -> Message:
        message = Message(bytes(self._partial), credentials, self._descriptors, self._lost)
        self._partial.clear()
        self._descriptors, self._lost = [], False
        return message

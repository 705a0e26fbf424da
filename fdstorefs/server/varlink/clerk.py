"""Clerks: what a connection's calls are carried out by."""

from typing import Protocol

from fdstorefs.errors import StoreError
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reply import Reply
from fdstorefs.server.varlink.sender import Sender


class Clerk(Protocol):
    """Who carries out calls, and takes what came with them and no call wanted."""

    def answer(self, message: Message, sender: Sender) -> Reply | Activity | None:
        """Carry out the call in a message; None if it wants no answer.

        What it raises ends the connection: Malformed, Overloaded.
        """

    def failure(self, error: StoreError) -> Reply:
        """The error reply that stands for an exception, in the words of what is served here."""

    def discard(self, descriptor: int, sender: Sender) -> None:
        """Close a descriptor that a client sent, without waiting."""

    def waits(self, descriptor: int) -> None:
        """A descriptor that a client sent is here, and no call may take it for as long as the client likes."""

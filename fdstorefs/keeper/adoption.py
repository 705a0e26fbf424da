"""A server whose keeper was killed makes another process its keeper: it says ADOPT on a line that leads there."""

import socket
from collections.abc import Iterable
from typing import NamedTuple

from fdstorefs.keeper import wire
from fdstorefs.keeper.holding import Holding
from fdstorefs.keeper.server import Server
from fdstorefs.keeper.wire import Verb


class Appointment(NamedTuple):
    """What a keeper goes by whom somebody else than its server has started: the server whose keeper it is, whatever
    that says, and what every further one gets. The pidfd is the keeper's.
    """

    pid: int
    pidfd: int
    inherited: tuple[int, ...]


class Adoption(NamedTuple):
    """What a keeper begins with that has a server already, which was started after `restarts` restarts.

    The rest is for one who was keeper before, with other code: the `Children`, and what it had been told.
    """

    server: Server
    holding: Holding
    restarts: int
    children: Iterable[tuple[int, int]] = ()
    is_looked_after: bool = False
    is_told_to_end: bool = False


def await_adoption(line: socket.socket, appointment: Appointment | None = None) -> Adoption | None:
    """Wait for the server that says ADOPT on this line, and answer it. None if nobody is at the other end.

    With an appointment the server is believed nothing but how often it was started.
    """
    message = wire.receive(line)
    if message is None or message.verb is not Verb.ADOPT:
        return None
    pidfd, end, *told = message.descriptors
    server, holding = Server(message.told["pid"], pidfd, socket.socket(fileno=end)), Holding(tuple(told))
    if appointment is not None:
        server = server._replace(pid=appointment.pid, pidfd=appointment.pidfd)
        holding = Holding(appointment.inherited)
        holding.close_all((pidfd, *told))
    server.tell(Verb.ADOPTED)
    return Adoption(server, holding, message.told["restarts"])

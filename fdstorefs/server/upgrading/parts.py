"""What of an instance has to do with an upgrade."""

import socket
from dataclasses import dataclass

from fdstorefs.audit.log import AuditLog
from fdstorefs.server.context import Context
from fdstorefs.server.enforcement.keeping import PolicyKeeper
from fdstorefs.server.fuse import MountServer
from fdstorefs.server.guarding.guarding import Guarding
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.keeping.keeping import Keeping
from fdstorefs.server.lapsing.lapses import Lapses
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import Mounted
from fdstorefs.server.varlink import VarlinkServer


@dataclass(frozen=True, slots=True)
class Parts:
    """Of an instance that serves. `why` it is enforced as it is."""

    loop: Loop
    context: Context
    mounted: Mounted
    mount_server: MountServer
    listening: socket.socket
    socket_server: VarlinkServer
    line: KeeperLine
    keeping: Keeping
    audit: AuditLog
    policies: PolicyKeeper
    lapses: Lapses
    guarding: Guarding | None
    why: str

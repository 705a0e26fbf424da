"""The service for containers, put together: a warm parent, its socket, its instances. Its composition root."""

import importlib
import logging
import signal
import time
from functools import partial

from fdstorefs.containers import service
from fdstorefs.containers.asker import Asker
from fdstorefs.containers.desk import Desk
from fdstorefs.containers.door import Door
from fdstorefs.containers.instances import Instances
from fdstorefs.containers.keeping import become
from fdstorefs.containers.nursery import Nursery
from fdstorefs.containers.options import HostOptions
from fdstorefs.containers.places import CALLS, Places
from fdstorefs.containers.record import Records
from fdstorefs.containers.service import Service
from fdstorefs.host.descriptors import Descriptors, raise_limit
from fdstorefs.host.syscalls import set_dumpable
from fdstorefs.interface import host as interface
from fdstorefs.server.loop import Loop
from fdstorefs.server.readiness_notice import announce
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reply import Reply
from fdstorefs.server.varlink.sender import Sender
from fdstorefs.server.warmth import warm_up

log = logging.getLogger(__name__)

DRAIN_SECONDS = 2.0
_WARM = (
    "fdstorefs.host.user_database",
    "fdstorefs.policy.check",
    "fdstorefs.policy.load",
    "fdstorefs.server.enforcement.policy_files",
    "fdstorefs.server.instance",
)
"""What a server may come to need. It has the rights of a container's root by then, who may not be able to read it."""


def run(options: HostOptions, executed: frozenset[int]) -> None:
    """Serve until told to end; what was started goes on. Raises HostError, and PolicyError, with nothing changed.

    `executed` is what the processes of an instance are known to execute (see `scouting`).
    """
    set_dumpable(False)
    raise_limit()
    for name in _WARM:
        importlib.import_module(name)
    interface.description()
    records = Records(options.records)
    records.prepare()
    warm_up(executed)
    nursery = Nursery(partial(become, records, options.socket))
    door = Door(options.socket)
    try:
        _run(options, door, nursery)
    finally:
        door.close()
        nursery.close()


def _run(options: HostOptions, door: Door, nursery: Nursery) -> None:
    loop = Loop()
    instances = Instances(options, loop, nursery)
    instances.begin()
    descriptors = Descriptors()
    serving = Service(options, instances, time.time_ns(), Places(CALLS))

    def answer(message: Message, sender: Sender, asker: Asker) -> Reply | Activity:
        return service.answer(serving, message, sender, asker)

    desk = Desk(loop, door.listening, descriptors, answer, instances.records.has_server)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal(number, loop.stop)
    log.info("instances for containers are started at %s", options.socket)
    announce(options.ready_fd)
    loop.run()
    desk.close()
    descriptors.drain(DRAIN_SECONDS)
    loop.close()

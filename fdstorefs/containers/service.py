"""The service: from a message to its answer. Which method is done by which function stands in one table."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fdstorefs import __version__
from fdstorefs.containers import rights
from fdstorefs.containers.asker import Asker
from fdstorefs.containers.container import Container, Found, hold, require_root_directory
from fdstorefs.containers.errors import HostError
from fdstorefs.containers.instances import Instances
from fdstorefs.containers.options import MOUNT, HostOptions
from fdstorefs.containers.places import Places
from fdstorefs.containers.record import Process, Record
from fdstorefs.containers.replies import failure, instance
from fdstorefs.errors import BadDescriptor, InvalidArgument, StoreError
from fdstorefs.host import procfs
from fdstorefs.host.file_kind import Kind, classify
from fdstorefs.interface import MAX_DESCRIPTORS
from fdstorefs.interface.host import NAME, description
from fdstorefs.server.options import ServeOptions
from fdstorefs.server.varlink import parameters, standard
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.call import Call, Malformed, parse
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.later import Done, Later
from fdstorefs.server.varlink.reply import Reply, success
from fdstorefs.server.varlink.sender import Sender
from fdstorefs.server.varlink.standard import STANDARD, StandardError

T = TypeVar("T")

_MOST_PATH_BYTES = 4095

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """What a verb works with. `started` in nanoseconds since the epoch, and `calls` are those that last."""

    options: HostOptions
    instances: Instances
    started: int
    calls: Places


Verb = Callable[[Service, Asker, Call], Reply | Activity]


def start(service: Service, asker: Asker, call: Call) -> Activity:
    """Have an instance serve."""
    service.calls.require(asker.standing)
    parameters.only(call.parameters, frozenset({"process", "mount", "root", "entries", "entriesPerUid"}))
    mount, serve = _mount(call), _serve_options(service, call)
    root = None if call.parameters.get("root") is None else _descriptor(call, "root")
    if root is not None:
        require_root_directory(root)
    found = _container(asker, call)
    if root is not None:
        found = Found(found.container.with_root(root), found.pid)

    def begin(done: Callable[[Record | Exception], None]) -> None:
        try:
            service.instances.start(found.container, found.pid, mount, call.subject.uid, serve, done)
        finally:
            found.container.close()

    return _lasting(service, asker, begin, lambda record: success({"instance": instance(record)}))


def stop(service: Service, asker: Asker, call: Call) -> Activity:
    """End an instance."""
    service.calls.require(asker.standing)
    parameters.only(call.parameters, frozenset({"process", "mount"}))
    mount = _mount(call)
    found = _container(asker, call)
    try:
        record = service.instances.find(found.container, mount)
    finally:
        found.container.close()

    def begin(done: Callable[[Exception | None], None]) -> None:
        service.instances.stop(record, done)

    return _lasting(service, asker, begin, lambda _none: success({}))


def _lasting(
    service: Service, asker: Asker, begin: Callable[[Done[T]], None], reply: Callable[[T], Reply]
) -> Activity:
    """A call that counts until what it has begun is done, even if nobody waits for that any more."""

    def counted(done: Done[T]) -> None:
        counts = [asker.standing]

        def over() -> None:
            while counts:
                service.calls.give_back(counts.pop())

        def told(result: T | Exception) -> None:
            over()
            done(result)

        service.calls.take(asker.standing)
        try:
            begin(told)
        except BaseException:
            over()
            raise

    return Later(counted, reply, _failed)


def list_all(service: Service, _asker: Asker, call: Call) -> Reply:
    """Those that the caller may end."""
    parameters.only(call.parameters, frozenset())
    told = [instance(record) for record in service.instances.all() if rights.may_end(call.subject, record)]
    return success({"instances": told})


def status(service: Service, _asker: Asker, call: Call) -> Reply:
    """What the service is."""
    parameters.only(call.parameters, frozenset())
    return success(
        {
            "version": __version__,
            "pid": os.getpid(),
            "uid": os.geteuid(),
            "started": service.started,
            "instances": service.instances.records.count(),
        }
    )


def keep(service: Service, asker: Asker, call: Call) -> Reply:
    """Another keeper for a server."""
    parameters.only(call.parameters, frozenset({"instance", "line", "container"}))
    name, line = parameters.text(call.parameters, "instance"), _descriptor(call, "line")
    if "/" in name or classify(line).kind is not Kind.SOCKET:
        raise InvalidArgument("`line` is not a socket, or `instance` no name")
    numbers = call.parameters.get("container")
    if type(numbers) is not list or len(numbers) != len(Container.__slots__):
        raise standard.invalid_parameter("container")
    container = Container.of(tuple(_at(call, number, "container") for number in numbers))
    container.require_sound()
    procfs.check_pidfd(asker.pidfd, asker.pid)
    pid = service.instances.replace_keeper(name, Process.of(asker.pid), container, (asker.pidfd, line))
    return success({"keeper": pid})


def get_info(_service: Service, _asker: Asker, call: Call) -> Reply:
    """What this service is."""
    parameters.only(call.parameters, frozenset())
    return success(standard.info(NAME))


def get_interface_description(_service: Service, _asker: Asker, call: Call) -> Reply:
    """The definition of an interface."""
    parameters.only(call.parameters, frozenset({"interface"}))
    wanted = parameters.text(call.parameters, "interface")
    return success(standard.interface_description(wanted, NAME, description))


VERBS: dict[str, Verb] = {
    f"{NAME}.Start": start,
    f"{NAME}.Stop": stop,
    f"{NAME}.List": list_all,
    f"{NAME}.Status": status,
    f"{NAME}.Keep": keep,
    f"{STANDARD}.GetInfo": get_info,
    f"{STANDARD}.GetInterfaceDescription": get_interface_description,
}

WITH_DESCRIPTORS = frozenset({start, stop, keep})


def answer(service: Service, message: Message, sender: Sender, asker: Asker) -> Reply | Activity:
    """Carry out the call in a message. Raises Malformed."""
    if message.credentials is None:
        raise Malformed("the kernel did not say who sent it")
    try:
        call = parse(message.data, sender.subject(message.credentials), message.descriptors)
        asker.require_sender(message.credentials)
        return _carry_out(service, asker, call, message)
    except Malformed:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, it is told to who asked
        return _failed(error)


def _carry_out(service: Service, asker: Asker, call: Call, message: Message) -> Reply | Activity:
    verb = VERBS.get(call.method)
    if verb is None:
        interface, dot, name = call.method.rpartition(".")
        known = interface in (NAME, STANDARD) and dot and name
        raise standard.method_not_found(call.method) if known else standard.interface_not_found(interface)
    if message.lost:
        raise BadDescriptor("descriptors of this message were lost on the way")
    if message.descriptors and verb not in WITH_DESCRIPTORS:
        raise InvalidArgument(f"{len(message.descriptors)} descriptors came with a call that takes none")
    if call.oneway:
        raise InvalidArgument(f"`{call.method}` is nothing without its reply")
    return verb(service, asker, call)


def _container(asker: Asker, call: Call) -> Found:
    """The container that a call is about, if the caller has a say there. To be closed."""
    if call.parameters.get("process") is None:
        pidfd, pid = asker.pidfd, asker.pid
    else:
        pidfd = _descriptor(call, "process")
        if classify(pidfd).kind is not Kind.PIDFD:
            raise BadDescriptor("the descriptor is not a pidfd", hint="make one with pidfd_open(2)")
        pid = procfs.number_behind(pidfd)

    def require(users: int, mounts: int) -> None:
        rights.require(call.subject, users)
        rights.require_owner(users, mounts)

    return hold(pid, pidfd, require)


def _mount(call: Call) -> str:
    mount = parameters.optional_text(call.parameters, "mount") or MOUNT
    if not mount.startswith("/") or "\0" in mount or len(os.fsencode(mount)) > _MOST_PATH_BYTES:
        raise InvalidArgument(f"`{mount}` is not an absolute path", hint="as it is in the container")
    path = os.path.normpath(f"/{mount.lstrip('/')}")
    if path == "/":
        raise InvalidArgument("an instance can't be mounted over the root directory", hint=f"try {MOUNT}")
    return path


def _serve_options(service: Service, call: Call) -> ServeOptions:
    ours = service.options.serve
    return replace(
        ours,
        entries=_least(ours.entries, call, "entries"),
        entries_per_uid=_least(ours.entries_per_uid, call, "entriesPerUid"),
    )


def _least(ours: int | None, call: Call, key: str) -> int | None:
    theirs = call.parameters.get(key)
    if theirs is None:
        return ours
    if type(theirs) is not int or not 0 < theirs < 1 << 31:
        raise standard.invalid_parameter(key)
    return theirs if ours is None else min(ours, theirs)


def _descriptor(call: Call, key: str) -> int:
    return _at(call, call.parameters.get(key), key)


def _at(call: Call, number: Any, key: str) -> int:
    if type(number) is not int or not 0 <= number < MAX_DESCRIPTORS:
        raise standard.invalid_parameter(key)
    if number >= len(call.descriptors):
        raise BadDescriptor(
            f"descriptor {number} is named, and the message has {len(call.descriptors)}", hint="count from 0"
        )
    return call.descriptors[number]


def _failed(error: Exception) -> Reply:
    if isinstance(error, StoreError | StandardError):
        return failure(error)
    log.error("a call failed", exc_info=error)
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
    return failure(HostError(f"the service failed to carry this out: {why}", hint="see its log"))

"""The service: from a message to its answer. Which method is done by which function stands in one table."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer import parameters as read
from fdstorefs.enforcer.caller import Caller
from fdstorefs.enforcer.errors import BadPolicy, EnforcerError, NotEnforcing
from fdstorefs.enforcer.guard_call import GuardCall
from fdstorefs.enforcer.host import Host
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.policy_keeper import Change, errors_in, explicit_paths
from fdstorefs.enforcer.register_call import RegisterCall
from fdstorefs.enforcer.replies import failure
from fdstorefs.errors import BadDescriptor, InvalidArgument, NotPermitted, StoreError
from fdstorefs.host.file_kind import Kind, classify
from fdstorefs.interface.enforcer import NAME, description
from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.policy.vocabulary import Mode
from fdstorefs.server.enforcement.keeping import in_one_line
from fdstorefs.server.varlink import parameters, standard
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.call import CONSUMED, Call, Malformed, parse
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.later import Later
from fdstorefs.server.varlink.reply import Reply, success
from fdstorefs.server.varlink.sender import Sender
from fdstorefs.server.varlink.standard import STANDARD, StandardError

Verb = Callable[[Host, Caller, Call], Reply | Activity]

log = logging.getLogger(__name__)


def register(host: Host, caller: Caller, call: Call) -> Activity:
    """Have the caller's mount guarded."""
    parameters.only(call.parameters, frozenset({"mount", "mountDescriptor", "previous"}))
    path = parameters.text(call.parameters, "mount")
    read.optional_number(call.parameters, "previous")
    root = host.descriptors.adopt(descriptor(call, "mountDescriptor"))
    call.descriptors[call.descriptors.index(root)] = CONSUMED
    return RegisterCall(
        host, caller, path, root, lambda instance: registered(host, caller, instance), _failed
    )


def registered(host: Host, caller: Caller, instance: Instance) -> Reply:
    """The reply to Register: this connection is the instance's from now on."""
    caller.instance, caller.start = instance.number, instance.start
    instance.connected = True
    in_force = host.enforcement.in_force(instance.number)
    if in_force is None or not host.kernel.attached:
        raise NotEnforcing("the kernel enforces nothing", hint="`fdstorefs doctor` says what is missing")
    return success(
        {
            "instance": instance.number,
            "generation": host.enforcement.generation.number,
            "lockdown": host.kernel.lockdown,
            "hooks": list(host.kernel.attached),
            "policies": list(in_force.mark.names),
        }
    )


def protect(host: Host, caller: Caller, call: Call) -> Reply:
    """Guard a keeper."""
    host.registration.protect(*_instance_and_process(host, caller, call))
    return success({})


def succeed(host: Host, caller: Caller, call: Call) -> Reply:
    """Another process serves the instance."""
    host.registration.succeed(*_instance_and_process(host, caller, call))
    return success({})


def _instance_and_process(host: Host, caller: Caller, call: Call) -> tuple[Instance, int]:
    """The caller's instance, and a pidfd of the process that the call is about."""
    parameters.only(call.parameters, frozenset({"process"}))
    pidfd = descriptor(call, "process")
    instance = host.registry.of_server(caller)
    if classify(pidfd).kind is not Kind.PIDFD:
        raise BadDescriptor("the descriptor is not a pidfd", hint="make one with pidfd_open(2)")
    return instance, pidfd


def guard(host: Host, caller: Caller, call: Call) -> Activity:
    """Classify open files."""
    parameters.only(call.parameters, frozenset({"files"}))
    given = read.files(call.parameters)
    for file in given:
        if file.descriptor >= len(call.descriptors):
            raise _no_descriptor(file.descriptor, call)
    if len({file.descriptor for file in given}) != len(given):
        raise InvalidArgument("a descriptor is given twice", hint="give all its names at once")
    host.registry.of_server(caller)
    return GuardCall(host, caller, given, call)


def release(host: Host, caller: Caller, call: Call) -> Reply:
    """The instance keeps an open file no longer."""
    parameters.only(call.parameters, frozenset({"descriptor", "inodes"}))
    inodes = read.inodes(call.parameters)
    fd = descriptor(call, "descriptor")
    host.guarding.release(host.registry.of_server(caller), fd, inodes)
    return success({})


def status(host: Host, caller: Caller, call: Call) -> Reply:
    """What is in force."""
    parameters.only(call.parameters, frozenset())
    return success(host.status(caller.uid))


def load(host: Host, caller: Caller, call: Call) -> Activity:
    """Read the policies again, or others."""
    parameters.only(call.parameters, frozenset({"files"}))
    _require_root(caller)
    try:
        paths = explicit_paths(read.texts(call.parameters, "files"))
    except ValueError as error:
        raise InvalidArgument(f"`{error}` is not an absolute path", name=str(error)) from error
    change = Change(paths=paths, by=caller.mark(call.subject))
    return _changed(host, change, lambda: _told_of_load(host))


def set_mode(host: Host, caller: Caller, call: Call) -> Activity:
    """Have a policy enforce or monitor."""
    parameters.only(call.parameters, frozenset({"policy", "mode"}))
    _require_root(caller)
    name, word = parameters.text(call.parameters, "policy"), parameters.text(call.parameters, "mode")
    if word not in set(Mode):
        raise InvalidArgument(f"`{word}` is not a mode", hint="`enforce` or `monitor`")
    modes = {each.name: each.mode for each in host.enforcement.generation.policy_set.policies}
    former = str(modes.get(name, ""))
    change = Change(name=name, mode=Mode(word), by=caller.mark(call.subject))
    return _changed(
        host, change, lambda: {"generation": host.enforcement.generation.number, "former": former}
    )


def get_info(_host: Host, _caller: Caller, call: Call) -> Reply:
    """What this service is."""
    parameters.only(call.parameters, frozenset())
    return success(standard.info(NAME))


def get_interface_description(_host: Host, _caller: Caller, call: Call) -> Reply:
    """The definition of an interface."""
    parameters.only(call.parameters, frozenset({"interface"}))
    wanted = parameters.text(call.parameters, "interface")
    return success(standard.interface_description(wanted, NAME, description))


VERBS: dict[str, Verb] = {
    f"{NAME}.Register": register,
    f"{NAME}.Protect": protect,
    f"{NAME}.Succeed": succeed,
    f"{NAME}.Guard": guard,
    f"{NAME}.Release": release,
    f"{NAME}.Status": status,
    f"{NAME}.Load": load,
    f"{NAME}.SetMode": set_mode,
    f"{STANDARD}.GetInfo": get_info,
    f"{STANDARD}.GetInterfaceDescription": get_interface_description,
}

WITH_DESCRIPTORS = frozenset({register, protect, succeed, guard, release})


def answer(host: Host, message: Message, sender: Sender, caller: Caller) -> Reply | Activity | None:
    """Carry out the call in a message; None if it wants no reply. Raises Malformed."""
    if message.credentials is None:
        raise Malformed("the kernel did not say who sent it")
    try:
        call = parse(message.data, sender.subject(message.credentials), message.descriptors)
    except StandardError as error:
        return failure(error)
    try:
        caller.require_sender(message.credentials)
        done = _carry_out(host, caller, call, message)
    except Exception as error:  # noqa: BLE001  whatever it is, it is told to who asked
        done = _failed(error)
    return None if call.oneway and isinstance(done, Reply) else done


def _carry_out(host: Host, caller: Caller, call: Call, message: Message) -> Reply | Activity:
    verb = VERBS.get(call.method)
    if verb is None:
        interface, dot, name = call.method.rpartition(".")
        known = interface in (NAME, STANDARD) and dot and name
        raise standard.method_not_found(call.method) if known else standard.interface_not_found(interface)
    if message.lost:
        raise BadDescriptor("descriptors of this message were lost on the way", hint="send fewer at once")
    if message.descriptors and verb not in WITH_DESCRIPTORS:
        raise InvalidArgument(f"{len(message.descriptors)} descriptors came with a call that takes none")
    if call.oneway and verb not in (release,):
        raise InvalidArgument(f"`{call.method}` is nothing without its reply")
    return verb(host, caller, call)


def descriptor(call: Call, key: str) -> int:
    """The descriptor that a parameter is the index of."""
    number = read.index(call.parameters, key)
    if number >= len(call.descriptors):
        raise _no_descriptor(number, call)
    return call.descriptors[number]


def _no_descriptor(number: int, call: Call) -> BadDescriptor:
    return BadDescriptor(
        f"descriptor {number} is named, and the message has {len(call.descriptors)}", hint="count from 0"
    )


def _require_root(caller: Caller) -> None:
    if not caller.is_root:
        raise NotPermitted(f"uid {caller.uid} may not change what is in force", hint="run it as root")


def _changed(host: Host, change: Change, reply: Callable[[], dict[str, Any]]) -> Later[None]:
    def begin(done: Callable[[Exception | None], None]) -> None:
        host.policies.change(replace(change, done=done))

    return Later(begin, lambda _none: success(reply()), _failed)


def _told_of_load(host: Host) -> dict[str, Any]:
    generation = host.enforcement.generation
    return {
        "generation": generation.number,
        "policies": list(generation.everything.mark.names),
        "warnings": len(generation.policy_set.warnings),
    }


def _failed(error: Exception) -> Reply:
    if isinstance(error, StoreError | StandardError):
        return failure(error)
    if isinstance(error, PolicyError):
        errors = [str(each.message) for each in errors_in(error)]
        return failure(BadPolicy(in_one_line(error), hint="what was in force stays", errors=errors))
    if isinstance(error, KernelError):
        return failure(NotEnforcing(error.message, hint=error.hint))
    log.error("a call failed", exc_info=error)
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""
    return failure(
        EnforcerError(
            f"the enforcer failed to carry this out{f': {why}' if why else ''}", hint="see the enforcer's log"
        )
    )

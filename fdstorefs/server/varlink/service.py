"""The service: from a message to its answer. Which method is done by which function stands in one table."""

import logging
import os
from collections.abc import Callable
from typing import Any

from fdstorefs.core.access import is_owner
from fdstorefs.errors import Denied, InvalidArgument, QuotaExceeded, StoreError
from fdstorefs.interface import NAME, description
from fdstorefs.server.context import Context
from fdstorefs.server.out_of_descriptors import OUT_OF_DESCRIPTORS, as_quota
from fdstorefs.server.varlink import names, parameters, standard
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.call import Call, Malformed, parse
from fdstorefs.server.varlink.describing import describe
from fdstorefs.server.varlink.dumping import dump
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.listing import list_entries
from fdstorefs.server.varlink.reply import Reply, failure, success
from fdstorefs.server.varlink.restoring import restore
from fdstorefs.server.varlink.retrieve import retrieve, take
from fdstorefs.server.varlink.sender import Sender
from fdstorefs.server.varlink.standard import STANDARD, StandardError
from fdstorefs.server.varlink.stash import stash
from fdstorefs.server.varlink.upgrading import upgrade
from fdstorefs.server.varlink.watching import watch

Answer = Reply | Activity
Verb = Callable[[Context, Call], Answer]

log = logging.getLogger(__name__)


def status(context: Context, call: Call) -> Reply:
    """What this instance is; of what goes on in it, all but its owner are told of their own only."""
    parameters.only(call.parameters, frozenset())
    told = context.status()
    if not is_owner(call.subject, context.store.root):
        _leave_out_others(told, context.store.counted(call.subject))
    return success(told)


def _leave_out_others(told: dict[str, Any], own: int) -> None:
    # Every count tells of what others do, or of names that the caller may not know of: a denial is on record.
    told["entries"] = told["descriptors"] = own
    told["audit"], told["connections"] = [], 0
    told["guarded"] = told["unguarded"] = None
    told["policyStatus"] = told["policyStatus"] | {"files": [], "rejected": None}


def get_info(_context: Context, call: Call) -> Reply:
    """What this service is."""
    parameters.only(call.parameters, frozenset())
    return success(standard.info(NAME))


def get_interface_description(_context: Context, call: Call) -> Reply:
    """The definition of an interface."""
    parameters.only(call.parameters, frozenset({"interface"}))
    wanted = parameters.text(call.parameters, "interface")
    return success(standard.interface_description(wanted, NAME, description))


VERBS: dict[str, Verb] = {
    f"{NAME}.Stash": stash,
    f"{NAME}.Retrieve": retrieve,
    f"{NAME}.Take": take,
    f"{NAME}.Dump": dump,
    f"{NAME}.Restore": restore,
    f"{NAME}.Discard": names.discard,
    f"{NAME}.DiscardUnchanged": names.discard_unchanged,
    f"{NAME}.List": list_entries,
    f"{NAME}.Describe": describe,
    f"{NAME}.Rename": names.rename,
    f"{NAME}.Link": names.link,
    f"{NAME}.MakeBox": names.make_box,
    f"{NAME}.RemoveBox": names.remove_box,
    f"{NAME}.Seal": names.seal,
    f"{NAME}.Unseal": names.unseal,
    f"{NAME}.Watch": watch,
    f"{NAME}.Status": status,
    f"{NAME}.Upgrade": upgrade,
    f"{STANDARD}.GetInfo": get_info,
    f"{STANDARD}.GetInterfaceDescription": get_interface_description,
}

WITH_DESCRIPTORS = frozenset({stash, restore})
ONLY_FOR_THE_REPLY = frozenset({retrieve, take, dump, restore, list_entries, describe, watch, upgrade})
"""What a call without a reply would do nothing with, or lose descriptors by: it isn't carried out."""


def answer(context: Context, message: Message, sender: Sender) -> Answer | None:
    """Carry out the call in a message; None if it wants no reply. Raises Malformed."""
    if message.credentials is None:
        raise Malformed("the kernel did not say who sent it")
    subject = sender.subject(message.credentials)
    try:
        call = parse(message.data, subject, message.descriptors)
        call.session = sender.session
    except StandardError as error:
        return failure(error)
    try:
        done = _carry_out(context, call, message)
    except (StoreError, StandardError) as error:
        done = failure(error)
    except Exception as error:
        log.exception("a call of %s by uid %d failed", call.method, subject.uid)
        done = failure(_unexpected(error))
    return None if call.oneway else done


def _carry_out(context: Context, call: Call, message: Message) -> Answer:
    verb = VERBS.get(call.method)
    if verb is None:
        raise _unknown(call.method)
    if message.descriptors or message.lost:
        _check_descriptors(verb, message)
    if call.oneway and verb in ONLY_FOR_THE_REPLY:
        raise InvalidArgument(f"`{call.method}` is nothing without its reply")
    return verb(context, call)


def _unexpected(error: Exception) -> StoreError:
    if isinstance(error, OSError) and error.errno in OUT_OF_DESCRIPTORS:
        return as_quota(error)
    why = error.strerror if isinstance(error, OSError) else None
    return StoreError(
        f"the server failed to carry this out{f': {why}' if why else ''}", hint="see the server's log"
    )


def _unknown(method: str) -> StandardError:
    interface, dot, name = method.rpartition(".")
    if interface in (NAME, STANDARD) and dot and name:
        return standard.method_not_found(method)
    return standard.interface_not_found(interface)


def _check_descriptors(verb: Verb, message: Message) -> None:
    if message.lost:
        raise _why_lost()
    if verb not in WITH_DESCRIPTORS:
        raise InvalidArgument(
            f"{len(message.descriptors)} descriptors came with a call that takes none",
            hint="send them with Stash",
        )


def _why_lost() -> StoreError:
    """Descriptors are lost for two reasons: we can have no more, or a security module keeps them from us."""
    try:
        os.close(os.eventfd(0))
    except OSError:
        return QuotaExceeded(
            "the instance cannot receive so many descriptors: its descriptor limit is reached",
            hint="discard some, or start the instance with a higher RLIMIT_NOFILE",
        )
    return Denied("the kernel did not let the instance receive a descriptor of this message")

"""Stash: all or none.

Everything that can be refused is refused before the first entry changes: names, permission and limits for
all, then every descriptor is accepted, and only then are they stored, which nothing can interrupt.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fdstorefs.core.access import Target
from fdstorefs.core.agreement import Put
from fdstorefs.core.changing import ENTRY_MODE
from fdstorefs.core.node import OpenFile
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.errors import BadDescriptor, InvalidArgument, StoreError
from fdstorefs.host.boot_clock import boottime
from fdstorefs.server.context import Context
from fdstorefs.server.intake import Intake
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.call import CONSUMED, Call
from fdstorefs.server.varlink.reply import Reply, success

PARAMETERS = frozenset({"entries", "replace", "mode", "label", "lifetime", "poll"})
Named = list[tuple[str, int]]


def stash(context: Context, call: Call) -> Reply:
    """Put the descriptors of a call under names."""
    given = call.parameters
    parameters.only(given, PARAMETERS)
    entries = parameters.named(given)
    replace = parameters.flag(given, "replace")
    mode, label = parameters.mode(given, ENTRY_MODE), parameters.label(given)
    lifetime, polled = parameters.lifetime(given), parameters.optional_flag(given, "poll")
    expires = boottime() + lifetime if lifetime is not None else None
    _check_indexes(entries, call.descriptors)
    targets = _targets(context, call, [name for name, _ in entries], replace)
    with _accepted(context.intake, entries, call) as files:
        stasher = context.subjects.stasher(call.subject)
        puts = [
            context.store.to_put(target, files[index], stasher, label, expires, polled)
            for target, (_, index) in zip(targets, entries, strict=True)
        ]
        ids = _put(context.store, call.subject, puts, mode)
    return success({"ids": ids})


def _put(store: Store, subject: Subject, puts: list[Put], mode: int) -> list[int]:
    with store.agreement(subject, puts) as agreement:
        for put in puts:
            store.check_put(subject, put.target, put.file, put.label)
        store.require_names([(put.target, put.file) for put in puts])
        agreement.complete()
        return [entry.ino for entry, _ in store.put_all(subject, puts, mode=mode)]


def _check_indexes(entries: Named, descriptors: list[int]) -> None:
    for name, index in entries:
        if not 0 <= index < len(descriptors):
            raise BadDescriptor(
                f"`{name}` is to be descriptor {index} of a message that has {len(descriptors)}",
                name=name,
                hint="count from 0",
            )


def _targets(context: Context, call: Call, names: list[str], replace: bool) -> list[Target]:
    """What the names stand for, if all of them may be stashed to."""
    store = context.store
    targets = [store.check_stash(call.subject, name, replace=replace) for name in names]
    if len({_place(target) for target in targets}) != len(targets):
        raise InvalidArgument("the same name is given twice; an entry holds one descriptor")
    store.require_room(call.subject, targets)
    return targets


def _place(target: Target) -> tuple[int, str]:
    return target.box.ino, target.name


@contextmanager
def _accepted(intake: Intake, entries: Named, call: Call) -> Iterator[dict[int, OpenFile]]:
    """The open files by index, held until the block ends; entries that were made in it hold them by then."""
    files: dict[int, OpenFile] = {}
    try:
        for name, index in entries:
            if index not in files:
                files[index] = _accept(intake, name, call, index).hold()
        yield files
    finally:
        for file in files.values():
            file.drop()


def _accept(intake: Intake, name: str, call: Call, index: int) -> OpenFile:
    descriptor, call.descriptors[index] = call.descriptors[index], CONSUMED
    try:
        return intake.accept(descriptor, call.subject.uid)
    except StoreError as error:
        error.name = error.name or name
        raise

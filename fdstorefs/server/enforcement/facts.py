"""Facts: entries and boxes of the store as policies speak of them."""

from fdstorefs.core.access import Coming, Target
from fdstorefs.core.node import Box, Entry, Opener, OpenFile, Stasher
from fdstorefs.policy.request import NOBODY_KNOWN, OPEN, UNKNOWN, EntryFacts, Person
from fdstorefs.policy.vocabulary import BOX, EMPTY

NOBODY_YET = Person(OPEN, OPEN, OPEN)


def facts_of(path: str, node: Entry | Box) -> EntryFacts:
    """What stands under a name."""
    stasher = person(node.stasher)
    if isinstance(node, Entry):
        return _of_file(path, node.file, node.label, stasher)
    return _of_box(path, stasher)


def facts_of_coming(target: Target, coming: Coming, subject: Person) -> EntryFacts:
    """What is to stand under the name of the target. `subject` is who asks, in the place of the stasher."""
    stasher = subject if coming.stasher is None else person(coming.stasher)
    if coming.is_box:
        return _of_box(target.path, stasher)
    return _of_file(target.path, coming.file, coming.label, stasher)


def person(stasher: Stasher | None) -> Person:
    """Who stashed; nobody known where the store has no record of it."""
    if stasher is None:
        return NOBODY_KNOWN
    return Person(
        uid=stasher.uid if stasher.known else UNKNOWN,
        capabilities=UNKNOWN if stasher.capabilities is None else stasher.capabilities,
        # The bare numbers: what is remembered of an entry must not hold its stasher's namespace after it has gone.
        userns=UNKNOWN if stasher.userns is None else tuple(stasher.userns),
    )


def _of_file(path: str, file: OpenFile | None, label: str | None, stasher: Person) -> EntryFacts:
    if file is None:
        return EntryFacts(path, EMPTY, OPEN, OPEN, label, stasher, NOBODY_YET, OPEN)
    filesystem = UNKNOWN if file.filesystem is None else file.filesystem
    return EntryFacts(
        path, file.kind, filesystem, file.access, label, stasher, _opener(file.opener), file.guarded
    )


def _opener(opener: Opener | None) -> Person:
    """Who opened a file: only the kernel knows, and it tells where it enforces the policy."""
    if opener is None:
        return NOBODY_KNOWN
    return Person(UNKNOWN if opener.uid is None else opener.uid, opener.capabilities, opener.userns)


def _of_box(path: str, stasher: Person) -> EntryFacts:
    return EntryFacts(path, BOX, OPEN, OPEN, None, stasher, NOBODY_YET, OPEN)

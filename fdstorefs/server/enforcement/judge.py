"""The judge: verdicts of the policies in force on what is in the store.

What the tables say of an entry is worked out once and remembered on its node, until the entry or the policy
changes, or a box is renamed and with it the paths below.
"""

from collections.abc import Iterator
from dataclasses import replace

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.tree import Tree
from fdstorefs.policy.classify import EntryClass, classify
from fdstorefs.policy.decide import Evaluator
from fdstorefs.policy.request import UNKNOWN, EntryFacts, Person, Request, Subject, Userns
from fdstorefs.policy.tables import Tables
from fdstorefs.policy.verdict import Verdict
from fdstorefs.policy.vocabulary import IMPLY_LIST
from fdstorefs.policy.vocabulary import Action as Asked
from fdstorefs.server.enforcement.facts import facts_of, facts_of_coming, person

ASKED: dict[Action, Asked] = {
    Action.STASH: Asked.STASH,
    Action.RETRIEVE: Asked.RETRIEVE,
    Action.TAKE: Asked.TAKE,
    Action.DISCARD: Asked.DISCARD,
    Action.LIST: Asked.LIST,
    Action.DESCRIBE: Asked.DESCRIBE,
    Action.RENAME: Asked.RENAME,
    Action.LINK: Asked.LINK,
    Action.SEAL: Asked.SEAL,
    # To change who owns an entry, its mode or its label is to stash it anew.
    Action.CHANGE: Asked.STASH,
}
"""What policies call an action of the store. They have no word for passing through a box: it is seen or not."""

_DELIVERING = frozenset({Action.RETRIEVE, Action.TAKE})

MOST_SHARED = 4096
"""Classes that are kept to be shared. Users can make as many as they have user namespaces."""

Remembered = tuple[object, EntryClass]


class Judge:
    """Decides by one set of tables. `instance` is the user namespace of the instance."""

    def __init__(self, tables: Tables, instance: Userns, tree: Tree) -> None:
        self._evaluator = Evaluator(tables, instance)
        self._instance = instance
        self._tables = tables
        self._tree = tree
        self._moved_boxes = -1
        self._stamp = object()
        self._classes: dict[EntryClass, Remembered] = {}
        self._showing = frozenset(action for action in ASKED if _shows(tables, ASKED[action]))

    def shows(self, action: Action, node: Entry | Box) -> bool:
        """Whether these policies let nobody do this with the node who may not list it.

        What takes seeing an entry allows to see it, and here whatever forbids to list forbids this, too. But a
        file may be delivered because of a name that the subject didn't ask for.
        """
        return action in self._showing and not (isinstance(node, Entry) and node.has_more_names)

    def verdict(self, subject: Subject, action: Action, target: Target) -> Verdict:
        """The verdict on an action; what is to come decides about a stash, what is there about all else."""
        if target.coming is not None:
            facts = facts_of_coming(target, target.coming, self._as_stasher(subject))
            return self._evaluator.decide(ASKED[action], classify(self._tables, facts), subject)
        node = target.node
        if node is None:
            raise AssertionError(f"there is nothing to {action} at `{target.path}`")
        entry = self._class_of(target, node)
        if action in _DELIVERING and isinstance(node, Entry) and node.has_more_names:
            also = [classify(self._tables, facts) for facts in _other_names(target, node)]
            return self._evaluator.decide(ASKED[action], entry, subject, also)
        return self._evaluator.decide(ASKED[action], entry, subject)

    def request(self, subject: Subject, action: Action, target: Target) -> Request:
        """The same question, spelled out for an explanation."""
        also: tuple[EntryFacts, ...] = ()
        if target.coming is not None:
            facts = facts_of_coming(target, target.coming, self._as_stasher(subject))
        elif target.node is not None:
            facts = facts_of(target.path, target.node)
            if action in _DELIVERING and isinstance(target.node, Entry):
                also = tuple(_other_names(target, target.node))
        else:
            facts = EntryFacts(target.path)
        return Request(ASKED[action], facts, subject, self._instance, also)

    def _class_of(self, target: Target, node: Entry | Box) -> EntryClass:
        if not node.is_only(target.box, target.name):
            # A former name, as in news of a change, or one of several: not what is remembered.
            return classify(self._tables, facts_of(target.path, node))
        if self._moved_boxes != self._tree.moved_boxes:
            self._forget()
        remembered = node.judged
        if isinstance(remembered, tuple) and remembered[0] is self._stamp:
            found: EntryClass = remembered[1]
            return found
        found = classify(self._tables, facts_of(target.path, node))
        node.judged = self._shared(found)
        return found

    def _forget(self) -> None:
        self._moved_boxes, self._stamp = self._tree.moved_boxes, object()
        self._classes.clear()

    def _shared(self, found: EntryClass) -> Remembered:
        """One object for all entries of a class, so that it costs an entry no more than the reference."""
        shared = self._classes.get(found)
        if shared is None:
            if len(self._classes) >= MOST_SHARED:
                self._classes.clear()
            shared = self._classes[found] = (self._stamp, found)
        return shared

    def _as_stasher(self, subject: Subject) -> Person:
        capabilities = subject.capabilities if self._tables.assume else UNKNOWN
        return Person(subject.uid, capabilities, subject.userns)


def _shows(tables: Tables, action: Asked) -> bool:
    forbidden = tables.actions[Asked.LIST] & tables.forbid
    return action in IMPLY_LIST and not forbidden & ~tables.actions[action]


def _other_names(target: Target, entry: Entry) -> Iterator[EntryFacts]:
    """The open file under all its other names in this store, all with the stasher of the one asked for.

    Whoever stashes the same open file must not by that decide who gets what another has stashed.
    """
    stasher = person(entry.stasher)
    for holder in entry.file.entries if entry.file is not None else (entry,):
        for box, name in holder.places:
            if holder is not entry or box is not target.box or name != target.name:
                yield replace(facts_of(Target(box, name).path, holder), stasher=stasher)

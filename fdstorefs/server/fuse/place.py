"""Places: under which of its names an inode is meant, where the kernel tells only the inode."""

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject


def place_for(store: Store, subject: Subject, node: Entry | Box) -> Target:
    """A name of `node` that the subject can reach, or any; NoSuchEntry once it has none.

    A second name in a box that is closed to the subject must not keep it from the first.
    """
    if isinstance(node, Entry) and len(node.places) > 1:
        for box, name in node.places:
            target = Target(box, name, node)
            if store.may(subject, Action.SEARCH, target):
                return target
    return store.target_of(node)

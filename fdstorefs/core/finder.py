"""Finding: from paths and inode numbers to entries and boxes, as far as the subject may see them."""

from collections.abc import Callable, Generator, Iterator, Sequence

from fdstorefs.core.access import Action, Authority, Target
from fdstorefs.core.name import check, split
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.subject import Subject
from fdstorefs.core.tree import Tree
from fdstorefs.errors import InvalidArgument, NoSuchEntry, NotABox, StoreError

HIDDEN_AT_ONCE = 16
"""Names that are passed over in a walk before it pauses."""


class Finder:
    """The part of a store that only looks. Every way to an entry asks the `Authority`."""

    def __init__(self, tree: Tree, authority: Authority) -> None:
        self.tree = tree
        self._authority = authority
        self.is_over: Callable[[int], bool] = _never
        """Whether the time has come that an entry expires at."""
        self.go_now: Callable[[Entry], None] | None = None
        """Has an entry go whose time has come, of which there may be so many that not all are gone yet."""

    @property
    def root(self) -> Box:
        """The box that is mounted."""
        return self.tree.root

    def lookup(self, subject: Subject, box: Box, name: str, intent: Action = Action.LIST) -> Target:
        """A name in `box` that stands for something; errors: Denied, NoSuchEntry.

        To the subject, what the policy doesn't let it list isn't there.
        """
        return self._known(subject, self._searched(subject, self.target(box, name)), intent)

    def locate(self, subject: Subject, path: str, intent: Action = Action.LIST) -> Target:
        """Walk `path` to something that is there and that the subject may know of.

        Errors: InvalidName, NameTooLong, NoSuchEntry, NotABox for a box on the way, Denied.
        """
        target = self.locate_goal(subject, path)
        return target if target.node is self.root else self._known(subject, target, intent)

    def _known(self, subject: Subject, target: Target, intent: Action) -> Target:
        if target.node is None or not self._authority.exists(subject, target, intent):
            raise NoSuchEntry(f"no entry `{target.path}`", name=target.path)
        return target

    def locate_distinct(self, subject: Subject, paths: Sequence[str], intent: Action) -> list[Target]:
        """Locate all; errors: InvalidArgument for a name that is given twice, and those of `locate`."""
        targets = [self.locate(subject, path, intent) for path in paths]
        if len({(target.box.ino, target.name) for target in targets}) != len(targets):
            raise InvalidArgument("the same name is given twice")
        return targets

    def locate_goal(self, subject: Subject, path: str) -> Target:
        """As `locate`, for a name that something is to get: what stands there is in the way, seen or not."""
        box = self.root
        if path and "/" not in path:
            return self._searched(subject, self.target(box, path))  # the usual case, without a detour
        parts = split(path)
        if not parts:
            return Target(box, "", box)
        for part in parts[:-1]:
            node = self.lookup(subject, box, part).node
            if not isinstance(node, Box):
                raise NotABox(f"`{part}` in `{path}` is an entry, not a box", name=path)
            box = node
        return self._searched(subject, Target(box, parts[-1], self._there(box, parts[-1])))

    def _searched(self, subject: Subject, target: Target) -> Target:
        self._authority.require(subject, Action.SEARCH, target)
        return target

    @staticmethod
    def _self(box: Box) -> Target:
        return Target(box, "", box)

    def target(self, box: Box, name: str) -> Target:
        """The name and whatever it stands for now; decides nothing. Errors: InvalidName, NameTooLong."""
        node = self._there(box, name)
        return Target(box, name if node is not None else check(name), node)

    def _there(self, box: Box, name: str) -> Entry | Box | None:
        """What has this name. If it is overdue it goes first, so that nobody meets it."""
        node = box.children.get(name)
        if self.go_now is not None and isinstance(node, Entry) and self._is_overdue(box, node):
            self.go_now(node)
            node = box.children.get(name)
        return node

    def _is_overdue(self, box: Box, node: Entry | Box) -> bool:
        """Whether it ought to be gone from this box. What is in a sealed one stays."""
        return (
            isinstance(node, Entry)
            and node.expires is not None
            and self.is_over(node.expires)
            and not box.is_sealed
        )

    def target_of(self, subject: Subject, node: Entry | Box, action: Action = Action.LIST) -> Target:
        """A target for a node known by its inode: under a name that the action is allowed for, if there is one.

        Else one that the subject may know of or can reach, or any: a second name in a box that is closed to the
        subject must not keep it from the first. NoSuchEntry once it has no name.
        """
        if isinstance(node, Box):
            return Target(node.parent or node, node.name, node)
        if not node.is_named:
            raise NoSuchEntry("the entry is gone: it was discarded")
        targets = [Target(box, name, node) for box, name in node.places if not self._is_overdue(box, node)]
        if not targets:
            raise NoSuchEntry("the entry is gone: it has expired")
        if len(targets) == 1:
            return targets[0]
        known = [target for target in targets if self.knows(subject, target)]
        reached = [target for target in known or targets if self.may(subject, Action.SEARCH, target)]
        allowed = [target for target in reached if self.may(subject, action, target)]
        return (allowed or reached or known or targets)[0]

    def knows(self, subject: Subject, target: Target) -> bool:
        """Whether the policy lets the subject know of this name and of all boxes above; leaves no record."""
        allows = self._authority.policy_allows
        while target.name:
            if not allows(subject, Action.LIST, target):
                return False
            box = target.box
            target = Target(box.parent or box, box.name, box)
        return True

    def links(self, subject: Subject, node: Entry | Box) -> int:
        """How many names a node has that the subject may know of; at least one while it has any."""
        if node.links <= 1 or isinstance(node, Box):
            return node.links
        known = sum(self.knows(subject, Target(box, name, node)) for box, name in node.places)
        return max(known, 1)

    def names(self, subject: Subject, box: Box) -> list[tuple[str, Entry | Box]]:
        """The names in `box` that the subject may list, sorted; Denied if it may not read the box."""
        self._authority.require(subject, Action.LIST, self._self(box))
        allows = self._authority.policy_allows
        there = [
            (name, node) for name, node in sorted(box.children.items()) if not self._is_overdue(box, node)
        ]
        shown = [
            (name, node) for name, node in there if allows(subject, Action.LIST, Target(box, name, node))
        ]
        self._left_out(subject, box, len(there) - len(shown))
        return shown

    def walk(self, subject: Subject, box: Box | None = None) -> Generator[tuple[str, Target | None]]:
        """Every path below `box` (default: the root) that the subject may list, with its target, sorted.

        Where it may not list any for a while there are pauses, without a target: whoever walks has other things to
        do. Close it if it isn't walked to the end: what it left out so far goes on record then.
        """
        start, hidden = box or self.root, 0
        within = [self._children(subject, start)]
        try:
            while within:
                target = next(within[-1], None)
                if target is None:
                    within.pop()
                elif not self._authority.policy_allows(subject, Action.LIST, target):
                    hidden += 1
                    if hidden % HIDDEN_AT_ONCE == 0:
                        yield "", None
                else:
                    yield target.path, target
                    if isinstance(target.node, Box) and target.node.is_attached:
                        within.append(self._children(subject, target.node))
        finally:
            self._left_out(subject, start, hidden)

    def _children(self, subject: Subject, box: Box) -> Iterator[Target]:
        """What is in a box, if the mode bits let the subject read it and, but for the root, search it."""
        may_search = box is self.root or self.may(subject, Action.SEARCH, Target(box, ""))
        if may_search and self.may(subject, Action.LIST, self._self(box)):
            for name in sorted(box.children):
                node = box.children.get(name)
                if node is not None and not self._is_overdue(box, node):
                    yield Target(box, name, node)

    def _left_out(self, subject: Subject, box: Box, count: int) -> None:
        if count:
            self._authority.left_out(subject, self._self(box), count)

    def may(self, subject: Subject, action: Action, target: Target) -> bool:
        """Whether the authority allows it."""
        return self._authority.may(subject, action, target)

    def require(self, subject: Subject, action: Action, target: Target) -> None:
        """Raise what the authority raises if the subject may not do it."""
        self._authority.require(subject, action, target)

    def require_mode(self, subject: Subject, action: Action, target: Target) -> None:
        """Raise what the mode bits alone make it raise."""
        self._authority.require_mode(subject, action, target)

    def refused(self, subject: Subject, action: Action, target: Target, error: StoreError) -> None:
        """Keep a record of what is refused for a reason that the store doesn't know, such as whose process asks."""
        self._authority.refused(subject, action, target, error)

    def remember(self, node: Entry | Box) -> None:
        """Count one reference that the kernel got through the mount."""
        node.lookups += 1

    def forget(self, ino: int, count: int) -> None:
        """The kernel gave `count` references back."""
        node = self.tree.nodes.get(ino)
        if node is None or node is self.root:
            return
        node.lookups -= count
        self.tree.collect(node)


def _never(_when: int) -> bool:
    """Nobody tells the time."""
    return False

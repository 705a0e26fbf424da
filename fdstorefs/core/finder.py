"""Finding: from paths and inode numbers to entries and boxes, as far as the subject may see them."""

from collections.abc import Iterator

from fdstorefs.core.access import Action, Authority, Target
from fdstorefs.core.name import check, split
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.subject import Subject
from fdstorefs.core.tree import Tree
from fdstorefs.errors import NoSuchEntry, NotABox


class Finder:
    """The part of a store that only looks. Every way to an entry asks the `Authority`."""

    def __init__(self, tree: Tree, authority: Authority) -> None:
        self.tree = tree
        self._authority = authority

    @property
    def root(self) -> Box:
        """The box that is mounted."""
        return self.tree.root

    def lookup(self, subject: Subject, box: Box, name: str, intent: Action = Action.LIST) -> Entry | Box:
        """What `name` stands for in `box`; errors: Denied, NoSuchEntry, also where the subject may not know."""
        target = self.target(box, name)
        self._authority.require(subject, Action.SEARCH, target)
        if target.node is None or not self._authority.exists(subject, target, intent):
            raise NoSuchEntry(f"no entry `{target.path}`", name=target.path)
        return target.node

    def locate(self, subject: Subject, path: str, intent: Action = Action.LIST) -> Target:
        """Walk `path`; the last name need not exist yet. To the subject, what it may not list doesn't.

        Errors: InvalidName, NameTooLong, NoSuchEntry or NotABox for a box on the way, Denied.
        """
        target = self.locate_goal(subject, path)
        if target.node is None or target.node is self.root or self._authority.exists(subject, target, intent):
            return target
        raise NoSuchEntry(f"no entry `{target.path}`", name=target.path)

    def locate_goal(self, subject: Subject, path: str) -> Target:
        """As `locate`, for a name that something is to get: what stands there is in the way, seen or not."""
        box = self.root
        if path and "/" not in path:
            return self._searched(subject, self.target(box, path))  # the usual case, without a detour
        parts = split(path)
        if not parts:
            return Target(box, "", box)
        for part in parts[:-1]:
            node = self.lookup(subject, box, part)
            if not isinstance(node, Box):
                raise NotABox(f"`{part}` in `{path}` is an entry, not a box", name=path)
            box = node
        return self._searched(subject, Target(box, parts[-1], box.children.get(parts[-1])))

    def _searched(self, subject: Subject, target: Target) -> Target:
        self._authority.require(subject, Action.SEARCH, target)
        return target

    @staticmethod
    def _self(box: Box) -> Target:
        return Target(box, "", box)

    def target(self, box: Box, name: str) -> Target:
        """The name and whatever it stands for now; decides nothing. Errors: InvalidName, NameTooLong."""
        node = box.children.get(name)
        return Target(box, name if node is not None else check(name), node)

    def target_of(self, subject: Subject, node: Entry | Box) -> Target:
        """A target for a node known by its inode: a name that the subject can reach and may know, or else any.

        A second name in a box that is closed to the subject must not keep it from the first. NoSuchEntry once
        it has no name.
        """
        if isinstance(node, Box):
            return Target(node.parent or node, node.name, node)
        if not node.is_named:
            raise NoSuchEntry("the entry is gone: it was discarded")
        targets = [Target(box, name, node) for box, name in node.places]
        if len(targets) == 1:
            return targets[0]
        may = self._authority.may
        reached = [target for target in targets if may(subject, Action.SEARCH, target)]
        known = [target for target in reached if may(subject, Action.LIST, target)]
        return (known or reached or targets)[0]

    def names(self, subject: Subject, box: Box) -> list[tuple[str, Entry | Box]]:
        """The names in `box` that the subject may list, sorted; Denied if it may not read the box."""
        self._authority.require(subject, Action.LIST, self._self(box))
        listed = sorted(box.children.items())
        return [
            (name, node) for name, node in listed if self.may(subject, Action.LIST, Target(box, name, node))
        ]

    def walk(self, subject: Subject, box: Box | None = None) -> Iterator[tuple[str, Target]]:
        """Every path below `box` (default: the root) that the subject may list, with its target, sorted."""
        box = box or self.root
        yield from self._walk(subject, box)

    def _walk(self, subject: Subject, box: Box) -> Iterator[tuple[str, Target]]:
        for name in sorted(box.children):
            target = self.target(box, name)
            if target.node is None or not self.may(subject, Action.LIST, target):
                continue
            yield target.path, target
            if isinstance(target.node, Box) and self.may(subject, Action.SEARCH, Target(target.node, "")):
                yield from self._walk(subject, target.node)

    def may(self, subject: Subject, action: Action, target: Target) -> bool:
        """Whether the authority allows it."""
        return self._authority.may(subject, action, target)

    def require(self, subject: Subject, action: Action, target: Target) -> None:
        """Raise what the authority raises if the subject may not do it."""
        self._authority.require(subject, action, target)

    def require_mode(self, subject: Subject, action: Action, target: Target) -> None:
        """Raise what the mode bits alone make it raise."""
        self._authority.require_mode(subject, action, target)

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

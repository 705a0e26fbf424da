"""The tree of boxes and entries: inode table, names, and what each stands for. It decides nothing."""

import random
from collections.abc import Callable, Iterator

from fdstorefs.core.name import check, join
from fdstorefs.core.node import Box, Entry

ROOT_INO = 1
INO_BITS = 47

_draw = random.SystemRandom().getrandbits


class Tree:
    """Boxes and entries by inode number and by name. A number stands for one node at a time."""

    __slots__ = ("left", "moved_boxes", "nodes", "root")

    def __init__(self, root: Box) -> None:
        self.root = root
        self.nodes: dict[int, Entry | Box] = {root.ino: root}
        self.moved_boxes = 0
        """Counts how often a box was given another name, and all paths below it with it."""
        self.left: Callable[[Box, str], None] | None = None
        """Told of each name that something has lost which the kernel knows through the mount."""

    def next_ino(self) -> int:
        """An inode number that is not in use. Drawn, as a count would tell how many others were made since."""
        while True:
            ino = _draw(INO_BITS)
            if ino > ROOT_INO and ino not in self.nodes:
                return ino

    def attach(self, box: Box, name: str, node: Entry | Box) -> None:
        """Give `node` the name `name`, which must be free."""
        if name in box.children:
            raise AssertionError(f"`{name}` is taken")
        box.children[check(name)] = node
        self.nodes[node.ino] = node
        if isinstance(node, Box):
            node.parent, node.name = box, name
        else:
            node.add_place(box, name)

    def move(self, source: Box, name: str, goal: Box, new_name: str) -> None:
        """Give what `name` stands for another name, which must be free."""
        node = self.detach(source, name)
        self.attach(goal, new_name, node)
        self.moved_boxes += node.is_box

    def detach(self, box: Box, name: str) -> Entry | Box:
        """Take the name away and return what it stood for."""
        node = box.children.pop(name)
        if isinstance(node, Entry):
            node.remove_place(box, name)
        if node.lookups and self.left is not None:
            self.left(box, name)
        self.collect(node)
        return node

    def collect(self, node: Entry | Box) -> None:
        """Drop a node from the table once neither a name nor the kernel refers to it."""
        if node.lookups == 0 and not self.is_named(node):
            self.nodes.pop(node.ino, None)

    @staticmethod
    def is_named(node: Entry | Box) -> bool:
        """True while the node can be reached by a name."""
        return node.is_attached if isinstance(node, Box) else node.is_named

    def walk(self, box: Box, prefix: str = "") -> Iterator[tuple[str, Box, str, Entry | Box]]:
        """Everything below `box`, sorted: path, box, name, node. What changes meanwhile may be missed."""
        for name in sorted(box.children):
            node = box.children.get(name)
            if node is None:
                continue
            path = join(prefix, name)
            yield path, box, name, node
            if isinstance(node, Box):
                yield from self.walk(node, path)

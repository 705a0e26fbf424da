"""Moving: the names that open files have once something is renamed."""

from collections.abc import Iterator

from fdstorefs.core.access import Target
from fdstorefs.core.guard import Named
from fdstorefs.core.name import join
from fdstorefs.core.node import Box, Entry, OpenFile


def names_moved(source: Target, goal: Target) -> dict[OpenFile, list[Named]]:
    """All names of each open file that gets another one, if `source` is renamed to `goal` and what is there goes."""
    node = source.node
    if isinstance(node, Box):
        return {file: list(_below(file, node, goal)) for file in _files_in(node)}
    if node is None or node.file is None:
        return {}
    return {node.file: list(_one(node.file, source, goal))}


def _one(file: OpenFile, source: Target, goal: Target) -> Iterator[Named]:
    """For an entry: one of its names is another, and the name that it replaces is nobody else's."""
    for entry in file.entries:
        for box, name in entry.places:
            if entry is source.node and (box, name) == (source.box, source.name):
                yield _named(goal.path, entry)
            elif (box, name) != (goal.box, goal.name):
                yield _named(join(box.path, name), entry)


def _below(file: OpenFile, moved: Box, goal: Target) -> Iterator[Named]:
    """For a box: whatever is in it has another path."""
    before = moved.path
    for entry in file.entries:
        for box, name in entry.places:
            path = join(box.path, name)
            yield _named(goal.path + path[len(before) :] if box.is_inside(moved) else path, entry)


def _files_in(box: Box) -> dict[OpenFile, None]:
    files: dict[OpenFile, None] = {}
    for child in box.children.values():
        if isinstance(child, Box):
            files |= _files_in(child)
        elif child.file is not None:
            files[child.file] = None
    return files


def _named(path: str, entry: Entry) -> Named:
    return Named(path, entry.ino, entry.label, entry.stasher)

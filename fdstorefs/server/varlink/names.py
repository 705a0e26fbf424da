"""Names and boxes: Discard, Rename, Link, MakeBox, RemoveBox, Seal, Unseal."""

from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Box, Entry
from fdstorefs.core.subject import Subject
from fdstorefs.errors import NoSuchEntry, NotABox
from fdstorefs.server.context import Context
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.call import Call
from fdstorefs.server.varlink.reply import Reply, success

BOX_MODE = 0o700

NAME = frozenset({"name"})
NAMES = frozenset({"names"})
FROM_TO = frozenset({"from", "to"})
FROM_TO_REPLACE = frozenset({"from", "to", "replace"})
NAME_MODE = frozenset({"name", "mode"})


def discard(context: Context, call: Call) -> Reply:
    """Take names away, all or none."""
    parameters.only(call.parameters, NAMES)
    context.store.discard_many(call.subject, parameters.names(call.parameters))
    return success({})


def discard_unchanged(context: Context, call: Call) -> Reply:
    """Take names away that still stand for what they are said to stand for; tell of those that don't."""
    parameters.only(call.parameters, frozenset({"entries"}))
    targets, changed = [], []
    for name, number, file in parameters.identified(call.parameters):
        target = _unchanged(context, call.subject, name, number, file)
        if target is None:
            changed.append(name)
        else:
            targets.append(target)
    context.store.discard_all(call.subject, targets)
    return success({"changed": changed})


def _unchanged(context: Context, subject: Subject, name: str, number: int, file: int | None) -> Target | None:
    try:
        target = context.store.locate(subject, name, Action.DISCARD)
    except (NoSuchEntry, NotABox):
        return None
    node = target.node
    if not isinstance(node, Entry) or node.ino != number:
        return None
    there = context.records.file_number(node.file) if node.file is not None else None
    return target if there == file else None


def rename(context: Context, call: Call) -> Reply:
    """Give a node another name."""
    given, store = call.parameters, context.store
    parameters.only(given, FROM_TO_REPLACE)
    source, goal = parameters.text(given, "from"), parameters.text(given, "to")
    replace = parameters.flag(given, "replace")
    store.rename(
        call.subject,
        store.locate(call.subject, source, Action.RENAME),
        store.locate_goal(call.subject, goal),
        replace=replace,
    )
    return success({})


def link(context: Context, call: Call) -> Reply:
    """Give an entry a second name."""
    given, store = call.parameters, context.store
    parameters.only(given, FROM_TO)
    source = store.locate(call.subject, parameters.text(given, "from"), Action.LINK)
    goal = store.locate_goal(call.subject, parameters.text(given, "to"))
    store.link(call.subject, source, goal.box, goal.name)
    return success({})


def make_box(context: Context, call: Call) -> Reply:
    """Make a box."""
    given, store = call.parameters, context.store
    parameters.only(given, NAME_MODE)
    mode = parameters.mode(given, BOX_MODE)
    target = store.locate_goal(call.subject, parameters.text(given, "name"))
    stasher = context.subjects.stasher(call.subject)
    return success({"id": store.make_box(call.subject, target.box, target.name, mode, stasher).ino})


def remove_box(context: Context, call: Call) -> Reply:
    """Remove an empty box."""
    parameters.only(call.parameters, NAME)
    name = parameters.text(call.parameters, "name")
    context.store.remove_box(call.subject, context.store.locate(call.subject, name, Action.DISCARD))
    return success({})


def seal(context: Context, call: Call) -> Reply:
    """Let nothing in a box change or leave."""
    context.store.seal(call.subject, _box(context, call), sealed=True)
    return success({})


def unseal(context: Context, call: Call) -> Reply:
    """End that."""
    context.store.seal(call.subject, _box(context, call), sealed=False)
    return success({})


def _box(context: Context, call: Call) -> Box:
    parameters.only(call.parameters, NAME)
    return _box_called(context, call.subject, parameters.text(call.parameters, "name"))


def _box_called(context: Context, subject: Subject, name: str) -> Box:
    target = context.store.locate(subject, name, Action.SEAL)
    if target.node is None:
        raise NoSuchEntry(f"no box `{target.path}`", name=target.path)
    if not isinstance(target.node, Box):
        raise NotABox(f"`{target.path}` is an entry", name=target.path)
    return target.node

"""Encoding: nodes of a store as a journal has them, in JSON with short keys.

A node is written as it is, whole: to read a journal is to remember the latest of each number. What is not given has
a default, and what isn't known is passed over by whoever reads it, so that there may be more one day.

    node: i number, u uid, g gid, m mode, c created, t changed, s stasher;
          p a box's place, with z 1 if it is sealed; P an entry's places, with l its label, f its file, x when it
          expires (ns of CLOCK_BOOTTIME), y 0 if it stays whoever hangs up
    place: number of the box, name in it; the root box has none
    stasher: p pid, u uid, g gid, c command, n numbers of user namespaces, h the number that the first of them is kept
          under, q capabilities, k 0 if not known
    file: n number, k kind, d device, i inode, a access, s file system, b 1 if closing it may block, q 0 if it can't
          be polled, g 1 if guarded, w why it isn't, o opener: uid, gid, capabilities, user namespaces
"""

from collections.abc import Collection, Iterable

# By hand: the general encoder takes several times as long, and every stash waits for it.
from json.encoder import encode_basestring_ascii as quote

from fdstorefs.core.node import Box, Entry, Opener, OpenFile, Stasher
from fdstorefs.host.user_namespaces import HeldChain

_NODE_BYTES, _GUARDING_BYTES = 512, 1024
"""A node without stasher, names and label, with its file; and what there is to say of a file that was asked about."""


class NodeEncoder:
    """Writes nodes. Most come from whoever stashed the one before: his record is kept."""

    def __init__(self) -> None:
        self._stasher: Stasher | None = None
        self._stasher_text = ""

    def node(self, node: Entry | Box) -> str:
        """One node."""
        stasher = node.stasher
        if stasher is not self._stasher:
            self._stasher, self._stasher_text = stasher, _stasher(stasher)
        return (
            f'{{"i":{node.ino},"u":{node.uid},"g":{node.gid},"m":{node.mode},"c":{node.created},"t":{node.changed}'
            f"{self._stasher_text}{_of_box(node) if isinstance(node, Box) else _of_entry(node)}}}"
        )


def room_for(texts: Collection[str], files: Iterable[OpenFile], stasher: Stasher | None) -> int:
    """Bytes that suffice for new nodes of this stasher's with these files, and such names and labels."""
    guarding = any(file.opener is not None or file.unguarded is not None for file in files)
    each = _NODE_BYTES + len(_stasher(stasher)) + (_GUARDING_BYTES if guarding else 0)
    return sum(each + len(quote(text)) for text in texts)


def file_text(file: OpenFile) -> str:
    """One open file."""
    return f"{{{_file(file)}}}"


def _of_box(box: Box) -> str:
    sealed = ',"z":1' if box.sealed else ""
    if box.parent is None:
        return f',"p":[]{sealed}'
    return f',"p":[{box.parent.ino},{quote(box.name)}]{sealed}'


def _of_entry(entry: Entry) -> str:
    text = f',"P":[{",".join([f"[{box.ino},{quote(name)}]" for box, name in entry.places])}]'
    if entry.label is not None:
        text += f',"l":{quote(entry.label)}'
    if entry.expires is not None:
        text += f',"x":{entry.expires}'
    if not entry.polled:
        text += ',"y":0'
    file = entry.file
    return f'{text},"f":{{{_file(file)}}}' if file is not None else text


def _stasher(stasher: Stasher | None) -> str:
    if stasher is None:
        return ""
    text = f',"s":{{"p":{stasher.pid},"u":{stasher.uid},"g":{stasher.gid}'
    if stasher.command is not None:
        text += f',"c":{quote(stasher.command)}'
    if stasher.userns is not None:
        text += f',"n":{_integers(stasher.userns)}'
    if isinstance(stasher.userns, HeldChain):
        text += f',"h":{stasher.userns.held.number}'
    if stasher.capabilities is not None:
        text += f',"q":{stasher.capabilities}'
    return text + ("}" if stasher.known else ',"k":0}')


def _file(file: OpenFile) -> str:
    # Kinds and kinds of access are words of ours.
    text = f'"n":{file.number},"k":"{file.kind}","d":{file.device},"i":{file.inode},"a":"{file.access}"'
    if file.filesystem is not None:
        text += f',"s":{quote(file.filesystem)}'
    if file.may_block_on_close:
        text += ',"b":1'
    if not file.pollable:
        text += ',"q":0'
    if file.opener is not None:
        text += f',"o":{_opener(file.opener)}'
    return f"{text}{_guarding(file)}" if file.guarded or file.unguarded is not None else text


def _guarding(file: OpenFile) -> str:
    return ',"g":1' if file.unguarded is None else f',"g":{int(file.guarded)},"w":{quote(file.unguarded)}'


def _opener(opener: Opener) -> str:
    uid, gid = _integer(opener.uid), _integer(opener.gid)
    return f"[{uid},{gid},{opener.capabilities},{_integers(opener.userns)}]"


def _integer(number: int | None) -> str:
    return "null" if number is None else str(number)


def _integers(numbers: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, numbers))}]"

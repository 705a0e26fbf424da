"""What is written of a node is read again as it was; what isn't known is passed over, what isn't there has defaults."""

import json

from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.core.node import Box, Entry, Opener, OpenFile, Stasher
from fdstorefs.core.subject import Userns
from fdstorefs.server.keeping.decoding import NodeDecoder, open_file
from fdstorefs.server.keeping.encoding import NodeEncoder
from fdstorefs.server.keeping.frames import Record
from fdstorefs.server.keeping.state import FACTS, NODES, State

IDS = st.integers(0, 2**32 - 1)
NUMBERS = st.integers(0, 2**64 - 1)
# Names hold any bytes: those that are not UTF-8 as lone surrogates.
NAMES = st.binary(min_size=1, max_size=40).map(lambda name: name.decode("utf-8", "surrogateescape"))
TEXTS = st.text(max_size=40)
USERNS = st.lists(IDS, min_size=1, max_size=4).map(tuple)
STASHERS = st.builds(
    Stasher, IDS, IDS, IDS, st.none() | NAMES, st.none() | USERNS, st.none() | NUMBERS, st.booleans()
)
OPENERS = st.builds(Opener, st.none() | IDS, st.none() | IDS, NUMBERS, USERNS)
FILES = st.builds(
    OpenFile,
    descriptor=st.just(5),
    kind=st.sampled_from(["socket", "memfd", "other"]),
    device=NUMBERS,
    inode=NUMBERS,
    access=st.sampled_from(["r", "w", "rw", "path"]),
    filesystem=st.none() | NAMES,
    guarded=st.booleans(),
    unguarded=st.none() | TEXTS,
    opener=st.none() | OPENERS,
    may_block_on_close=st.booleans(),
    pollable=st.booleans(),
    kept=st.just(True),
    number=NUMBERS,
)
COMMON = (NUMBERS, IDS, IDS, st.integers(0, 0o7777), NUMBERS, NUMBERS, st.just(0), st.none() | STASHERS)


def not_held(_number: int, _userns: Userns) -> Userns | None:
    """There is no such namespace any more."""
    return None


def told(node: Entry | Box) -> tuple[object, ...]:
    """All that is written of a node itself."""
    own = (node.sealed,) if isinstance(node, Box) else (node.label, node.expires, node.polled)
    return (node.ino, node.uid, node.gid, node.mode, node.created, node.changed, node.stasher, *own)


ENTRIES = st.builds(
    Entry, *COMMON, label=st.none() | TEXTS, expires=st.none() | NUMBERS, polled=st.booleans()
)


@given(ENTRIES, FILES, st.lists(NAMES, max_size=3, unique=True))
def test_an_entry(entry: Entry, file: OpenFile, names: list[str]) -> None:
    """With its names and its open file."""
    root = Box(1, 0, 0, 0, 0, 0)
    for name in names:
        entry.add_place(root, name)
    entry.file = file
    fields = json.loads(NodeEncoder().node(entry))

    assert told(entry) == told(NodeDecoder(not_held).entry(fields))
    assert [[1, name] for name in names] == fields["P"]
    assert _facts(file) == _facts(open_file(fields["f"], 5))


def _facts(file: OpenFile) -> list[object]:
    names = (
        "descriptor",
        "kind",
        "device",
        "inode",
        "access",
        "filesystem",
        "guarded",
        "unguarded",
        "opener",
    )
    return [getattr(file, name) for name in (*names, "may_block_on_close", "pollable", "kept", "number")]


@given(st.builds(Box, *COMMON, sealed=st.booleans()), NAMES)
def test_a_box(box: Box, name: str) -> None:
    """With its name, and whether it is sealed."""
    box.parent, box.name = Box(1, 0, 0, 0, 0, 0), name
    fields = json.loads(NodeEncoder().node(box))

    assert told(box) == told(NodeDecoder(not_held).box(fields))
    assert [1, name] == fields["p"]


def test_the_next_stasher_is_not_taken_for_the_one_before() -> None:
    """The record of the latest is kept."""
    encoder, decoder = NodeEncoder(), NodeDecoder(not_held)
    for stasher in (Stasher(1, 2, 3), Stasher(1, 2, 4), None, Stasher(1, 2, 3)):
        entry = Entry(7, 0, 0, 0, 0, 0, stasher=stasher)

        assert stasher == decoder.entry(json.loads(encoder.node(entry))).stasher


def test_equal_stashers_are_one_object_again() -> None:
    """There may be very many entries, and few processes that stashed them."""
    text = NodeEncoder().node(Entry(7, 0, 0, 0, 0, 0, stasher=Stasher(1, 2, 3, "x", (5, 1))))
    decoder = NodeDecoder(not_held)

    assert decoder.entry(json.loads(text)).stasher is decoder.entry(json.loads(text)).stasher


def test_a_namespace_that_is_not_held_any_more_is_not_known() -> None:
    """Its number may be another's by now: to know nothing denies, to take one for the other might not."""
    fields = {"p": 1, "u": 2, "g": 3, "n": [9, 1], "h": 1 << 62}
    stasher = NodeDecoder(not_held).stasher(fields)

    assert stasher is not None
    assert None is stasher.userns


def test_the_least_that_may_be_said() -> None:
    """What a later version may leave out, or an earlier one did not know."""
    decoder = NodeDecoder(not_held)
    entry = decoder.entry({"i": 5, "u": 1, "g": 2, "m": 0o600, "c": 3, "t": 4, "P": []})
    file = open_file({"n": 9, "k": "pipe", "d": 1, "i": 2, "a": "r"}, 5)

    assert (5, 1, 2, 0o600, 3, 4, None, None, None, True) == told(entry)
    assert _facts(OpenFile(5, "pipe", 1, 2, "r", kept=True, number=9)) == _facts(file)


def test_what_is_not_known_is_passed_over() -> None:
    """A later version may say more, and of other things."""
    state = State()
    state.apply(
        [
            Record(NODES, b'{"n":[{"i":5,"P":[],"e":"expires"}],"x":[1]}'),
            Record(77, b"\xff"),
            Record(FACTS, b'{"more":{}}'),
        ]
    )
    fields = state.nodes[5] | {"u": 1, "g": 2, "m": 0, "c": 3, "t": 4, "s": {"p": 1, "u": 2, "g": 3, "y": 1}}

    assert Stasher(1, 2, 3) == NodeDecoder(not_held).entry(fields).stasher
    assert {"more": {}} == state.facts


def test_the_latest_record_of_a_node_counts() -> None:
    """And none, once it is gone; the size of the state is that of what is there."""
    state = State()
    state.apply([Record(NODES, b'{"n":[{"i":5,"u":1},{"i":6}]}')])
    state.apply([Record(NODES, b'{"n":[{"i":5,"u":2}],"g":[6,7]}')])

    assert {5: {"i": 5, "u": 2}} == state.nodes
    assert len(b'{"n":[{"i":5,"u":2}],"g":[6,7]}') == state.size

"""Whatever bytes a client puts into a name, a label or its own name: one line, one object, the same fields."""

import json

from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.audit.decision import EntryMark
from fdstorefs.audit.format import Formatter
from fdstorefs.audit.text import escape, unescape
from fdstorefs.core.node import Stasher
from tests.unit.audit.decisions import INSTANCE, KEY, RUN, decision
from tests.unit.audit.schema_check import faults

NASTY = [
    '"',
    "\\",
    "\n",
    "\r",
    "\0",
    "\x1b[31m",
    "\x7f",
    "\u2028",
    "\u202e",
    "\ud800",
    "\udcff",
    "\\xff",
    "}\n{",
    "é",
]
texts = st.lists(st.sampled_from(NASTY) | st.text(st.characters(), max_size=4), max_size=8).map("".join)
names = texts | st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(name=names, label=texts, command=names)
def test_any_text_round_trips(name: str, label: str, command: str) -> None:
    """It comes out of a JSON parser as it went in, and no other field is touched."""
    entry = EntryMark(name, label=label, stasher=Stasher(1, 0, 0, command))

    line = Formatter(INSTANCE, RUN, key=KEY).verdict(decision(entry=entry), 0)

    record = json.loads(line)
    plain = json.loads(Formatter(INSTANCE, RUN, key=KEY).verdict(decision(entry=EntryMark("plain")), 0))
    found = record.pop("entry")
    assert name == unescape(found["name"])
    assert label == unescape(found["label"])
    assert command == unescape(found["stasher"]["command"])
    assert {key: value for key, value in plain.items() if key != "entry"} == record


@given(name=names, rule=texts)
def test_a_record_is_one_line_of_printable_ascii(name: str, rule: str) -> None:
    """No control character, no newline but the last byte, nothing that a terminal or a strict parser trips over."""
    line = Formatter(INSTANCE, RUN, key=KEY).verdict(decision(entry=EntryMark(name), rules=(rule,)), 0)

    assert line.endswith(b"\n")
    assert line[:-1].decode("ascii").isprintable()
    assert [] == faults(json.loads(line))
    json.loads(line)["entry"]["name"].encode("utf-8")


@given(name=names)
def test_no_key_is_given_twice(name: str) -> None:
    """A parser that takes the first of two and one that takes the last agree."""
    line = Formatter(name, RUN).verdict(decision(entry=EntryMark(name, label=name)), 0)

    def keys_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(pairs) == len(dict(pairs))
        return dict(pairs)

    assert json.loads(line, object_pairs_hook=keys_once)


@given(one=texts, other=texts)
def test_texts_that_differ_look_different(one: str, other: str) -> None:
    """Escaping is reversible, so no two names share a form."""
    assert (one == other) == (escape(one) == escape(other))
    assert one == unescape(escape(one))

"""What YAML does behind one's back: unquoted words that are no text, aliases, and its two parsers."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fdstorefs.policy import yaml_nodes
from fdstorefs.policy.findings import Findings
from fdstorefs.policy.nodes import Mapping, Node, Scalar, Sequence
from fdstorefs.policy.parse_scalars import MAX_LENGTH
from fdstorefs.policy.span import Source
from fdstorefs.policy.yaml_nodes import MAX_DEPTH, MAX_ITEMS, MAX_NODES, node_of
from fdstorefs.policy.yaml_traps import type_of_plain
from tests.unit.policy.loading import complaints, loaded, rule
from tests.unit.policy.test_bad_policies import POLICIES

KINDS = {
    "boolean": ["yes", "Yes", "YES", "no", "on", "off", "Off", "true", "True", "FALSE", "y", "N"],
    "nothing": ["~", "null", "Null", "NULL", ""],
    "decimal": ["0", "7", "1234567890"],
    "octal": ["00", "010", "-07", "0o17", "0_7", "+01"],
    "hexadecimal": ["0x1F", "-0xff", "0x_1"],
    "binary": ["0b101", "+0b1"],
    "sexagesimal": ["12:30", "1:2:3", "-1:30.5", "190:20:30"],
    "date": ["2024-01-01", "2024-1-1T10:00:00Z", "2024-01-01 10:00:00"],
    "number": ["1e3", "1.5", ".5", "1_000", "-1", "+1", "1.", "-.inf", ".NaN", "1E-3", "08"],
    "merge": ["<<"],
    "default": ["="],
}

TEXT = [
    "a",
    "host:1000",
    "nobody",
    "1a",
    "no-one",
    "0xg",
    "100-200",
    "1.2.3",
    "yess",
    "/",
    "on ",
    ".",
    "-",
    "--",
    "1:60",
]


@pytest.mark.parametrize(("kind", "word"), [(kind, word) for kind, words in KINDS.items() for word in words])
def test_words_that_are_not_text(kind: str, word: str) -> None:
    """Each kind of word that some reader converts is known for what it is."""
    assert kind == type_of_plain(word)


@pytest.mark.parametrize("word", TEXT)
def test_words_that_are_text(word: str) -> None:
    """What only looks a little like these is text."""
    assert type_of_plain(word) is None


@given(st.text(alphabet="0123456789+-._:xXoObBeEaAfFnNyYtTrRuUlLsSiI~<= TZ", max_size=12))
@example("0b")
@example("685_230.15")
@example("2001-12-14 21:59:43.10 -5")
def test_whatever_pyyaml_converts(word: str) -> None:
    """No word that PyYAML makes something else of passes for text."""
    converted = yaml.SafeLoader("").resolve(yaml.ScalarNode, word, (True, False)) != "tag:yaml.org,2002:str"

    assert not converted or type_of_plain(word) is not None


def test_quotes_make_it_text() -> None:
    """In quotes, anything is a name."""
    assert ("no", "1e3", "10") == rule('actions: list, entries: ["no", \'1e3\', "10"]').when.entries


def test_aliases_stand_for_values() -> None:
    """An alias is as if the value were written out."""
    found = loaded(
        "version: 1\nrules:\n"
        "  - {id: a, effect: allow, actions: list, kinds: &kinds [socket, pipe]}\n"
        "  - {id: b, effect: allow, actions: list, kinds: *kinds}\n"
    )

    assert found.ok
    assert [frozenset({"socket", "pipe"})] * 2 == [each.when.kinds for each in found.policies[0].rules]


def nested(depth: int) -> str:
    """Lists within each other."""
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(("depth", "is_read"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (50_000, False)])
def test_depth(depth: int, is_read: bool) -> None:
    """The limit itself is allowed; far beyond it nothing breaks."""
    assert is_read == (node_of(Source.of("p", nested(depth)), Findings()) is not None)


@pytest.mark.parametrize(("length", "is_read"), [(MAX_NODES // 100, True), (MAX_NODES // 100 + 1, False)])
def test_number_of_values(length: int, is_read: bool) -> None:
    """The lists count too."""
    lists = f"- [{'a, ' * 97}a]\n" * length

    assert is_read == (node_of(Source.of("p", lists + "- a\n" * (length - 1)), Findings()) is not None)


@pytest.mark.parametrize(("length", "is_read"), [(MAX_ITEMS, True), (MAX_ITEMS + 1, False)])
def test_number_of_items(length: int, is_read: bool) -> None:
    """Of one list."""
    findings = Findings()

    assert is_read == (node_of(Source.of("p", "- a\n" * length), findings) is not None)
    assert ([] if is_read else ["too-many-items"]) == [found.code for found in findings.diagnostics]


def test_length_of_values() -> None:
    """A value is no longer than a path can be; a description may be."""
    longest = "a" * MAX_LENGTH
    (found,) = loaded(f"version: 1\ninstances: /{longest}\nrules: []\n").diagnostics

    assert ("too-long", "this has 4,097 characters") == (found.code, found.message)
    assert {longest} == rule(f"actions: list, labels: {longest}, description: {longest}a").when.labels


def test_billions_of_laughs() -> None:
    """A text of a few lines that stands for more values than there are atoms costs nothing."""
    lines = [
        f"{chr(98 + number)}: &{chr(98 + number)} [*{chr(97 + number)}, *{chr(97 + number)}]"
        for number in range(24)
    ]
    (found,) = loaded("a: &a [x]\n" + "\n".join(lines)).diagnostics

    assert "too-many-values" == found.code


def test_where_values_end() -> None:
    """A block ends where its last value ends, not where the next thing begins."""
    root = node_of(Source.of("p", "a:\n  - b\n  - {c: d}\n\n# comment\ne: f\n"), Findings())
    assert isinstance(root, Mapping)
    block = root.pairs[0][1]

    assert (1, 2, 2, 10) == (block.line, block.column, block.end_line, block.end_column)


def outline(node: Node) -> object:
    """A node with all places, for comparison."""
    where = (node.line, node.column, node.end_line, node.end_column)
    if isinstance(node, Scalar):
        return where, node.text, node.plain
    if isinstance(node, Sequence):
        return where, [outline(item) for item in node.items]
    return where, [(outline(key), outline(value)) for key, value in node.pairs]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either parser of PyYAML: libyaml isn't everywhere."""
    monkeypatch.setattr(yaml_nodes, "_Loader", getattr(yaml, request.param))
    return str(request.param)


EVERYTHING = """\
version: 1   # comment
description: |
  several
  lines
rules:
- id: 'a'
  effect: "allow"
  actions: [list,
            take]
  kinds: &k
    - socket
    - "p\\x69pe"
  subject: {uid: 0,}
-   id: é𝒳
    kinds: *k
    description: >-
      folded

      text
"""


def test_both_parsers_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same nodes at the same places."""
    seen = []
    for loader in (yaml.CSafeLoader, yaml.SafeLoader):
        monkeypatch.setattr(yaml_nodes, "_Loader", loader)
        root = node_of(Source.of("p", EVERYTHING), Findings())
        assert root is not None
        seen.append(outline(root))

    assert seen[0] == seen[1]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("name", [path.name for path in POLICIES])
def test_both_parsers_refuse_the_same(name: str) -> None:
    """Whichever is there, the first line of what is said is the same: place and message."""
    path = next(path for path in POLICIES if path.name == name)
    expected = path.with_suffix(".txt").read_text().split("\n")[0]

    assert expected == complaints(name, path.read_bytes()).split("\n")[0]

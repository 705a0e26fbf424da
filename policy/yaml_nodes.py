"""YAML to nodes: the traps of YAML are errors here, and no text costs more than its size.

PyYAML's parser tells what stands where, one event after another; nothing here or there recurses on the input.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from fdstorefs.policy.diagnostic import Related, quoted
from fdstorefs.policy.findings import Findings, Wrong
from fdstorefs.policy.nodes import Mapping, Node, Scalar, Sequence
from fdstorefs.policy.span import Source, Span
from fdstorefs.policy.yaml_problems import problem

MAX_NODES = 100_000
"""Most values in one text, each alias counted as all that it stands for."""

MAX_ITEMS = 4096
"""Most items of one list."""

MAX_DEPTH = 32
"""Most lists and mappings within each other."""

_FORBIDDEN = re.compile(
    "[^\t\n\x20-\x7e\u00a0-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_REORDERING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LINE_BREAK = re.compile("[\r\x85\u2028\u2029]")

# The stubs know of marks and tags only that there may be none; where these are used, there are.
_Event: TypeAlias = Any
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def node_of(source: Source, findings: Findings) -> Node | None:
    """What a text says; None, with the reason among the findings, if that can't be told."""
    try:
        _refuse_characters(source)
        _refuse_directives(source)
        return _Builder(source, findings).build()
    except Wrong as wrong:
        findings.add(wrong.diagnostic)
    except yaml.MarkedYAMLError as error:
        findings.add(problem(source, error).diagnostic)
    return None


def _refuse_characters(source: Source) -> None:
    found = _FORBIDDEN.search(source.text)
    if found is None:
        return
    line = source.text.count("\n", 0, found.start())
    column = found.start() - (source.text.rfind("\n", 0, found.start()) + 1)
    character = quoted(found.group())
    span = Span(source, line, column, line, column + 1)
    if _REORDERING.match(found.group()):
        raise Wrong(
            "forbidden-character",
            f"{character} makes the text look other than it is",
            span,
            "take it out: it changes the order in which characters are shown",
        )
    if _LINE_BREAK.match(found.group()):
        hint = "end each line with a line feed, or a carriage return and a line feed"
        raise Wrong("forbidden-character", f"{character} is a line break to some programs only", span, hint)
    raise Wrong("forbidden-character", f"{character} can't stand in a policy", span, "take it out")


def _refuse_directives(source: Source) -> None:
    """They stand before everything else but blank lines and comments; the parsers differ in what they make of them."""
    for number, line in enumerate(source.lines):
        if line.startswith("%"):
            span = Span(source, number, 0, number, len(line))
            raise Wrong("yaml-directive", "a policy has no YAML directives", span, "take the line out")
        if line.strip() and not line.lstrip().startswith("#"):
            return


@dataclass(slots=True)
class _Extent:
    """How much a node is: all values in it, itself included, and how many levels of lists and mappings."""

    size: int = 1
    height: int = 0


_ONE: Final = _Extent()
"""The extent of a scalar."""


class _Open:
    """A list or mapping whose end hasn't come yet."""

    __slots__ = ("anchor", "extent", "is_flow", "key", "node")

    def __init__(self, node: Sequence | Mapping, event: _Event) -> None:
        self.node = node
        self.anchor = event.anchor
        self.is_flow = event.flow_style
        self.key: Node | None = None
        self.extent = _Extent(height=1)

    def take(self, child: Node, extent: _Extent) -> None:
        self.extent.size += extent.size
        if extent.height >= self.extent.height:
            self.extent.height = extent.height + 1
        if isinstance(self.node, Sequence):
            self.node.items.append(child)
        elif self.key is None:
            self.key = child
        else:
            self.node.pairs.append((self.key, child))
            self.key = None


class _Builder:
    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, _Extent]] = {}
        self._root: Node | None = None
        self._nodes = 0
        self._documents = 0
        self._last_end = (0, 0)
        self._handlers: dict[type[yaml.Event], Callable[[_Event], None]] = {
            yaml.DocumentStartEvent: self._document,
            yaml.ScalarEvent: self._scalar,
            yaml.SequenceStartEvent: self._sequence,
            yaml.MappingStartEvent: self._mapping,
            yaml.SequenceEndEvent: self._end,
            yaml.MappingEndEvent: self._end,
            yaml.AliasEvent: self._alias,
        }

    def build(self) -> Node | None:
        for event in yaml.parse(self._source.text, Loader=_Loader):
            handler = self._handlers.get(type(event))
            if handler is not None:
                handler(event)
        if self._root is None or (
            isinstance(self._root, Scalar) and self._root.plain and not self._root.text
        ):
            raise Wrong(
                "empty-policy",
                "there is no policy in it",
                Span(self._source, 0, 0, 0, 0),
                "begin with `version: 1`",
            )
        return self._root

    def _document(self, event: _Event) -> None:
        self._documents += 1
        if self._documents > 1:
            hint = "put each policy into a file of its own"
            raise Wrong("several-documents", "a second document begins here", self._span(event), hint)

    def _scalar(self, event: _Event) -> None:
        node = Scalar(self._source, _where(event), event.value, plain=not event.style)
        self._note(event, node)
        self._place(node, _ONE, event.anchor)

    def _sequence(self, event: _Event) -> None:
        self._begin(event, Sequence(self._source, _where(event)))

    def _mapping(self, event: _Event) -> None:
        self._begin(event, Mapping(self._source, _where(event)))

    def _begin(self, event: _Event, node: Sequence | Mapping) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._too_deep(event)
        self._note(event, node)
        self._open.append(_Open(node, event))

    def _end(self, event: _Event) -> None:
        ended = self._open.pop()
        # A block ends, to the parser, where the next thing begins; to people, where its last value ends.
        if ended.is_flow:
            self._last_end = (event.end_mark.line, event.end_mark.column)
        ended.node.end_line, ended.node.end_column = self._last_end
        self._place(ended.node, ended.extent, ended.anchor)

    def _alias(self, event: _Event) -> None:
        if any(event.anchor == open_.anchor for open_ in self._open):
            message = f"{quoted('*' + event.anchor)} stands within what it stands for"
            raise Wrong("recursive-alias", message, self._span(event), "write the values out")
        if event.anchor not in self._anchors:
            message = f"nothing above is named {quoted('&' + event.anchor)}"
            raise Wrong(
                "unknown-alias", message, self._span(event), "write a glob that begins with `*` in quotes"
            )
        node, extent = self._anchors[event.anchor]
        if len(self._open) + extent.height > MAX_DEPTH:
            self._too_deep(event)
        self._count(event, extent.size)
        self._last_end = (event.end_mark.line, event.end_mark.column)
        self._place(node, extent, None)

    def _place(self, node: Node, extent: _Extent, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, extent)
        if self._open:
            self._open[-1].take(node, extent)
            self._refuse_long(self._open[-1].node, node)
        else:
            self._root = node

    def _note(self, event: _Event, node: Node) -> None:
        """What is the same for everything that isn't an alias."""
        self._count(event, 1)
        self._last_end = (node.end_line, node.end_column)
        if event.tag is not None:
            hint = "write text in quotes; nothing else needs a tag"
            self._findings.error(
                "yaml-tag", f"the tag {quoted(event.tag)} has no meaning here", self._span(event), hint
            )
        if event.anchor is not None and (first := self._named(event.anchor)) is not None:
            self._findings.error(
                "duplicate-anchor",
                f"{quoted('&' + event.anchor)} is here twice",
                self._span(event),
                "an alias would mean the one or the other, depending on where it stands",
                (Related("the first is here", first.span),),
            )

    def _named(self, anchor: str) -> Node | None:
        if anchor in self._anchors:
            return self._anchors[anchor][0]
        return next((open_.node for open_ in self._open if open_.anchor == anchor), None)

    def _count(self, event: _Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            hint = "split it, or use fewer aliases: each counts as all it stands for"
            raise Wrong(
                "too-many-values", f"a policy has at most {MAX_NODES:,} values", self._span(event), hint
            )

    def _refuse_long(self, within: Node, node: Node) -> None:
        if isinstance(within, Sequence) and len(within.items) > MAX_ITEMS:
            message = f"a list has at most {MAX_ITEMS:,} items"
            raise Wrong(
                "too-many-items", message, node.span, "say the same with fewer globs, or split the rule"
            )

    def _too_deep(self, event: _Event) -> None:
        message = f"more than {MAX_DEPTH} lists and mappings within each other"
        raise Wrong("too-deep", message, self._span(event), "no policy needs more than six")

    def _span(self, event: _Event) -> Span:
        return Span(self._source, *_where(event))


def _where(event: _Event) -> tuple[int, int, int, int]:
    start, end = event.start_mark, event.end_mark
    return start.line, start.column, end.line, end.column

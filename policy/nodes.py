"""Nodes: what a YAML text says, before anything is known of what it means; each knows where it stands."""

from typing import TypeAlias

from fdstorefs.policy.span import Source, Span


class Placed:
    """Something that stands somewhere: from one character to before another."""

    __slots__ = ("column", "end_column", "end_line", "line", "source")

    def __init__(self, source: Source, line: int, column: int, end_line: int, end_column: int) -> None:
        self.source = source
        self.line = line
        self.column = column
        self.end_line = end_line
        self.end_column = end_column

    @property
    def span(self) -> Span:
        """Where it stands."""
        return Span(self.source, self.line, self.column, self.end_line, self.end_column)


class Scalar(Placed):
    """A word or a text. `plain`: without quotes, so that a YAML reader might take it for a number or the like."""

    __slots__ = ("plain", "text")

    def __init__(self, source: Source, where: tuple[int, int, int, int], text: str, *, plain: bool) -> None:
        super().__init__(source, *where)
        self.text = text
        self.plain = plain

    def span_of(self, position: int) -> Span:
        """Where one character of the text stands; the whole, if it isn't written down letter by letter."""
        if self.line == self.end_line:
            written = self.source.lines[self.line][self.column : self.end_column]
            for before in (0, 1):
                if written[before : len(written) - before] == self.text:
                    column = self.column + before + position
                    return Span(self.source, self.line, column, self.line, column + 1)
        return self.span


class Sequence(Placed):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, source: Source, where: tuple[int, int, int, int]) -> None:
        super().__init__(source, *where)
        self.items: list[Node] = []


class Mapping(Placed):
    """Keys with their values, in order, as they stand: a key may be there twice or be no word at all."""

    __slots__ = ("pairs",)

    def __init__(self, source: Source, where: tuple[int, int, int, int]) -> None:
        super().__init__(source, *where)
        self.pairs: list[tuple[Node, Node]] = []


Node: TypeAlias = Scalar | Sequence | Mapping


def what(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, Mapping):
        return "a mapping"
    return "a list" if isinstance(node, Sequence) else "one value"

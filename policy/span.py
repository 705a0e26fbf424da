"""Spans: where in which text something stands."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """One policy text and what it is called in messages. `lines` are without their ends."""

    name: str
    text: str
    lines: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, name: str, text: str) -> "Source":
        """A source with its lines."""
        return cls(name, text, tuple(text.split("\n")))


@dataclass(frozen=True, slots=True)
class Span:
    """From one character to before another. Lines and columns count from 0; people are shown them from 1."""

    source: Source = field(repr=False)
    line: int
    column: int
    end_line: int
    end_column: int

"""Diagnostics: what is wrong with a policy, where, and what to write instead; for people and for programs."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fdstorefs.policy.span import Span

MAX_SHOWN = 50
"""Most diagnostics that are shown at once."""

LINE_INDENT = "    "
LINE_WIDTH = 120
"""Most columns of a source line that are shown; a longer one is cut on both sides of what is underlined."""

LEAD = 40
"""Columns that are kept before what is underlined when a line is cut."""

TAB = "    "
CUT = "..."
QUOTED_LENGTH = 64

BOLD, RED, YELLOW, GREEN, PLAIN = "\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;32m", "\x1b[0m"


class Severity(StrEnum):
    """An error keeps a policy from being loaded, a warning doesn't."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that has to do with it, such as the first of two that are the same."""

    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong. `code` never changes once released; `span` None: it is about no place in a text."""

    severity: Severity
    code: str
    message: str
    span: Span | None
    hint: str | None = None
    related: tuple[Related, ...] = ()


class PolicyError(Exception):
    """A policy can't be used; `diagnostics` say why. Its text is for people, without colour."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(render_all(diagnostics))
        self.diagnostics = tuple(diagnostics)


def quoted(text: str) -> str:
    """The user's text as a message shows it: in backticks, on one line, and not too long."""
    short = text if len(text) <= QUOTED_LENGTH else text[:QUOTED_LENGTH] + CUT
    return f"`{printable(short)}`"


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey or hide."""
    return text if text.isprintable() else "".join(map(_printable_character, text))


def render_all(diagnostics: Sequence[Diagnostic], *, colour: bool = False) -> str:
    """All of them for people; past MAX_SHOWN only how many more there are."""
    shown = [render(diagnostic, colour=colour) for diagnostic in diagnostics[:MAX_SHOWN]]
    if len(diagnostics) > MAX_SHOWN:
        shown.append(f"and {len(diagnostics) - MAX_SHOWN} more")
    return "\n".join(shown)


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """One diagnostic for people: message, the line it is about with carets under the place, hint, other places.

    Whatever the policy holds, the result has no control characters but line feeds (and colours, if wanted).
    """
    paint = _paint if colour else _leave
    tone = RED if diagnostic.severity is Severity.ERROR else YELLOW
    head = f"{paint(diagnostic.severity.value + ':', tone)} {paint(printable(diagnostic.message), BOLD)}"
    lines = list(_place(diagnostic.span, head, paint(_carets(diagnostic.span), tone)))
    if diagnostic.hint is not None:
        lines.append(f"  {paint('hint:', GREEN)} {printable(diagnostic.hint)}")
    for related in diagnostic.related:
        lines.extend(_place(related.span, printable(related.message), paint(_carets(related.span), GREEN)))
    return "\n".join(lines)


def as_json(diagnostic: Diagnostic) -> dict[str, object]:
    """One diagnostic for programs; line and column count from 1."""
    return {
        **_json_place(diagnostic.span),
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "related": [
            {**_json_place(related.span), "message": related.message} for related in diagnostic.related
        ],
    }


def _json_place(span: Span | None) -> dict[str, object]:
    if span is None:
        return {"file": None, "line": None, "column": None, "end_line": None, "end_column": None}
    return {
        "file": span.source.name,
        "line": span.line + 1,
        "column": span.column + 1,
        "end_line": span.end_line + 1,
        "end_column": span.end_column + 1,
    }


def _paint(text: str, tone: str) -> str:
    return f"{tone}{text}{PLAIN}"


def _leave(text: str, tone: str) -> str:  # noqa: ARG001 - the same shape as _paint
    return text


def _place(span: Span | None, head: str, carets: str) -> Iterator[str]:
    if span is None:
        yield head
        return
    yield f"{printable(span.source.name)}:{span.line + 1}:{span.column + 1}: {head}"
    before, within, after = _pieces(span)
    yield f"{LINE_INDENT}{before}{within}{after}".rstrip()
    yield f"{LINE_INDENT}{' ' * _width(before)}{carets}"


def _carets(span: Span | None) -> str:
    return "^" * max(1, _width(_pieces(span)[1])) if span is not None else ""


def _pieces(span: Span) -> tuple[str, str, str]:
    """The first line of a span: what stands before it, what it covers, what follows; cut to LINE_WIDTH."""
    line = _line(span)
    end = span.end_column if span.end_line == span.line else len(line)
    first = max(0, span.column - LEAD) if len(line) > LINE_WIDTH else 0
    last = first + LINE_WIDTH
    before = (CUT if first else "") + _shown(line[first : span.column])
    after = _shown(line[min(end, last) : last]) + (CUT if len(line) > last else "")
    return before, _shown(line[span.column : min(end, last)]), after


def _line(span: Span) -> str:
    lines = span.source.lines or tuple(span.source.text.split("\n"))
    return lines[span.line] if span.line < len(lines) else ""


def _shown(text: str) -> str:
    return printable(text.replace("\t", TAB)) if "\t" in text else printable(text)


def _printable_character(character: str) -> str:
    # repr() knows what can be printed; it doubles a backslash, which can.
    return character if character.isprintable() else repr(character)[1:-1]


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1

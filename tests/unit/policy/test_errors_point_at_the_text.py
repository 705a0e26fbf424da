"""How a diagnostic is shown: place, message, line, carets, hint, other places; whatever the text holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.policy.diagnostic import (
    Diagnostic,
    PolicyError,
    Related,
    Severity,
    as_json,
    quoted,
    render,
    render_all,
)
from fdstorefs.policy.span import Source, Span


def error(line: str, column: int, end: int, message: str = "wrong") -> Diagnostic:
    """An error about a piece of a line."""
    return Diagnostic(Severity.ERROR, "wrong", message, Span(Source.of("p.yaml", line), 0, column, 0, end))


def test_message_line_and_carets() -> None:
    """The place comes first, as compilers write it; the carets stand under the text that is meant."""
    expected = "p.yaml:1:5: error: wrong\n    one two\n        ^^^"

    assert expected == render(error("one two", 4, 7))


def test_hint_and_other_places() -> None:
    """A hint and related places follow, each place with its line."""
    source = Source.of("p.yaml", "id: a\nid: b")
    first, second = Span(source, 0, 0, 0, 2), Span(source, 1, 0, 1, 2)
    twice = Diagnostic(
        Severity.ERROR, "twice", "here twice", second, "take one out", (Related("the first", first),)
    )

    assert (
        "p.yaml:2:1: error: here twice\n"
        "    id: b\n"
        "    ^^\n"
        "  hint: take one out\n"
        "p.yaml:1:1: the first\n"
        "    id: a\n"
        "    ^^"
    ) == render(twice)


def test_warning_without_a_place() -> None:
    """What is about no text has no place and no line."""
    warning = Diagnostic(Severity.WARNING, "odd", "odd", None, "look again")

    assert "warning: odd\n  hint: look again" == render(warning)


@pytest.mark.parametrize(
    ("line", "column", "end", "shown"),
    [
        ("\tab", 1, 2, "        ab\n        ^"),
        ("a\tb c", 2, 3, "    a    b c\n         ^"),
        ("日本 x", 0, 2, "    日本 x\n    ^^^^"),
        ("日本 x", 3, 4, "    日本 x\n         ^"),
        ("e\u0301a", 2, 3, "    e\u0301a\n     ^"),
        ("\x1b[2Jx", 4, 5, "    \\x1b[2Jx\n           ^"),
        ("a\u202eb", 1, 2, "    a\\u202eb\n     ^^^^^^"),
        ("x", 1, 1, "    x\n     ^"),
        ("", 0, 0, "\n    ^"),
        ("a  ", 1, 3, "    a\n     ^^"),
    ],
    ids=["tab", "tab within", "wide", "after wide", "combining", "escape", "bidi", "end", "empty", "blanks"],
)
def test_carets_stand_right(line: str, column: int, end: int, shown: str) -> None:
    """Tabs, wide and combining characters and what had to be escaped don't move the carets away."""
    assert f"p.yaml:1:{column + 1}: error: wrong\n{shown}" == render(error(line, column, end))


def test_long_line_is_cut_around_the_place() -> None:
    """Of a long line the part is shown that is meant."""
    line = "a" * 500 + "HERE" + "b" * 500
    _, shown, carets = render(error(line, 500, 504)).split("\n")

    assert len(shown) < 140
    assert "HERE" == shown[carets.index("^") : carets.rindex("^") + 1]


def test_span_over_several_lines() -> None:
    """The first line is shown, and underlined to its end."""
    span = Span(Source.of("p.yaml", "a: [b,\n c]"), 0, 3, 1, 3)

    assert "p.yaml:1:4: error: wrong\n    a: [b,\n       ^^^" == render(
        Diagnostic(Severity.ERROR, "wrong", "wrong", span)
    )


def test_nothing_reaches_the_terminal_as_it_is() -> None:
    """Messages, hints and file names are escaped too."""
    span = Span(Source.of("\x1b]0;p\x07.yaml", "x"), 0, 0, 0, 1)
    message = "no " + quoted("\x1b[31m\n")
    shown = render(Diagnostic(Severity.ERROR, "wrong", message, span, "\x9b"))

    assert "\\x1b]0;p\\x07.yaml:1:1: error: no `\\x1b[31m\\n`\n    x\n    ^\n  hint: \\x9b" == shown


def test_colour() -> None:
    """Colours are only added: without them it is the same text."""
    coloured = render(error("one two", 4, 7), colour=True)

    assert "\x1b[1;31merror:\x1b[0m" in coloured
    assert render(error("one two", 4, 7)) == _uncoloured(coloured)


def _uncoloured(text: str) -> str:
    for code in ("\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;32m", "\x1b[0m"):
        text = text.replace(code, "")
    return text


def test_long_text_is_quoted_in_short() -> None:
    """A message doesn't repeat a whole file."""
    assert f"`{'x' * 64}...`" == quoted("x" * 65)
    assert f"`{'x' * 64}`" == quoted("x" * 64)


def test_as_json() -> None:
    """Programs get the same, counted from 1."""
    source = Source.of("p.yaml", "one two")
    place = Span(source, 0, 4, 0, 7)
    diagnostic = Diagnostic(Severity.WARNING, "odd", "odd", place, None, (Related("see", place),))
    where = {"file": "p.yaml", "line": 1, "column": 5, "end_line": 1, "end_column": 8}
    expected = {
        **where,
        "severity": "warning",
        "code": "odd",
        "message": "odd",
        "hint": None,
        "related": [{**where, "message": "see"}],
    }

    assert expected == as_json(diagnostic)


def test_as_json_without_a_place() -> None:
    """The same keys, with nothing in them."""
    shown = as_json(Diagnostic(Severity.ERROR, "wrong", "wrong", None))

    assert (None, None, None) == (shown["file"], shown["line"], shown["column"])


def test_only_so_many_are_shown() -> None:
    """Past fifty there is only the number of the others; all of them are in the exception."""
    many = [error("x", 0, 1, f"number {number}") for number in range(53)]
    raised = PolicyError(many)

    assert str(raised).endswith("number 49\n    x\n    ^\nand 3 more")
    assert 53 == len(raised.diagnostics)
    assert "more" not in render_all(many[:50])


@given(st.text(max_size=300), st.integers(0, 300), st.integers(0, 300), st.text(max_size=80))
def test_any_text_can_be_shown(line: str, one: int, other: int, message: str) -> None:
    """No text breaks it, and nothing unprintable is left."""
    line = line.replace("\n", "")
    begin, end = sorted((min(one, len(line)), min(other, len(line))))
    shown = render(error(line, begin, end, message))

    assert 3 == len(shown.split("\n"))
    assert shown.replace("\n", "").isprintable()
    assert shown.endswith("^")

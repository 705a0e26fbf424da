"""What a YAML parser complains about, in words that help. PyYAML's C parser says it otherwise than its Python one."""

from typing import NamedTuple

import yaml

from fdstorefs.policy.diagnostic import quoted
from fdstorefs.policy.findings import Wrong
from fdstorefs.policy.span import Source, Span


class _Problem(NamedTuple):
    sign: str
    message: str
    hint: str
    at_context: bool = False


_COLON = "write the value in quotes if the colon belongs to it, else look at the indentation"
_COLUMN = "keys of one mapping, and items of one list, begin in the same column"
_VALUE = "write one, or take the bracket or comma out"
_PROBLEMS = (
    _Problem("mapping values are not allowed", "a `:` stands where no key can", _COLON),
    _Problem("found unexpected ':'", "a `:` stands where no key can", _COLON),
    _Problem(
        "unexpected end of stream", "the quote is never closed", "end the text with the same quote", True
    ),
    _Problem(
        "expected ',' or ']'",
        "the list that begins here isn't closed",
        "end it with `]`; values with brackets or commas need quotes",
        at_context=True,
    ),
    _Problem(
        "expected ',' or '}'",
        "the mapping that begins here isn't closed",
        "end it with `}`; values with braces or commas need quotes",
        at_context=True,
    ),
    _Problem("expected key", "this fits nothing above it", _COLUMN),
    _Problem("expected '-' indicator", "this fits nothing above it", _COLUMN),
    _Problem("expected <block end>", "this fits nothing above it", _COLUMN),
    _Problem("expected ':'", "a key has no `:` after it", "write `key: value`", at_context=True),
    _Problem(
        "alphabetic or numeric character",
        "`*` and `&` have a meaning of their own at the beginning of a value",
        "write a glob in quotes",
        at_context=True,
    ),
    _Problem("expected node content", "a value is missing here", _VALUE),
    _Problem("expected the node content", "a value is missing here", _VALUE),
    _Problem(
        "undefined tag handle", "tags have no meaning here", "write text that begins with `!` in quotes"
    ),
)


def problem(source: Source, error: yaml.MarkedYAMLError) -> Wrong:
    """The parser's complaint as ours. Always about a place within the text."""
    said = str(error.problem)
    span = _span(source, error.problem_mark or error.context_mark)
    character = source.lines[span.line][span.column : span.column + 1]
    if "tab character" in said or ("cannot start any token" in said and character == "\t"):
        return Wrong("tab-indentation", "a tab can't indent", span, "indent with spaces")
    if "cannot start any token" in said:
        return Wrong(
            "not-yaml", f"{quoted(character)} can't begin a value", span, "write the value in quotes"
        )
    for known in _PROBLEMS:
        if known.sign in said:
            at = _span(source, error.context_mark) if known.at_context and error.context_mark else span
            return Wrong("not-yaml", known.message, at, known.hint)
    return Wrong("not-yaml", f"this is not YAML: {said}", span)


def _span(source: Source, mark: yaml.Mark | None) -> Span:
    """One character at the mark. At the end of the text a mark may stand on a line that isn't there."""
    line = min(mark.line, len(source.lines) - 1) if mark is not None else 0
    column = min(mark.column, len(source.lines[line])) if mark is not None else 0
    return Span(source, line, column, line, min(column + 1, len(source.lines[line])))

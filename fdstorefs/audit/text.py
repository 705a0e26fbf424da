r"""Text in records: any string made printable, unmistakable and reversible.

Names are bytes that need not be UTF-8, and strings from clients may hold half a surrogate pair. Strict JSON
parsers reject a record with such a string, which would hide it. So within every string a backslash is doubled, a
byte that is not UTF-8 is `\xNN` and another lone surrogate `\uNNNN`. JSON's own escapes come on top: a record
is ASCII without control characters, and no string can end itself, its field or its line.
"""

import re
from json.encoder import encode_basestring_ascii as json_string

_SPECIAL = re.compile(r"[\\\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4})")
_BYTE_FIRST, _BYTE_LAST, _BYTE_BASE = 0xDC80, 0xDCFF, 0xDC00


def escape(text: str) -> str:
    """Text without lone surrogates that stands for this text and no other; `unescape` undoes it."""
    return _SPECIAL.sub(_escape_one, text)


def unescape(text: str) -> str:
    """What `escape` was given: bytes that are not UTF-8 are lone surrogates again (surrogateescape)."""
    return _ESCAPED.sub(_unescape_one, text)


def quote(text: str) -> str:
    """The string as it stands in a record, quotation marks included."""
    if text.isascii() and "\\" not in text:
        return json_string(text)
    return json_string(escape(text))


def quote_all(texts: tuple[str, ...]) -> str:
    """An array of strings as it stands in a record."""
    return f"[{','.join(map(quote, texts))}]" if texts else "[]"


def _escape_one(found: re.Match[str]) -> str:
    if found[0] == "\\":
        return "\\\\"
    code = ord(found[0])
    return f"\\x{code - _BYTE_BASE:02x}" if _BYTE_FIRST <= code <= _BYTE_LAST else f"\\u{code:04x}"


def _unescape_one(found: re.Match[str]) -> str:
    if found[1] == "\\":
        return "\\"
    base = _BYTE_BASE if found[1][0] == "x" else 0
    return chr(base + int(found[1][1:], 16))

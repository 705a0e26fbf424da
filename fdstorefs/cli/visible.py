"""Text from elsewhere, made safe to print: a name must not move the cursor or fake a line."""


def visible(text: str) -> str:
    r"""The text, with an escape for what doesn't print: `\n`, `\x1b`, `\xff` for a byte not UTF-8."""
    return printable(text.replace("\\", "\\\\"))


def printable(text: str) -> str:
    """The same for sentences, in which a backslash is a backslash and names are anybody's."""
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python spells a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")

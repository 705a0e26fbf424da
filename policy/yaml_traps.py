"""Traps: unquoted words that some YAML reader takes for something other than text or a decimal number.

Types after YAML 1.1, which most readers follow (https://yaml.org/type/), with the octal numbers of 1.2.
"""

import re

_TRAPS = re.compile(
    r"""
      (?P<nothing>    ~ | null | Null | NULL | )
    | (?P<boolean>    [yY] | yes | Yes | YES | [nN] | no | No | NO | true | True | TRUE | false | False | FALSE
                      | on | On | ON | off | Off | OFF )
    | (?P<decimal>    0 | [1-9][0-9]* )
    | (?P<octal>      [-+]?0[0-7_]+ | 0o[0-7]+ )
    | (?P<hexadecimal>  [-+]?0x[0-9a-fA-F_]+ )
    | (?P<binary>     [-+]?0b[01_]+ )
    | (?P<sexagesimal>  [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)? )
    | (?P<date>       [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)? )
    | (?P<number>     [-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)? | [-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
                      | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN) )
    | (?P<merge>      << )
    | (?P<default>    = )
    """,
    re.VERBOSE | re.DOTALL,
)

_FIRST = frozenset("~nNyYtTfFoO0123456789-+.<=")

_MEANING = {
    "nothing": "nothing",
    "boolean": "a boolean",
    "decimal": "a number",
    "octal": "an octal number",
    "hexadecimal": "a hexadecimal number",
    "binary": "a binary number",
    "sexagesimal": "a number to base 60",
    "date": "a date",
    "number": "a number",
    "merge": "a merge",
    "default": "a default value",
}

DECIMAL, NUMBER = "decimal", "number"
NUMBERS = frozenset({"decimal", "octal", "hexadecimal", "binary", "sexagesimal", "number"})


def type_of_plain(text: str) -> str | None:
    """What an unquoted word is taken for, a name of this table's; None: text."""
    if text and text[0] not in _FIRST:
        return None
    found = _TRAPS.fullmatch(text)
    return found.lastgroup if found else None


def meaning(kind: str) -> str:
    """What `type_of_plain` told, in words."""
    return _MEANING[kind]

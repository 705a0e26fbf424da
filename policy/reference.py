"""The reference: every key and every word with its meaning, as Markdown, made from the definitions."""

from collections.abc import Iterator, Mapping

from fdstorefs.policy.definitions import KEYS_OF, Key, Place
from fdstorefs.policy.filesystems import FILESYSTEMS, FUSE_SUBTYPE
from fdstorefs.policy.value_types import Type
from fdstorefs.policy.vocabulary import CAPABILITIES
from fdstorefs.policy.words import WORDS

WIDTH = 110

HEAD = """\
# Reference of the policy language

Every key and every word. [What a policy means](semantics.md) says how rules make a verdict.

Wherever several values can stand in a list, one value can stand without the list. A list is never empty, but for
`rules`. Numbers are decimal. Words that YAML readers may take for something else than text (`no`, `null`, `1e3`,
`010`) are refused where text is wanted, unless they are in quotes.
"""

_HEADINGS = {
    Place.POLICY: "The policy",
    Place.LIMITS: "Under `limits`",
    Place.INSTANCE: "An item of `instances`",
    Place.SET: "A set",
    Place.RULE: "A rule",
    Place.UNLESS: "Under `unless`",
    Place.STASHER: "Under `stasher`",
    Place.OPENER: "Under `opener`",
    Place.SUBJECT: "Under `subject`",
}


def text() -> str:
    """The whole reference."""
    return "\n".join([HEAD, *(_place(place) for place in Place), *_words(), _names()])


def _place(place: Place) -> str:
    blocks = [f"## {_HEADINGS[place]}\n"]
    same_as = _ALIKE.get(place)
    if same_as is not None:
        names = ", ".join(f"`{name}`" for name in KEYS_OF[place])
        blocks.append(f"The same keys as {same_as}, but only these: {names}.\n")
    else:
        blocks.extend(_key(key) for key in KEYS_OF[place].values())
    return "\n".join(blocks)


_ALIKE = {Place.UNLESS: "a rule", Place.SET: "`subject`"}


def _key(key: Key) -> str:
    takes = key.type.value + _see(key)
    needed = " Required." if key.required else ""
    detail = f" {key.type.detail}" if key.type.detail else ""
    return f"### `{key.name}`\n\n{key.meaning}\n\nTakes {takes}.{detail}{needed}\n\n```yaml\n{key.example}\n```\n"


def _see(key: Key) -> str:
    """Where more is said about the value: among the words, or in a section of its own."""
    heading = _HEADINGS[key.inside] if key.inside is not None else _GROUP.get(key.type)
    return f" (see [{heading[0].lower()}{heading[1:]}](#{_anchor(heading)}))" if heading else ""


_GROUP = {
    Type.EFFECT: "Effects",
    Type.ACTIONS: "Actions",
    Type.KINDS: "Kinds",
    Type.ACCESS: "Access modes",
    Type.USERNS: "User namespaces",
    Type.MODE: "Modes",
    Type.OPENER_UNKNOWN: "Stand-ins for an unknown opener",
}


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-").replace("`", "")


def _words() -> Iterator[str]:
    for heading, meanings in WORDS.items():
        yield f"## {heading}\n\n{_table(meanings)}\n"


def _table(meanings: Mapping[str, str]) -> str:
    rows = [f"| `{word}` | {meaning} |" for word, meaning in meanings.items()]
    return "\n".join(["| word | meaning |", "| --- | --- |", *rows])


def _names() -> str:
    filesystems = _filled([f"`{name}`" for name in sorted(FILESYSTEMS)])
    capabilities = _filled([f"`{name}`" for name in CAPABILITIES])
    return (
        f"## Capabilities\n\n{capabilities}\n\n"
        f"## File systems\n\nAny name is taken. Of a name that isn't among these, nor `{FUSE_SUBTYPE}` and a subtype, "
        f"`policy check` warns.\n\n{filesystems}\n"
    )


def _filled(words: list[str]) -> str:
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) + 1 > WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)

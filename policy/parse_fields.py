"""Fields: the keys of a mapping against the definitions. Unknown, misplaced, missing and repeated ones are errors."""

from fdstorefs.policy.definitions import KEYS, KEYS_OF, Key, Place, belongs
from fdstorefs.policy.diagnostic import Related, quoted
from fdstorefs.policy.findings import Wrong
from fdstorefs.policy.nearest import did_you_mean, nearest
from fdstorefs.policy.nodes import Mapping, Node, Scalar, what
from fdstorefs.policy.parse_scalars import example
from fdstorefs.policy.parse_values import READERS
from fdstorefs.policy.reading import Fields, Reading
from fdstorefs.policy.span import Span
from fdstorefs.policy.value_types import Type
from fdstorefs.policy.yaml_traps import meaning, type_of_plain

MERGE = "merge"


def read_fields(node: Mapping, place: Place, reading: Reading) -> Fields:
    """What the mapping says, as far as it is right; the rest is among the findings."""
    known = KEYS_OF[place]
    found = Fields(place, node)
    for name, (key_node, value) in distinct_keys(node, reading).items():
        key = known.get(name)
        if key is None:
            _unknown(key_node, place, reading)
            continue
        found.keys[name], found.nodes[name] = key_node, value
        try:
            found.values[name] = _value(value, key, reading)
        except Wrong as wrong:
            reading.findings.add(wrong.diagnostic)
    _require(found, reading)
    return found


def read_inner(node: Node, whose: str, place: Place, reading: Reading, hint: str | None) -> Fields:
    """The same for a node that has to be a mapping with something in it. Raises Wrong."""
    if isinstance(node, Scalar) and node.plain and not node.text:
        raise Wrong("empty-value", f"{whose} has no value", node.span, hint)
    if not isinstance(node, Mapping):
        raise Wrong("wrong-type", f"{whose} is a mapping, not {what(node)}", node.span, hint)
    if not node.pairs:
        raise Wrong("empty-mapping", f"{whose} says nothing", node.span, "leave it out, or say something")
    return read_fields(node, place, reading)


def distinct_keys(node: Mapping, reading: Reading) -> dict[str, tuple[Scalar, Node]]:
    """The keys that are words, each with its value; of two that are the same the first."""
    distinct: dict[str, tuple[Scalar, Node]] = {}
    for key, value in node.pairs:
        if not isinstance(key, Scalar):
            message = f"a key is a word, not {what(key)}"
            reading.findings.error("complex-key", message, key.span, "write `key: value`")
        elif key.text in distinct:
            first = distinct[key.text][0]
            message = f"the key {quoted(key.text)} is here twice"
            hint = "put both into one, or take one out"
            related = (Related("the first is here", first.span),)
            reading.findings.error("duplicate-key", message, key.span, hint, related)
        elif _is_word(key, reading):
            distinct[key.text] = (key, value)
    return distinct


def _is_word(key: Scalar, reading: Reading) -> bool:
    kind = type_of_plain(key.text) if key.plain else None
    if kind is None:
        return True
    if kind == MERGE:
        hint = "write the keys out, or put what is common into a set"
        reading.findings.error("merge-key", "mappings can't be merged", key.span, hint)
    else:
        message = f"the key {quoted(key.text)} without quotes is {meaning(kind)} in YAML"
        reading.findings.error("yaml-trap", message, key.span, f'write `"{key.text}"` for the text')
    return False


def _value(node: Node, key: Key, reading: Reading) -> object:
    if key.type is Type.MAPPING and key.inside is not None:
        return read_inner(node, f"`{key.name}`", key.inside, reading, example(key))
    return READERS[key.type](node, key, reading)


def _require(found: Fields, reading: Reading) -> None:
    for key in KEYS_OF[found.place].values():
        if key.required and key.name not in found.keys:
            message = f"{found.place.whose} has no `{key.name}`"
            reading.findings.error("missing-key", message, _first_key(found.node), example(key))


def _first_key(node: Mapping) -> Span:
    return node.pairs[0][0].span if node.pairs else node.span


def _unknown(key: Scalar, place: Place, reading: Reading) -> None:
    elsewhere = belongs(key.text)
    if elsewhere is not None:
        message = f"`{key.text}` can't stand {place.where}"
        reading.findings.error("misplaced-key", message, key.span, f"it belongs {elsewhere}")
        return
    message = f"unknown key {quoted(key.text)}"
    hint = did_you_mean(key.text, KEYS_OF[place]) or _meant_elsewhere(key.text)
    if hint is None:
        hint = f"{place.where} stand {', '.join(f'`{name}`' for name in KEYS_OF[place])}"
    reading.findings.error("unknown-key", message, key.span, hint)


def _meant_elsewhere(name: str) -> str | None:
    meant = nearest(name, [key.name for key in KEYS])
    return None if meant is None else f"did you mean `{meant}`, which belongs {belongs(meant)}?"

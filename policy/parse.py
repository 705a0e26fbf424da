"""Policies: one text to one policy of the model."""

from pathlib import PurePosixPath

from fdstorefs.policy.definitions import KEYS_OF, Key, Place
from fdstorefs.policy.diagnostic import Related, quoted
from fdstorefs.policy.findings import Wrong
from fdstorefs.policy.model import InstanceMatch, Policy, PolicyLimits, Rule
from fdstorefs.policy.nodes import Mapping, Node, Sequence, what
from fdstorefs.policy.parse_fields import distinct_keys, read_fields, read_inner
from fdstorefs.policy.parse_rules import parse_rule, spans
from fdstorefs.policy.parse_scalars import checked_name, example, is_name, scalar
from fdstorefs.policy.parse_values import instance_mount, unrepeated
from fdstorefs.policy.reading import Fields, NamedSet, Reading
from fdstorefs.policy.span import Source, Span
from fdstorefs.policy.vocabulary import Mode, OpenerUnknown
from fdstorefs.policy.yaml_nodes import node_of

INSTANCES = KEYS_OF[Place.POLICY]["instances"]
SETS = KEYS_OF[Place.POLICY]["sets"]
RULES = KEYS_OF[Place.POLICY]["rules"]


def parse_policy(source: Source, reading: Reading) -> Policy | None:
    """The policy in a text, without what is wrong in it; None if it can't be read as one at all."""
    node = node_of(source, reading.findings)
    if node is None:
        return None
    if not isinstance(node, Mapping):
        message = f"a policy is a mapping, not {what(node)}"
        reading.findings.error("wrong-type", message, node.span, "begin with `version: 1`")
        return None
    return _policy(read_fields(node, Place.POLICY, reading), source, reading)


def _policy(found: Fields, source: Source, reading: Reading) -> Policy:
    values = found.values
    name, name_span = _name(found, source, reading)
    reading.sets = _sets(values.get("sets"), reading)
    rules = _rules(values.get("rules"), reading)
    _warn_of_unused(reading)
    return Policy(
        name,
        rules,
        values.get("mode", Mode.ENFORCE),
        _instances(values.get("instances"), reading),
        _limits(found.inner("limits")),
        values.get("opener-unknown", OpenerUnknown.DENY),
        values.get("description", ""),
        {**spans(found), "name": name_span},
    )


def _name(found: Fields, source: Source, reading: Reading) -> tuple[str, Span]:
    stem = PurePosixPath(source.name).stem
    name = found.values.get("name", stem)
    here = found.nodes["name"].span if "name" in found.nodes else Span(source, 0, 0, 0, 0)
    if "name" not in found.nodes and not is_name(stem):
        message = f"the policy has no `name`, and {quoted(stem)}, after its file, can't be one"
        reading.findings.error("missing-key", message, here, example(KEYS_OF[Place.POLICY]["name"]))
    first = reading.policy_names.setdefault(name, here)
    if first is not here:
        message = f"a policy {quoted(name)} is here already"
        hint = "give this one another `name`"
        reading.findings.error(
            "duplicate-policy", message, here, hint, (Related("the first is here", first),)
        )
    return name, here


def _limits(found: Fields | None) -> PolicyLimits:
    if found is None:
        return PolicyLimits()
    values = found.values
    return PolicyLimits(values.get("entries"), values.get("entries-per-uid"), values.get("entries-per-box"))


def _sets(node: Node | None, reading: Reading) -> dict[str, NamedSet]:
    if node is None:
        return {}
    if not isinstance(node, Mapping) or not node.pairs:
        said = "says nothing" if isinstance(node, Mapping) else f"takes {SETS.type.value}, not {what(node)}"
        code = "empty-mapping" if isinstance(node, Mapping) else "wrong-type"
        reading.findings.error(code, f"`sets` {said}", node.span, example(SETS))
        return {}
    sets: dict[str, NamedSet] = {}
    for name, (key, value) in distinct_keys(node, reading).items():
        errors = reading.findings.errors
        found: Fields | None = None
        try:
            checked_name(key, "a set's name")
            found = read_inner(value, f"the set {quoted(name)}", Place.SET, reading, example(SETS))
        except Wrong as wrong:
            reading.findings.add(wrong.diagnostic)
        sets[name] = NamedSet(key, found if reading.findings.errors == errors else None)
    return sets


def _warn_of_unused(reading: Reading) -> None:
    for name, named in reading.sets.items():
        if not named.is_used and named.fields is not None:
            message = f"no rule uses the set {quoted(name)}"
            reading.findings.warning(
                "unused-set", message, named.name.span, "take it out, or name it in a rule"
            )


def _rules(node: Node | None, reading: Reading) -> tuple[Rule, ...]:
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        hint = "begin each rule with `- id: ...`"
        message = f"`rules` takes {RULES.type.value}, not {what(node)}"
        reading.findings.error("wrong-type", message, node.span, hint)
        return ()
    found: list[Rule] = []
    for item in node.items:
        try:
            read = parse_rule(item, reading)
        except Wrong as wrong:
            reading.findings.add(wrong.diagnostic)
            continue
        if read is not None:
            found.append(read)
    return tuple(found)


def _instances(node: Node | None, reading: Reading) -> tuple[InstanceMatch, ...] | None:
    if node is None:
        return None
    items = unrepeated(node, INSTANCES, reading) if isinstance(node, Sequence) else [node]
    if not items:
        hint = "leave the key out for every instance"
        message = "`instances` is a list that can match nothing"
        reading.findings.error("empty-list", message, node.span, hint)
    found: list[InstanceMatch] = []
    for item in items:
        try:
            match = _instance(item, INSTANCES, reading)
        except Wrong as wrong:
            reading.findings.add(wrong.diagnostic)
            continue
        if match is not None:
            found.append(match)
    return tuple(found)


def _instance(node: Node, key: Key, reading: Reading) -> InstanceMatch | None:
    if not isinstance(node, Mapping):
        return InstanceMatch(mount=instance_mount(scalar(node, key), key))
    found = read_inner(node, "an item of `instances`", Place.INSTANCE, reading, example(key))
    if len(found.keys) > 1:
        hint = "write an item for each; instances that fit one of the items are meant"
        raise Wrong("several-keys", "an item of `instances` has one key", node.span, hint)
    if not found.values:
        return None
    return InstanceMatch(owner=found.values.get("owner"), cgroup=found.values.get("cgroup"))

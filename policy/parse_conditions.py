"""Conditions: what a rule or an `unless` asks for, with the sets it names put in."""

from typing import Any

from fdstorefs.policy.diagnostic import Related, quoted
from fdstorefs.policy.model import Conditions, SubjectConditions
from fdstorefs.policy.nearest import did_you_mean
from fdstorefs.policy.nodes import Scalar
from fdstorefs.policy.reading import Fields, NamedSet, Reading
from fdstorefs.policy.vocabulary import NO_MORE, capability_mask


def conditions(found: Fields, reading: Reading) -> Conditions:
    """The conditions among the keys; what is wrong with the sets is recorded."""
    values = found.values
    stasher, opener, subject = found.inner("stasher"), found.inner("opener"), found.inner("subject")
    asked: dict[str, Any] = {
        name: values[name]
        for name in ("entries", "kinds", "filesystems", "access", "guarded", "labels")
        if name in values
    }
    if stasher is not None:
        asked |= {f"stasher_{name}": value for name, value in stasher.values.items()}
    if opener is not None:
        asked |= _opener(opener)
    if subject is not None:
        asked["subjects"] = _subjects(subject, reading)
    return Conditions(**asked)


def _opener(found: Fields) -> dict[str, Any]:
    asked = {f"opener_{name}": value for name, value in found.values.items() if name != "capabilities"}
    capabilities = found.values.get("capabilities", frozenset())
    named = capabilities - {NO_MORE}
    return asked | {
        "opener_capabilities": capability_mask(named) if named else None,
        "opener_no_more": NO_MORE in capabilities,
    }


def subject_conditions(values: dict[str, Any], set_name: str | None = None) -> SubjectConditions:
    """The keys of a set or of `subject` as the model has them."""
    capabilities = values.get("capabilities")
    return SubjectConditions(
        uid=values.get("uid"),
        gid=values.get("gid"),
        cgroups=values.get("cgroup"),
        capabilities=None if capabilities is None else capability_mask(capabilities),
        userns=values.get("userns"),
        set_name=set_name,
    )


def _subjects(subject: Fields, reading: Reading) -> tuple[SubjectConditions, ...]:
    own = {name: value for name, value in subject.values.items() if name != "set"}
    if "set" not in subject.values:
        return (subject_conditions(own),)
    subjects = []
    for name in subject.values["set"]:
        named = _named_set(name, reading)
        if named is not None and named.fields is not None:
            _refuse_both(subject, named, named.fields, reading)
            subjects.append(subject_conditions(named.fields.values | own, name.text))
    return tuple(subjects)


def _named_set(name: Scalar, reading: Reading) -> NamedSet | None:
    named = reading.sets.get(name.text)
    if named is None:
        hint = did_you_mean(name.text, reading.sets) or _sets_there_are(reading)
        reading.findings.error("unknown-set", f"there is no set {quoted(name.text)}", name.span, hint)
        return None
    named.is_used = True
    return named


def _sets_there_are(reading: Reading) -> str:
    if not reading.sets:
        return "name it under `sets`"
    return f"the policy's sets are {', '.join(f'`{name}`' for name in list(reading.sets)[:10])}"


def _refuse_both(subject: Fields, named: NamedSet, in_set: Fields, reading: Reading) -> None:
    """A key in both a set and beside it would leave open whether both must hold or one replaces the other."""
    for key, node in subject.keys.items():
        if key in in_set.keys:
            message = f"`{key}` is given here and in the set `{named.name.text}`"
            hint = "take one of them out, or make a set of its own for this rule"
            related = (Related(f"`{key}` in the set", in_set.keys[key].span),)
            reading.findings.error("key-in-set-too", message, node.span, hint, related)

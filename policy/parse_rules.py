"""Rules: each by itself, with what can be told to be wrong without looking at the others."""

from fdstorefs.policy.definitions import Place
from fdstorefs.policy.diagnostic import Related
from fdstorefs.policy.findings import Wrong
from fdstorefs.policy.model import Rule
from fdstorefs.policy.nodes import Mapping, Node, what
from fdstorefs.policy.parse_conditions import conditions
from fdstorefs.policy.parse_fields import read_fields
from fdstorefs.policy.reading import Fields, Reading
from fdstorefs.policy.span import Span
from fdstorefs.policy.vocabulary import Action, Effect

ABOUT_SUBJECT = "subject"
ABOUT_ENTRIES = ("entries", "kinds", "filesystems", "access", "guarded", "labels", "stasher", "opener")


def parse_rule(node: Node, reading: Reading) -> Rule | None:
    """A rule; None, with the reasons among the findings, if anything about it is wrong."""
    errors = reading.findings.errors
    if not isinstance(node, Mapping):
        hint = "for example `{id: all-may-look, effect: allow, actions: list}`"
        raise Wrong("wrong-type", f"a rule is a mapping, not {what(node)}", node.span, hint)
    found = read_fields(node, Place.RULE, reading)
    _check_id(found, reading)
    unless = found.inner("unless")
    when = conditions(found, reading)
    exception = conditions(unless, reading) if unless is not None else None
    _check_keys_together(found, unless, reading)
    if reading.findings.errors > errors or _names_a_broken_set((found, unless), reading):
        return None
    values = found.values
    return Rule(
        values["id"],
        values["effect"],
        values["actions"],
        when,
        exception,
        values.get("log"),
        values.get("description", ""),
        {**spans(found), "id": found.nodes["id"].span},
    )


def spans(found: Fields, before: str = "") -> dict[str, Span]:
    """Where each key stands, by its name with those of the mappings around it: `unless.opener.uid`."""
    places: dict[str, Span] = {}
    for name, key in found.keys.items():
        places[before + name] = key.span
        value = found.values.get(name)
        if isinstance(value, Fields):
            places |= spans(value, f"{before}{name}.")
    return places


def _check_keys_together(found: Fields, unless: Fields | None, reading: Reading) -> None:
    _check_serve(found, found, reading)
    if unless is not None:
        _check_serve(unless, found, reading)
        _check_one_set(unless, reading)
    _check_log(found, reading)


def _check_id(found: Fields, reading: Reading) -> None:
    if "id" not in found.values:
        return
    name, here = found.values["id"], found.nodes["id"].span
    first = reading.rule_ids.setdefault(name, here)
    if first is not here:
        message = f"a rule `{name}` is here already"
        hint = "verdicts name their rules by id: give this one another"
        reading.findings.error("duplicate-id", message, here, hint, (Related("the first is here", first),))


def _check_serve(found: Fields, of_rule: Fields, reading: Reading) -> None:
    if Action.SERVE not in of_rule.values.get("actions", ()):
        return
    for name in ABOUT_ENTRIES:
        if name in found.keys:
            message = f"`{name}` has no meaning for `serve`, which is about an instance and not an entry"
            hint = "give `serve` a rule of its own, with `subject` only"
            related = (Related("`serve` is among these", of_rule.keys["actions"].span),)
            reading.findings.error("serve-has-no-entry", message, found.keys[name].span, hint, related)


def _check_one_set(unless: Fields, reading: Reading) -> None:
    subject = unless.inner(ABOUT_SUBJECT)
    if subject is not None and len(subject.values.get("set", ())) > 1:
        hint = "make one set of them, or write one rule for each"
        reading.findings.error(
            "several-sets-in-unless", "`unless` takes one set only", subject.nodes["set"].span, hint
        )


def _check_log(found: Fields, reading: Reading) -> None:
    if found.values.get("log") is False and found.values.get("effect") is Effect.FORBID:
        message = "`log: false` has no meaning for a rule that forbids: denials are always on record"
        reading.findings.error("denials-are-logged", message, found.keys["log"].span, "take it out")


def _names_a_broken_set(places: tuple[Fields | None, ...], reading: Reading) -> bool:
    subjects = [place.inner(ABOUT_SUBJECT) for place in places if place is not None]
    named = [
        name.text for subject in subjects if subject is not None for name in subject.values.get("set", ())
    ]
    return any(name in reading.sets and reading.sets[name].fields is None for name in named)

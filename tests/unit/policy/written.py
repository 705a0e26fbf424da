"""Writing policies: a model as YAML text that means the same. For tests of reading, which is the opposite."""

import json
from collections.abc import Iterable

from fdstorefs.policy.model import Conditions, Ids, InstanceMatch, Policy, Rule, SubjectConditions
from fdstorefs.policy.vocabulary import NO_MORE, USERNS_WORDS, Relation, capability_names

UNTRANSLATABLE = "host:77"
"""An id of the host that cannot be told."""


def written(policy: Policy) -> str:
    """A policy as a text."""
    lines = ["version: 1", f"name: {_text(policy.name)}", f"mode: {policy.mode}"]
    lines.append(f"opener-unknown: {policy.opener_unknown}")
    if policy.description:
        lines.append(f"description: {_text(policy.description)}")
    if policy.instances is not None:
        lines.append(f"instances: {_list(_instance(each) for each in policy.instances)}")
    lines.extend(_limits(policy))
    named = {each.set_name: each for rule in policy.rules for each in _in_sets(rule)}
    if named:
        lines.append("sets:")
        lines.extend(f"  {_text(name or '')}: {_mapping(_subject(each))}" for name, each in named.items())
    lines.append("rules:" if policy.rules else "rules: []")
    lines.extend(f"  - {_rule(rule)}" for rule in policy.rules)
    return "\n".join(lines) + "\n"


def _in_sets(rule: Rule) -> Iterable[SubjectConditions]:
    both = (rule.when, rule.unless)
    return [each for when in both if when is not None for each in when.subjects if each.set_name is not None]


def _limits(policy: Policy) -> list[str]:
    limits = {
        "entries": policy.limits.entries,
        "entries-per-uid": policy.limits.entries_per_uid,
        "entries-per-box": policy.limits.entries_per_box,
    }
    given = {key: str(value) for key, value in limits.items() if value is not None}
    return [f"limits: {_mapping(given)}"] if given else []


def _instance(match: InstanceMatch) -> str:
    if match.mount is not None:
        return _text(match.mount)
    if match.cgroup is not None:
        return f"{{cgroup: {_text(match.cgroup)}}}"
    return f"{{owner: {_ids(match.owner or Ids())}}}"


def _rule(rule: Rule) -> str:
    keys = {"id": _text(rule.id), "effect": rule.effect.value}
    keys["actions"] = _list(action.word for action in rule.actions)
    if rule.log is not None:
        keys["log"] = "true" if rule.log else "false"
    if rule.description:
        keys["description"] = _text(rule.description)
    keys |= _conditions(rule.when)
    if rule.unless is not None:
        keys["unless"] = _mapping(_conditions(rule.unless))
    return _mapping(keys)


def _conditions(when: Conditions) -> dict[str, str]:
    keys = {
        name: _list(map(_text, values))
        for name in ("entries", "kinds", "filesystems", "access", "labels")
        if (values := getattr(when, name)) is not None
    }
    if when.guarded is not None:
        keys["guarded"] = "true" if when.guarded else "false"
    stasher = _person(when.stasher_uid, when.stasher_userns)
    opener = _person(when.opener_uid, when.opener_userns)
    capabilities = capability_names(when.opener_capabilities or 0) + (
        [NO_MORE] if when.opener_no_more else []
    )
    if capabilities:
        opener["capabilities"] = _list(capabilities)
    keys |= {key: _mapping(value) for key, value in (("stasher", stasher), ("opener", opener)) if value}
    if when.subjects:
        keys["subject"] = _mapping(_subjects(when.subjects))
    return keys


def _subjects(subjects: tuple[SubjectConditions, ...]) -> dict[str, str]:
    if subjects[0].set_name is None:
        return _subject(subjects[0])
    return {"set": _list(_text(each.set_name or "") for each in subjects)}


def _subject(subject: SubjectConditions) -> dict[str, str]:
    keys = _person(subject.uid, subject.userns)
    if subject.gid is not None:
        keys["gid"] = _ids(subject.gid)
    if subject.cgroups is not None:
        keys["cgroup"] = _list(map(_text, subject.cgroups))
    if subject.capabilities is not None:
        keys["capabilities"] = _list(capability_names(subject.capabilities))
    return keys


def _person(uid: Ids | None, userns: frozenset[Relation] | None) -> dict[str, str]:
    keys = {} if uid is None else {"uid": _ids(uid)}
    if userns is not None:
        keys["userns"] = next(word for word, relations in USERNS_WORDS.items() if relations == userns)
    return keys


def _ids(ids: Ids) -> str:
    words = [str(each) for each in sorted(ids.known)]
    return _list([*words, *(["same"] if ids.same else []), *([UNTRANSLATABLE] if ids.undetermined else [])])


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _mapping(keys: dict[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""Differences: which requests become allowed or denied when policies are replaced by others. Pure.

Found exactly, by a search through all requests that the rules could tell apart: with everything known but the opener,
who is unknown under daemon enforcement. What differs is the verdict in force; if nothing is in force before and after
(all in `mode: monitor`), the verdict over all rules.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from fdstorefs.policy.change_wording import class_in_words, example_in_words
from fdstorefs.policy.changes import Changes, Side
from fdstorefs.policy.diagnostic import GREEN, PLAIN, RED, quoted
from fdstorefs.policy.dimensions import Dim, Term, Terms, request_of
from fdstorefs.policy.domains import Domains, atoms_by_dim
from fdstorefs.policy.merge_classes import Merged, merged
from fdstorefs.policy.model import Policy, Rule
from fdstorefs.policy.overlap import Overlap
from fdstorefs.policy.request import Request
from fdstorefs.policy.verdict import bits
from fdstorefs.policy.vocabulary import BOX, Mode, OpenerUnknown
from fdstorefs.policy.weigh import Weighed, weigh

# A relation to a namespace that is known can be unknown, too, and an unknown stasher's stands for that.
_UNSURE: Final = frozenset({Dim.OPENER_UID, Dim.OPENER_CAPABILITIES, Dim.OPENER_USERNS, Dim.STASHER_USERNS})
_BOXES: Final = {"actions": "list", "kinds": "box"}
_Identity: TypeAlias = tuple[Rule, Mode, OpenerUnknown]


@dataclass(frozen=True, slots=True)
class Change:
    """A class of requests whose verdict changes to `allowed`.

    `conditions` says in words, by key, which requests these are; what isn't there can be anything. `example` is
    one of them. `rules_before` and `rules_after` decide it; under the old policies and the new.
    """

    allowed: bool
    conditions: dict[str, str]
    example: Request
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]

    @property
    def becomes(self) -> str:
        """`allow` or `deny`."""
        return "allow" if self.allowed else "deny"


@dataclass(frozen=True, slots=True)
class _Ruled:
    """A rule with its policy, and on which sides it is."""

    policy: Policy
    rule: Rule
    in_old: bool
    in_new: bool

    @property
    def is_changed(self) -> bool:
        return self.in_old is not self.in_new


def difference(old: Sequence[Policy], new: Sequence[Policy]) -> list[Change]:
    """All changes, those that allow something first. Raises TooMuch, TooManyClasses: there are too many to find."""
    in_force = any(policy.mode is Mode.ENFORCE for policy in (*old, *new))
    refuses = tuple(not in_force or _refuses(side) for side in (old, new))
    ruled = list(_ruled(old, new))
    if refuses[0] is refuses[1]:
        ruled = list(_concerned(ruled))
    found = [
        _change(found, domains, old, new)
        for boxes in (False, True)
        for found, domains in _classes(ruled, refuses, in_force=in_force, boxes=boxes)
    ]
    return sorted(found, key=_order)


def _order(change: Change) -> tuple[bool, bool, int]:
    return not change.allowed, change.example.entry.kind == BOX, len(change.conditions)


def _refuses(policies: Sequence[Policy]) -> bool:
    return not policies or any(policy.mode is Mode.ENFORCE for policy in policies)


def _ruled(old: Sequence[Policy], new: Sequence[Policy]) -> Iterator[_Ruled]:
    """All rules; one that is in both just so is one."""
    kept = Counter(_identities(old)) & Counter(_identities(new))
    both = Counter(kept)
    for policy, rule in _rules(old):
        identity = _identity(policy, rule)
        in_new = both[identity] > 0
        both[identity] -= in_new
        yield _Ruled(policy, rule, in_old=True, in_new=in_new)
    for policy, rule in _rules(new):
        identity = _identity(policy, rule)
        if kept[identity] > 0:
            kept[identity] -= 1
            continue
        yield _Ruled(policy, rule, in_old=False, in_new=True)


def _rules(policies: Sequence[Policy]) -> Iterator[tuple[Policy, Rule]]:
    return ((policy, rule) for policy in policies for rule in policy.rules)


def _identities(policies: Sequence[Policy]) -> Iterator[_Identity]:
    return (_identity(policy, rule) for policy, rule in _rules(policies))


def _identity(policy: Policy, rule: Rule) -> _Identity:
    """What counts for verdicts."""
    return replace(rule, id="", log=None, description=""), policy.mode, policy.opener_unknown


def _concerned(ruled: Sequence[_Ruled]) -> Iterator[_Ruled]:
    """The rules that changed, and those that could match together with one of them."""
    overlap = Overlap([each.rule for each in ruled])
    concerned = 0
    for number, each in enumerate(ruled):
        if each.is_changed:
            concerned |= 1 << number | overlap.near_subject(each.rule) & overlap.near_in_reach(each.rule)
    return (ruled[number] for number in bits(concerned & (1 << len(ruled)) - 1))


def _classes(
    ruled: Sequence[_Ruled], refuses: tuple[bool, ...], *, in_force: bool, boxes: bool
) -> Iterator[tuple[Merged, Domains]]:
    terms: list[Term] = []
    counts: tuple[set[int], set[int]] = (set(), set())
    maker = Terms()
    for each in ruled:
        make = maker.for_boxes if boxes else maker.of
        for term in make(each.policy, each.rule):
            if each.policy.mode is Mode.ENFORCE or not in_force:
                for side, is_there in zip(counts, (each.in_old, each.in_new), strict=True):
                    side.update([len(terms)] if is_there else [])
            terms.append(term)
    domains = Domains(
        atoms_by_dim(atom for term in terms for atom in term.atoms()), _UNSURE, boxes=boxes, one_place=True
    )
    old, new = (Side(frozenset(side), each) for side, each in zip(counts, refuses, strict=True))
    return ((found, domains) for found in merged(Changes(terms, old, new, domains).classes(), domains))


def _change(found: Merged, domains: Domains, old: Sequence[Policy], new: Sequence[Policy]) -> Change:
    allowed, marks, point = found
    example = request_of(point)
    return Change(
        allowed,
        {**(_BOXES if domains.boxes else {}), **class_in_words(marks, domains, point)},
        example,
        _deciding(old, example),
        _deciding(new, example),
    )


def _deciding(policies: Sequence[Policy], request: Request) -> tuple[str, ...]:
    """The rules that decide what is in force, or what would be if anything were."""
    enforced = [policy for policy in policies if policy.mode is Mode.ENFORCE]
    weighed: Weighed = weigh(enforced or policies, request)
    return weighed.rules


def as_json(changes: Sequence[Change]) -> list[dict[str, object]]:
    """Changes for programs."""
    return [
        {
            "becomes": change.becomes,
            "conditions": change.conditions,
            "example": example_in_words(change.example),
            "rules_before": list(change.rules_before),
            "rules_after": list(change.rules_after),
        }
        for change in changes
    ]


def as_text(changes: Sequence[Change], *, colour: bool = False) -> str:
    """Changes for people: what becomes allowed, then what becomes denied, each with an example."""
    if not changes:
        return "no request gets another verdict"
    return "\n".join(line for change in changes for line in _lines(change, colour=colour))


def _lines(change: Change, *, colour: bool) -> Iterator[str]:
    sign = "+" if change.allowed else "-"
    head = f"{sign} {change.becomes}"
    if colour:
        head = f"{GREEN if change.allowed else RED}{head}{PLAIN}"
    told = "; ".join(f"{key} {value}" for key, value in change.conditions.items()) or "everything"
    yield f"{head}: {told}"
    example = "; ".join(f"{key} {value}" for key, value in example_in_words(change.example).items())
    yield f"    for example: {example}"
    yield f"    before: {_ruled_by(change.rules_before)}; after: {_ruled_by(change.rules_after)}"


def _ruled_by(rules: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, rules)) or "no rule"

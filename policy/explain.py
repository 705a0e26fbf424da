"""Explanations: why a verdict is what it is, rule by rule, and what it would have taken to be another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fdstorefs.policy.diagnostic import BOLD, GREEN, PLAIN, RED, quoted
from fdstorefs.policy.evaluate import Condition
from fdstorefs.policy.model import Policy
from fdstorefs.policy.request import Request
from fdstorefs.policy.truth import Truth
from fdstorefs.policy.vocabulary import Action, Effect, Mode
from fdstorefs.policy.weigh import Judged, Weighed, weigh
from fdstorefs.policy.wishes import to_fail, to_hold

MOST_NEEDS = 3
"""Most allow rules that a denial names as the closest ones."""

INDENT = "    "


class Status(StrEnum):
    """What a rule has to do with a verdict."""

    DECIDES = "decides"
    OVERRIDDEN = "matches but is overridden"
    NO_MATCH = "does not match"


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule's part. `failed`: why it doesn't match. `why`: why it does. `path`: under which name."""

    id: str
    policy: str
    effect: Effect
    mode: Mode
    status: Status
    failed: tuple[Condition, ...]
    why: tuple[Condition, ...]
    through_unknown: bool
    path: str
    set_name: str | None


@dataclass(frozen=True, slots=True)
class Need:
    """What would have to change with one rule for the verdict to be *allow*.

    All `conditions` of an allow rule would have to turn out otherwise; of a forbid rule one of those that are
    its own, or all of those of its `unless`.
    """

    rule: str
    effect: Effect
    conditions: tuple[Condition, ...]

    @property
    def sentence(self) -> str:
        """The same for people."""
        own = [each for each in self.conditions if not each.is_unless]
        exempt = [each for each in self.conditions if each.is_unless]
        rule = quoted(self.rule)
        if not self.conditions:
            return f"{rule} would have to be another rule: it asks for nothing that could be otherwise"
        if self.effect is Effect.ALLOW:
            return f"{rule} would have to match: {to_hold(own) if own else to_fail(exempt)}"
        missing = [each for each in exempt if each.settled is not Truth.TRUE]
        return f"{rule} would have to not match: {to_hold(missing) if missing else to_fail(own)}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why. `decided` is what all rules say, `allowed` what is in force; `rules` decide the former."""

    allowed: bool
    decided: bool
    rules: tuple[str, ...]
    reason: str
    reports: tuple[RuleReport, ...]
    needs: tuple[Need, ...]


def explain(policies: Sequence[Policy], request: Request) -> Explanation:
    """The verdict on a request with every rule's part in it."""
    weighed = weigh(policies, request)
    return Explanation(
        allowed=weighed.allowed,
        decided=weighed.decided,
        rules=weighed.rules,
        reason=_reason(weighed),
        reports=tuple(_report(each, weighed) for each in weighed.judged),
        needs=() if weighed.decided else tuple(_needs(weighed, request.action)),
    )


def _reason(weighed: Weighed) -> str:
    names = " and ".join(map(quoted, weighed.rules))
    if not names:
        return "no rule allows it"
    return f"{'allowed' if weighed.decided else 'forbidden'} by {_plural(weighed.rules)} {names}"


def _plural(rules: tuple[str, ...]) -> str:
    return "rule" if len(rules) == 1 else "rules"


def _report(judged: Judged, weighed: Weighed) -> RuleReport:
    judgement = judged.judgement
    return RuleReport(
        id=judged.rule.id,
        policy=judged.policy.name,
        effect=judged.rule.effect,
        mode=judged.policy.mode,
        status=_status(judged, weighed),
        failed=judgement.failed,
        why=judgement.conditions if judgement.matches else (),
        through_unknown=judgement.through_unknown,
        path=judgement.path,
        set_name=judgement.set_name,
    )


def _status(judged: Judged, weighed: Weighed) -> Status:
    if not judged.judgement.matches:
        return Status.NO_MATCH
    return Status.DECIDES if judged.forbids is not weighed.decided else Status.OVERRIDDEN


def _needs(weighed: Weighed, action: Action) -> Iterator[Need]:
    """For a denial: what holds each deciding forbid rule, then what keeps the closest allow rules from matching."""
    for each in weighed.deciding:
        yield Need(each.rule.id, Effect.FORBID, _removable(each, action))
    if any(not each.forbids and each.judgement.matches for each in weighed.judged):
        return
    allows = [each for each in weighed.judged if not each.forbids]
    closest = min(map(_distance, allows), default=None)
    near = [each for each in allows if _distance(each) == closest]
    for each in near[:MOST_NEEDS]:
        yield Need(each.rule.id, Effect.ALLOW, each.judgement.failed)


def _distance(judged: Judged) -> tuple[bool, int]:
    """How far an allow rule is from allowing it; one that is about another action is farther than any other."""
    failed = judged.judgement.failed
    return _is_about_another_action(failed), len(failed)


def _is_about_another_action(failed: tuple[Condition, ...]) -> bool:
    return any(each.key == "actions" for each in failed)


def _removable(judged: Judged, action: Action) -> tuple[Condition, ...]:
    """What of a forbid rule could turn out otherwise; the action is given."""
    return tuple(each for each in judged.judgement.conditions if each.found is not action)


def rule_condition(condition: Condition) -> str:
    """One condition with its key in front where it isn't the rule's own."""
    return f"{condition.text} (in its `unless`)" if condition.is_unless else condition.text


def as_json(explanation: Explanation) -> dict[str, object]:
    """An explanation for programs."""
    return {
        "allowed": explanation.allowed,
        "decided": explanation.decided,
        "rules": list(explanation.rules),
        "reason": explanation.reason,
        "judged": [_report_json(report) for report in explanation.reports],
        "needs": [
            {
                "rule": need.rule,
                "effect": need.effect.value,
                "conditions": [_condition_json(condition) for condition in need.conditions],
                "text": need.sentence,
            }
            for need in explanation.needs
        ],
    }


def _report_json(report: RuleReport) -> dict[str, object]:
    return {
        "rule": report.id,
        "policy": report.policy,
        "effect": report.effect.value,
        "mode": report.mode.value,
        "status": report.status.value,
        "set": report.set_name,
        "entry": report.path,
        "failed": [_condition_json(condition) for condition in report.failed],
        "through_unknown": report.through_unknown,
    }


def _condition_json(condition: Condition) -> dict[str, object]:
    return {"key": condition.key, "truth": condition.truth.value, "text": condition.text}


def as_text(explanation: Explanation, *, colour: bool = False) -> str:
    """An explanation for people: the verdict, then the rules that decide, then what to do, then all others."""
    lines = [_head(explanation, colour=colour)]
    if explanation.allowed is not explanation.decided:
        lines.append(_monitored(explanation))
    order = list(Status)
    others = [report for report in explanation.reports if _is_about_another_action(report.failed)]
    told = [report for report in explanation.reports if report not in others]
    for report in sorted(told, key=lambda report: order.index(report.status)):
        lines.extend(_report_lines(report))
    if others:
        is_about = "rule is about another action" if len(others) == 1 else "rules are about other actions"
        lines.append(f"  {len(others)} {is_about}")
    if explanation.needs:
        lines += ["", "to be allowed:", *_need_lines(explanation.needs)]
    return "\n".join(lines)


def _need_lines(needs: tuple[Need, ...]) -> Iterator[str]:
    """Of several allow rules one will do."""
    is_first = True
    for need in needs:
        is_allow = need.effect is Effect.ALLOW
        yield f"  {need.sentence}" if is_first or not is_allow else f"  or {need.sentence}"
        is_first = is_first and not is_allow


def _head(explanation: Explanation, *, colour: bool) -> str:
    verdict = "allow" if explanation.decided else "deny"
    if colour:
        verdict = f"{GREEN if explanation.decided else RED}{verdict}{PLAIN}"
    reason = f"{BOLD}{explanation.reason}{PLAIN}" if colour else explanation.reason
    return f"{verdict}: {reason}"


def _monitored(explanation: Explanation) -> str:
    does = "is allowed" if explanation.allowed else "is denied"
    return f"in force: it {does}, for policies in `mode: monitor` refuse and grant nothing"


def _report_lines(report: RuleReport) -> Iterator[str]:
    named = f"{report.effect} {quoted(report.id)} of {quoted(report.policy)}"
    watch = " (monitor)" if report.mode is Mode.MONITOR else ""
    yield f"  {report.status}: {named}{watch}"
    told = report.failed if report.status is Status.NO_MATCH else _telling(report)
    for condition in told:
        yield f"{INDENT}{INDENT}{rule_condition(condition)}"


def _telling(report: RuleReport) -> list[Condition]:
    """Of a rule that matches: what it rests on. Where something is unknown, that alone says why."""
    if report.through_unknown:
        return [each for each in report.why if each.truth is Truth.UNKNOWN]
    return [each for each in report.why if each.is_unless is (each.settled is Truth.FALSE)]

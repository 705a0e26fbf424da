"""The check: what is wrong with policies that say what they mean, and mean nothing good. Pure.

Every finding is proved by a search through all requests that the rules could tell apart (`coverage`); a file is where
files of its kind are, and paths are real paths. Nothing is guessed:

- `never-matches`: no request, with everything in it known, meets the rule's conditions.
- `contradictory`, `unreachable`: forbid rules match whatever the allow rule does. Only the requests that the rule is
  written for count, not those that it matches on the side: making the empty entry for what it lists, and seeing what
  it lets be used.
- `redundant`: without the rule, no verdict on any request, with unknown values or not, would be another. All rules
  that are reported can be taken out together.
- `lends-power`: a file on a file system where the opener's credentials count can go to somebody who has less power
  than the opener and didn't stash it.

Where rules overlap in too many ways a question is left open after some number of steps; `not-settled` says for how
many. `redundant` is not found where only unknown values make a rule overlap with those that cover it.
"""

from collections.abc import Iterator, Sequence

from fdstorefs.policy.check_coverage import Checker, Finding, Problem
from fdstorefs.policy.diagnostic import Diagnostic, Related, Severity, quoted
from fdstorefs.policy.model import Conditions, Policy, Rule
from fdstorefs.policy.span import Span
from fdstorefs.policy.vocabulary import Effect, Mode, OpenerUnknown

MOST_NAMED = 3
"""Most other rules that a finding points at."""

_REFUSES = "always refuses what it is about"
_BORROWING = (
    "add a rule: forbid [retrieve, take] with filesystems [cgroup2, proc, sysfs, devtmpfs]"
    " unless {opener: {capabilities: no-more-than-subject, userns: same-or-below}}"
)


def check(policies: Sequence[Policy]) -> list[Diagnostic]:
    """What is wrong with these policies, which are in force together; in the order of their rules."""
    found = [*_monitored(policies)]
    for policy in policies:
        found += [*_of_opener(policy), *_of_guarded(policy)]
    checker = Checker(policies)
    found += map(_told, checker.findings())
    if checker.unsettled:
        found.append(_not_settled(checker.unsettled))
    return found


def _monitored(policies: Sequence[Policy]) -> Iterator[Diagnostic]:
    if policies and all(policy.mode is Mode.MONITOR for policy in policies):
        yield Diagnostic(
            Severity.WARNING,
            "monitor-only",
            "nothing is refused: every policy is in `mode: monitor`",
            policies[0].spans.get("mode"),
            "write `mode: enforce` once the log shows what you expect",
        )


def _of_opener(policy: Policy) -> Iterator[Diagnostic]:
    if policy.opener_unknown is OpenerUnknown.ASSUME_STASHER:
        return
    for rule in policy.rules:
        key = _opener_key(rule)
        if key is None:
            continue
        does = _REFUSES if rule.effect is Effect.FORBID else "allows nothing"
        if rule.effect is Effect.FORBID and rule.unless is not None and not rule.unless.asks_opener:
            does = "doesn't see who the opener is, and refuses"
        yield Diagnostic(
            Severity.WARNING,
            "needs-kernel",
            f"the opener is known to the kernel only: without kernel enforcement, {quoted(rule.id)} {does}",
            rule.spans.get(key, rule.spans.get("id")),
            "`opener-unknown: assume-stasher` at the top takes the stasher for the opener there, which is weaker",
        )


def _opener_key(rule: Rule) -> str | None:
    if rule.when.asks_opener:
        return "opener"
    return "unless.opener" if rule.unless is not None and rule.unless.asks_opener else None


def _of_guarded(policy: Policy) -> Iterator[Diagnostic]:
    for rule in policy.rules:
        key, does = _unguarded(rule)
        if not does:
            continue
        yield Diagnostic(
            Severity.WARNING,
            "needs-kernel",
            f"only the kernel guards a file: without kernel enforcement, {quoted(rule.id)} {does}",
            rule.spans.get(key, rule.spans.get("id")),
            "`fdstorefs status` says what enforces the policy of an instance",
        )


def _unguarded(rule: Rule) -> tuple[str, str]:
    """Which key makes the rule another one where nothing is guarded, and what it does there; empty: none does."""
    forbids = rule.effect is Effect.FORBID
    does_nothing = "forbids nothing" if forbids else "allows nothing"
    if rule.when.guarded is True:
        return "guarded", does_nothing
    if rule.unless == Conditions(guarded=False):
        return "unless.guarded", does_nothing
    if forbids and rule.when.guarded is False:
        return "guarded", _REFUSES
    if forbids and rule.unless is not None and rule.unless.guarded is True:
        return "unless.guarded", _REFUSES
    return "", ""


def _told(finding: Finding) -> Diagnostic:
    severity = Severity.WARNING if finding.problem in _WARNINGS else Severity.ERROR
    message, hint = _MESSAGES[finding.problem]
    names = " and ".join(quoted(other.id) for other in finding.others[:MOST_NAMED])
    more = len(finding.others) - MOST_NAMED
    if more > 0:
        names = f"{names} and {more} more"
    return Diagnostic(
        severity,
        finding.problem.value,
        message.format(rule=quoted(finding.rule.id), others=names),
        _span(finding.rule),
        hint,
        tuple(
            Related(f"{quoted(other.id)} is here", span)
            for other in finding.others[:MOST_NAMED]
            if (span := _span(other)) is not None
        ),
    )


def _span(rule: Rule) -> Span | None:
    return rule.spans.get("id")


_WARNINGS = frozenset({Problem.REDUNDANT, Problem.LENDS_POWER})
_MESSAGES = {
    Problem.NEVER_MATCHES: (
        "{rule} never matches: no request meets all of its conditions",
        "look for conditions that exclude each other, and at its `unless`",
    ),
    Problem.CONTRADICTORY: (
        "{rule} allows what {others} forbids, with the same conditions",
        "forbid overrides allow: take one of them out",
    ),
    Problem.UNREACHABLE: (
        "{rule} allows nothing: {others} forbids all that it would allow",
        "forbid overrides allow: narrow what is forbidden, or take the rule out",
    ),
    Problem.REDUNDANT: (
        "{rule} changes no verdict: {others} already does all that it does",
        "take it out, or narrow the other one",
    ),
    Problem.LENDS_POWER: (
        "{rule} can lend power: files of others on file systems where who opened a file counts, not who uses it",
        _BORROWING,
    ),
}


def _not_settled(questions: int) -> Diagnostic:
    whether = "question whether a rule is" if questions == 1 else "questions whether rules are"
    return Diagnostic(
        Severity.WARNING,
        "not-settled",
        f"{questions} {whether} unreachable or redundant or can lend power would take too long to settle",
        None,
        "rules with fewer overlapping globs are easier to understand, too",
    )

"""What the check tells people: what is wrong with which rule, where, and what to do."""

from dataclasses import replace

import pytest

from fdstorefs.policy.check import check
from fdstorefs.policy.check_coverage import Checker
from fdstorefs.policy.diagnostic import Severity
from fdstorefs.policy.model import Conditions, Ids, InstanceMatch, Policy, Rule, SubjectConditions
from fdstorefs.policy.span import Source, Span
from fdstorefs.policy.vocabulary import ACTIONS, USERNS_WORDS, Action, Effect, Mode, OpenerUnknown

SOURCE = Source.of("p.yaml", "rules:\n- id: a\n- id: b\n")
OWN = Conditions(stasher_uid=Ids(same=True))
BORROWING = Rule(
    "nobody-borrows-power",
    Effect.FORBID,
    frozenset({Action.RETRIEVE, Action.TAKE}),
    Conditions(filesystems=frozenset({"cgroup2", "proc", "sysfs", "devtmpfs"})),
    Conditions(opener_no_more=True, opener_userns=USERNS_WORDS["same-or-below"]),
)


def allow(rule_id: str, actions: str = "retrieve", when: Conditions = OWN, **more: object) -> Rule:
    return rule(rule_id, Effect.ALLOW, actions, when, **more)


def forbid(rule_id: str, actions: str = "retrieve", when: Conditions = OWN, **more: object) -> Rule:
    return rule(rule_id, Effect.FORBID, actions, when, **more)


def rule(rule_id: str, effect: Effect, actions: str, when: Conditions, **more: object) -> Rule:
    line = 1 if rule_id == "a" else 2
    spans = {"id": Span(SOURCE, line, 6, line, 7)}
    words = frozenset(ACTIONS[word] for word in actions.split())
    return Rule(rule_id, effect, words, when, spans=spans, **more)  # type: ignore[arg-type]


def found(*rules: Rule) -> list[tuple[str, str, tuple[str, ...]]]:
    checker = Checker([Policy("p", rules)])
    return [
        (finding.problem.value, finding.rule.id, tuple(other.id for other in finding.others))
        for finding in checker.findings()
    ]


def test_a_socket_on_proc_never_matches() -> None:
    """No file of the kind is on the file system."""
    when = replace(OWN, kinds=frozenset({"socket"}), filesystems=frozenset({"proc"}))

    assert [("never-matches", "a", ())] == found(allow("a", when=when))


def test_a_rule_whose_unless_always_holds_never_matches() -> None:
    """Nobody is left for it."""
    when = replace(OWN, subjects=(SubjectConditions(uid=Ids(frozenset({1}))),))
    unless = Conditions(subjects=(SubjectConditions(uid=Ids(frozenset({1, 2}))),))

    assert [("never-matches", "a", ())] == found(forbid("a", when=when, unless=unless))


def test_allowing_and_forbidding_the_same_is_contradictory() -> None:
    """Both rules are pointed at."""
    diagnostics = check([Policy("p", (allow("a"), forbid("b")))])

    assert [("contradictory", 1, 2)] == [
        (each.code, each.span.line if each.span else None, each.related[0].span.line) for each in diagnostics
    ]
    assert "`a` allows what `b` forbids, with the same conditions" == diagnostics[0].message


def test_an_allow_rule_under_wider_forbid_rules_is_unreachable() -> None:
    """One after the other they take everything from it."""
    when = replace(OWN, kinds=frozenset({"socket", "pipe"}))
    socket, pipe = (Conditions(kinds=frozenset({kind})) for kind in ("socket", "pipe"))
    rules = (allow("a", when=when), forbid("b", when=socket), forbid("c", when=pipe))

    assert [("unreachable", "a", ("b", "c"))] == found(*rules)


def test_an_allow_rule_with_something_left_is_reachable() -> None:
    """A forbid rule for one of two kinds leaves the other."""
    when = replace(OWN, kinds=frozenset({"socket", "pipe"}))

    assert [] == found(allow("a", when=when), forbid("b", when=Conditions(kinds=frozenset({"socket"}))))


def test_a_narrower_rule_of_the_same_effect_is_redundant() -> None:
    """It names the rule that does all it does."""
    narrow = replace(OWN, entries=("a/*/b",))

    assert [("redundant", "b", ("a",))] == found(
        allow("a", when=replace(OWN, entries=("a/**",))), allow("b", when=narrow)
    )


def test_a_rule_that_two_others_cover_together_is_redundant() -> None:
    """Neither alone would."""
    rules = [
        allow(rule_id, when=replace(OWN, access=access))
        for rule_id, access in (
            ("a", frozenset({"r"})),
            ("b", frozenset({"w"})),
            ("c", frozenset({"r", "w"})),
        )
    ]

    assert [("redundant", "c", ("a", "b"))] == found(*rules)


def test_of_two_equal_rules_one_is_redundant() -> None:
    """The second; without it the first isn't."""
    assert [("redundant", "b", ("a",))] == found(allow("a"), allow("b"))


def test_a_rule_that_is_logged_otherwise_is_not_redundant() -> None:
    """Taking it out would change what is on record."""
    assert [] == found(allow("a"), allow("b", log=True))


def test_policies_of_different_instances_have_nothing_to_do_with_each_other() -> None:
    """The same rule for two instances is no repetition; one for all instances makes it one."""
    one, two = ((InstanceMatch(mount=path),) for path in ("/run/a", "/run/b"))
    policies = [Policy("p", (allow("a"),), instances=one), Policy("q", (allow("b"),), instances=two)]

    assert [] == check(policies)
    assert ["redundant"] == [each.code for each in check([policies[0], replace(policies[1], instances=None)])]


def test_a_rule_in_force_is_not_redundant_because_of_one_that_only_watches() -> None:
    """Without it, what is in force would change."""
    watching = Policy("q", (allow("b"),), mode=Mode.MONITOR)

    assert ["redundant"] == [each.code for each in check([Policy("p", (allow("a"),)), watching])]
    assert [("redundant", "b")] == [
        (finding.problem.value, finding.rule.id)
        for finding in Checker([watching, Policy("p", (allow("a"),))]).findings()
    ]


def test_handing_out_files_of_others_where_the_opener_counts_lends_power() -> None:
    """Unless there is a rule against it, or no such file is handed out."""
    anybody = allow("a", when=Conditions(subjects=(SubjectConditions(uid=Ids(frozenset({33}))),)))
    sockets = replace(anybody, when=replace(anybody.when, kinds=frozenset({"socket"})))

    assert [("lends-power", "a", ())] == found(anybody)
    assert [] == found(anybody, BORROWING)
    assert [] == found(sockets)
    assert [] == found(allow("a"))


def test_no_rule_is_looked_at_where_nobody_may_lend_power() -> None:
    """What forbids it to everybody is found once; under what forbids it to some, each rule is looked at."""
    somebody = replace(BORROWING, when=replace(BORROWING.when, entries=("a/**",)))
    anybody, within = (
        Rule(name, Effect.ALLOW, frozenset({Action.TAKE}), Conditions(entries=(glob,)))
        for name, glob in (("a", "**"), ("b", "a/*"))
    )

    assert [("redundant", "b", ("a",))] == found(anybody, within, BORROWING)
    assert [("lends-power", "a", ()), ("redundant", "b", ("a",))] == found(anybody, within, somebody)
    assert [] == found(within, somebody)


def test_what_takes_too_long_is_left_open_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule is called redundant, or anything else, for want of time."""
    monkeypatch.setattr("fdstorefs.policy.check_coverage.ALL_STEPS", 10)
    (left,) = check([Policy("p", (allow("a"), allow("b")))])

    assert ("not-settled", Severity.WARNING) == (left.code, left.severity)


def test_conditions_on_the_opener_need_the_kernel() -> None:
    """Unless the policy takes the stasher for the opener."""
    policy = Policy("p", (BORROWING,))

    assert ["needs-kernel"] == [each.code for each in check([policy])]
    assert "always refuses" in check([policy])[0].message
    assert [] == check([replace(policy, opener_unknown=OpenerUnknown.ASSUME_STASHER)])


GUARDED, UNGUARDED = Conditions(guarded=True), Conditions(guarded=False)
TELLS_SAME = "always refuses what it is about"


@pytest.mark.parametrize(
    ("one", "does"),
    [
        (allow("a", when=GUARDED), "allows nothing"),
        (allow("a", when=replace(OWN, guarded=True)), "allows nothing"),
        (forbid("a", when=GUARDED), "forbids nothing"),
        (forbid("a", when=UNGUARDED), TELLS_SAME),
        (forbid("a", when=OWN, unless=GUARDED), TELLS_SAME),
        (forbid("a", when=OWN, unless=UNGUARDED), "forbids nothing"),
        (allow("a", when=OWN, unless=UNGUARDED), "allows nothing"),
    ],
)
def test_only_the_kernel_guards_files(one: Rule, does: str) -> None:
    """Whether or not the stasher is taken for the opener."""
    for opener_unknown in OpenerUnknown:
        found_here = check([Policy("p", (one,), opener_unknown=opener_unknown)])
        (told,) = [each for each in found_here if each.code == "needs-kernel"]

        assert f"only the kernel guards a file: without kernel enforcement, `a` {does}" == told.message
        assert Severity.WARNING == told.severity


@pytest.mark.parametrize(
    "one",
    [
        allow("a", when=replace(OWN, guarded=False)),
        allow("a", unless=GUARDED),
        forbid("a", unless=Conditions(guarded=False, kinds=frozenset({"socket"}))),
    ],
)
def test_what_means_something_without_the_kernel_is_not_said_to_need_it(one: Rule) -> None:
    """What is allowed of unguarded files, and what is excepted for more than that they are unguarded."""
    assert "needs-kernel" not in [each.code for each in check([Policy("p", (one,))])]


def test_the_key_that_needs_the_kernel_is_pointed_at() -> None:
    """In the rule or under its `unless`."""
    for key, one in (("guarded", allow("a", when=GUARDED)), ("unless.guarded", forbid("a", unless=GUARDED))):
        at = Span(SOURCE, 2, 2, 2, 4)
        told = check([Policy("p", (replace(one, spans={**one.spans, key: at}),))])

        assert [at] == [each.span for each in told if each.code == "needs-kernel"]


def test_a_file_is_either_guarded_or_not() -> None:
    """Rules for both together are one for all, and nothing is both; but an empty entry is neither yet."""
    guarded, unguarded = (replace(OWN, guarded=each) for each in (True, False))
    both = [allow("a", when=guarded), allow("b", when=unguarded), allow("c")]
    forbidden = [allow("a", when=replace(OWN, kinds=frozenset({"pipe"}))), forbid("b", when=guarded)]

    assert [("redundant", "a", ("c",)), ("redundant", "b", ("c",))] == found(*both)
    assert [("never-matches", "a", ())] == found(allow("a", when=guarded, unless=Conditions(guarded=True)))
    assert [("unreachable", "a", ("b", "c"))] == found(*forbidden, forbid("c", when=unguarded))
    assert [] == found(*forbidden)
    assert [] == found(allow("a"), forbid("b", when=guarded), forbid("c", when=unguarded))


def test_policies_that_only_watch_are_told_so() -> None:
    """Nothing is in force."""
    assert ["monitor-only"] == [each.code for each in check([Policy("p", (allow("a"),), mode=Mode.MONITOR)])]
    assert [] == check([])

"""Explanations: the verdict, what decided it, what kept the other rules out, and what it would have taken."""

from dataclasses import replace

from fdstorefs.policy.explain import Status, as_json, as_text, explain
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.question import ask
from fdstorefs.policy.request import Request
from fdstorefs.policy.vocabulary import USERNS_WORDS, Action, Effect, Mode, OpenerUnknown

LACKING = "subject.capabilities is none, which lacks CAP_NET_BIND_SERVICE"
NEEDED = "`web-takes-listeners` would have to match: subject.capabilities would have to contain CAP_NET_BIND_SERVICE"
RETRIEVE = frozenset({Action.RETRIEVE})
WEB = Rule(
    "web-takes-listeners",
    Effect.ALLOW,
    RETRIEVE,
    Conditions(
        entries=("listen/**",),
        kinds=frozenset({"socket", "regular"}),
        subjects=(SubjectConditions(uid=Ids(frozenset({33})), capabilities=1 << 10),),
    ),
)
BORROWING = Rule(
    "nobody-borrows-power",
    Effect.FORBID,
    RETRIEVE,
    Conditions(filesystems=frozenset({"proc"})),
    Conditions(opener_no_more=True, opener_userns=USERNS_WORDS["same-or-below"]),
)
POLICY = Policy("web-tier", (WEB, BORROWING))


def request(**fields: str | list[str]) -> Request:
    given = {"action": "retrieve", "entry": "listen/http", "kind": "regular", "uid": "33", **fields}
    return ask({key.replace("_", "-"): value for key, value in given.items()}, FixedNames())


def test_a_denial_by_default_names_what_failed_and_what_it_would_take() -> None:
    """The first line is the verdict, the rest is for whoever has to change it."""
    text = as_text(explain([POLICY], request(filesystem="ext4")))

    assert [
        "deny: no rule allows it",
        "  does not match: allow `web-takes-listeners` of `web-tier`",
        f"        {LACKING}",
        "  does not match: forbid `nobody-borrows-power` of `web-tier`",
        "        the file system is ext4, not proc",
        "",
        "to be allowed:",
        f"  {NEEDED}",
    ] == text.split("\n")


def test_a_forbid_rule_overrides_and_says_that_something_is_unknown() -> None:
    """It decides because the opener can't be told; the allow rule is overridden."""
    explanation = explain([POLICY], request(filesystem="proc", cap="CAP_NET_BIND_SERVICE"))
    web, borrowing = explanation.reports

    assert "forbidden by rule `nobody-borrows-power`" == explanation.reason
    assert ("nobody-borrows-power",) == explanation.rules
    assert (Status.OVERRIDDEN, Status.DECIDES) == (web.status, borrowing.status)
    assert borrowing.through_unknown
    assert ["unless.opener.capabilities", "unless.opener.userns"] == [
        condition.key for condition in explanation.needs[0].conditions if condition.is_unless
    ]
    assert "opener.capabilities is unknown" in as_text(explanation)


def test_an_allowed_request_needs_nothing() -> None:
    """The rule that decides says what it rests on."""
    explanation = explain([POLICY], request(kind="socket", cap="CAP_NET_BIND_SERVICE"))

    assert (True, True, ()) == (explanation.allowed, explanation.decided, explanation.needs)
    assert "allow: allowed by rule `web-takes-listeners`" == as_text(explanation).split("\n")[0]
    assert ["actions", "entries", "kinds", "subject.uid", "subject.capabilities"] == [
        condition.key for condition in explanation.reports[0].why
    ]


def test_a_rule_that_is_only_taken_away_says_by_what() -> None:
    """Its own conditions hold; its `unless` does, too."""
    unless = Conditions(subjects=(SubjectConditions(uid=Ids(frozenset({33}))),))
    rule = Rule("others", Effect.ALLOW, RETRIEVE, Conditions(), unless)
    explanation = explain([Policy("p", (rule,))], request())

    assert ["unless.subject.uid"] == [condition.key for condition in explanation.reports[0].failed]
    assert (
        "`others` would have to match: subject.uid would have to not be 33" == explanation.needs[0].sentence
    )


def test_a_forbid_rule_without_a_way_out_says_so() -> None:
    """There is no `unless` that could hold."""
    rule = Rule("never", Effect.FORBID, RETRIEVE, Conditions(kinds=frozenset({"regular"})))
    explanation = explain([Policy("p", (rule,))], request())

    assert (
        "`never` would have to not match: the kind would have to not be regular"
        == explanation.needs[0].sentence
    )


def test_a_rule_that_forbids_everything_says_so() -> None:
    """Nothing about the request could be otherwise."""
    explanation = explain([Policy("p", (Rule("all", Effect.FORBID, RETRIEVE),))], request())

    assert (
        "`all` would have to be another rule: it asks for nothing that could be otherwise"
        == explanation.needs[0].sentence
    )


def test_whether_a_file_is_guarded_is_told_in_the_words_of_the_policy() -> None:
    """Known, unknown, and of an empty entry."""
    rule = Rule("guarded-only", Effect.FORBID, RETRIEVE, Conditions(guarded=False))

    def told(**fields: str) -> list[str]:
        reports = explain([Policy("p", (rule,))], request(**fields)).reports
        return [each.text for each in (*reports[0].failed, *reports[0].why) if each.key == "guarded"]

    assert ["guarded is true, not false"] == told(guarded="yes")
    assert ["guarded is false"] == told(guarded="no")
    assert ["guarded is unknown, so it can't be told whether it is false"] == told()
    assert ["guarded is open: nothing is there yet"] == told(kind="empty")


def test_what_would_have_to_be_guarded() -> None:
    """To be allowed."""
    rule = Rule("guarded-only", Effect.ALLOW, RETRIEVE, Conditions(guarded=True))
    needs = [
        explain([Policy("p", (rule,))], request(guarded=answer)).needs[0].sentence
        for answer in ("no", "unknown")
    ]

    assert [
        "`guarded-only` would have to match: guarded would have to be true",
        "`guarded-only` would have to match: guarded would have to be known, and true",
    ] == needs


def test_what_is_unknown_would_have_to_be_known_first() -> None:
    """Each condition of the `unless` that isn't met, as it would have to be."""
    text = as_text(explain([POLICY], request(filesystem="proc", cap="CAP_NET_BIND_SERVICE")))

    assert [
        "to be allowed:",
        (
            "  `nobody-borrows-power` would have to not match: opener.capabilities would have to be known, and"
            " no more than the subject's; opener.userns to be known, and below or same"
        ),
    ] == text.split("\n")[-2:]


def test_any_condition_of_a_forbid_rule_could_fail() -> None:
    """One is enough."""
    conditions = Conditions(
        entries=("listen/*",), subjects=(SubjectConditions(uid=Ids(frozenset({33})), cgroups=("/a",)),)
    )
    explanation = explain([Policy("p", (Rule("no", Effect.FORBID, RETRIEVE, conditions),))], request())

    assert (
        "`no` would have to not match: the name would have to not fit `listen/*`, or subject.uid to not be 33, or"
        " subject.cgroup to be known, and not to fit `/a`" == explanation.needs[0].sentence
    )


def test_all_that_fails_of_an_allow_rule_would_have_to_hold() -> None:
    """Together, in one sentence."""
    rule = replace(WEB, when=replace(WEB.when, kinds=frozenset({"socket"})))
    explanation = explain([Policy("p", (rule,))], request(uid="1"))

    assert (
        "`web-takes-listeners` would have to match: the kind would have to be socket, and subject.uid to be 33,"
        " and subject.capabilities to contain CAP_NET_BIND_SERVICE" == explanation.needs[0].sentence
    )


def test_rules_about_other_actions_are_no_near_misses() -> None:
    """They are one line, and come up as what it takes only if there is nothing else."""
    others = tuple(Rule(f"o{number}", Effect.ALLOW, frozenset({Action.STASH})) for number in range(4))
    with_one, without = (
        as_text(explain([Policy("p", rules)], request())) for rules in ((WEB, *others), others)
    )

    assert "\n  4 rules are about other actions\n" in with_one
    assert NEEDED == with_one.split("\n")[-1].strip()
    assert [
        "  `o0` would have to match: the action would have to be stash",
        "  or `o1` would have to match: the action would have to be stash",
        "  or `o2` would have to match: the action would have to be stash",
    ] == without.split("\n")[-3:]


def test_what_only_watches_is_told_from_what_is_in_force() -> None:
    """Both verdicts, where they differ."""
    explanation = explain([replace(POLICY, mode=Mode.MONITOR)], request())
    lines = as_text(explanation).split("\n")

    assert (True, False) == (explanation.allowed, explanation.decided)
    assert lines[1].startswith("in force: it is allowed")
    assert lines[2].endswith("(monitor)")


def test_of_several_sets_the_closest_is_told() -> None:
    """The one of which least fails."""
    far = SubjectConditions(uid=Ids(frozenset({1})), capabilities=1, set_name="far")
    near = SubjectConditions(uid=Ids(frozenset({33})), capabilities=1, set_name="near")
    rule = Rule("both", Effect.ALLOW, RETRIEVE, Conditions(subjects=(far, near)))
    report = explain([Policy("p", (rule,))], request()).reports[0]

    assert ("near", ["subject.capabilities"]) == (report.set_name, [each.key for each in report.failed])


def test_the_stasher_stands_for_the_opener_where_the_policy_says_so() -> None:
    """Then nothing is unknown."""
    policy = replace(POLICY, opener_unknown=OpenerUnknown.ASSUME_STASHER)
    given = request(filesystem="proc", cap="CAP_NET_BIND_SERVICE", stasher_uid="0", stasher_cap="CAP_CHOWN")
    report = explain([policy], given).reports[1]

    assert (Status.DECIDES, False) == (report.status, report.through_unknown)


def test_programs_get_the_same_as_people() -> None:
    """Verdict, rules, and for each rule the conditions that failed."""
    told = as_json(explain([POLICY], request(filesystem="ext4")))

    assert (False, [], "no rule allows it") == (told["decided"], told["rules"], told["reason"])
    assert [
        {
            "rule": "web-takes-listeners",
            "effect": "allow",
            "conditions": [
                {
                    "key": "subject.capabilities",
                    "truth": "false",
                    "text": LACKING,
                }
            ],
            "text": NEEDED,
        }
    ] == told["needs"]


def test_nothing_of_a_request_can_obey_a_terminal() -> None:
    """Control characters of names are shown, not sent."""
    text = as_text(explain([POLICY], request(entry="a\x1b[31m")))

    assert "\x1b" not in text
    assert "\x1b" in as_text(explain([POLICY], request()), colour=True)

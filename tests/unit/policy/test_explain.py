"""Explanations: the verdict, what decided it, what kept the other rules out, and what it would have taken."""

from dataclasses import replace

from fdstorefs.policy.explain import Status, as_json, as_text, explain
from fdstorefs.policy.model import Conditions, Ids, Policy, Rule, SubjectConditions
from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.question import ask
from fdstorefs.policy.request import Request
from fdstorefs.policy.vocabulary import USERNS_WORDS, Action, Effect, Mode, OpenerUnknown

LACKING = "subject.capabilities is none, which lacks CAP_NET_BIND_SERVICE"
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
        f"  `web-takes-listeners` would allow it, but {LACKING}",
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
        "`others` would allow it, but its `unless` applies: subject.uid is 33"
        == explanation.needs[0].sentence
    )


def test_a_forbid_rule_without_a_way_out_says_so() -> None:
    """There is no `unless` that could hold."""
    rule = Rule("never", Effect.FORBID, RETRIEVE, Conditions(kinds=frozenset({"regular"})))
    explanation = explain([Policy("p", (rule,))], request())

    assert (
        "`never` forbids it; one of these would have to be otherwise: kinds" == explanation.needs[0].sentence
    )


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
            "text": f"`web-takes-listeners` would allow it, but {LACKING}",
        }
    ] == told["needs"]


def test_nothing_of_a_request_can_obey_a_terminal() -> None:
    """Control characters of names are shown, not sent."""
    text = as_text(explain([POLICY], request(entry="a\x1b[31m")))

    assert "\x1b" not in text
    assert "\x1b" in as_text(explain([POLICY], request()), colour=True)

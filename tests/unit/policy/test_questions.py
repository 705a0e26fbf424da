"""A request from words: what is given, what is taken where nothing is, and what can't be asked."""

import pytest

from fdstorefs.policy.names import FixedNames
from fdstorefs.policy.question import QuestionError, ask
from fdstorefs.policy.request import OPEN, UNKNOWN, Person, Request, relation
from fdstorefs.policy.vocabulary import Action, Relation

NAMES = FixedNames({"www-data": 33}, {"adm": 4})


def asked(**fields: str | list[str]) -> Request:
    given = {"action": "retrieve", "entry": "a", **fields}
    return ask({key.replace("_", "-"): value for key, value in given.items()}, NAMES)


def refused(**fields: str | list[str]) -> tuple[str, str, str | None]:
    with pytest.raises(QuestionError) as caught:
        asked(**fields)
    return caught.value.key, caught.value.message, caught.value.hint


def test_what_is_not_said_is_unknown() -> None:
    """But for capabilities, which a subject has only if they are given."""
    request = asked()
    entry, subject = request.entry, request.subject

    assert Action.RETRIEVE is request.action
    assert (UNKNOWN, UNKNOWN, UNKNOWN, None) == (entry.kind, entry.filesystem, entry.access, entry.label)
    assert UNKNOWN is entry.guarded
    assert (Person(), Person()) == (entry.stasher, entry.opener)
    assert (UNKNOWN, UNKNOWN, 0, UNKNOWN) == (
        subject.uid,
        subject.gids,
        subject.capabilities,
        subject.cgroup,
    )
    assert request.instance == subject.userns


def test_users_groups_and_capabilities_go_by_name() -> None:
    """Or by number; `CAP_` can be left out."""
    subject = asked(uid="www-data", gid=["adm", "7"], cap=["net_admin", "CAP_CHOWN"]).subject

    assert (33, frozenset({4, 7}), 1 << 12 | 1) == (subject.uid, subject.gids, subject.capabilities)


def test_a_subject_with_a_uid_has_only_the_groups_that_are_given() -> None:
    """None of them given, it has none."""
    assert frozenset() == asked(uid="1").subject.gids


def test_an_entry_without_a_file_has_nothing_to_ask_about() -> None:
    """File system, access, opener and whether it is guarded are open, and can't be given."""
    for kind in ("empty", "box"):
        entry = asked(kind=kind).entry

        assert (OPEN, OPEN, Person(OPEN, OPEN, OPEN)) == (entry.filesystem, entry.access, entry.opener)
        assert OPEN is entry.guarded
        assert "opener-uid" == refused(kind=kind, opener_uid="0")[0]
        assert (
            "guarded",
            f"`{kind}` holds no file, so there is no `guarded` to tell of it",
            "leave it out",
        ) == refused(kind=kind, guarded="no")


def test_a_kind_that_is_on_one_file_system_is_there() -> None:
    """Another can't be asked for."""
    assert "sockfs" == asked(kind="socket").entry.filesystem
    assert UNKNOWN is asked(kind="regular").entry.filesystem
    assert ("filesystem", "no socket is on `proc`", "it is on sockfs") == refused(
        kind="socket", filesystem="proc"
    )


def test_a_file_is_guarded_or_not_or_it_is_unknown() -> None:
    """One of three words."""
    found = [asked(guarded=word).entry.guarded for word in ("yes", "no", "unknown")]

    assert [True, False, UNKNOWN] == found
    assert (
        "guarded",
        "`true` doesn't say whether the file is guarded",
        "it is one of yes, no, unknown",
    ) == refused(guarded="true")


def test_user_namespaces_stand_to_each_other_as_asked() -> None:
    """The subject's to the instance's, the opener's to the subject's."""
    for own in ("same", "below", "other"):
        for theirs in ("same", "below", "other"):
            request = asked(userns=own, opener_userns=theirs)
            subject = request.subject.userns

            assert Relation(own) == relation(subject, request.instance, request.instance)
            assert Relation(theirs) == relation(request.entry.opener.userns, subject, request.instance)


def test_an_opener_with_a_uid_has_only_the_capabilities_that_are_given() -> None:
    """And the subject's user namespace; without a uid these are unknown."""
    assert Person(0, 0, (1,)) == asked(opener_uid="0").entry.opener
    assert Person(UNKNOWN, 1, UNKNOWN) == asked(opener_cap=["CAP_CHOWN"]).entry.opener


def test_anything_about_subject_and_file_can_be_unknown() -> None:
    """By the word."""
    keys = ("kind", "filesystem", "access", "uid", "gid", "cap", "cgroup", "userns", "stasher_uid")
    request = asked(**dict.fromkeys(keys, "unknown"))

    assert {UNKNOWN} == {request.entry.kind, request.entry.access, request.entry.stasher.uid} | {
        request.subject.uid,
        request.subject.gids,
        request.subject.capabilities,
        request.subject.userns,
    }


def test_other_names_are_the_same_file() -> None:
    """With everything but the name as it is."""
    request = asked(also=["b", "c/d"], kind="pipe")

    assert [("b", "pipe"), ("c/d", "pipe")] == [(entry.path, entry.kind) for entry in request.also]


def test_a_slip_is_told_with_what_was_meant() -> None:
    """The key that is wrong, the message and a hint."""
    assert ("action", "`retreive` is no action", "did you mean `retrieve`?") == refused(action="retreive")
    assert ("cap", "there is no capability `CAP_NET_ADMN`", "did you mean `CAP_NET_ADMIN`?") == refused(
        cap="CAP_NET_ADMN"
    )
    assert ("uid", "there is no user `nobdy`", "a number always works") == refused(uid="nobdy")
    assert ("entry", "`/a` has a leading slash", "names are relative to the mount") == refused(entry="/a")
    assert "entry" == refused(entry="a/../b")[0]
    assert "uid" == refused(uid=["1", "2"])[0]
    assert "uid" == refused(uid="4294967295")[0]
    assert ("knd", "there is no `knd` in a request", "did you mean `kind`?") == refused(knd="socket")
    assert "cgroup" == refused(cgroup="user.slice")[0]


def test_a_request_needs_an_action_and_an_entry() -> None:
    """Nothing stands for them."""
    for key in ("action", "entry"):
        with pytest.raises(QuestionError, match=f"the request has no `{key}`"):
            ask({"action": "list", "entry": "a"} | {key: []}, NAMES)

"""The reading side takes what the writing side makes, byte for byte."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdstorefs.audit.decision import EntryMark, Opener, Reason
from fdstorefs.audit.format import Formatter
from fdstorefs.audit.query import by_entry, by_subject, names, since, until
from fdstorefs.audit.reader import Record, parse
from fdstorefs.audit.replay import request_of
from fdstorefs.audit.stats import subject
from fdstorefs.audit.verify import verify
from fdstorefs.core.node import Stasher
from fdstorefs.policy.request import UNKNOWN, Person
from fdstorefs.policy.vocabulary import Action
from tests.unit.audit.decisions import DETAILS, INSTANCE, RUN, TIME, decision, denial
from tests.unit.audit.decisions import subject as asker

USERNS = (4_026_531_837,)
FULL: dict[str, Any] = {
    "also": (EntryMark("other"), EntryMark("/")),
    "opener": Opener(0, 0, 1 << 21, USERNS),
    "failed": ("subject.uid",),
    "unknown": ("opener.capabilities",),
    "hidden": 3,
}


def written(one: Any, seq: int = 1, lost_before: int = 0) -> Record:
    """The record of a decision, as it is read."""
    one.seq = seq
    return parse(Formatter(INSTANCE, RUN, USERNS).verdict(one, lost_before))


@pytest.mark.parametrize(
    "one",
    [
        decision(details=DETAILS),
        denial(),
        decision(**FULL),
        denial(subject=asker(), details=None),
        decision(policy=None),
        decision(entry=EntryMark("x")),
    ],
)
def test_every_sort_of_verdict_is_a_record(one: Any) -> None:
    """With or without what is not always there."""
    record = written(one)

    assert ("verdict", INSTANCE, RUN) == (record["type"], record["instance"], record["run"])


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_a_record(reason: Reason) -> None:
    """Whatever decided."""
    assert reason.value == written(denial(reason=reason))["reason"]


def test_a_request_is_what_was_decided() -> None:
    """All of the subject, the entry under each name, and the opener."""
    stasher = Stasher(1, 0, 0, "put", USERNS)
    entry = EntryMark("listen/http", 7, "socket", 9, 4411, "rw", "sockfs", "blue", stasher, False)
    request, who = request_of(written(decision(entry=entry, details=DETAILS, **FULL)))

    assert Action.RETRIEVE == request.action
    assert (33, frozenset({33, 4}), 1 << 10) == (who.uid, who.gids, who.capabilities)
    assert (USERNS, "/system.slice/nginx.service") == (who.userns, who.cgroup)
    assert not who.was_missed
    found = request.entry
    assert ("listen/http", "socket", "sockfs", "rw", False, "blue") == (
        found.path,
        found.kind,
        found.filesystem,
        found.access,
        found.guarded,
        found.label,
    )
    assert (0, USERNS) == (found.stasher.uid, found.stasher.userns)
    assert Person(0, 1 << 21, USERNS) == found.opener
    assert ["other", ""] == [each.path for each in request.also]
    assert USERNS == request.instance


def test_a_process_that_was_gone() -> None:
    """Has a uid, and nothing else that a rule could ask for."""
    _, who = request_of(written(denial(subject=asker(), details=None)))

    assert (33, UNKNOWN, UNKNOWN) == (who.uid, who.gids, who.cgroup)
    assert who.was_missed


def test_times() -> None:
    """To the nanosecond."""
    record = written(decision(0))

    assert since(TIME)(record)
    assert not since(TIME + 1)(record)
    assert until(TIME + 1)(record)
    assert not until(TIME)(record)


@given(st.text().filter(lambda text: "/" not in text and text))
def test_any_name_is_found(name: str) -> None:
    """Bytes that are not UTF-8, backslashes, quotes and all."""
    record = written(decision(entry=EntryMark(name)))
    literal = "".join(f"[{each}]" if each in "*?[{" else each for each in name)

    assert [name] == names(record)
    assert by_entry([literal])(record)


def test_subjects_are_found() -> None:
    """By what the kernel told of them."""
    record = written(decision(details=DETAILS))

    assert by_subject("exe", ["/usr/sbin/nginx"])(record)
    assert by_subject("cgroup", ["/system.slice"])(record)
    assert "uid 33 /usr/sbin/nginx" == subject(record)


def test_numbers_that_the_log_gives_are_those_that_are_verified() -> None:
    """`lost_before` included."""
    records = [written(decision(1), 1), written(decision(4), 4, 2), written(decision(5), 5)]
    (run,) = verify([records])

    assert (2, [], []) == (run.lost, run.missing, run.repeated)

"""What the host's policies mean to an instance: its own numbers, and the host's as it has them."""

import pytest

from fdstorefs.bpf.rows import IDENTITY, Extent, IdMap
from fdstorefs.enforcer.policy_set import SPARE
from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.policy.model import Policy
from fdstorefs.policy.vocabulary import Mode
from fdstorefs.server.enforcement.applies import Whereabouts
from tests.unit.enforcer.enforced import policy_set

CONTAINER = IdMap([Extent(0, 100000, 65536)])
OTHER_CONTAINER = IdMap([Extent(0, 200000, 65536)])
HERE = Whereabouts("/m", 0, "/c")
TEXT = """\
version: 1
name: {name}
instances: [{instances}]
rules:
  - {{id: r-{name}, effect: allow, actions: [retrieve], subject: {{uid: [{uid}]}}}}
"""


def text(name: str = "p", instances: str = "/m", uid: str = "1000") -> str:
    """A policy."""
    return TEXT.format(name=name, instances=instances, uid=uid)


def uids(policies: tuple[Policy, ...]) -> set[int]:
    """The uids that the first rule lists."""
    uid = policies[0].rules[0].when.subjects[0].uid
    assert uid is not None
    return set(uid.known)


def test_a_number_is_the_instances() -> None:
    """Whatever it is on the host."""
    assert {1000} == uids(policy_set(text()).for_instance(HERE, CONTAINER, CONTAINER))


def test_a_host_number_is_translated() -> None:
    """To what the instance knows it by."""
    found = policy_set(text(uid="host:101000"))

    assert {1000} == uids(found.for_instance(HERE, CONTAINER, CONTAINER))
    assert {101000} == uids(found.for_instance(HERE, IDENTITY, IDENTITY))


def test_a_host_number_without_counterpart_stays_undetermined() -> None:
    """So that forbid rules match, as they do where a server decides."""
    policies = policy_set(text(uid="host:5")).for_instance(HERE, CONTAINER, CONTAINER)

    uid = policies[0].rules[0].when.subjects[0].uid
    assert uid is not None
    assert (True, set()) == (uid.undetermined, set(uid.known))


def test_maps_that_answer_alike_share_what_was_read() -> None:
    """Whoever makes many user namespaces does not have policies read for each."""
    found = policy_set(text(uid="host:5"))

    ours, theirs = (
        found._understand(CONTAINER, CONTAINER),
        found._understand(OTHER_CONTAINER, OTHER_CONTAINER),
    )
    assert ours is theirs
    assert 2 == len(found._understood)


def test_an_owner_without_counterpart_is_somebody_else() -> None:
    """It is known here that no server of the instance can be him."""
    found = policy_set(text(instances="{owner: host:5}"))

    assert ["default"] == [each.name for each in found.for_instance(HERE, CONTAINER, CONTAINER)]


def test_without_one_that_applies_the_default_does() -> None:
    """Never nothing."""
    found = policy_set(text(instances="/elsewhere"))

    assert ["default"] == [each.name for each in found.for_instance(HERE, IDENTITY, IDENTITY)]
    assert ["default"] == [each.name for each in policy_set().for_instance(HERE, IDENTITY, IDENTITY)]


def test_a_cgroup_that_cannot_be_told_is_an_error() -> None:
    """To guess could allow what is meant for another instance."""
    found = policy_set(text(instances="{cgroup: /web}"))

    with pytest.raises(PolicyError):
        found.for_instance(Whereabouts("/m", 0, None), IDENTITY, IDENTITY)


def test_mistakes_are_found_at_once() -> None:
    """Before anything is in force."""
    with pytest.raises(PolicyError):
        policy_set("version: 1\nname: p\nrules: 7\n")


def test_a_mode_can_be_switched() -> None:
    """Of one policy, and for all instances."""
    found = policy_set(text("p"), text("q")).with_modes({"q": Mode.MONITOR})

    modes = {each.name: each.mode for each in found.for_instance(HERE, CONTAINER, CONTAINER)}
    assert {"p": Mode.ENFORCE, "q": Mode.MONITOR} == modes


def test_it_knows_where_each_came_from() -> None:
    """By name."""
    found = policy_set(text("p"), text("q"))

    assert ("/p/1.yaml", text("q")) == (found.file_of("q"), found.text_of("q"))
    assert ("", None) == (found.file_of("x"), found.text_of("x"))


def shifted(by: int) -> IdMap:
    """A container whose ids begin there."""
    return IdMap([Extent(0, by, 65536)])


def test_what_no_instance_uses_is_forgotten() -> None:
    """Whoever makes user namespaces chooses how many answers there are."""
    found = policy_set(text(uid="host:1000"))
    mine = found._understand(shifted(999), shifted(999))
    for number in range(3 * SPARE):
        found._understand(shifted(number), shifted(number))

    found.forget_unused([(shifted(999), shifted(999))])

    assert SPARE + 2 == len(found._understood)
    assert mine is found._understand(shifted(999), shifted(999))


def test_what_makes_no_sense_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for with each change, and would be read where everybody waits."""
    found = policy_set(text(uid="host:1000"))
    reads: list[object] = []

    def fail(*_arguments: object) -> None:
        reads.append(None)
        raise PolicyError(())

    monkeypatch.setattr(found, "_read", fail)
    for _ in range(2):
        with pytest.raises(PolicyError):
            found.for_instance(HERE, CONTAINER, CONTAINER)

    assert 1 == len(reads)

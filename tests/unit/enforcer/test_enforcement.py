"""A generation is in force whole or not at all, and cgroups are classified as they come."""

import pytest

from fdstorefs.bpf.abi import Key, Table
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.rows import Extent
from fdstorefs.enforcer.generation import NOTHING_ALLOWED, Standing
from fdstorefs.enforcer.policy_set import SPARE
from fdstorefs.server.enforcement.applies import Whereabouts
from tests.unit.enforcer.enforced import IDENTITY, POLICY, Enforced, standing

SERVED_FROM_A_CGROUP = POLICY.replace("rules:", "instances: [{cgroup: /web}]\nrules:")


def test_programs_are_loaded_once(enforced: Enforced) -> None:
    """As long as they can do what policies ask for."""
    enforced.adopt(POLICY.replace("web/**", "db/**"))

    assert 1 == enforced.kernel.loads


def test_other_programs_for_more(enforced: Enforced) -> None:
    """They are attached when their rows are there."""
    enforced.adopt(POLICY.replace("cgroup: [/web]", "cgroup: [/web], capabilities: [CAP_NET_ADMIN]"))

    assert 2 == enforced.kernel.loads
    assert enforced.kernel.profile is not None
    assert 1 << 12 == enforced.kernel.profile.capabilities


def test_a_failure_changes_nothing(enforced: Enforced) -> None:
    """What was in force is, also in what we believe."""
    instance = enforced.admit()
    before, rows = enforced.enforcement.generation, dict(enforced.kernel.rows)
    enforced.kernel.is_broken = True

    with pytest.raises(KernelError):
        enforced.adopt(POLICY.replace("web/**", "db/**"))

    assert before is enforced.enforcement.generation
    assert rows == enforced.kernel.rows
    found = enforced.enforcement.in_force(instance.number)
    assert found is not None
    assert before.number == found.mark.generation


def test_every_cgroup_is_classified(enforced: Enforced) -> None:
    """For each instance that asks."""
    number = enforced.admit().number

    assert {1, 2} <= {
        key.value for key in enforced.kernel.rows if key.table == Table.CGROUP and key.of == number
    }


def test_a_new_cgroup_is_classified_at_once(enforced: Enforced) -> None:
    """By its path: what is below a cgroup is in it."""
    number = enforced.admit().number

    enforced.enforcement.cgroup_appeared(3, "/web/worker")
    enforced.enforcement.cgroup_appeared(4, "/other")

    rows = enforced.kernel.rows
    assert rows[Key(Table.CGROUP, number, 2)] == rows[Key(Table.CGROUP, number, 3)]
    assert rows[Key(Table.CGROUP, number, 2)] != rows[Key(Table.CGROUP, number, 4)]


def test_a_cgroup_that_goes_leaves_nothing(enforced: Enforced) -> None:
    """Whoever makes and removes many fills nothing up."""
    number = enforced.admit().number
    enforced.enforcement.cgroup_appeared(3, "/web/worker")

    enforced.enforcement.cgroup_gone(3)

    assert Key(Table.CGROUP, number, 3) not in enforced.kernel.rows


def test_policies_that_cannot_be_told_allow_nothing(enforced: Enforced) -> None:
    """One instance must not keep all others from new policies, nor be left with those of the past."""
    generation = enforced.adopt(SERVED_FROM_A_CGROUP)

    found = generation.for_known(standing(cgroup=None))

    assert (NOTHING_ALLOWED.name,) == found.mark.names
    assert 0 == found.tables.allow
    assert found.tables.enforcing


def test_instances_with_the_same_policies_share_them(enforced: Enforced) -> None:
    """They are compiled once."""
    generation = enforced.enforcement.generation

    assert generation.for_instance(standing("/a")) is generation.for_instance(standing("/b"))
    assert IDENTITY == standing("/a").uid_extents


def test_a_record_of_the_former_generation_can_be_read(enforced: Enforced) -> None:
    """Records are read some time after they were written."""
    instance = enforced.admit()
    former = enforced.enforcement.generation.number
    now = enforced.adopt(POLICY.replace("web/**", "db/**")).number

    for generation in (former, now):
        found = enforced.enforcement.in_force_then(instance.number, generation)
        assert found is not None
        assert generation == found.mark.generation
    assert None is enforced.enforcement.in_force_then(instance.number, now + 1)


def test_what_logs_allowed_ones_has_the_kernel_tell_of_them(enforced: Enforced) -> None:
    """Otherwise it tells of denials only."""
    enforced.admit()
    assert not enforced.kernel.records_allowed

    enforced.adopt(POLICY.replace("id: own,", "id: own, log: true,"))

    assert enforced.kernel.records_allowed


def test_what_no_instance_uses_is_forgotten(enforced: Enforced) -> None:
    """Compiled policies are large, and whoever makes user namespaces chooses for how many."""
    text = POLICY.replace(
        "rules:", "rules:\n  - {id: h, effect: forbid, actions: [take], subject: {uid: ['host:1000']}}"
    )
    generation = enforced.adopt(text)
    instance = enforced.admit()
    mine = enforced.enforcement.in_force(instance.number)
    for number in range(3 * SPARE):
        extents = (Extent(0, number, 65536),)
        generation.for_instance(Standing(Whereabouts("/m", 0, "/c"), extents, extents))

    enforced.enforcement.forget_unused([instance.standing])

    assert SPARE + 1 == len(generation._made)
    assert mine is generation.for_instance(instance.standing)

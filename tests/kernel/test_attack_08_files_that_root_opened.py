"""Attack 8: get a `cgroup.procs` that root opened, and move with root's power into the control group that is allowed.

The kernel asks for the credentials of whoever opened such a file, not of whoever writes to it. Root has stashed one,
with a mode that lets everybody have it, and the server would give it away.
"""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel import attempts
from tests.kernel.actor import Actor
from tests.kernel.attackers import Attacker, by_each
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.people import ALICE
from tests.kernel.policies import ELSEWHERE, SERVICE

HERE = "/run/roots-own"
PROCS, RULE = "procs", "nobody-borrows-power"
POLICY = f"""\
version: 1
name: roots-own
instances: {HERE}/*
rules:
  - {{id: everybody-may-do-everything, effect: allow, actions: [all]}}
  - id: {RULE}
    effect: forbid
    actions: [retrieve, take]
    filesystems: [cgroup2]
    unless: {{opener: {{capabilities: no-more-than-subject, userns: same-or-below}}}}
"""


@pytest.fixture(scope="module", autouse=True)
def policy(enforcer: EnforcerProcess) -> Iterator[None]:
    """What root's instances go by."""
    enforcer.put("roots-own", POLICY)
    yield
    enforcer.remove("roots-own")


@pytest.fixture
def root(actor: Callable[..., Actor], control_groups: dict[str, Path]) -> Actor:
    """Root, outside of the control group that it has the file of."""
    return actor(cgroup=control_groups[ELSEWHERE])


@pytest.fixture
def attacker(kind: Attacker, actor: Callable[..., Actor], control_groups: dict[str, Path]) -> Actor:
    """An ordinary user there."""
    in_namespace = kind is Attacker.ROOT_IN_NAMESPACE
    return actor(ALICE, cgroup=control_groups[ELSEWHERE], namespace=in_namespace)


@pytest.fixture
def mount(
    kind: Attacker,
    instance: Callable[..., GuardedInstance],
    root: Actor,
    control_groups: dict[str, Path],
) -> str:
    """Root's instance, which keeps the file."""
    served = instance(0, compromised=kind is Attacker.COMPROMISED_SERVER, directory=HERE)
    root.call(attempts.stash_for_all, served.mount, PROCS, str(control_groups[SERVICE] / "cgroup.procs"))
    return served.mount


@by_each
def test_it_moves_nobody_but_root(
    mount: str, root: Actor, attacker: Actor, enforcer: EnforcerProcess
) -> None:
    """Neither by retrieving it nor by opening the entry; the record names the rule, and who opened the file."""
    log = enforcer.log()
    answer = attacker.call(attempts.ask, mount, PROCS, attempts.NO_FLAGS)
    with pytest.raises(PermissionError) as refusal:
        attacker.call(attempts.write_entry, mount, PROCS)
    root.call(attempts.move_by, mount, PROCS)
    found = log.denial(attacker.pid, action="retrieve")

    assert ([], True, errno.EACCES) == (answer["texts"], answer["truncated"], refusal.value.errno)
    assert [f"/{ELSEWHERE}", f"/{SERVICE}"] == [each.call(attempts.own_cgroup) for each in (attacker, root)]
    assert ("forbidden", [RULE], mount, PROCS) == (
        found["reason"],
        found["rules"],
        found["instance"],
        found["entry"]["name"],
    )
    assert (ALICE.uid, 0) == (found["subject"]["uid"], found["opener"]["uid"])

"""Fixtures for attacks on the whole product.

- `enforcer`: the host's enforcer, one for all tests, with the policies ASKS_FOR_EVERYTHING and ONLY_THE_SERVICE
- `control_groups`: its control groups, by SERVICE and ELSEWHERE
- `instance(who=ALICE, compromised=False, joins=None, directory=ATTACKED)`: start an instance that the kernel guards
- `child(parent)`: a child of an actor, or of a server
- `new_scene(kind, directory=ATTACKED)`: an instance with a stored file, somebody who may have it, and an attacker
- `scene`: the same with an attacker of the `kind` that the test has; `scenes`: one for each of them
- `siege`: such a scene with an attacker who has as much power over the server as the kernel itself leaves him
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel import attempts, cgroups, policies
from tests.kernel.actor import Actor, Obedient
from tests.kernel.attackers import EVERYBODY, NAME, SECRET, Attacker, Scene, Siege
from tests.kernel.children import Child
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.fork_server import ForkServer
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.people import ALICE, Person
from tests.kernel.policies import ATTACKED, ELSEWHERE, SERVICE
from tests.kernel.role import Role
from tests.mount.policies import write

ControlGroups = dict[str, Path]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def control_groups() -> Iterator[ControlGroups]:
    """The one that is allowed, and one that isn't."""
    made = {name: cgroups.make(name) for name in (SERVICE, ELSEWHERE)}
    yield made
    for path in made.values():
        cgroups.remove(path)


@pytest.fixture(scope="session")
def enforcer(fork_server: ForkServer, control_groups: ControlGroups) -> Iterator[EnforcerProcess]:
    """Enforcement on this host, from here to the end of all tests."""
    process = EnforcerProcess(lambda: Actor(fork_server, Role()))
    write(process.policies / "asks-for-everything.yaml", policies.ASKS_FOR_EVERYTHING)
    try:
        process.start()
        process.put("only-the-service", policies.ONLY_THE_SERVICE)
        yield process
    finally:
        process.switch_off()


@pytest.fixture
def instance(
    enforcer: EnforcerProcess, actor: Callable[..., Actor], tmp_path: Path
) -> Iterator[Callable[..., GuardedInstance]]:
    """Instances that end with the test."""
    with ExitStack() as stack:

        def start(
            who: Person | int = ALICE,
            *,
            compromised: bool = False,
            joins: int | None = None,
            directory: str = ATTACKED,
        ) -> GuardedInstance:
            mount = Path(directory) / str(next(_numbers))
            policy = write(Path("/run") / "mode-bits-decide.yaml", policies.MODE_BITS_DECIDE)
            # In a user namespace root's file would be nobody's. There the default gives it to its own user as well.
            options = () if compromised or joins is not None else ("--policy", policy)
            server = actor(who, joins=joins)
            started = GuardedInstance(server, mount, compromised=compromised, options=options)
            stack.callback(started.end)
            return started

        yield start


@pytest.fixture
def child() -> Iterator[Callable[[Obedient], Child]]:
    """Children of processes of the test, which end with it."""
    born: list[Child] = []

    def bear(parent: Obedient) -> Child:
        born.append(Child(parent))
        return born[-1]

    yield bear
    for each in born:
        each.end()


@pytest.fixture
def new_scene(
    enforcer: EnforcerProcess,
    control_groups: ControlGroups,
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
) -> Callable[..., Scene]:
    """Alice's instance keeps what only her service may have, and somebody else of hers is after it."""

    def make(kind: Attacker, directory: str = ATTACKED) -> Scene:
        server = instance(compromised=kind is Attacker.COMPROMISED_SERVER, directory=directory)
        service = actor(ALICE, cgroup=control_groups[SERVICE])
        service.call(attempts.stash, server.mount, NAME, SECRET)
        in_namespace = kind is Attacker.ROOT_IN_NAMESPACE
        attacker = actor(ALICE, cgroup=control_groups[ELSEWHERE], namespace=in_namespace)
        return Scene(server, service, attacker, enforcer.log())

    return make


@pytest.fixture
def scene(kind: Attacker, new_scene: Callable[..., Scene]) -> Scene:
    """A scene with the attacker that the test has."""
    return new_scene(kind)


@pytest.fixture
def scenes(new_scene: Callable[..., Scene]) -> list[Scene]:
    """One for each attacker, for tests that take too long to be run for each."""
    return [new_scene(kind) for kind in EVERYBODY]


@pytest.fixture
def siege(
    kind: Attacker,
    enforcer: EnforcerProcess,
    control_groups: ControlGroups,
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    child: Callable[[Obedient], Child],
) -> Siege:
    """Server and keeper, and somebody of the same user whom nothing but the enforcement keeps out.

    Root of a user namespace has that power over what runs there; so the instance does, too. The compromised
    server is that of another instance.
    """
    outsider = actor(ALICE, cgroup=control_groups[ELSEWHERE], namespace=kind is Attacker.ROOT_IN_NAMESPACE)
    joined = outsider.pid if kind is Attacker.ROOT_IN_NAMESPACE else None
    server = instance(joins=joined)
    attacker = instance(compromised=True).inside if kind is Attacker.COMPROMISED_SERVER else outsider
    keeper, ordinary = child(server.inside), actor(ALICE, joins=joined)
    server.protect(keeper.pid)
    service = actor(ALICE, cgroup=control_groups[SERVICE], joins=joined)
    service.call(attempts.stash, server.mount, NAME, SECRET)
    return Siege(server, service, attacker, enforcer.log(), keeper, ordinary)

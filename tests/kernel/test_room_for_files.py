"""How many open files a user may have guarded, and what becomes of one more."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from fdstorefs import NotGuarded, StoreError, connect
from fdstorefs.enforcer import guarding
from tests.kernel import attempts, commands
from tests.kernel.actor import Actor
from tests.kernel.attack_fixtures import ControlGroups
from tests.kernel.attackers import SECRET
from tests.kernel.command_process import CommandProcess
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.guarded_instance import GuardedInstance
from tests.kernel.handing import handed
from tests.kernel.people import ALICE, BOB, MALLORY, Person
from tests.kernel.policies import SERVICE
from tests.mount.waiting import wait_for

SECONDS = 120
PER_UID, IN_ALL = 3, 5
MORE = "one more"


def enforce_for_few(arguments: list[str], log: int, ready: int) -> int:
    """Enforce as `fdstorefs enforce` does, with little room."""
    guarding.PER_UID, guarding.IN_ALL = PER_UID, IN_ALL
    return commands.run(arguments, log, ready)


class Meagre(EnforcerProcess):
    """The tests' enforcer, in whose place one has come with little room."""

    def __init__(self, enforcer: EnforcerProcess) -> None:
        self.__dict__.update(enforcer.__dict__)
        arguments = ["enforce", "--policy", str(self.policies), "--audit", f"file:{self.audit}"]
        self._process = CommandProcess(self._new_actor(), arguments, enforce_for_few)
        self._process.start()

    def guarded(self, mount: str) -> int:
        """How many files of an instance are guarded."""
        return next(each for each in reversed(self.status().instances) if each.mount == mount).guarded


@pytest.fixture
def meagre(enforcer: EnforcerProcess) -> Iterator[Meagre]:
    """An enforcer with little room, until the end of the test."""
    enforcer.kill()
    try:
        found = Meagre(enforcer)
        yield found
        found.kill()
    finally:
        enforcer.start()


Serve = Callable[..., tuple[GuardedInstance, Actor]]


@pytest.fixture
def serve(
    meagre: Meagre,
    instance: Callable[..., GuardedInstance],
    actor: Callable[..., Actor],
    control_groups: ControlGroups,
) -> Serve:
    """Start an instance that keeps some files, and somebody of its user's who may have them."""

    def start(who: Person, files: int) -> tuple[GuardedInstance, Actor]:
        server, service = instance(who), actor(who, cgroup=control_groups[SERVICE])
        for number in range(files):
            service.call(attempts.stash, server.mount, str(number), SECRET)
        return server, service

    return start


def refused(service: Actor, mount: str) -> str:
    """The words in which a stash is refused."""
    outcome: str = service.call(words_of_refusal, mount)
    return outcome


def words_of_refusal(mount: str) -> str:
    """What somebody is told who stashes one more."""
    try:
        attempts.stash(mount, MORE, SECRET)
    except NotGuarded as error:
        return str(error)
    return "stored"


def stash_given(mount: str, name: str, fd: int) -> str:
    """What somebody is told who stashes a file that he was given."""
    try:
        with connect(mount) as store:
            store.stash(name, fd)
    except StoreError as error:
        return error.identifier
    finally:
        os.close(fd)
    return "stored"


def names_in(mount: str) -> list[str]:
    """What is stored."""
    with connect(mount) as store:
        return sorted(entry.name for entry in store.list())


def discard(mount: str, name: str) -> None:
    """Have something stored no longer."""
    with connect(mount) as store:
        store.discard(name)


def close(name: str) -> None:
    """Close what one has of it."""
    os.close(attempts._held.pop(name))


def test_one_more_is_not_stored(meagre: Meagre, serve: Serve, actor: Callable[..., Actor]) -> None:
    """The server says why. Those that are there stay guarded, and nothing is stored that isn't."""
    server, service = serve(ALICE, PER_UID)

    said = refused(service, server.mount)

    assert f"`{MORE}` cannot be guarded: no-room" in said
    assert (PER_UID, ["0", "1", "2"]) == (
        meagre.guarded(server.mount),
        service.call(names_in, server.mount),
    )
    assert [[], []] == [handed(service, actor(ALICE), name)[0]["texts"] for name in ("0", "2")]
    assert SECRET == service.call(attempts.retrieve, server.mount, "2")


def test_all_instances_of_a_user_share_it(serve: Serve) -> None:
    """Another's have their own share, of what there is for all."""
    serve(ALICE, PER_UID)
    server, service = serve(ALICE, 0)
    theirs, other = serve(BOB, IN_ALL - PER_UID)
    beside, third = serve(MALLORY, 0)

    for who, mount in ((service, server.mount), (other, theirs.mount), (third, beside.mount)):
        assert "no-room" in refused(who, mount)


def test_what_is_discarded_makes_room_when_it_is_closed(serve: Serve) -> None:
    """Until then it is guarded, whatever the server says of it."""
    server, service = serve(ALICE, PER_UID)

    service.call(discard, server.mount, "0")
    assert "no-room" in refused(service, server.mount)
    service.call(close, "0")

    wait_for(lambda: "stored" == refused(service, server.mount), SECONDS, "room")


def test_what_is_closed_without_a_word_makes_room(serve: Serve) -> None:
    """By a server that is killed. The next one of the user gets it, once the enforcer has looked for it."""
    server, service = serve(ALICE, PER_UID)
    service.end()
    os.kill(server.pid, signal.SIGKILL)
    again, other = serve(ALICE, 0)

    wait_for(lambda: "stored" == refused(other, again.mount), SECONDS, "room")


def test_what_is_not_guarded_counts_as_well(meagre: Meagre, serve: Serve) -> None:
    """One more is refused, and the instance goes on as before: nobody else who stores there notices."""
    server, service = serve(ALICE, PER_UID - 1)
    roots = os.memfd_create("root's")
    try:
        told = [
            service.call(stash_given, server.mount, name, descriptors=(roots,))
            for name in ("first", "second")
        ]
        state = next(each for each in reversed(meagre.status().instances) if each.mount == server.mount)
    finally:
        os.close(roots)
    service.call(discard, server.mount, "0")

    assert ["stored", "NotGuarded"] == told
    assert state.connected
    assert "stored" == refused(service, server.mount)

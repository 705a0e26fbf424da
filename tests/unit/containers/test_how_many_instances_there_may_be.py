"""One container, however many users and namespaces it has, leaves room for others."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from fdstorefs.containers import instances as bounds
from fdstorefs.containers.container import Container
from fdstorefs.containers.instances import Instances
from fdstorefs.containers.nursery import Nursery
from fdstorefs.containers.options import HostOptions
from fdstorefs.containers.record import Process, Record
from fdstorefs.errors import QuotaExceeded
from fdstorefs.host import procfs
from fdstorefs.server.loop import Loop
from fdstorefs.server.options import ServeOptions

OUTERMOST, UID = 4711, 1000


def end(_message: bytes, _descriptors: tuple[int, ...]) -> NoReturn:
    """Be nobody's keeper."""
    os._exit(0)


@pytest.fixture
def container() -> Iterator[Container]:
    """The one that the tests are in."""
    users, mounts = (procfs.open_namespace(kind) for kind in ("user", "mnt"))
    held = Container(os.pidfd_open(os.getpid()), users, mounts, procfs.open_root(os.getpid()))
    yield held
    held.close()


@pytest.fixture
def instances(tmp_path: Path) -> Iterator[Instances]:
    """All instances of a service."""
    loop, nursery = Loop(), Nursery(end)
    made = Instances(HostOptions(ServeOptions("/run/fdstore"), str(tmp_path / "host.sock")), loop, nursery)
    made.begin()
    yield made
    nursery.close()
    loop.close()


def fill(instances: Instances, number: int, **what: int) -> None:
    """Put so many on record, each of another user and in another place."""
    myself = Process.of(os.getpid())
    for at in range(number):
        one = Record(
            f"/run/{at}", 5000 + at, 1, 10_000 + at, myself, {}, keeper=myself, outermost=20_000 + at
        )
        instances.records.write(replace(one, **what))


def start(instances: Instances, container: Container, uid: int = UID) -> None:
    """Ask for one more."""
    instances.start(container, os.getpid(), "/run/more", uid, ServeOptions("/run/more"), lambda _result: None)


@pytest.mark.parametrize(
    ("what", "most"),
    [("uid", "MOST_OF_ONE_USER"), ("outermost", "MOST_OF_ONE_USER"), ("mounts", "MOST_OF_ONE_PLACE")],
)
def test_not_more_of_one(
    instances: Instances, container: Container, monkeypatch: pytest.MonkeyPatch, what: str, most: str
) -> None:
    """Of one user, of one container with all that is in it, and in one mount namespace."""
    monkeypatch.setattr(bounds, most, 4)
    numbers = {"uid": UID, "outermost": container.outermost, "mounts": container.mount_namespace}
    fill(instances, 3, **{what: numbers[what]})
    start(instances, container)
    fill(instances, 4, **{what: numbers[what]})

    with pytest.raises(QuotaExceeded):
        instances.start(container, os.getpid(), "/run/one", UID, ServeOptions("/run/one"), print)


def test_root_has_room_when_others_have_none(
    instances: Instances, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some places are for root alone."""
    monkeypatch.setattr(bounds, "MOST_OF_OTHERS", 4)
    fill(instances, 4)

    with pytest.raises(QuotaExceeded):
        start(instances, container)
    start(instances, container, uid=0)


def test_they_are_counted_without_a_look_at_each(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask for their number, as often as he likes."""
    fill(instances, 3)
    monkeypatch.setattr(instances.records, "_path", lambda name: pytest.fail(f"{name} is looked at"))

    assert 3 == instances.records.count()

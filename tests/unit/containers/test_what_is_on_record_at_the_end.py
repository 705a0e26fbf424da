"""Instances that end, or come up too late, or change hands, and what is on record of them then."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fdstorefs.containers import instances
from fdstorefs.containers.container import Container
from fdstorefs.containers.errors import HostError, NotStarted
from fdstorefs.containers.instances import Instances
from fdstorefs.containers.nursery import Child
from fdstorefs.containers.options import HostOptions
from fdstorefs.containers.record import Process, Record, Records
from fdstorefs.errors import NoInstance, NotPermitted
from fdstorefs.host import procfs
from fdstorefs.server.loop import Loop
from fdstorefs.server.options import ServeOptions

Make = Callable[[], Process]
_MOUNT = "/run/fdstore"


@pytest.fixture
def process() -> Iterator[Make]:
    """Make processes that do nothing."""
    with ExitStack() as ending:

        def make() -> Process:
            made = subprocess.Popen([sys.executable, "-I", "-c", "input()"], stdin=subprocess.PIPE)
            ending.enter_context(made)
            ending.callback(made.kill)
            return Process.of(made.pid)

        yield make


@pytest.fixture
def container() -> Iterator[Container]:
    """The namespaces that we are in."""
    us = os.getpid()
    made = Container(
        os.pidfd_open(us), procfs.open_namespace("user"), procfs.open_namespace("mnt"), procfs.open_root(us)
    )
    yield made
    made.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop."""
    made = Loop()
    yield made
    made.close()


class Nursery:
    """Has one child, and does something when it is born."""

    def __init__(self, child: Process, at_birth: Callable[[], Any]) -> None:
        self._child, self._at_birth = child, at_birth
        self._given: list[int] = []

    def fork(self, _message: bytes, descriptors: Sequence[int]) -> Child:
        """The child, which keeps the last descriptor."""
        self._at_birth()
        self._given.append(os.dup(descriptors[-1]))
        return Child(self._child.pid, os.pidfd_open(self._child.pid))


class Stage:
    """Instances in a directory, and one that is on record with this keeper and this server."""

    def __init__(self, directory: Path, loop: Loop, container: Container, keeper: Process) -> None:
        self.loop = loop
        self.container = container
        self.options = HostOptions(socket=str(directory / "host.sock"), serve=ServeOptions(mount=_MOUNT))
        self.records = Records(self.options.records)
        self.records.prepare()
        us = Process.of(os.getpid())
        numbers = container.user_namespace, container.mount_namespace
        self.record = Record(_MOUNT, 0, *numbers, us, {}, keeper)
        self.told: list[Any] = []

    def instances(self, nursery: Any = None) -> Instances:
        """The instances, with who forks keepers for them."""
        return Instances(self.options, self.loop, nursery)

    def start(self, made: Instances) -> None:
        """Have one started; how that ends is `told`, and ends the loop."""
        made.start(self.container, os.getpid(), _MOUNT, 0, self.options.serve, self.hear)

    def hear(self, result: Any) -> None:
        """Keep what is told."""
        self.told.append(result)
        self.loop.stop()


@pytest.fixture
def stage(tmp_path: Path, loop: Loop, container: Container, process: Make) -> Stage:
    """One."""
    return Stage(tmp_path, loop, container, process())


def test_what_comes_up_too_late_is_gone(stage: Stage, process: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeper and server both: else that would find another keeper, and serve what nobody was told of."""
    monkeypatch.setattr(instances, "STARTING_SECONDS", 0.0)
    server = process()
    record = replace(stage.record, server=server)
    nursery = Nursery(record.keeper, lambda: stage.records.write(record))
    stage.start(stage.instances(nursery))
    stage.loop.run()

    assert [NotStarted] == [type(each) for each in stage.told]
    assert -signal.SIGKILL == os.waitstatus_to_exitcode(os.waitpid(server.pid, 0)[1])
    assert [] == os.listdir(stage.records.directory)


def test_one_that_is_ending_is_not_told_of(stage: Stage, process: Make) -> None:
    """Who starts it while it is told to end would be told of what is gone a moment later."""
    # Whose server is there yet, however soon the keeper ends.
    stage.records.write(replace(stage.record, server=process()))
    made = stage.instances()
    made.stop(stage.record, stage.hear)

    with pytest.raises(HostError, match="is ending"):
        stage.start(made)
    stage.loop.run()

    assert [None] == stage.told


def test_one_that_nobody_serves_any_more_is_not_told_of(stage: Stage) -> None:
    """It ends by itself, and its keeper is there for a moment more."""
    stage.records.write(stage.record)
    serves = stage.records.begin_to_serve(stage.record.name)
    made = stage.instances()
    stage.start(made)
    os.close(serves)

    with pytest.raises(HostError, match="is ending"):
        stage.start(made)
    assert [stage.record] == stage.told


def test_nor_is_one_whose_container_has_ended(stage: Stage, process: Make) -> None:
    """Which its server has still to notice."""
    first = process()
    stage.records.write(replace(stage.record, first=first))
    os.kill(first.pid, signal.SIGKILL)
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(HostError, match="is ending"):
        stage.start(stage.instances())


def test_one_of_a_former_service_is_told_of(stage: Stage) -> None:
    """Its server has never said that it serves, and nor does it say when it leaves off."""
    stage.records.write(stage.record)
    stage.start(stage.instances())

    assert [stage.record] == stage.told


def test_nothing_is_left_of_who_has_served(stage: Stage) -> None:
    """Neither the record nor the mark."""
    stage.records.write(stage.record)
    os.close(stage.records.begin_to_serve(stage.record.name))
    stage.records.remove(stage.record.name)

    assert [] == os.listdir(stage.records.directory)


def test_a_newer_record_stays(stage: Stage, process: Make) -> None:
    """A keeper that was about to be killed may have started another server, which is the one from then on."""
    former, newer = (replace(stage.record, server=process()) for _ in range(2))
    stage.records.write(former)
    keeper = process()
    newer = replace(newer, keeper=keeper)
    made = stage.instances(Nursery(keeper, lambda: stage.records.write(newer)))
    made.replace_keeper(former.name, former.server or former.first, stage.container, (0, 0))

    assert newer == stage.records.find(former.name)


def test_an_instance_of_another_user_namespace_is_nobodys(stage: Stage) -> None:
    """Neither ended nor joined by who is not in the one that it was started for."""
    stage.records.write(replace(stage.record, users=stage.record.users + 1))
    made = stage.instances()

    with pytest.raises(NoInstance):
        made.find(stage.container, _MOUNT)
    with pytest.raises(NotPermitted):
        stage.start(made)

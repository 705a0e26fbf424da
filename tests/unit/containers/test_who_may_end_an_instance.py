"""Who is told of an instance: whoever may do everything in the user namespace that it was started for."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fdstorefs.containers import rights
from fdstorefs.containers.record import Process, Record
from fdstorefs.core.subject import CAP_SYS_ADMIN, Subject
from fdstorefs.host.task import Task
from fdstorefs.host.user_namespaces import HeldNamespace
from tests.unit.containers.test_who_has_a_say import Told, subject
from tests.unit.host.test_user_namespaces import waiting


@pytest.fixture
def first() -> Iterator[Process]:
    """Root of a user namespace of its own."""
    with waiting("unshare", "-Ur") as pid:
        yield Process.of(pid)


def root_of(process: Process) -> Subject:
    """Who may do everything there, and is there."""
    there = Told(HeldNamespace(Task(process.pid).open_user_namespace()).numbers)
    return subject(*[there] * 8, pid=process.pid)


def record_of(process: Process) -> Record:
    """An instance of the container that this is the first process of."""
    users = HeldNamespace(Task(process.pid).open_user_namespace()).numbers[0]
    return Record("/run/fdstore", 0, users, 1, process, {}, keeper=process)


def test_root_of_its_user_namespace_may(first: Process) -> None:
    """As he may start it."""
    assert rights.may_end(root_of(first), record_of(first))


def test_nobody_may_of_another_though_he_has_the_first_process(first: Process) -> None:
    """It has gone elsewhere since, or was always in another than the container that was named."""
    record = record_of(first)

    assert not rights.may_end(root_of(first), replace(record, users=record.users + 1))


def test_the_server_is_in_it_too(first: Process) -> None:
    """Where the first process of the pid namespace is in another."""
    with waiting("unshare", "-Ur") as pid:
        server = Process.of(pid)
        record = replace(record_of(first), users=record_of(server).users)

        assert not rights.may_end(root_of(server), record)
        assert rights.may_end(root_of(server), replace(record, server=server))
        assert not rights.may_end(root_of(first), replace(record, server=server))


def test_what_has_ended_says_nothing(first: Process) -> None:
    """Its number may be another's by now."""
    record = record_of(first)

    assert not rights.may_end(root_of(first), replace(record, first=replace(first, start=first.start + 1)))


@pytest.mark.skipif(os.geteuid() != 0, reason="it is about root")
def test_root_of_the_host_may_end_any(first: Process) -> None:
    """Also where nobody is left in its user namespace."""
    here = HeldNamespace(Task(os.getpid()).open_user_namespace()).numbers
    told = Told(here, 1 << CAP_SYS_ADMIN)
    gone = replace(record_of(first), users=1)

    assert rights.may_end(subject(*[told] * 8), gone)

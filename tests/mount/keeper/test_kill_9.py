"""kill -9 of server and keeper under a client: what was acknowledged is there, and is the same open file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fdstorefs
from fdstorefs.host.syscalls import SAME_FILE, same_file_order
from tests.mount.cast import ORDINARY_USER, REPOSITORY, Cast, mounted_below
from tests.mount.instance import Instance
from tests.mount.keeper.torture import torture
from tests.mount.test_mounting import needs_root
from tests.mount.tortured import connect, repeat
from tests.mount.waiting import wait_for
from tests.unit.host.hostile_fuse import hostile_mount

Start = Callable[..., Instance]


@pytest.fixture
def instance(running_instance: Start) -> Instance:
    """A fresh instance."""
    return running_instance()


def kill(mount: str, who: str) -> fdstorefs.Status:
    """Kill `server` or `keeper`, and wait until there is another."""
    field = "pid" if who == "server" else who
    with connect(mount) as store:
        before = store.status()
        os.kill(getattr(before, field), signal.SIGKILL)
        while True:
            now: fdstorefs.Status = repeat(store, lambda store: store.status())
            if getattr(now, field) != getattr(before, field):
                return now


def is_same(mount: str, name: str, descriptor: int) -> bool:
    """Whether an entry is the open file behind our descriptor."""
    with connect(mount) as store, store.retrieve(name) as found:
        return same_file_order(found.fileno(), descriptor) == SAME_FILE


KILLS = [["server"], ["keeper"], ["keeper", "server"], ["server", "keeper"] * 2, ["server"] * 3]


@pytest.mark.parametrize("kills", KILLS, ids="-".join)
def test_everything_is_there_again(instance: Instance, kills: list[str]) -> None:
    """Entries through both doors, boxes, links, modes, seals, labels and empty entries, as they were."""
    mount, files = instance.mount, [os.memfd_create(f"{number}") for number in range(3)]
    with fdstorefs.connect(mount) as store:
        store.stash_many({"a": files[0], "b": files[0]}, label="twins")
        os.mkdir(f"{mount}/box", 0o750)
        Path(f"{mount}/box/c").write_text(f"{files[1]}\n")
        os.chmod(f"{mount}/box/c", 0o640)
        os.link(f"{mount}/box/c", f"{mount}/box/d")
        os.close(os.open(f"{mount}/empty", os.O_CREAT | os.O_WRONLY))
        store.seal("box")
        before = [entry._asdict() for entry in store.list()]
    for who in kills:
        status = kill(mount, who)
    with fdstorefs.connect(mount) as store:
        after = [entry._asdict() for entry in store.list()]
        store.unseal("box")

    assert before == after
    assert [True] * 4 == [
        is_same(mount, *each)
        for each in (("a", files[0]), ("b", files[0]), ("box/c", files[1]), ("box/d", files[1]))
    ]
    assert (kills.count("server"), 2) == (status.restarts, status.descriptors)
    for each in files:
        os.close(each)


@pytest.mark.parametrize(
    ("user", "namespace"),
    [
        pytest.param(ORDINARY_USER, False, id="through fusermount3", marks=needs_root),
        pytest.param(ORDINARY_USER, True, id="in a user namespace", marks=needs_root),
    ],
)
def test_it_works_for_an_ordinary_user(running_instance: Start, user: str, namespace: bool) -> None:
    """Outside a user namespace and inside one."""
    instance = running_instance(user=user, namespace=namespace)
    script = f"exec 5</etc/hostname && echo 5 >{instance.mount}/host"
    assert 0 == instance.run(["bash", "-c", script]).returncode
    before = instance.pid
    os.kill(before, signal.SIGKILL)
    seen = wait_for(
        lambda: (done := instance.run(["cat", f"{instance.mount}/host"])).returncode == 0 and done.stdout
    )

    assert Path("/etc/hostname").read_text() == seen
    assert 0 == instance.stop(), instance.said()
    assert [] == mounted_below(instance.mount)


def test_it_is_said(instance: Instance) -> None:
    """In the log, and in the status."""
    with fdstorefs.connect(instance.mount) as store:
        store.stash("a", 0)
        first = store.status()
    kill(instance.mount, "server")
    status = kill(instance.mount, "keeper")
    said = instance.said()

    assert f"keeper: the server (pid {first.pid}) was ended by signal 9; 2 descriptors are held" in said
    assert f"serving {instance.mount} again after " in said
    assert (
        f"the keeper (pid {first.keeper}) is gone; another (pid {status.keeper}) holds 2 descriptors" in said
    )
    assert (first.started, 1) == (status.started, status.restarts)
    assert status.outage is not None
    assert 0 < status.outage < 20e9


def test_clients_go_on(instance: Instance) -> None:
    """A store that somebody is connected to finds its instance again."""
    with fdstorefs.connect(instance.mount) as store:
        store.stash("a", 0)
        kill(instance.mount, "server")
        assert ["a"] == [entry.name for entry in repeat(store, lambda store: store.list())]
        store.stash("b", 0)
        store.discard("a")
        kill(instance.mount, "server")

        assert ["b"] == [entry.name for entry in repeat(store, lambda store: store.list())]


def test_the_audit_log_goes_on(running_instance: Start, cast: Cast) -> None:
    """In the same run, with the next number: each is there, or a record says that it may be lost, and why."""
    log = Path(cast.directory(None, "audit-")) / "audit.jsonl"
    instance = running_instance(arguments=["--audit", f"file:{log}", "--audit-fsync", "always"])
    kill(instance.mount, "server")
    kill(instance.mount, "server")
    instance.stop()
    records: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    numbers = [record["seq"] for record in records]
    restarts = [record for record in records if record["type"] == "restart"]
    perhaps = {
        number
        for record in restarts
        if "first_seq" in record
        for number in range(record["first_seq"], record["last_seq"] + 1)
    }

    assert sorted(set(numbers)) == numbers
    assert set(range(1, numbers[-1] + 1)) <= {*numbers, *perhaps}
    assert 1 == len({record["run"] for record in records})
    assert {"was ended by signal 9"} == {record["cause"] for record in restarts}


def test_policies_keep_their_generation(running_instance: Start, cast: Cast) -> None:
    """Unless they have changed."""
    policy = Path(cast.directory(None, "policies-")) / "p.yaml"
    text = "version: 1\nname: mine\nrules:\n  - {id: all, effect: allow, actions: [all]}\n"
    policy.write_text(text)
    instance = running_instance(arguments=["--policy", str(policy)])
    with fdstorefs.connect(instance.mount) as store:
        policy.write_text(text.replace("id: all", "id: every"))
        wait_for(lambda: (store.status().policy_status or {})["generation"] == 2)
    status = kill(instance.mount, "server")

    assert status.policy_status is not None
    assert 2 == status.policy_status["generation"]


def test_an_unmount_is_the_end(instance: Instance) -> None:
    """Nobody starts a server for an instance that was ended, also after a restart."""
    keeper = kill(instance.mount, "server").keeper
    with fdstorefs.connect(instance.mount) as store:
        assert store.status().keeper == keeper
    assert 0 == instance.run(["umount", instance.mount]).returncode

    assert 0 == instance.process.wait(10)


def test_without_a_keeper(running_instance: Start) -> None:
    """`--no-keeper`: one process, and `status` says it."""
    instance = running_instance(arguments=["--no-keeper"])
    with fdstorefs.connect(instance.mount) as store:
        status = store.status()

    assert (instance.process.pid, None, None, None) == (
        status.pid,
        status.keeper,
        status.restarts,
        status.outage,
    )


def test_a_keeper_that_is_stuck_refuses_and_loses_nothing(instance: Instance) -> None:
    """Stashes are refused when nothing more can be sent to it, and go on when it goes on."""
    with fdstorefs.connect(instance.mount) as store:
        keeper = store.status().keeper
        assert keeper is not None
        os.kill(keeper, signal.SIGSTOP)
        stashed = []
        try:
            with pytest.raises(fdstorefs.Overloaded):
                for number in range(100_000):
                    store.stash(f"{number}", 0, replace=False)
                    stashed.append(f"{number}")
                    store.discard(f"{number}")
        finally:
            os.kill(keeper, signal.SIGCONT)
        wait_for(lambda: takes(store, "again"))

        assert ["again"] == [entry.name for entry in store.list()]


def takes(store: fdstorefs.Store, name: str) -> bool:
    """Whether a stash is not refused for now."""
    try:
        store.stash(name, 0)
    except fdstorefs.Overloaded:
        return False
    return True


def test_torture(tmp_path: Path) -> None:
    """See `torture`: 30 kills while four clients work, among 300 entries."""
    mount = tmp_path / "store"
    mount.mkdir()
    outcome, said = torture(str(mount), kills=30, clients=4, entries=300, seed=int(time.time()))

    assert [] == outcome.problems
    assert outcome.operations > 0
    assert "Traceback" not in said
    print(f"longest outage: {outcome.longest:.0f} ms")


@needs_root
def test_a_server_that_cannot_die_is_given_up(running_instance: Start, tmp_path: Path) -> None:
    """It has a file open whose close is never answered: another one serves meanwhile, and no entry is lost."""
    instance = running_instance()
    with hostile_mount(tmp_path / "hostile") as path:
        for _ in range(2):
            with connect(instance.mount) as store:
                before = store.status()
                if before.restarts == 0:
                    stash_in_a_child(instance.mount, path)
                os.kill(before.pid, signal.SIGKILL)
            now = wait_for(lambda before=before: another(instance.mount, before.pid), 20, "another server")

        assert Path(f"/proc/{before.pid}").exists()
        assert (2, 1) == (now.restarts, now.entries)
    assert 0 == instance.stop(), instance.said()


def another(mount: str, former: int) -> fdstorefs.Status | None:
    """What a server but the former one says."""
    try:
        with fdstorefs.connect(mount) as store:
            status = store.status()
    except (fdstorefs.NoInstance, fdstorefs.ProtocolError):
        return None
    return status if status.pid != former else None


def stash_in_a_child(mount: str, path: Path) -> None:
    """By a process that may be stuck with it."""
    script = (
        "import os, sys, fdstorefs\n"
        "fdstorefs.connect(sys.argv[1]).stash('x', os.open(sys.argv[2], os.O_RDONLY))\n"
        "print(flush=True)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, mount, path], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert child.stdout is not None
    assert b"\n" == child.stdout.readline()

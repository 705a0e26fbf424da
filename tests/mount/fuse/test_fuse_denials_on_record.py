"""What the mount refuses for reasons of its own is on record as a denial, once, and never as allowed."""

import json
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.cast import ORDINARY_USER, Cast
from tests.mount.instance import Instance
from tests.mount.policies import arguments, write

POLICY = """version: 1
name: everything
rules:
  - {id: all, effect: allow, actions: [all]}
"""

CLIENT = """
import errno, os, stat, sys
mount = sys.argv[1]

def number(name, flags):
    handle = os.open(f"{mount}/{name}", flags)
    try:
        os.write(handle, b"0")
    finally:
        os.close(handle)

def inherited(name):
    handle = os.open(f"{mount}/{name}", os.O_WRONLY | os.O_CREAT, 0o600)
    pid = os.fork()
    if pid:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.write(handle, b"0")

ATTEMPTS = {
    "lent": lambda: os.open(f"{mount}/of proc", os.O_RDONLY),
    "read": lambda: os.open(f"{mount}/to write", os.O_RDONLY),
    "write": lambda: os.open(f"{mount}/to read", os.O_WRONLY),
    "number": lambda: number("to write", os.O_WRONLY | os.O_TRUNC),
    "inherited": lambda: inherited("mine"),
    "sealed": lambda: os.open(f"{mount}/box/x", os.O_RDONLY),
    "socket": lambda: os.mknod(f"{mount}/.notify", stat.S_IFSOCK | 0o666),
    "unlink": lambda: os.unlink(f"{mount}/.fdstore"),
    "chmod": lambda: os.chmod(f"{mount}/.fdstore", 0o600),
    "rename": lambda: os.rename(f"{mount}/to read", f"{mount}/.notify"),
}
try:
    ATTEMPTS[sys.argv[2]]()
except OSError as error:
    print(errno.errorcode[error.errno])
"""

EXPECTED = {
    "lent": ("EPERM", [("retrieve", "of proc", "deny")]),
    "read": ("EACCES", [("retrieve", "to write", "deny")]),
    "write": ("EACCES", [("retrieve", "to read", "deny")]),
    "number": ("EPERM", [("stash", "to write", "deny")]),
    "inherited": ("EPERM", [("stash", "mine", "allow"), ("stash", "mine", "deny")]),
    "sealed": ("EBUSY", [("retrieve", "box/x", "deny")]),
    "socket": ("EPERM", [("stash", ".notify", "deny")]),
    "unlink": ("EPERM", [("discard", ".fdstore", "deny")]),
    "chmod": ("EPERM", [("stash", ".fdstore", "deny")]),
    "rename": ("EPERM", [("rename", ".notify", "deny")]),
}


@pytest.fixture
def logged(running_instance: Callable[..., Instance], cast: Cast, tmp_path: Path) -> tuple[Instance, Path]:
    """An instance whose policy allows everything, and its audit log."""
    if os.geteuid() != 0:
        pytest.skip("one user's entries and another's requests take root")
    directory = Path(cast.directory(None, "audit-"))
    policy, log = write(directory / "p.yaml", POLICY), directory / "audit.jsonl"
    made = running_instance(arguments=[*arguments(policy), "--audit", f"file:{log}"])
    for way in (os.path.dirname(made.mount), made.mount):
        os.chmod(way, 0o777)
    with fdstorefs.connect(made.mount) as store, open("/proc/self/status") as status:
        reader, writer = os.pipe()
        store.stash("of proc", status, mode=0o666)
        store.stash("to read", reader, mode=0o666)
        store.stash("to write", writer, mode=0o666)
        store.make_box("box", mode=0o777)
        store.stash("box/x", reader, mode=0o666)
        store.seal("box")
        os.close(reader)
        os.close(writer)
    return made, log


def records_of_user(log: Path) -> list[tuple[str, str, str]]:
    """Action, name and verdict of what the ordinary user was answered."""
    uid = pwd.getpwnam(ORDINARY_USER).pw_uid
    records = [json.loads(line) for line in log.read_text().splitlines()]
    return [
        (record["action"], record["entry"]["name"], record["verdict"])
        for record in records
        if record["type"] == "verdict" and record["subject"]["uid"] == uid
    ]


@pytest.mark.parametrize("what", EXPECTED)
def test_one_denial(what: str, logged: tuple[Instance, Path]) -> None:
    """Whatever it is that refuses it."""
    instance, log = logged
    code, expected = EXPECTED[what]
    ran = instance.run([sys.executable, "-c", CLIENT, instance.mount, what], user=ORDINARY_USER)

    assert (f"{code}\n", "") == (ran.stdout, ran.stderr)
    instance.stop()
    assert expected == records_of_user(log)

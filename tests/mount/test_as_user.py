"""tools/as-user makes a process of an ordinary user out of one of root's, wherever the clone lies."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.mount.cast import AS_USER, REPOSITORY, Cast

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to become another user")


@pytest.fixture
def closed_clone(cast: Cast) -> Path:
    """What as-user needs of a clone, itself closed to others, in a directory closed to others."""
    outer = Path(cast.directory(None, "closed-"))
    clone = outer / "clone"
    for part in ("fdstorefs/host", "fdstorefs/server", "tools"):
        shutil.copytree(REPOSITORY / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
    (outer / "secret").write_text("secret")
    clone.chmod(0o700)
    return clone


def run(*argv: str, program: str = AS_USER) -> "subprocess.CompletedProcess[str]":
    """Run as-user to its end."""
    return subprocess.run([program, *argv], capture_output=True, text=True, timeout=30, check=False)


def status_of(*argv: str) -> dict[str, str]:
    """What the kernel says about a process that as-user made."""
    lines = run(*argv, "--", "cat", "/proc/self/status").stdout.splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_nothing_of_roots_power_is_left() -> None:
    """The process has one uid, one gid, no groups and no capabilities."""
    user = pwd.getpwnam("daemon")

    status = status_of()

    assert [str(user.pw_uid)] * 4 == status["Uid"].split()
    assert [str(user.pw_gid)] * 4 == status["Gid"].split()
    assert "" == status["Groups"]
    assert {""} == {status[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}


def test_set_user_id_programs_still_work() -> None:
    """fusermount3 needs its privilege: no_new_privs isn't set, and the bounding set is whole."""
    status = status_of()

    assert "0" == status["NoNewPrivs"]
    assert status["CapBnd"].strip("0") != ""


def test_another_user() -> None:
    """`--user` names whom to become."""
    assert str(pwd.getpwnam("www-data").pw_uid) == status_of("--user", "www-data")["Uid"].split()[0]


def test_a_fresh_home_that_goes_again() -> None:
    """HOME and XDG_RUNTIME_DIR are the user's own and private while the command runs, and gone afterwards."""
    done = run("sh", "-c", "stat -c '%U %a %n' $HOME $XDG_RUNTIME_DIR")

    for line in done.stdout.splitlines():
        owner, mode, path = line.split()
        assert ("daemon", "700") == (owner, mode)
        assert not os.path.exists(path)
    assert 2 == len(done.stdout.splitlines())


def test_the_exit_status_is_the_commands() -> None:
    """As in a shell: the status itself, 128 and the signal, 127 for no such command."""
    assert 3 == run("sh", "-c", "exit 3").returncode
    assert 128 + signal.SIGKILL == run("sh", "-c", "kill -9 $$").returncode
    assert 127 == run("no-such-command").returncode


def test_signals_are_handed_on(cast: Cast) -> None:
    """Who ends as-user ends the command."""
    process = cast.start(
        [AS_USER, "sh", "-c", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"]
    )
    assert process.stdout is not None
    assert "up\n" == process.stdout.readline()

    process.terminate()

    assert "bye\n" == process.communicate(timeout=30)[0]
    assert 7 == process.returncode


def test_a_clone_behind_closed_directories_is_reached(closed_clone: Path) -> None:
    """The user reads the clone at its usual path, and works in it."""
    program = str(closed_clone / "tools" / "as-user")

    done = run("sh", "-c", f"cd {closed_clone} && cat tools/as-user", program=program)

    assert "" == done.stderr
    assert Path(AS_USER).read_text() == done.stdout


def test_nothing_else_behind_closed_directories_is_reached(closed_clone: Path) -> None:
    """What lies beside the clone stays out of reach, and outside nothing has changed."""
    program = str(closed_clone / "tools" / "as-user")
    outer = closed_clone.parent

    done = run("ls", str(outer), program=program)
    secret = run("cat", str(outer / "secret"), program=program)

    assert "clone\n" == done.stdout
    assert "No such file" in secret.stderr
    assert ["clone", "secret"] == sorted(os.listdir(outer))
    assert (0o700, 0o700) == (closed_clone.stat().st_mode & 0o777, outer.stat().st_mode & 0o777)

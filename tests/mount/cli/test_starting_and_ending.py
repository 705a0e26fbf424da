"""mount, umount and run: instances in the background, and a command with its own."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import fdstorefs as client
from fdstorefs.server.mounting import unmount
from tests.mount.cast import Cast, Process, mounted_below
from tests.mount.cli.conftest import COMMAND

Done = subprocess.CompletedProcess[str]
AsUser = Callable[..., Process]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[str]:
    """A directory to mount over; nothing stays mounted there."""
    path = tmp_path / "store"
    path.mkdir()
    yield str(path)
    for left in mounted_below(str(path)):
        unmount(left, lazy=True)


def run(*arguments: str, **options: Any) -> Done:
    """Run one command line to its end; what it leaves in the background must not hold our pipes."""
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=30, **options
    )
    assert "Traceback" not in done.stderr
    return done


def server_of(mount: str) -> int:
    """The process id of the server."""
    with client.connect(mount) as store:
        return store.status().pid


@contextmanager
def awaiting_the_end_of(server: int) -> Iterator[None]:
    """After the block, wait until the process has ended, whoever's child it is."""
    pidfd = os.pidfd_open(server)
    try:
        yield
        assert select.select([pidfd], [], [], 10)[0], f"process {server} goes on"
    finally:
        os.close(pidfd)


def test_mount_returns_when_it_serves_and_umount_ends_it(mount: str) -> None:
    """Quietly, both."""
    mounted = run("mount", mount)
    assert (0, "", "") == (mounted.returncode, mounted.stdout, mounted.stderr)

    with awaiting_the_end_of(server_of(mount)):
        ended = run("umount", mount)
    assert (0, "", "") == (ended.returncode, ended.stdout, ended.stderr)
    assert mounted_below(mount) == []


def test_the_server_has_nothing_of_its_parents(mount: str) -> None:
    """No descriptor, no terminal, no session: whoever waits for the end of a pipe doesn't wait for it."""
    reading, writing = os.pipe()
    try:
        assert run("mount", mount, pass_fds=[writing]).returncode == 0
        os.close(writing)
        assert os.read(reading, 1) == b""
        with client.connect(mount) as store:
            status = store.status()
        assert (status.keeper, status.keeper) == (os.getsid(status.pid), os.getsid(status.keeper or 0))
    finally:
        os.close(reading)
        run("umount", mount)


def test_it_starts_without_standard_descriptors(mount: str) -> None:
    """As some service managers and cron jobs run commands; also where SIGCHLD is ignored."""
    script = 'trap "" CHLD; exec "$@" <&- >&- 2>&-'
    started = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, "mount", mount], timeout=30, check=False
    )
    try:
        assert started.returncode == 0
        assert server_of(mount) > 0
    finally:
        run("umount", mount)


def test_the_server_writes_to_the_log(mount: str, tmp_path: Path) -> None:
    """Which is appended to, and closed to others."""
    log = tmp_path / "log"
    for _ in range(2):
        assert run("mount", "--log", str(log), mount).returncode == 0
        assert run("umount", mount).returncode == 0

    assert log.read_text().count(f"fdstorefs: serving {mount}\n") == 2
    assert log.stat().st_mode & 0o777 == 0o600


def test_limits_and_mode_are_passed_on(mount: str) -> None:
    """As for `serve`."""
    assert run("mount", "--entries", "1", "--mode", "700", mount).returncode == 0
    try:
        assert os.stat(mount).st_mode & 0o7777 == 0o700
        assert run("--at", mount, "put", "a", stdin=subprocess.DEVNULL).returncode == 0
        assert run("--at", mount, "put", "b", stdin=subprocess.DEVNULL).returncode == 1
    finally:
        run("umount", mount)


@pytest.mark.parametrize("verb", ["mount", "serve"])
def test_what_cannot_be_mounted_over_is_said(verb: str, mount: str) -> None:
    """The reason that the server has comes out of `mount` as well, and what to do."""
    done = run(verb, f"{mount}/missing")

    assert done.returncode == 1
    assert done.stderr == (
        f"fdstorefs: the mount point `{mount}/missing` does not exist\n"
        f"  hint: make it: `mkdir -p {mount}/missing`\n"
    )


def test_a_second_instance_in_one_place_is_refused(mount: str) -> None:
    """The first goes on."""
    assert run("mount", mount).returncode == 0
    try:
        server = server_of(mount)
        second = run("mount", mount)
        assert second.returncode == 1
        assert f"an instance is mounted at `{mount}` already" in second.stderr
        assert server == server_of(mount)
    finally:
        run("umount", mount)


def test_an_instance_in_use_is_unmounted_only_lazily(mount: str) -> None:
    """Busy is said, with who is to blame."""
    assert run("mount", mount).returncode == 0
    busy = subprocess.Popen(["cat"], cwd=mount, stdin=subprocess.PIPE)
    with awaiting_the_end_of(server_of(mount)), busy as user:
        try:
            refused = run("umount", mount)
            assert refused.returncode == 1
            assert f"`{mount}` is busy" in refused.stderr
            assert f"pid {user.pid}" in refused.stderr
        finally:
            assert run("umount", "--lazy", mount).returncode == 0
            assert user.stdin is not None
            user.stdin.close()


def test_run_has_an_instance_of_its_own() -> None:
    """At /run/fdstore, which nobody outside sees; its exit code is the command's."""
    script = (
        'echo "$FDSTOREFS_MOUNT"; "$0" -m fdstorefs put host </etc/hostname'
        ' && "$0" -m fdstorefs exec --stdin host -- cat; exit 7'
    )
    done = run("run", "--", "sh", "-c", script, sys.executable)

    assert done.stdout == f"/run/fdstore\n{Path('/etc/hostname').read_text()}"
    assert (7, "") == (done.returncode, done.stderr)
    assert mounted_below("/run/fdstore") == []


@pytest.mark.parametrize(("options", "uid"), [([], os.getuid()), (["--map-root"], 0)])
def test_run_keeps_the_user_or_maps_root(options: list[str], uid: int) -> None:
    """As asked."""
    assert run("run", *options, "--", "id", "-u").stdout == f"{uid}\n"


def test_run_works_for_an_ordinary_user(as_user: AsUser) -> None:
    """Which is what it is for; stashing by number works there, too."""
    script = (
        'exec 5</etc/hostname; echo 5 >"$FDSTOREFS_MOUNT/host"; "$0" -m fdstorefs exec --stdin host -- cat'
    )
    process = as_user([*COMMAND, "run", "--", "bash", "-c", script, sys.executable])
    out, err = process.communicate(timeout=30)

    assert (Path("/etc/hostname").read_text(), "") == (out, err)


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 200", 200), ("kill -TERM $$", 128 + signal.SIGTERM), ("kill -KILL $$", 137)],
)
def test_run_ends_as_its_command_does(script: str, code: int) -> None:
    """128 + n for signal n, as a shell says it."""
    assert run("run", "--", "sh", "-c", script).returncode == code


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/hostname", 126)])
def test_run_of_what_cannot_be_run_ends_as_in_a_shell(command: str, code: int) -> None:
    """And says so."""
    done = run("run", "--", command)

    assert done.returncode == code
    assert done.stderr.startswith(f"fdstorefs: cannot run `{command}`: ")


@pytest.fixture
def running(cast: Cast) -> Callable[..., tuple[Process, int]]:
    """Start `run` with a shell script, wait for its first line, and return it with the server's pid."""

    def start(script: str, *options: str) -> tuple[Process, int]:
        ask = "import fdstorefs; print(fdstorefs.connect().status().pid, flush=True)"
        command = [
            *COMMAND,
            "run",
            *options,
            "--",
            "bash",
            "-c",
            f'"$0" -c "$1"; {script}',
            sys.executable,
            ask,
        ]
        process = cast.start(cast.command(command, None), stdin=subprocess.PIPE)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    return start


CATCHING = """
import signal, sys
expected = {int(sys.argv[1])}
signal.pthread_sigmask(signal.SIG_BLOCK, expected)
print("set", flush=True)
signal.sigwait(expected)
print("caught", flush=True)
sys.exit(3)
"""
"""Not a shell with a trap: a signal that comes just before it reads is seen only when it has read."""


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGQUIT]
)
def test_run_forwards_signals(running: Callable[..., tuple[Process, int]], number: signal.Signals) -> None:
    """Its command decides what to do; the instance ends with it."""
    process, server = running(f"exec \"$0\" -c '{CATCHING}' {number}")
    assert process.stdout is not None
    assert process.stdout.readline() == "set\n"
    with awaiting_the_end_of(server):
        process.send_signal(number)

        assert process.stdout.readline() == "caught\n"
        assert process.wait(10) == 3


def test_the_instance_dies_with_run(running: Callable[..., tuple[Process, int]]) -> None:
    """Even if that is killed."""
    process, server = running("read -r")
    with awaiting_the_end_of(server):
        process.kill()

    assert process.wait(10) == -signal.SIGKILL


def test_run_waits_where_children_are_ignored() -> None:
    """SIGCHLD may have been ignored by whoever started it; nothing would be heard of the command's end."""
    done = subprocess.run(
        ["bash", "-c", 'trap "" CHLD; exec "$@"', "bash", *COMMAND, "run", "--", "sh", "-c", "exit 9"],
        timeout=30,
        check=False,
    )

    assert done.returncode == 9


def test_run_says_when_the_instance_ends_first(running: Callable[..., tuple[Process, int]]) -> None:
    """The command goes on."""
    process, server = running("read -r; exit 5", "--no-keeper")
    os.kill(server, signal.SIGKILL)
    assert process.stderr is not None
    assert process.stderr.readline() == "fdstorefs: the instance has ended before the command\n"
    process.communicate("\n", timeout=10)

    assert process.returncode == 5


def test_run_goes_on_when_its_instance_does(running: Callable[..., tuple[Process, int]]) -> None:
    """Server and keeper may be killed: nothing is said, and all of it ends with the command."""
    check = "import fdstorefs, sys; print(fdstorefs.connect().status().keeper, flush=True)"
    script = f"\"$0\" -c '{check}'; read -r; \"$0\" -c '{check}'; read -r; exit 5"
    process, _server = running(script)
    assert process.stdout is not None
    assert process.stdin is not None
    keeper = int(process.stdout.readline())
    os.kill(keeper, signal.SIGKILL)
    with awaiting_the_end_of(keeper):
        process.stdin.write("\n")
        process.stdin.flush()
        another = int(process.stdout.readline())
    assert keeper != another
    with awaiting_the_end_of(another):
        _, said = process.communicate("\n", timeout=10)

    assert (5, "") == (process.returncode, said)

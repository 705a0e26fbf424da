"""What `put` stashes, a command that `exec` starts has: the very open file, at the number it should be."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import fdstorefs as client
from tests.mount.cli.conftest import COMMAND, Run, shell
from tests.mount.instance import Instance

SHOW_DESCRIPTORS = """
import json, os, sys
def text(number):
    try:
        return os.pread(number, 100, 0).decode()
    except OSError:
        return None
shown = {number: text(number) for number in range(20)}
there = [number for number in range(20) if os.path.exists(f"/proc/self/fd/{number}")]
variables = {name: value for name, value in os.environ.items() if "LISTEN" in name or "FDSTOREFS" in name}
print(json.dumps([shown, variables, os.getpid(), there]))
"""


@pytest.fixture
def files(instance: Instance, tmp_path: Path) -> Callable[..., None]:
    """Stash files that hold their own names."""

    def stash(*names: str) -> None:
        with client.connect(instance.mount) as store:
            for number, name in enumerate(names):
                path = tmp_path / str(number)
                path.write_text(name)
                with path.open("r+") as file:
                    store.stash(name, file)

    return stash


def shown(done: subprocess.CompletedProcess[str]) -> tuple[dict[int, str | None], dict[str, str], int]:
    """What the command saw: text by descriptor, its environment, its pid."""
    texts, variables, pid, _ = json.loads(done.stdout)
    return {int(number): text for number, text in texts.items()}, variables, pid


def show(*arguments: str) -> tuple[str, ...]:
    """An `exec` command line that shows what the command got."""
    return ("exec", *arguments, "--", sys.executable, "-c", SHOW_DESCRIPTORS)


def test_plain_names_are_descriptors_from_three_up(
    fdstorefs: Run, files: Callable[..., None], instance: Instance
) -> None:
    """LISTEN_FDS and its fellows tell how many, which, and whose."""
    files("web", "a:b")
    texts, variables, pid = shown(fdstorefs(*show("web", "a:b")))

    assert ("web", "a:b", None) == (texts[3], texts[4], texts[5])
    assert {
        "LISTEN_FDS": "2",
        "LISTEN_FDNAMES": "web:a_b",
        "LISTEN_PID": str(pid),
    }.items() <= variables.items()
    assert variables["FDSTOREFS_MOUNT"] == instance.mount


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--stdin", "a"], {0: "a", 3: None}),
        (["--fd", "7=a", "--fd", "0=b"], {7: "a", 0: "b", 3: None}),
        (["--fd", "4=b", "--fd", "3=c", "--fd", "5=a", "--fd", "6=d"], {3: "c", 4: "b", 5: "a", 6: "d"}),
        (["--fd", "5=a", "b", "a"], {3: "b", 4: "a", 5: "a"}),
        (
            ["d", "c", "b", "a", "--fd", "8=a", "--fd", "7=b"],
            {3: "d", 4: "c", 5: "b", 6: "a", 7: "b", 8: "a"},
        ),
    ],
)
def test_every_entry_is_where_it_should_be(
    fdstorefs: Run, files: Callable[..., None], arguments: Sequence[str], expected: dict[int, str]
) -> None:
    """However the numbers overlap with those at which the descriptors arrived."""
    files("a", "b", "c", "d")
    texts, _, _ = shown(fdstorefs(*show(*arguments), stdin=subprocess.DEVNULL))

    assert expected == {number: texts[number] for number in expected}


def test_the_command_gets_nothing_else(fdstorefs: Run, files: Callable[..., None]) -> None:
    """Neither the connection to the instance nor copies."""
    files("a", "b")
    done = fdstorefs(*show("--fd", "9=a", "b"), stdin=subprocess.DEVNULL)

    assert [0, 1, 2, 3, 9] == json.loads(done.stdout)[3]


def test_the_pid_names_the_command(fdstorefs: Run, files: Callable[..., None]) -> None:
    """No fork: LISTEN_PID is right, and so is the id of its pidfd where pidfds have one."""
    files("a")
    program = (
        "import os; pidfd = os.pidfd_open(os.getpid());"
        "print(os.environ['LISTEN_PID'] == str(os.getpid()),"
        " os.environ.get('LISTEN_PIDFDID', str(os.fstat(pidfd).st_ino)) == str(os.fstat(pidfd).st_ino))"
    )

    assert fdstorefs("exec", "a", "--", sys.executable, "-c", program).stdout == "True True\n"


@pytest.mark.parametrize(
    ("opening", "kind"),
    [
        ("exec 5</etc/hostname", "regular"),
        ("exec 5<> <(:)", "pipe"),
        ("exec 5<>/dev/null", "device"),
        ("exec 5</", "directory"),
    ],
)
def test_inherited_descriptors_of_any_kind_are_stashed(
    fdstorefs: Run, opening: str, kind: str, instance: Instance
) -> None:
    """By their number."""
    fdstorefs("put", "x", "5", through=shell(opening))

    with client.connect(instance.mount) as store:
        assert kind == store.list()[0].kind


def test_standard_input_is_what_is_stashed_by_default(fdstorefs: Run, tmp_path: Path) -> None:
    """And `--stdin` gives it back: the offset is shared, as with an inherited descriptor."""
    (tmp_path / "text").write_text("one\ntwo\n")
    with (tmp_path / "text").open() as file:
        fdstorefs("put", "text", stdin=file)

    assert "o" == fdstorefs("exec", "--stdin", "text", "--", "head", "-c1").stdout
    assert "ne\ntwo\n" == fdstorefs("exec", "--stdin", "text", "--", "cat").stdout


def test_put_makes_listeners(fdstorefs: Run, instance: Instance, tmp_path: Path) -> None:
    """TCP, TCP over IPv6, Unix and UDP; what is retrieved accepts."""
    path = tmp_path / "sock"
    for name, address in {
        "tcp": "tcp:127.0.0.1:0",
        "six": "tcp:[::1]:0",
        "unix": f"unix:{path}",
        "udp": "udp:127.0.0.1:0",
    }.items():
        fdstorefs("put", name, "--listen", address)

    with client.connect(instance.mount) as store:
        assert ["socket"] * 4 == [entry.kind for entry in store.list()]
        with store.retrieve("tcp").socket() as tcp, socket.create_connection(tcp.getsockname()) as connection:
            assert tcp.accept()[0].getpeername() == connection.getsockname()
        with store.retrieve("unix").socket() as unix, socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            unix.accept()[0].close()
        with store.retrieve("six").socket() as six, store.retrieve("udp").socket() as udp:
            assert (socket.AF_INET6, socket.SOCK_DGRAM) == (six.family, udp.type)


def test_put_replaces_labels_and_sets_the_mode(fdstorefs: Run, instance: Instance) -> None:
    """Only when asked to."""
    fdstorefs("put", "x", "--label", "prod", "--mode", "640")
    assert "exists" in fdstorefs("put", "x", expect=1).stderr
    fdstorefs("put", "x", "--replace", "--listen", "tcp:127.0.0.1:0")

    with client.connect(instance.mount) as store:
        (entry,) = store.list()
        assert (0o640, "socket") == (entry.mode, entry.kind)


def test_put_stashes_no_descriptor_of_its_own(fdstorefs: Run) -> None:
    """A number that nothing was inherited at becomes that of its own connection; that isn't meant."""
    said = fdstorefs("put", "x", "3", expect=1).stderr

    assert said == (
        "fdstorefs: `3` is no open descriptor here\n"
        "  hint: open it in the shell: `fdstorefs put x 3 3<FILE`\n"
    )


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/hostname", 126), ("/", 126)])
@pytest.mark.parametrize("take", [[], ["--take"]])
def test_a_command_that_cannot_be_run_ends_as_in_a_shell(
    fdstorefs: Run, files: Callable[..., None], command: str, code: int, take: list[str]
) -> None:
    """And what would have been taken for it is in the store."""
    files("a")
    said = fdstorefs("exec", *take, "a", "--", command, expect=code).stderr

    assert said.startswith(f"fdstorefs: cannot run `{command}`: ")
    assert fdstorefs("ls").stdout == "a\n"


def test_a_number_beyond_the_limit_is_refused_before_anything_is_taken(
    fdstorefs: Run, files: Callable[..., None]
) -> None:
    """No descriptor can have it."""
    files("a")
    said = fdstorefs("exec", "--take", "--fd", "999999999=a", "--", "true", expect=2).stderr

    assert "descriptor 999999999 is too near the limit" in said
    assert fdstorefs("ls").stdout == "a\n"


def test_taking_takes(fdstorefs: Run, files: Callable[..., None]) -> None:
    """The command has it, the store doesn't."""
    files("a", "b")

    assert fdstorefs("exec", "--take", "--stdin", "a", "--", "cat").stdout == "a"
    assert fdstorefs("ls").stdout == "b\n"


def test_exec_is_all_or_nothing(fdstorefs: Run, files: Callable[..., None]) -> None:
    """One entry that isn't there, and nothing runs."""
    files("a")
    done = fdstorefs("exec", "a", "missing", "--", "echo", "ran", expect=4)

    assert done.stdout == ""


def test_a_command_dies_of_a_broken_pipe(instance: Instance, files: Callable[..., None]) -> None:
    """Python ignores SIGPIPE; what it starts shall not."""
    files("a")
    script = '"$@" exec a -- yes | head -n1; echo "${PIPESTATUS[0]}"'
    environment = {**os.environ, "FDSTOREFS_MOUNT": instance.mount}
    done = instance.run(["bash", "-c", script, "bash", *COMMAND], env=environment)

    assert done.stdout == "y\n141\n"

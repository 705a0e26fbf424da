"""ls, stat, rm, mv, ln, seal, watch, status, doctor: what they print and how they end."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fdstorefs as client
from tests.mount.cast import Process
from tests.mount.cli.conftest import COMMAND, Run
from tests.mount.instance import Instance
from tests.mount.policies import ALLOW_ALL

Wait = Callable[..., Any]


@pytest.fixture
def store(instance: Instance) -> Iterator[client.Store]:
    """Another way in."""
    with client.connect(instance.mount) as store:
        yield store


@pytest.fixture
def some(store: client.Store) -> None:
    """A box with an entry, and two entries, one with a name that would draw."""
    store.make_box("blue")
    store.stash_many({"web": 0, "blue/a": 0, "evil\x1b[2J\n": 0})


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["blue/", "blue/a", "evil\\x1b[2J\\n", "web"]),
        (["blue"], ["blue/a"]),
        (["/blue/"], ["blue/a"]),
        (["web"], ["web"]),
        (["*"], ["blue/", "evil\\x1b[2J\\n", "web"]),
        (["**/a"], ["blue/a"]),
        (["nothing*"], []),
        (["--names"], ["blue/", "blue/a", "web"]),
    ],
)
def test_ls_lists_names(fdstorefs: Run, arguments: list[str], expected: list[str]) -> None:
    """Sorted, one on each line, a box with a slash, none of them able to draw."""
    assert expected == fdstorefs("ls", *arguments).stdout.splitlines()


@pytest.mark.usefixtures("some")
def test_ls_long_says_whose_and_what(fdstorefs: Run) -> None:
    """A header, then a line each."""
    header, box, _, _, web = fdstorefs("ls", "-l").stdout.splitlines()

    assert header.startswith("MODE        OWNER")
    assert box.startswith("drwx------  ")
    assert web.startswith("-rw-------  ")
    assert "/dev/null" in web


@pytest.mark.usefixtures("some")
def test_ls_json_is_for_scripts(fdstorefs: Run, instance: Instance) -> None:
    """Names as they are, and every field."""
    listed = json.loads(fdstorefs("ls", "--json").stdout)

    assert ["blue", "blue/a", "evil\x1b[2J\n", "web"] == [entry["name"] for entry in listed]
    assert {"name", "kind", "description", "uid", "gid", "mode", "stasher", "expires"} <= set(listed[3])
    assert listed[3]["stasher"]["pid"] == os.getpid()


def test_ls_of_an_empty_store_is_empty(fdstorefs: Run) -> None:
    """In each form."""
    assert ["", "", "[]\n"] == [fdstorefs("ls", *how).stdout for how in ([], ["-l"], ["--json"])]


@pytest.mark.usefixtures("some")
def test_what_is_not_there_is_exit_code_four(fdstorefs: Run) -> None:
    """Whatever one wanted with it."""
    for arguments in (["ls", "x"], ["stat", "x"], ["rm", "x"], ["mv", "x", "y"], ["exec", "x", "--", "true"]):
        assert "`x`" in fdstorefs(*arguments, expect=4).stderr


def test_where_nothing_serves_is_exit_code_five(fdstorefs: Run) -> None:
    """With what to do about it."""
    said = fdstorefs("--at", "/nowhere", "ls", expect=5).stderr

    assert "hint: start one with `fdstorefs mount /nowhere`" in said


@pytest.mark.parametrize("instance", [ALLOW_ALL], indirect=True, ids=["mode bits decide"])
def test_what_is_denied_is_exit_code_three(fdstorefs: Run, instance: Instance, store: client.Store) -> None:
    """To another user."""
    store.stash("mine", 0)
    os.chmod(os.path.dirname(instance.mount), 0o711)

    assert (
        "may not retrieve `mine`" in fdstorefs("exec", "mine", "--", "true", user="daemon", expect=3).stderr
    )
    assert "`mine`" in fdstorefs("rm", "mine", user="daemon", expect=3).stderr


def test_what_the_default_policy_hides_is_exit_code_four(
    fdstorefs: Run, instance: Instance, store: client.Store
) -> None:
    """To another user there is no such entry, whatever its mode."""
    with open(os.memfd_create("mine"), "r+b") as file:
        store.stash("mine", file, mode=0o666)
    os.chmod(os.path.dirname(instance.mount), 0o711)

    assert fdstorefs("exec", "mine", "--", "true", user="daemon", expect=4)
    assert fdstorefs("ls", user="daemon").stdout == ""


def test_errors_cannot_draw_either(fdstorefs: Run) -> None:
    """A name in a message is anybody's."""
    said = fdstorefs("stat", "evil\x1b[2J\nfdstorefs: all is well", expect=4).stderr

    assert "\x1b" not in said
    assert said.count("fdstorefs: ") == 2
    assert [line for line in said.splitlines() if line.startswith("fdstorefs: all")] == []


@pytest.mark.usefixtures("some")
def test_names_are_changed(fdstorefs: Run) -> None:
    """Renamed, linked, discarded, sealed and unsealed."""
    fdstorefs("mv", "web", "blue/web")
    fdstorefs("ln", "blue/web", "again")
    fdstorefs("seal", "blue")
    assert "sealed" in fdstorefs("rm", "blue/a", expect=1).stderr
    assert "sealed" in fdstorefs("stat", "blue").stdout
    fdstorefs("unseal", "blue")
    fdstorefs("rm", "blue/a", "blue/web")
    assert fdstorefs("ls", "*").stdout.split() == ["again", "blue/", "evil\\x1b[2J\\n"]

    fdstorefs("put", "web")
    assert "exists" in fdstorefs("mv", "again", "web", expect=1).stderr
    fdstorefs("mv", "--replace", "again", "web")


@pytest.mark.usefixtures("some")
def test_stat_tells_all(fdstorefs: Run) -> None:
    """For people and for scripts."""
    said = fdstorefs("stat", "web").stdout
    described = json.loads(fdstorefs("stat", "--json", "web").stdout)

    assert f"pid {os.getpid()}" in said
    assert "what it is  /dev/null" in said
    assert (described["name"], described["details"]["flags"]) == ("web", said.split("flags")[1].split()[0])


def test_status_says_what_is_in_force(fdstorefs: Run, instance: Instance) -> None:
    """For people and for scripts."""
    status = json.loads(fdstorefs("status", "--json").stdout)

    assert (instance.mount, instance.pid, "daemon") == (status["mount"], status["pid"], status["enforcement"])
    assert {"keeper", "policy", "entries", "limit"} <= set(status)
    assert f"pid {instance.pid}" in fdstorefs("status").stdout


def test_doctor_looks_at_this_machine(fdstorefs: Run, instance: Instance) -> None:
    """It finds what the tests themselves need, and the instance."""
    findings = {finding["check"]: finding for finding in json.loads(fdstorefs("doctor", "--json").stdout)}
    said = fdstorefs("doctor").stdout

    assert {"ok"} == {findings[check]["state"] for check in ("/dev/fuse", "kcmp", "pidfd_getfd", "instance")}
    assert instance.mount in findings["instance"]["found"]
    assert all(check in said for check in findings)
    assert all(finding["advice"] for finding in findings.values() if finding["state"] != "ok")


def test_doctor_says_where_nothing_serves(tmp_path: Any) -> None:
    """It needs no instance to run."""
    done = subprocess.run(
        [*COMMAND, "doctor", "--at", str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert f"no instance serves at `{tmp_path}`" in done.stdout


@pytest.fixture
def watching(instance: Instance) -> Callable[..., Process]:
    """Start a watch, and return once it has begun."""

    def start(*arguments: str) -> Process:
        with client.connect(instance.mount) as store:
            process = instance.popen([*COMMAND, "watch", "--at", instance.mount, *arguments])
            assert process.stdout is not None
            # Only a change that it tells of shows that it watches. What it tells is in order, so that after
            # the last of ours nothing of ours follows.
            while not select.select([process.stdout], [], [], 0.05)[0]:
                store.stash("probe", 0, replace=True)
            store.stash("begun", 0)
            while "begun" not in (line := process.stdout.readline()):
                assert line, "the watch has ended"
        return process

    return start


def test_watch_prints_changes_as_they_happen(watching: Callable[..., Process], fdstorefs: Run) -> None:
    """Each line at once, until Ctrl-C, which is exit code 130 and no more words."""
    process = watching()
    fdstorefs("put", "web")
    fdstorefs("mv", "web", "w2")
    assert process.stdout is not None
    assert process.stdout.readline().split(maxsplit=1)[1] == "stashed   web (device)\n"
    assert process.stdout.readline().split(maxsplit=1)[1] == "renamed   web -> w2 (device)\n"
    process.send_signal(signal.SIGINT)

    assert ("", "") == process.communicate(timeout=10)
    assert process.returncode == 130


def test_watch_json_is_an_object_on_each_line(watching: Callable[..., Process], fdstorefs: Run) -> None:
    """With the entry in it."""
    process = watching("--json")
    fdstorefs("put", "web")
    assert process.stdout is not None
    change = json.loads(process.stdout.readline())
    process.kill()

    assert ("stashed", "web", None) == (change["change"], change["entry"]["name"], change["former"])


def test_a_watch_ends_with_its_instance(watching: Callable[..., Process], instance: Instance) -> None:
    """Exit code 5, and the reason."""
    process = watching()
    instance.stop()
    _, said = process.communicate(timeout=10)

    assert process.returncode == 5
    assert said.startswith(f"fdstorefs: the instance at `{instance.mount}` ended the connection")


def test_a_reader_that_leaves_is_no_error(instance: Instance, store: client.Store) -> None:
    """`ls | head` says nothing on stderr."""
    for number in range(200):
        store.make_box(f"{number:03}" + "x" * 200)
    argv = [*COMMAND, "--at", instance.mount, "ls", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""

    assert process.returncode == 141


def test_completion_in_bash_offers_entries(instance: Instance, store: client.Store) -> None:
    """Names with spaces are quoted; `--at` is heeded; verbs and options too."""
    store.stash_many({"web": 0, "with space": 0, "zed": 0})
    program = f"""
        fdstorefs() {{ {" ".join(COMMAND)} "$@"; }}
        source <(fdstorefs completion bash)
        compopt() {{ :; }}
        try() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fdstorefs; echo "${{COMPREPLY[@]}}"; }}
        try fdstorefs --at {instance.mount} stat w
        try fdstorefs stat --at {instance.mount} z
        try fdstorefs un
        try fdstorefs exec --
        try fdstorefs completion ''
    """
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        r"web with\ space",
        "zed",
        "unseal",
        "--stdin --fd --take --at -- --help",
        "bash zsh fish",
    ]

"""Policies of a running instance: which are in force, and that they are obeyed at both doors."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.cast import Cast, Process, mounted_below
from tests.mount.instance import Instance
from tests.mount.policies import ALLOW_ALL, DEFAULT_MEANING, allowing, arguments, write

Start = Callable[..., Instance]
COMMAND = (sys.executable, "-m", "fdstorefs")

NAMELESS_RULE = "version: 1\nname: bad\nrules:\n  - effect: allow\n"


@pytest.fixture
def directory(cast: Cast) -> Path:
    """A directory for policies that every user can read."""
    path = Path(cast.directory(None, "policies-"))
    path.chmod(0o755)
    path.parent.chmod(0o755)
    return path


def get(instance: Instance, name: str, user: str) -> "subprocess.CompletedProcess[str]":
    """Another user retrieves an entry through the socket."""
    return instance.run([*COMMAND, "--at", instance.mount, "exec", name, "--", "true"], user=user)


def open_to_all(instance: Instance) -> None:
    """Stash what mode bits let everybody have."""
    os.chmod(os.path.dirname(instance.mount), 0o711)
    with fdstorefs.connect(instance.mount) as store, open(os.memfd_create("x"), "r+b") as file:
        store.stash("x", file, mode=0o666)


def test_without_a_policy_an_entry_is_its_stashers_alone(running_instance: Start) -> None:
    """Whatever its mode is: nobody else even learns of it. The status says what is in force."""
    instance = running_instance()
    open_to_all(instance)
    with fdstorefs.connect(instance.mount) as store:
        status = store.status()
        store.retrieve("x").close()

    assert get(instance, "x", "daemon").returncode == 4
    assert instance.run(["cat", f"{instance.mount}/x"], user="daemon").returncode == 1
    assert status.policy == "default"
    assert status.policy_status is not None
    assert (True, [], 1, "enforce", None) == tuple(
        status.policy_status[key] for key in ("applies", "files", "generation", "mode", "rejected")
    )
    assert DEFAULT_MEANING in instance.said()


def test_with_a_policy_that_allows_all_mode_bits_decide(running_instance: Start, directory: Path) -> None:
    """At both doors."""
    policy = write(directory / "a.yaml", ALLOW_ALL)
    instance = running_instance(arguments=arguments(policy))
    open_to_all(instance)
    with fdstorefs.connect(instance.mount) as store:
        status = store.status()

    assert get(instance, "x", "daemon").returncode == 0
    assert instance.run(["cat", f"{instance.mount}/x"], user="daemon").returncode == 0
    assert status.policy_status is not None
    assert (["mode-bits-decide"], [policy], 1, True) == tuple(
        status.policy_status[key] for key in ("names", "files", "rules", "applies")
    )


def test_policies_of_a_directory_and_of_files_hold_together(running_instance: Start, directory: Path) -> None:
    """A forbid rule of one overrides what the other allows."""
    (directory / "d").mkdir(mode=0o755)
    write(directory / "d" / "all.yaml", ALLOW_ALL)
    write(directory / "d" / "all.cases.yaml", "no policy")
    forbid = "version: 1\nname: no-y\nrules:\n  - {id: not-y, effect: forbid, actions: [retrieve], entries: ['y']}\n"
    instance = running_instance(arguments=arguments(directory / "d", write(directory / "y.yaml", forbid)))
    with fdstorefs.connect(instance.mount) as store:
        for name in "xy":
            with open(os.memfd_create(name), "r+b") as file:
                store.stash(name, file)
        store.retrieve("x").close()

        with pytest.raises(fdstorefs.Denied) as caught:
            store.retrieve("y")
        with pytest.raises(PermissionError):
            os.open(f"{instance.mount}/y", os.O_RDONLY)
        assert store.status().policy == "mode-bits-decide,no-y"
    assert caught.value.reason == "forbidden by `not-y`"
    assert caught.value.decision is None


def test_a_policy_for_other_instances_is_not_in_force(running_instance: Start, directory: Path) -> None:
    """Then the built-in default is, and both status and log say so."""
    policy = write(directory / "a.yaml", allowing("a", "**", "instances: [/nowhere/else]"))
    instance = running_instance(arguments=arguments(policy))
    open_to_all(instance)
    said = instance.run([*COMMAND, "--at", instance.mount, "status"]).stdout
    with fdstorefs.connect(instance.mount) as store:
        status = store.status()

    assert get(instance, "x", "daemon").returncode == 4
    assert status.policy_status is not None
    assert (False, ["default"], [policy]) == tuple(
        status.policy_status[key] for key in ("applies", "names", "files")
    )
    assert "none of those given is for this instance" in said
    assert "none of those given is for this instance" in instance.said()


def test_a_policy_knows_an_instance_by_mount_and_owner(running_instance: Start, directory: Path) -> None:
    """One that is for it, beside one that is not."""
    write(directory / "a.yaml", allowing("a", "a", "instances: ['/**/fdstore-*']"))
    write(directory / "b.yaml", allowing("b", "b", f"instances: [{{owner: {os.geteuid()}}}]"))
    write(directory / "c.yaml", allowing("c", "c", f"instances: [{{owner: {os.geteuid() + 1}}}]"))
    instance = running_instance(arguments=arguments(directory))
    with fdstorefs.connect(instance.mount) as store:
        assert store.status().policy == "a,b"


def test_a_policy_that_monitors_refuses_nothing(running_instance: Start, directory: Path) -> None:
    """The status says so."""
    policy = write(directory / "a.yaml", allowing("a", "nothing", "mode: monitor"))
    instance = running_instance(arguments=arguments(policy))
    open_to_all(instance)
    with fdstorefs.connect(instance.mount) as store:
        status = store.status()

    assert get(instance, "x", "daemon").returncode == 0
    assert status.policy_status is not None
    assert status.policy_status["mode"] == "monitor"


@pytest.mark.parametrize("verb", ["serve", "mount", "run"])
@pytest.mark.parametrize("what", ["bad", "shared", "fifo", "missing", "nothing"])
def test_it_does_not_serve_with_a_policy_that_cannot_be_used(
    cast: Cast, directory: Path, verb: str, what: str
) -> None:
    """Exit code 1, everything that is wrong in the user's sight, and nothing mounted."""
    policy, told = directory / "a.yaml", "a.yaml"
    if what == "bad":
        write(policy, NAMELESS_RULE)
        told = f"{policy}:4:5: error: "
    elif what == "shared":
        os.chmod(write(policy, ALLOW_ALL), 0o666)
    elif what == "fifo":
        os.mkfifo(policy)
    elif what == "nothing":
        policy, told = directory, "no policy in the directory"
    mount = cast.directory(None, "fdstore-")
    place = ["--", "true"] if verb == "run" else [mount]
    process = cast.start([*COMMAND, verb, "--policy", str(policy), *place])
    out, err = process.communicate(timeout=30)

    assert (1, "") == (process.returncode, out)
    assert told in err
    assert "fdstorefs: not served" in err
    assert mounted_below(mount) == []


def test_run_passes_its_policy_on(as_user: Callable[..., Process], directory: Path) -> None:
    """A relative path, of a file of root's, into a user namespace where root's files are strangers'."""
    write(directory / "a.yaml", allowing("a", "allowed"))
    script = f"{sys.executable} -m fdstorefs put allowed 0 && {sys.executable} -m fdstorefs put other 0; "
    script += f"{sys.executable} -m fdstorefs status --json"
    relative = os.path.relpath(directory / "a.yaml", os.fspath(Path(__file__).parents[2]))
    process = as_user([*COMMAND, "run", "--policy", relative, "--", "bash", "-c", script])
    out, err = process.communicate(timeout=60)
    status = json.loads(out)

    assert "policy: uid" in err
    assert status["policy"] == "a"
    assert status["policy_status"]["files"] == [str(directory / "a.yaml")]


READ = """
import sys
from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.server.enforcement.policy_files import read_policy_files
try:
    print(len(read_policy_files([sys.argv[1]])))
except PolicyError as error:
    print(error.diagnostics[0].code)
"""


def test_what_is_mounted_read_only_may_have_any_mode(
    user_namespace: Callable[..., Process], cast: Cast
) -> None:
    """Nobody can write to it: that is how a ConfigMap is mounted."""
    policies = cast.directory("daemon", "policies-")
    script = (
        f"mount -t tmpfs -o mode=0777 x {policies} && touch {policies}/a.yaml && chmod 666 {policies}/a.yaml"
    )
    script += f' && "$@" && mount -o remount,bind,ro {policies} && exec "$@"'
    read = [sys.executable, "-c", READ, policies]
    out, err = user_namespace(["bash", "-c", script, "bash", *read]).communicate(timeout=30)

    assert (["unsafe-file", "1"], "") == (out.split(), err)


def test_policies_that_cannot_be_watched_are_not_served(
    user_namespace: Callable[..., Process], cast: Cast, directory: Path
) -> None:
    """A change of them would go unnoticed. The mount is taken away again."""
    policy, mount = write(directory / "a.yaml", ALLOW_ALL), cast.directory("daemon", "fdstore-")
    script = f"echo 0 > /proc/sys/user/max_inotify_instances && {sys.executable} -m fdstorefs serve"
    script += f" --policy {policy} {mount}; echo $?; grep -c {mount} /proc/self/mountinfo"
    process = user_namespace(["bash", "-c", script])
    out, err = process.communicate(timeout=30)

    assert ["1", "0"] == out.split()
    assert "fdstorefs: cannot watch the policies: " in err
    assert "max_user_instances" in err


@pytest.mark.parametrize(
    "arguments", [["--audit", "elsewhere"], ["--audit", "file:"], ["--audit-fsync", "now"]]
)
def test_an_audit_log_that_cannot_be_meant_is_a_wrong_usage(cast: Cast, arguments: list[str]) -> None:
    """Exit code 2, and what could be."""
    process = cast.start([*COMMAND, "serve", *arguments, "/nowhere"])
    _, err = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "hint: " in err


def test_mount_passes_policy_and_audit_on(cast: Cast, directory: Path) -> None:
    """Relative paths are those of the caller, who is shown the warnings."""
    write(directory / "a.yaml", ALLOW_ALL)
    mount = cast.directory(None, "fdstore-")
    argv = [*COMMAND, "mount", "--policy", "a.yaml", "--audit", "file:audit.jsonl", mount]
    process = cast.start(argv, cwd=directory)
    _, err = process.communicate(timeout=30)
    with fdstorefs.connect(mount) as store:
        status = store.status()
    subprocess.run([*COMMAND, "umount", mount], check=True, timeout=30)

    assert process.returncode == 0
    assert "warning: `everybody` can lend power" in err
    assert status.policy == "mode-bits-decide"
    assert [f"file:{directory}/audit.jsonl"] == [target["target"] for target in status.audit]


def test_limits_of_a_policy_hold_at_both_doors(running_instance: Start, directory: Path) -> None:
    """The least of what policies and options say; EDQUOT is what one gets."""
    write(directory / "a.yaml", allowing("a", "**", "limits: {entries: 3}"))
    write(directory / "b.yaml", allowing("b", "**", "limits: {entries: 7, entries-per-uid: 2}"))
    instance = running_instance(arguments=[*arguments(directory), "--entries-per-uid", "3"])
    with fdstorefs.connect(instance.mount) as store:
        store.stash_many({"x": 0, "y": 0})
        with pytest.raises(fdstorefs.QuotaExceeded) as through_socket:
            store.stash("z", 0)
    with pytest.raises(OSError, match="quota") as through_mount:
        os.open(f"{instance.mount}/z", os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    assert through_socket.value.errno == errno.EDQUOT
    assert through_mount.value.errno == errno.EDQUOT


def records(path: Path) -> list[dict[str, object]]:
    """What is in an audit log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_denied_is_on_record_under_the_id_that_the_client_is_told(
    running_instance: Start, directory: Path
) -> None:
    """By the library, and by the command; the log begins and ends with the server."""
    policy = write(directory / "a.yaml", allowing("a", "seen", actions="list, stash"))
    log = directory / "audit.jsonl"
    instance = running_instance(arguments=[*arguments(policy), "--audit", f"file:{log}"])
    with fdstorefs.connect(instance.mount) as store:
        store.stash("seen", 0)
        with pytest.raises(fdstorefs.Denied) as caught:
            store.retrieve("seen")
    said = instance.run([*COMMAND, "--at", instance.mount, "rm", "seen"]).stderr
    instance.stop()
    found = records(log)
    denials = [record for record in found if record.get("verdict") == "deny"]

    assert ["start", "policy-load"] == [record["type"] for record in found[:2]]
    assert found[-1]["type"] == "stop"
    assert [("retrieve", "no-rule"), ("discard", "no-rule")] == [
        (denial["action"], denial["reason"]) for denial in denials
    ]
    assert caught.value.decision == denials[0]["id"]
    assert f"on record: {denials[1]['id']}" in said


def test_an_audit_log_that_cannot_be_kept_keeps_the_server_from_serving(cast: Cast) -> None:
    """It was asked for."""
    mount = cast.directory(None, "fdstore-")
    process = cast.start([*COMMAND, "serve", "--audit", "file:/nowhere/at/all.jsonl", mount])
    _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "cannot keep an audit log" in err
    assert mounted_below(mount) == []


def test_that_no_audit_log_is_kept_is_said_once(running_instance: Start) -> None:
    """At the start."""
    instance = running_instance()

    assert instance.said().count("no audit log is kept") == 1

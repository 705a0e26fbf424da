"""An instance can be mounted by root, in a user namespace without privilege, and through fusermount3."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mount.cast import ORDINARY_USER, Cast, Process, mounted_below
from tests.mount.instance import Instance

TINY_SERVER = [sys.executable, "-m", "tests.mount.tiny_server"]
IN_MOUNT_NAMESPACE = ["unshare", "--mount", "--", "sh", "-c"]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to become several users")


@dataclass(frozen=True)
class Way:
    """Who mounts, in whose namespaces, and the method that it comes to."""

    user: str | None
    namespace: bool
    method: str


AS_ROOT = pytest.param(Way(None, False, "mount"), id="as root", marks=needs_root)
IN_NAMESPACE = pytest.param(Way(ORDINARY_USER, True, "mount"), id="in a user namespace")
BY_FUSERMOUNT = pytest.param(Way(ORDINARY_USER, False, "fusermount3"), id="through fusermount3")
every_way = pytest.mark.parametrize("way", [AS_ROOT, IN_NAMESPACE, BY_FUSERMOUNT])


class Tiny:
    """Starts tiny FUSE servers and reads what each reports."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast

    def serve(self, way: Way, manner: str = "", mount: str | None = None) -> tuple[Instance, dict[str, Any]]:
        """Start one that stays, and return it with its report."""
        path = mount or self.cast.directory(way.user, "mount-")
        process = self.start([*TINY_SERVER, path, *([manner] if manner else [])], way)
        assert process.stdout is not None
        report = json.loads(process.stdout.readline() or "{}")
        return Instance(path, process, way.user, way.namespace, self.cast, process.stdout), report

    def start(self, argv: Sequence[str], way: Way) -> Process:
        """Start a command that mounts."""
        unsharing = ["unshare", "--user", "--map-root-user", "--mount", "--"] if way.namespace else []
        command = self.cast.command([*unsharing, *argv], way.user)
        return self.cast.start(command, stdin=subprocess.PIPE)


@pytest.fixture
def tiny(cast: Cast) -> Tiny:
    """See `Tiny`."""
    return Tiny(cast)


def error_of(process: Process) -> dict[str, str]:
    """The error that a tiny server ended with."""
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1, out + err
    error: dict[str, str] = json.loads(out)
    return error


def stat_inside(instance: Instance, user: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Ask for the device and type of the mounted root from another process."""
    return instance.run(["stat", "--format=%d %F", instance.mount], user=user)


@every_way
def test_it_is_mounted_and_answers(tiny: Tiny, way: Way) -> None:
    """The mount uses the expected method, and its files have the device number that it reports."""
    instance, report = tiny.serve(way)

    assert way.method == report["method"]
    assert f"{report['device']} directory\n" == stat_inside(instance).stdout


@every_way
def test_the_device_is_ready_for_an_event_loop(tiny: Tiny, way: Way) -> None:
    """The /dev/fuse descriptor doesn't block and isn't inherited by programs that the server starts."""
    _, report = tiny.serve(way)

    assert report["blocking"] is False
    assert report["inheritable"] is False


@needs_root
def test_in_a_namespace_nobody_outside_sees_it(tiny: Tiny) -> None:
    """A mount made in a user namespace is not in the mount table outside."""
    instance, _ = tiny.serve(Way(ORDINARY_USER, True, "mount"))

    assert [] == mounted_below(instance.mount)


@needs_root
def test_everybody_gets_into_what_root_mounts(tiny: Tiny) -> None:
    """Another user reaches a mount made by root: who may do what there is up to the store."""
    instance, _ = tiny.serve(Way(None, False, "mount"), mount=tiny.cast.directory(ORDINARY_USER, "mount-"))

    assert 0 == stat_inside(instance, ORDINARY_USER).returncode


@every_way
def test_a_symbolic_link_to_the_mount_point_is_followed(tiny: Tiny, way: Way) -> None:
    """The path that comes back is the one that the mount table has."""
    real = tiny.cast.directory(way.user, "mount-")
    link = f"{real}-link"
    os.symlink(real, link)

    _, report = tiny.serve(way, mount=link)

    assert real == report["path"]


@every_way
def test_a_second_instance_on_the_same_directory_is_refused(tiny: Tiny, way: Way) -> None:
    """Whoever mounts where an instance serves is told so, and what to do instead."""
    instance, _ = tiny.serve(way)

    error = error_of(instance.popen([*TINY_SERVER, instance.mount]))

    assert f"an instance is mounted at `{instance.mount}` already" == error["message"]
    assert f"fdstorefs umount {instance.mount}" in error["hint"]


def test_an_instance_that_is_stuck_does_not_hold_up_the_second_one(tiny: Tiny) -> None:
    """A server that never answers is reported as such, after a while."""
    instance, _ = tiny.serve(Way(ORDINARY_USER, False, "fusermount3"), "--mute")

    error = error_of(instance.popen([*TINY_SERVER, instance.mount]))

    assert "didn't answer within" in error["message"]


def test_a_dead_mount_is_recognised_and_can_be_taken_away(tiny: Tiny) -> None:
    """After a server was killed, mounting again says how to clean up, and then works."""
    way = Way(ORDINARY_USER, False, "fusermount3")
    instance, _ = tiny.serve(way)
    instance.stop(signal.SIGKILL)

    error = error_of(tiny.start([*TINY_SERVER, instance.mount], way))
    unmount = unmounting(instance.mount, lazy=True)
    cleaned = tiny.start(unmount, way)
    cleaned.communicate(timeout=30)
    _, report = tiny.serve(way, mount=instance.mount)

    assert "its server has ended (transport endpoint is not connected)" in error["message"]
    assert f"`fdstorefs umount --lazy {instance.mount}`" in error["hint"]
    assert 0 == cleaned.returncode
    assert instance.mount == report["path"]


def test_a_missing_mount_point(tiny: Tiny, home: str) -> None:
    """The error says how to make the directory."""
    error = error_of(tiny.start([*TINY_SERVER, f"{home}/nowhere"], Way(ORDINARY_USER, False, "")))

    assert f"the mount point `{home}/nowhere` does not exist" == error["message"]
    assert f"make it: `mkdir -p {home}/nowhere`" == error["hint"]


def test_a_mount_point_that_is_a_file(tiny: Tiny, home: str) -> None:
    """The error says that a directory is wanted."""
    Path(home, "file").touch()

    error = error_of(tiny.start([*TINY_SERVER, f"{home}/file"], Way(ORDINARY_USER, False, "")))

    assert f"the mount point `{home}/file` is not a directory" == error["message"]


@needs_root
def test_a_mount_point_behind_a_closed_directory(tiny: Tiny) -> None:
    """The error says that the path can't be reached, not that it doesn't exist."""
    inside = tiny.cast.directory(None, "closed-")

    error = error_of(tiny.start([*TINY_SERVER, inside], Way(ORDINARY_USER, False, "")))

    assert f"cannot reach `{inside}`: permission denied" == error["message"]


def test_a_mount_point_of_somebody_else(tiny: Tiny) -> None:
    """Outside a namespace users mount over directories of theirs; the error names the owner."""
    error = error_of(tiny.start([*TINY_SERVER, "/usr"], Way(ORDINARY_USER, False, "")))

    assert "you may not mount over `/usr`: it belongs to `root`" == error["message"]
    assert "fdstorefs run" in error["hint"]


def test_a_machine_without_dev_fuse(tiny: Tiny, home: str) -> None:
    """The error names the device, and how root or a container gets one."""
    hiding = f"mount -t tmpfs none /dev && exec {' '.join(TINY_SERVER)} {home}"

    error = error_of(tiny.start(["sh", "-c", hiding], Way(ORDINARY_USER, True, "")))

    assert "there is no /dev/fuse" == error["message"]
    assert "modprobe fuse" in error["hint"]


def test_dev_fuse_closed_to_ordinary_users(tiny: Tiny, home: str) -> None:
    """The error says how root opens the device."""
    closing = f"mount --bind /etc/shadow /dev/fuse && exec {' '.join(TINY_SERVER)} {home}"

    error = error_of(tiny.start(["sh", "-c", closing], Way(ORDINARY_USER, True, "")))

    assert "cannot open /dev/fuse: permission denied" == error["message"]
    assert "chmod 666 /dev/fuse" in error["hint"]


@needs_root
def test_a_machine_without_fusermount3(tiny: Tiny) -> None:
    """The error names the package, and the way that needs none."""
    mount = tiny.cast.directory(ORDINARY_USER, "mount-")
    hiding = "mount --bind /dev/null $(command -v fusermount3) && exec " + " ".join(
        tiny.cast.command([*TINY_SERVER, mount], ORDINARY_USER)
    )

    error = error_of(tiny.cast.start([*IN_MOUNT_NAMESPACE, hiding]))

    assert error["message"].endswith("you aren't root, and there is no fusermount3")
    assert "`fuse3`" in error["hint"]
    assert "`fdstorefs run -- COMMAND`" in error["hint"]


def test_what_fusermount3_says_is_passed_on(tiny: Tiny, home: str) -> None:
    """Without capabilities in a user namespace fusermount3 has no power; its words are in the error."""
    powerless = ["unshare", "--user", "--map-current-user", "--mount", "--", *TINY_SERVER, home]

    error = error_of(tiny.start(powerless, Way(ORDINARY_USER, False, "")))

    assert "fusermount3 refused: mount failed: Operation not permitted" in error["message"]


def unmounting(path: str, *, lazy: bool = False) -> list[str]:
    """A command that calls `unmount` and prints an error as JSON."""
    program = (
        "import json, sys; from fdstorefs.server.mounting import MountError, unmount\n"
        f"try: unmount(sys.argv[1], lazy={lazy})\n"
        "except MountError as e: sys.exit(print(json.dumps({'message': e.message, 'hint': e.hint})) or 1)"
    )
    return [sys.executable, "-c", program, path]


@every_way
def test_unmounting_ends_the_server(tiny: Tiny, way: Way) -> None:
    """Whoever mounted may unmount, and the server's device tells it so."""
    instance, _ = tiny.serve(way)

    done = instance.run(unmounting(instance.mount))
    assert instance.process.stdin is not None
    instance.process.stdin.close()

    assert 0 == done.returncode, done.stdout + done.stderr
    assert 0 == instance.process.wait(10)


@every_way
def test_a_server_unmounts_itself_without_answering(tiny: Tiny, way: Way) -> None:
    """Unmounting asks the server nothing, so the one thread that would answer may do it."""
    mount = tiny.cast.directory(way.user, "mount-")
    program = (
        "import sys; from fdstorefs.server.mounting import mount_instance, mounted_at, unmount\n"
        "mounted = mount_instance(sys.argv[1]); unmount(sys.argv[1]); print(mounted_at(sys.argv[1]))"
    )

    out, err = tiny.start([sys.executable, "-c", program, mount], way).communicate(timeout=20)

    assert ("None\n", "") == (out, err)


@every_way
def test_a_busy_mount_stays_and_its_holder_is_named(tiny: Tiny, way: Way) -> None:
    """A process that works in the mount keeps it; lazily it goes all the same."""
    instance, _ = tiny.serve(way)
    holder = instance.popen(
        ["sh", "-c", f"cd {instance.mount} && echo there && read line"], stdin=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert "there\n" == holder.stdout.readline()

    busy = instance.run(unmounting(instance.mount))
    lazily = instance.run(unmounting(instance.mount, lazy=True))

    error = json.loads(busy.stdout)
    assert f"`{instance.mount}` is busy: in use by `sh` (pid {holder.pid})" == error["message"]
    assert f"fdstorefs umount --lazy {instance.mount}" in error["hint"]
    assert 0 == lazily.returncode, lazily.stdout + lazily.stderr


def test_nothing_is_unmounted_where_nothing_is_mounted(tiny: Tiny, home: str) -> None:
    """The error says so."""
    error = error_of(tiny.start(unmounting(home), Way(ORDINARY_USER, False, "")))

    assert f"nothing is mounted at `{home}`" == error["message"]


def test_other_file_systems_are_left_alone(tiny: Tiny) -> None:
    """A mount that is no instance isn't unmounted, whoever asks."""
    error = error_of(tiny.start(unmounting("/proc"), Way(ORDINARY_USER, True, "")))

    assert "`/proc` is no instance but a mount of type `proc`" == error["message"]

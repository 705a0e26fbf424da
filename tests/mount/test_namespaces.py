"""An ordinary user gets a user and mount namespace, and a mount point in it wherever one is wanted."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.mount.cast import Process, mounted_below

ENTER = "from fdstorefs.server.namespaces import *; import os, subprocess, sys, threading\n"
REPORT_ERROR = (
    "import sys; sys.excepthook = lambda kind, error, trace: print(error.message, error.hint, sep='\\n')\n"
)

AsUser = Callable[..., Process]


def python(*lines: str) -> list[str]:
    """A program that has everything in `namespaces`, and prints an error's message and hint."""
    return [sys.executable, "-c", REPORT_ERROR + ENTER + "\n".join(lines)]


def output_of(process: Process) -> list[str]:
    """The lines that a program printed; it must have kept quiet on standard error."""
    out, err = process.communicate(timeout=30)
    assert "" == err
    return out.splitlines()


def test_the_user_stays_who_it_is(as_user: AsUser) -> None:
    """Without `map_root` ids are the same inside and out."""
    program = python("enter_new_user_namespace()", "print(os.getuid(), os.getgid())")

    inside = output_of(as_user(program))

    assert output_of(as_user(["sh", "-c", "echo $(id -u) $(id -g)"])) == inside


def test_the_user_becomes_root_when_asked(as_user: AsUser) -> None:
    """With `map_root` the user is root inside, and powerful enough to mount."""
    program = python(
        "enter_new_user_namespace(map_root=True)",
        "subprocess.run(['mount', '-t', 'tmpfs', 'none', '/mnt'], check=True)",
        "print(os.getuid(), os.getgid(), os.path.ismount('/mnt'))",
    )

    assert ["0 0 True"] == output_of(as_user(program))


def test_groups_stay_as_they_are(as_user: AsUser) -> None:
    """Nobody inside may drop a group: a group can be what keeps somebody out."""
    program = python(
        "enter_new_user_namespace(map_root=True)",
        "print(open('/proc/self/setgroups').read().strip())",
    )

    assert ["deny"] == output_of(as_user(program))


def test_mounts_made_inside_stay_inside(as_user: AsUser, home: str) -> None:
    """What is mounted in the namespace is in nobody else's mount table."""
    program = python(
        "enter_new_user_namespace(map_root=True)",
        f"subprocess.run(['mount', '-t', 'tmpfs', 'none', {home!r}], check=True)",
        "print('mounted', flush=True)",
        "sys.stdin.read()",
    )
    process = as_user(program, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert "mounted\n" == process.stdout.readline()

    assert [] == mounted_below(home)


def test_user_namespaces_switched_off(user_namespace: AsUser) -> None:
    """The error names the sysctl that forbids them, and how root changes it."""
    program = python("enter_new_user_namespace()")
    switched_off = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'

    said = output_of(user_namespace(["sh", "-c", switched_off, "sh", *program]))

    assert "user namespaces are switched off here: `user.max_user_namespaces` is 0" == said[0]
    assert "as root: `sysctl user.max_user_namespaces=10000`" == said[1]


def test_too_many_user_namespaces(user_namespace: AsUser) -> None:
    """A limit that is merely reached isn't called a switch."""
    program = python("enter_new_user_namespace()", "enter_new_user_namespace()")
    limited = 'echo 1 >/proc/sys/user/max_user_namespaces; exec "$@"'

    said = output_of(user_namespace(["sh", "-c", limited, "sh", *program]))

    assert "there are too many user namespaces, or they are nested too deep" == said[0]


def test_a_process_with_threads_is_told_why_it_cannot(as_user: AsUser) -> None:
    """The kernel only says EINVAL; the error says that threads are the reason."""
    program = python(
        "threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "enter_new_user_namespace()",
    )

    said = output_of(as_user(program))

    assert "a process with several threads can't enter a new user namespace" == said[0]


def test_a_mount_point_is_made_with_all_that_leads_to_it(as_user: AsUser, home: str) -> None:
    """Where the user may write, directories are just made, and stay."""
    program = python("enter_new_user_namespace()", f"ensure_mount_point({home + '/a/b/c'!r})")

    said = output_of(as_user(program))

    assert [] == said
    assert Path(home, "a/b/c").is_dir()


def test_a_mount_point_in_a_directory_of_roots(as_user: AsUser) -> None:
    """A name in /run appears in the namespace only, and everything else in /run is what it was."""
    path = f"/run/mount-point-of-{os.getpid()}"
    program = python(
        "def run(): return {n: (s.st_dev, s.st_ino) for n in os.listdir('/run')"
        f" for s in [os.stat('/run/' + n)] if '/run/' + n != {path!r}}}",
        "before = run()",
        "enter_new_user_namespace()",
        f"ensure_mount_point({path!r})",
        f"print(before == run(), os.listdir({path!r}), os.access({path!r}, os.W_OK))",
    )

    said = output_of(as_user(program))

    assert ["True [] True"] == said
    assert not os.path.lexists(path)


def test_symbolic_links_survive_beside_a_mount_point(as_user: AsUser, user_namespace: AsUser) -> None:
    """A covered directory shows its links as links."""
    program = python(
        "os.symlink('/nowhere', '/mnt/link')",
        "os.mkdir('/mnt/closed', 0o555)",
        "open('/mnt/file', 'w').write('text')",
        "open_up('/mnt')",
        "print(os.readlink('/mnt/link'), open('/mnt/file').read(), oct(os.stat('/mnt/closed').st_mode))",
    )
    scratch = 'mount -t tmpfs none /mnt && exec "$@"'

    said = output_of(user_namespace(["sh", "-c", scratch, "sh", *program]))

    assert ["/nowhere text 0o40555"] == said


def test_only_what_is_kept_stays_in_sight(user_namespace: AsUser) -> None:
    """A directory opened for the sake of one child doesn't show the others."""
    program = python(
        "os.mkdir('/mnt/kept'); os.mkdir('/mnt/secret')",
        "open_up('/mnt', ['kept'])",
        "print(os.listdir('/mnt'))",
    )
    scratch = 'mount -t tmpfs none /mnt && exec "$@"'

    said = output_of(user_namespace(["sh", "-c", scratch, "sh", *program]))

    assert ["['kept']"] == said


def test_an_instance_from_outside_is_covered_not_asked(user_namespace: AsUser, home: str) -> None:
    """A namespace inherits the mounts from outside; its own instance takes the place of a mounted one."""
    program = python(
        "from fdstorefs.server.mounting import mount_instance, mounted_at",
        f"first = mount_instance({home!r})",
        f"ensure_mount_point({home!r})",
        f"print(os.listdir({home!r}))",
        f"second = mount_instance({home!r})",
        f"print(mounted_at({home!r}).device == second.device != first.device)",
    )

    assert ["[]", "True"] == output_of(user_namespace(program))


def test_a_mount_point_that_is_a_file(as_user: AsUser, home: str) -> None:
    """What is no directory can't become a mount point."""
    Path(home, "file").touch()
    program = python("enter_new_user_namespace()", f"ensure_mount_point({home + '/file'!r})")

    said = output_of(as_user(program))

    assert f"cannot make the mount point `{home}/file`: file exists" == said[0]

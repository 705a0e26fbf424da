"""A new program that does not come up, or cannot go on: the old server serves on, says why, and nobody notices."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.test_mounting import needs_root
from tests.mount.upgrade.programs import FORMAT, SECONDS, Changes, Installed, facts, is_same
from tests.mount.waiting import wait_for

SHORT: Changes = {
    "server/upgrading/outgoing.py": ("PREPARING_SECONDS = 30.0", "PREPARING_SECONDS = 4.0"),
}
"""An old program with less patience."""

SUCCEEDING = "server/upgrading/succeeding.py"
PREPARED = '    talk.say_much("prepared"'
BUILT = '    if prepared.choice.line is not None:\n        talk.say("built")'

BROKEN: list[tuple[str, Changes, str]] = [
    ("a syntax error", {"keeper/wire.py": ("VERSION = 1", "VERSION = = 1")}, "SyntaxError"),
    (
        "a module that is missing",
        {SUCCEEDING: ("import logging\n", "import no_such_module\n")},
        "no_such_module",
    ),
    (
        "an older format",
        {"server/keeping/frames.py": ("MAJOR, MINOR = 2, 0", "MAJOR, MINOR = 1, 9")},
        "format 2",
    ),
    ("another table", {"keeper/program.py": ("FORMAT = 1", "FORMAT = 2")}, "format 1, not 2"),
    (
        "another conversation",
        {"server/upgrading/talk.py": ("VERSION = 1", "VERSION = 2")},
        "version 1 of the handover",
    ),
    ("it ends at once", {"keeper/succession.py": ("    raise_limit()\n", "    os._exit(3)\n")}, "has ended"),
    ("it ends when it has prepared", {SUCCEEDING: (PREPARED, f"    os._exit(3)\n{PREPARED}")}, "has ended"),
    (
        "it fails when it has everything",
        {SUCCEEDING: (BUILT, f'    raise OSError(5, "no luck")\n{BUILT}')},
        "no luck",
    ),
    (
        "it is killed when it has everything",
        {SUCCEEDING: (BUILT, f"    os.kill(os.getpid(), 9)\n{BUILT}")},
        "has ended",
    ),
    (
        "it never prepares",
        {SUCCEEDING: (PREPARED, f"    time.sleep(600)\n{PREPARED}")},
        "has not come up within 4",
    ),
    (
        "it never takes over",
        {SUCCEEDING: (BUILT, f"    time.sleep(600)\n{BUILT}")},
        "not taken over within 5",
    ),
]


@contextmanager
def used(mount: str) -> Iterator[Callable[[], int]]:
    """Somebody uses it all the while, through both doors, and is never refused anything. How often, can be asked."""
    over, problems, count = threading.Event(), [], [0]

    def use() -> None:
        try:
            with fdstorefs.connect(mount) as store:
                while not over.is_set():
                    store.stash("used", 0)
                    assert "used" in os.listdir(mount)
                    os.unlink(f"{mount}/used")
                    count[0] += 1
        except Exception as error:  # noqa: BLE001  that is what is looked for
            problems.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        yield lambda: count[0]
    finally:
        over.set()
        thread.join(SECONDS)
    assert not problems
    assert count[0]


def refused(installed: Installed) -> str:
    """An upgrade that is refused. Returns what is said."""
    done = installed.upgrade()

    assert (1, "") == (done.returncode, done.stdout)
    return done.stderr


@pytest.mark.parametrize(("changes", "why"), [pytest.param(*each[1:], id=each[0]) for each in BROKEN])
def test_the_old_server_serves_on(installed: Installed, changes: Changes, why: str) -> None:
    """With everything; the answer says what is wrong, and a program that is whole then takes over."""
    installed.install("1.0", SHORT if "within 4" in why else None)
    store = installed.start()
    descriptor = os.memfd_create("a")
    store.stash("a", descriptor, label="kept")
    before, status = facts(store), store.status()
    installed.install("2.0", changes)
    with used(installed.mount):
        said = refused(installed)
    now = store.status()

    assert "the old server goes on" in said
    assert why in said
    assert (status.pid, status.keeper, "1.0", 0) == (now.pid, now.keeper, now.version, now.restarts)
    assert before == facts(store)
    installed.install("3.0")
    with used(installed.mount):
        assert "3.0" == store.upgrade().version
    assert before == facts(store)
    assert is_same(store, "a", descriptor)


def test_the_old_one_is_named_that_reads_the_journal(installed: Installed) -> None:
    """A program that is older says which version has written what it cannot read."""
    installed.install("2.0", FORMAT)
    installed.start()
    installed.install("1.0")

    assert "version 2.0 wrote it" in refused(installed)


def test_nobody_is_left_of_a_program_that_hung(installed: Installed) -> None:
    """The keeper ends it."""
    installed.install("1.0", SHORT)
    store = installed.start()
    keeper = store.status().keeper
    installed.install("2.0", {SUCCEEDING: (PREPARED, f"    time.sleep(600)\n{PREPARED}")})
    refused(installed)

    wait_for(
        lambda: len(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()) == 2,
        SECONDS,
        "server and spare alone",
    )


def test_a_policy_that_is_broken_meanwhile(installed: Installed) -> None:
    """What is in force stays in force, with the old server."""
    policy = installed.directory / "policy.yaml"
    policy.write_text((Path(__file__).parents[3] / "examples/policies/everything.yaml").read_text())
    store = installed.start("--policy", str(policy))
    pid = store.status().pid
    policy.write_text("what: is this\n")
    installed.install("2.0")
    said = refused(installed)

    assert "errors in the policies" in said
    assert pid == store.status().pid


def test_an_audit_log_that_cannot_be_kept(installed: Installed) -> None:
    """A server that is to keep one does not serve without it, so the one that has it open goes on."""
    directory = installed.directory / "audit"
    directory.mkdir()
    store = installed.start("--audit", f"file:{directory}/log")
    pid = store.status().pid
    directory.rename(installed.directory / "elsewhere")
    installed.install("2.0")

    assert "cannot keep an audit log" in refused(installed)
    assert pid == store.status().pid


def test_one_at_a_time(installed: Installed) -> None:
    """Who asks while an upgrade is under way is told so."""
    store = installed.start()
    installed.install("2.0", {SUCCEEDING: (PREPARED, installed.stopping_before(PREPARED))})
    first = threading.Thread(target=installed.upgrade)
    first.start()
    installed.await_words("a new program has been started")
    with pytest.raises(fdstorefs.Busy, match="under way already"):
        store.upgrade()
    installed.let_through()
    first.join()

    assert "2.0" == store.status().version


def test_there_is_no_keeper(installed: Installed) -> None:
    """Who would start the new program?"""
    installed.start("--no-keeper")

    assert "no keeper" in refused(installed)


@needs_root
def test_only_for_who_runs_it(installed: Installed, as_user: "Callable[..., subprocess.Popen[str]]") -> None:
    """Others may use it, and not replace its server."""
    store = installed.start()
    for directory in (installed.directory, installed.directory.parent):
        os.chmod(directory, 0o755)
    argv = [sys.executable, "-m", "fdstorefs", "upgrade", "--at", installed.mount]
    process = as_user(argv, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=SECONDS)

    assert 3 == process.returncode
    assert re.search("uid [0-9]+ may not upgrade this instance: uid 0 runs it", str(said))
    assert "1.0" == store.status().version


def test_the_terminal_hangs_up(installed: Installed) -> None:
    """That is no wish for an upgrade: what runs in the foreground ends with its terminal."""
    ours, its = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(installed.directory / "current")}
    argv = ["setsid", "--ctty", "--wait", sys.executable, "-m", "fdstorefs", "serve", installed.mount]
    process = subprocess.Popen(argv, cwd="/", env=environment, stdin=its, stdout=its, stderr=its)
    os.close(its)
    wait_for(lambda: b"serving" in os.read(ours, 4096), SECONDS, "a server")
    keeper = fdstorefs.connect(installed.mount).status().keeper
    assert keeper is not None
    os.close(ours)
    with suppress(ProcessLookupError):
        os.kill(keeper, signal.SIGHUP)
    process.wait(SECONDS)

    wait_for(lambda: not os.path.ismount(installed.mount), SECONDS, "the end")

"""Entries that may not be listed don't exist for that user, at either door of a running instance."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fdstorefs
from tests.mount.cast import ORDINARY_USER, Cast
from tests.mount.instance import Instance
from tests.mount.policies import arguments, write

POLICY = """\
version: 1
name: hiding
sets:
  other: {uid: [USER]}
rules:
  - {id: everything, effect: allow, actions: [all]}
  - {id: not-hidden, effect: forbid, actions: [list], entries: ["**/hidden*"], subject: {set: other}}
"""
NOTHING, HIDDEN = "nothing", "hidden"

CLIENT = """
import errno, json, os, socket, sys
import fdstorefs

mount = sys.argv[1]

def code(function, *arguments):
    try:
        return [None, function(*arguments)]
    except OSError as error:
        message = str(getattr(error, "message", ""))
        known = [getattr(error, "hint", None), getattr(error, "reason", None), getattr(error, "decision", None)]
        return [errno.errorcode.get(error.errno, str(error.errno)), message, *known]

def path(name):
    return f"{mount}/{name}"

def create(name, flags):
    os.close(os.open(path(name), flags | os.O_CREAT | os.O_WRONLY, 0o600))

"""

IN_THE_MOUNT = """
def everything(name):
    return {
        "stat": code(os.stat, path(name)),
        "open": code(os.open, path(name), os.O_RDONLY),
        "open to stash": code(os.open, path(name), os.O_WRONLY),
        "open a path": code(os.open, path(name), os.O_PATH),
        "unlink": code(os.unlink, path(name)),
        "rmdir": code(os.rmdir, path(name)),
        "rename": code(os.rename, path(name), path("z")),
        "link": code(os.link, path(name), path("z")),
        "listdir": code(os.listdir, path(name)),
        "below": code(os.stat, path(name + "/x")),
        "kind": code(os.getxattr, path(name), "user.fdstorefs.kind"),
        "attributes": code(os.listxattr, path(name)),
        "label": code(os.setxattr, path(name), "user.fdstorefs.label", b"x"),
        "fd": code(os.setxattr, path(name), "user.fdstorefs.fd", b"0"),
        "chmod": code(os.chmod, path(name), 0o777),
        "access": os.access(path(name), os.F_OK),
    }

def in_the_way(name):
    return {
        "create": code(create, name, 0)[0],
        "create alone": code(create, name, os.O_EXCL)[0],
        "mkdir": code(os.mkdir, path(name))[0],
        "rename onto": code(os.rename, path("mine"), path(name))[0],
        "link onto": code(os.link, path("mine"), path(name))[0],
    }

create("mine", 0)
print(json.dumps({
    "listing": sorted(os.listdir(mount)),
    "scan": sorted(entry.name for entry in os.scandir(mount)),
    "hidden": everything("hidden"),
    "hidden box": everything("hidden box"),
    "nothing": everything("nothing"),
    "in the way": in_the_way("hidden"),
    "in the way of a box": in_the_way("hidden box"),
    "rmdir": code(os.rmdir, path("box"))[0],
    "links": [os.stat(path("seen")).st_nlink, os.stat(mount).st_nlink],
    "counted": os.statvfs(mount).f_files - os.statvfs(mount).f_ffree,
}))
"""

OVER_THE_SOCKET = """
store = fdstorefs.connect(mount)

def everything(name):
    return {
        "retrieve": code(store.retrieve, name),
        "take": code(store.take, name),
        "discard": code(store.discard, name),
        "describe": code(store.describe, name),
        "rename": code(store.rename, name, "z"),
        "link": code(store.link, name, "z"),
        "remove box": code(store.remove_box, name),
        "seal": code(store.seal, name),
        "unseal": code(store.unseal, name),
        "below": code(store.retrieve, name + "/x"),
    }

def in_the_way(name):
    return {
        "stash": code(store.stash, name, 0)[0],
        "rename onto": code(store.rename, "mine", name)[0],
        "link onto": code(store.link, "mine", name)[0],
        "make box": code(store.make_box, name)[0],
    }

store.stash("mine", 0)
status = store.status()
print(json.dumps({
    "listing": [entry.name for entry in store.list()],
    "hidden": everything("hidden"),
    "hidden box": everything("hidden box"),
    "nothing": everything("nothing"),
    "in the way": in_the_way("hidden"),
    "in the way of a box": in_the_way("hidden box"),
    "links": [entry.links for entry in store.list() if entry.name == "seen"],
    "counted": [status.entries, status.descriptors],
}))
"""


@pytest.fixture
def instance(running_instance: Callable[..., Instance], cast: Cast) -> Instance:
    """An instance in which root keeps what the ordinary user may not know of."""
    if os.geteuid() != 0:
        pytest.skip("one user's entries and another's requests take root")
    directory = Path(cast.directory(None, "policies-"))
    policy = write(directory / "p.yaml", POLICY.replace("USER", ORDINARY_USER))
    log = f"file:{directory / 'audit.jsonl'}"
    made = running_instance(arguments=[*arguments(policy), "--audit", log])
    for way in (os.path.dirname(made.mount), made.mount):
        os.chmod(way, 0o777)
    with fdstorefs.connect(made.mount) as store:
        store.stash("hidden", 0, mode=0o666)
        store.stash("seen", 0, mode=0o666)
        store.link("seen", "hidden too")
        store.make_box("hidden box", mode=0o777)
        store.make_box("box", mode=0o777)
        store.stash("box/hidden", 0, mode=0o666)
    return made


def told(instance: Instance, code: str) -> dict[str, Any]:
    """What a client of the ordinary user finds out."""
    ran = instance.run(
        [sys.executable, "-c", CLIENT + code, instance.mount], user=ORDINARY_USER, env={**os.environ}
    )
    assert (0, "") == (ran.returncode, ran.stderr)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def nameless(answers: dict[str, Any], name: str) -> str:
    """Answers with the name that they are about left out."""
    return json.dumps(answers).replace(name, "NAME")


def test_in_the_mount(instance: Instance) -> None:
    """Every system call says what it says of a name that stands for nothing."""
    found = told(instance, IN_THE_MOUNT)

    assert [".fdstore", "box", "mine", "seen"] == found["listing"] == found["scan"]
    assert nameless(found[NOTHING], NOTHING) == nameless(found[HIDDEN], HIDDEN)
    assert nameless(found[NOTHING], NOTHING) == nameless(found["hidden box"], "hidden box")
    assert {"ENOENT"} == {answer[0] for answer in found[HIDDEN].values() if isinstance(answer, list)}


def test_in_the_way_in_the_mount(instance: Instance) -> None:
    """What can't be made for what is there can't be made for a reason that isn't told."""
    found = told(instance, IN_THE_MOUNT)

    assert {"EACCES"} == set(found["in the way"].values()) | set(found["in the way of a box"].values())
    assert "ENOTEMPTY" == found["rmdir"]


def test_counts_in_the_mount(instance: Instance) -> None:
    """Links that may not be listed, boxes, and others' entries are not counted."""
    found = told(instance, IN_THE_MOUNT)

    assert [1, 1] == found["links"]
    assert 1 == found["counted"]


def test_over_the_socket(instance: Instance) -> None:
    """Every method, word for word, and without the number of a record."""
    found = told(instance, OVER_THE_SOCKET)

    assert ["box", "mine", "seen"] == found["listing"]
    assert nameless(found[NOTHING], NOTHING) == nameless(found[HIDDEN], HIDDEN)
    assert nameless(found[NOTHING], NOTHING) == nameless(found["hidden box"], "hidden box")
    assert {"ENOENT"} == {answer[0] for answer in found[HIDDEN].values()}
    assert {"EACCES"} == set(found["in the way"].values()) | set(found["in the way of a box"].values())


def test_counts_over_the_socket(instance: Instance) -> None:
    """The status counts the user's own entries, an entry the links that he may know of."""
    found = told(instance, OVER_THE_SOCKET)

    assert [1] == found["links"]
    assert [1, 1] == found["counted"]


def test_whoever_may_list_it_sees_all_of_it(instance: Instance) -> None:
    """It is there after all."""
    with fdstorefs.connect(instance.mount) as store:
        names = [entry.name for entry in store.list()]

    assert ["box", "box/hidden", "hidden", "hidden box", "hidden too", "seen"] == names
    assert {*names, ".fdstore"} - {"box/hidden"} == set(os.listdir(instance.mount))
    assert 2 == os.stat(f"{instance.mount}/seen").st_nlink
    with pytest.raises(FileExistsError) as told_root:
        os.mkdir(f"{instance.mount}/hidden")
    assert errno.EEXIST == told_root.value.errno


WATCHER = """
store = fdstorefs.connect(mount)
seen = []
with store.watch() as watch:
    print("ready", flush=True)
    for event in watch:
        seen.append([str(event.change), event.entry.name if event.entry else None, event.former])
        if event.entry is not None and event.entry.name == "end":
            break
print(json.dumps(seen))
"""


def test_a_watch_tells_of_nothing_hidden(instance: Instance) -> None:
    """Neither under its name nor under a former one, nor when it goes."""
    watcher = instance.popen([sys.executable, "-c", CLIENT + WATCHER, instance.mount], user=ORDINARY_USER)
    assert watcher.stdout is not None
    assert "ready\n" == watcher.stdout.readline()
    with fdstorefs.connect(instance.mount) as store:
        store.stash("hidden new", 0)
        store.discard("hidden new")
        store.discard("hidden too")
        store.rename("hidden", "shown")
        store.rename("shown", "hidden")
        store.rename("box/hidden", "box/hidden again")
        store.make_box("hidden box/inner")
        store.rename("hidden box", "open box")
        store.stash("end", 0)
    printed, _ = watcher.communicate(timeout=20)

    assert [
        ["renamed", "shown", None],
        ["renamed", None, "shown"],
        ["renamed", "open box", None],
        ["stashed", "end", None],
    ] == json.loads(printed)


STATUS = """
store = fdstorefs.connect(mount)
other = fdstorefs.connect(mount)

def status_after(name):
    for _ in range(3):
        code(store.retrieve, name)
    for _ in range(5):
        time.sleep(0.02)
        found = other.status()
    return [repr(found), found.audit, found.connections, found.policy_status["files"]]

store.stash("mine", 0)
print(json.dumps({"statuses": [status_after(name) for name in ("nothing", "hidden", "nothing")]}))
"""


def test_the_status_counts_nothing_that_a_hidden_name_changes(instance: Instance) -> None:
    """No records, nobody else's connections, no files of policies; to root all of it."""
    nothing, hidden, again = told(instance, "import time\n" + STATUS)["statuses"]
    with fdstorefs.connect(instance.mount) as store:
        roots = store.status()

    assert nothing == hidden == again
    assert [[], 0, []] == nothing[1:]
    assert 1 == len(roots.audit)
    assert roots.audit[0]["written"] > 0
    assert (1, 1) == (roots.connections, len((roots.policy_status or {})["files"]))

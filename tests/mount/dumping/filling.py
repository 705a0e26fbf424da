"""What is put into an instance before it is dumped, and how two of them are compared."""

import os
from typing import Any

import fdstorefs
from fdstorefs.client.store import Store
from fdstorefs.host.syscalls import SAME_FILE, same_file_order

LOT = 250
OWN = ("id", "stasher", "expires", "file", "links")
"""What is another number in another store, or is looked at by itself."""


def fill(mount: str) -> dict[str, int]:
    """One of each: boxes, a second name, one open file twice, a label, an expiry, an empty entry, a seal. The files."""
    names = ("web/a", "web/deep/b", "c", "pipe")
    files = {name: os.memfd_create(name.replace("/", "-")) for name in names[:3]}
    files["pipe"], kept_open = os.pipe()
    with fdstorefs.connect(mount) as store:
        store.make_box("web", 0o750)
        store.make_box("web/deep")
        store.make_box("alone", 0o711)
        store.stash("web/a", files["web/a"], label="one", mode=0o640)
        store.link("web/a", "also-a")
        store.stash("web/deep/b", files["web/deep/b"], expires=3600, poll=False)
        store.stash("b-too", files["web/deep/b"], mode=0o604)
        store.stash("c", files["c"])
        store.stash("pipe", files["pipe"], poll=False)
        os.close(os.open(f"{mount}/empty", os.O_CREAT | os.O_WRONLY, 0o600))
        store.seal("web/deep")
    os.close(kept_open)
    return files


def fill_with(mount: str, count: int) -> None:
    """So many open files, in a box."""
    with fdstorefs.connect(mount) as store:
        store.make_box("box")
        for start in range(0, count, LOT):
            files = {
                f"box/{number:05}": os.memfd_create("x") for number in range(start, min(start + LOT, count))
            }
            store.stash_many(files)
            for each in files.values():
                os.close(each)


def picture(store: Store, box: str = "") -> dict[str, dict[str, Any]]:
    """All that is said of each entry, with the first name that it or its open file has instead of numbers."""
    entries = [entry for entry in store.list() if entry.name.startswith(box)]
    first: dict[tuple[str, int | None], str] = {}
    pictures = {}
    for entry in entries:
        name = entry.name.removeprefix(box)
        told = {key: value for key, value in entry._asdict().items() if key not in OWN}
        told["name"] = name
        told["same entry"] = first.setdefault(("entry", entry.id), name)
        told["same file"] = first.setdefault(("file", entry.file), name) if entry.file is not None else None
        told["goes"] = entry.expires is not None
        pictures[name] = told
    return pictures


def are_the_same(mount: str, files: dict[str, int], box: str = "") -> list[bool]:
    """Whether each is the open file that it was."""
    with fdstorefs.connect(mount) as store:
        return [_is_same(store, f"{box}{name}", file) for name, file in files.items()]


def _is_same(store: Store, name: str, file: int) -> bool:
    box = os.path.dirname(name)
    sealed = bool(box) and store.describe(box).entry.sealed
    if sealed:
        store.unseal(box)
    with store.retrieve(name) as found:
        same = same_file_order(found.fileno(), file) == SAME_FILE
    if sealed:
        store.seal(box)
    return same

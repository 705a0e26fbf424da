"""Attack 12: ask when the kernel's tables are missing or corrupted. Root of the host breaks them here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NamedTuple

from fdstorefs.bpf.abi import ClassSet, Key, Table
from tests.kernel.attackers import NAME, SECRET, Scene, by_each
from tests.kernel.enforcer_process import EnforcerProcess
from tests.kernel.kernel_tables import Element, Map, no_generation, rows_of
from tests.kernel.looking import offered


class Stored(NamedTuple):
    """What the kernel knows the stored file by."""

    instance: int
    set: int
    classes: tuple[int, ...]


def stored(enforcer: EnforcerProcess, scene: Scene) -> Stored:
    """The only file of the instance that is attacked."""
    instance = next(each.number for each in enforcer.status().instances if each.mount == scene.mount)
    with Map.shared("class_sets") as sets:
        found = [(int.from_bytes(key, "little"), ClassSet.unpack(value)) for key, value in sets.items()]
    ((number, its),) = [(number, each) for number, each in found if each.instance == instance]
    return Stored(instance, number, its.classes)


def rows_about(file: Stored, rows: Map) -> list[tuple[Key, Element]]:
    """All by which it is decided who gets it."""
    return rows_of(rows, file.instance, file.classes)


@contextmanager
def without_rows(table: Table, file: Stored) -> Iterator[None]:
    """A table has no rows."""
    with Map.rows() as rows:
        gone = [element for key, element in rows_about(file, rows) if key.table == table]
        with rows.without(gone):
            yield


@contextmanager
def without(name: str, numbers: set[int]) -> Iterator[None]:
    """Elements of another map are missing."""
    with Map.shared(name) as shared:
        gone = [each for each in shared.items() if int.from_bytes(each[0], "little") in numbers]
        with shared.without(gone):
            yield


@contextmanager
def zeroed(half: int, file: Stored) -> Iterator[None]:
    """Of the row that says that there are tables the mark is zero (half 0), or the generation (half 1)."""
    with Map.rows() as rows:
        ((key, value),) = [element for key, element in rows_about(file, rows) if key.table == Table.SET]
        halves = [value[: len(value) // 2], value[len(value) // 2 :]]
        halves[half] = bytes(len(value) // 2)
        with rows.with_instead(key, value, b"".join(halves)):
            yield


BREAKS: dict[str, tuple[Callable[[Stored], AbstractContextManager[None]], str]] = {
    "no generation": (lambda _: no_generation(), "missing-table"),
    "no tables": (partial(without_rows, Table.SET), "missing-table"),
    "tables without their mark": (partial(zeroed, 0), "missing-table"),
    "tables of no generation": (partial(zeroed, 1), "missing-table"),
    "no effects": (partial(without_rows, Table.EFFECT), "missing-table"),
    "no rows of the file": (partial(without_rows, Table.TERMS), "stale-generation"),
    "no classes": (lambda file: without("classes", {*file.classes}), "missing-table"),
    "no class set": (lambda file: without("class_sets", {file.set}), "missing-table"),
    "no instance": (lambda file: without("instances", {file.instance}), "missing-table"),
}


@by_each
def test_what_is_missing_is_no_permission(scene: Scene, enforcer: EnforcerProcess) -> None:
    """Nobody gets anything, and a record says why; when it is mended all is as it was."""
    file = stored(enforcer, scene)
    with (
        offered(scene.holder, scene.attacker, NAME) as at_attacker,
        offered(scene.holder, scene.service, NAME) as at_service,
    ):
        for name, (breaking, reason) in BREAKS.items():
            log = enforcer.log()
            with breaking(file):
                seen = at_attacker(), at_service()
                for who in (scene.attacker, scene.service):
                    log.denial(who.pid, reason=reason)

            assert (name, [], []) == (name, *seen)
            assert (name, [], [SECRET]) == (name, at_attacker(), at_service())


@by_each
def test_no_row_gives_by_its_absence(scene: Scene, enforcer: EnforcerProcess) -> None:
    """Whichever row of the tables is missing, or has nothing in it but zeros: he does not get it."""
    file = stored(enforcer, scene)
    got = []
    with offered(scene.holder, scene.attacker, NAME) as at_attacker, Map.rows() as rows:
        about = rows_about(file, rows)
        for key, element in about:
            with rows.without([element]):
                got += [("missing", key) for _ in at_attacker()]
            with rows.with_instead(*element, bytes(len(element[1]))):
                got += [("zeros", key) for _ in at_attacker()]

    assert {Table.SET, Table.EFFECT, Table.CGROUP, Table.TERMS} <= {key.table for key, _ in about}
    assert [] == got
    scene.require_service_gets_it()

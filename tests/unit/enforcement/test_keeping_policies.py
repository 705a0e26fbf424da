"""Keeping policies in force: what is said of a change, and what a failure changes."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs.audit.format import Formatter
from fdstorefs.audit.log import AuditLog
from fdstorefs.core.limits import Limits
from fdstorefs.core.store import Store
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity
from fdstorefs.policy.span import Source, Span
from fdstorefs.server.enforcement import keeping, policy_files, settled
from fdstorefs.server.enforcement.authority import PolicyAuthority
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.enforcement.keeping import PolicyKeeper, in_one_line, least, make_ready
from fdstorefs.server.enforcement.loading import load_policies
from fdstorefs.server.enforcement.policy_files import PolicyFile
from fdstorefs.server.enforcement.settled import TRIES, Unsettled
from fdstorefs.server.loop import Loop

PATIENCE = 20.0
POLICY = (
    "version: 1\nname: {name}\nlimits: {{entries: 5}}\nrules:\n  - {{id: a, effect: allow, actions: [all]}}\n"
)
SPAN = Span(Source.of("/p/a.yaml", "secret: 1"), 2, 4, 2, 6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A policy."""
    found = tmp_path / "a.yaml"
    found.write_text(POLICY.format(name="a"))
    found.chmod(0o644)
    return found


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop of the test's own."""
    made = Loop()
    yield made
    made.close()


def keep(loop: Loop, path: Path) -> PolicyKeeper:
    """Keep what is there in force, for a store that holds nothing."""
    ready = make_ready(load_policies([str(path)], "/m"), 1)
    authority = PolicyAuthority(ready.in_force, (1,))
    store = Store(uid=0, gid=0, clock=time.time_ns, authority=authority)
    authority.govern(store.tree)
    return PolicyKeeper(
        [str(path)],
        "/m",
        ready,
        loop=loop,
        authority=authority,
        usage=store.usage,
        ours=Limits(9, 3),
        audit=AuditLog(Formatter("/m", "0" * 16), [], loop),
    )


@pytest.fixture
def keeper(loop: Loop, path: Path) -> Iterator[PolicyKeeper]:
    """It keeps the policy in force."""
    made = keep(loop, path)
    made.start()
    yield made
    made.close()


def run_until(loop: Loop, condition: Callable[[], bool]) -> None:
    """Run the loop until it holds, and no longer than a deadline."""
    deadline = time.monotonic() + PATIENCE

    def look() -> None:
        if condition() or time.monotonic() > deadline:
            loop.stop()
        else:
            loop.call_at(time.monotonic() + 0.005, look)

    look()
    loop.run()


def run_until_rejected(loop: Loop, keeper: PolicyKeeper) -> str:
    """Run the loop until a change was refused, and return what the status says of it."""
    run_until(loop, lambda: keeper.status()["rejected"] is not None)
    message: str = keeper.status()["rejected"]["message"]
    return message


class Swapped:
    """A link to one of two directories of policies; it is swapped while they are read, as often as is asked for."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.link = top / "current"
        self.swaps = 0
        self.after: tuple[str, ...] = ()
        for version in "12":
            self._make(top / version, version)
        self.link.symlink_to("1")
        self._read = policy_files._read
        monkeypatch.setattr(policy_files, "_read", self._reading)

    @staticmethod
    def _make(directory: Path, version: str) -> None:
        directory.mkdir(mode=0o755)
        for name in "abz":
            (directory / f"{name}.yaml").write_text(
                POLICY.format(name=name + version).replace("id: a", f"id: {name}")
            )
            (directory / f"{name}.yaml").chmod(0o644)

    def swap(self) -> None:
        """As tools do: another link, renamed over the former one."""
        new = self.link.with_name("new")
        new.symlink_to("2" if os.readlink(self.link) == "1" else "1")
        new.rename(self.link)

    def _reading(self, path: str, owners: policy_files.Owners) -> PolicyFile:
        found = self._read(path, owners)
        if os.path.basename(path) in self.after and self.swaps:
            self.swap()
            self.swaps -= 1
        return found


ONE, OTHER = ("a1", "b1", "z1"), ("a2", "b2", "z2")


@pytest.fixture
def swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swapped:
    """Nothing is swapped yet."""
    monkeypatch.setattr(settled, "PAUSE_SECONDS", 0.0)
    return Swapped(tmp_path, monkeypatch)


@pytest.fixture
def put_in_force(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The names of the policies of each generation, the first among them."""
    found: list[tuple[str, ...]] = []
    adopt = PolicyAuthority.adopt

    def note(authority: PolicyAuthority, in_force: InForce) -> None:
        found.append(in_force.mark.names)
        adopt(authority, in_force)

    monkeypatch.setattr(PolicyAuthority, "adopt", note)
    return found


SWAPS = [
    (("a.yaml",), 1),
    (("a.yaml",), 2),
    (("b.yaml",), 3),
    (("a.yaml", "b.yaml"), 2),
    (("a.yaml", "b.yaml", "z.yaml"), 7),
    (("a.yaml",), TRIES + 1),
    (("a.yaml", "b.yaml"), 4 * TRIES),
]


@pytest.mark.parametrize(("after", "swaps"), SWAPS)
def test_no_generation_has_files_of_two_states(
    loop: Loop, swapped: Swapped, put_in_force: list[tuple[str, ...]], after: tuple[str, ...], swaps: int
) -> None:
    """A link is swapped after some of the files were read, once or many times, and back again."""
    keeper = keep(loop, swapped.link)
    swapped.after, swapped.swaps = after, swaps
    keeper.start()
    last = OTHER if swaps % 2 else ONE
    run_until(loop, lambda: not swapped.swaps)
    swapped.after = ()
    swapped.swap()
    final = ONE if last == OTHER else OTHER
    run_until(loop, lambda: final == tuple(keeper.status()["names"]) and not keeper._is_loading)
    keeper.close()

    assert (final, None) == (tuple(keeper.status()["names"]), keeper.status()["rejected"])
    assert set(put_in_force) <= {ONE, OTHER}


@pytest.mark.parametrize(("after", "swaps"), SWAPS[:4])
def test_what_is_first_in_force_is_of_one_state(swapped: Swapped, after: tuple[str, ...], swaps: int) -> None:
    """Before anything is watched."""
    swapped.after, swapped.swaps = after, swaps
    found = load_policies([str(swapped.link)], "/m")

    assert (OTHER if swaps % 2 else ONE, 0) == (
        tuple(policy.name for policy in found.policies),
        swapped.swaps,
    )


def test_policies_that_never_stand_still_are_not_begun_with(swapped: Swapped) -> None:
    """To begin with whatever it happens to be would be a guess."""
    swapped.after, swapped.swaps = ("a.yaml",), 1000

    with pytest.raises(Unsettled, match=f"changed each of {TRIES} times while they were read"):
        load_policies([str(swapped.link)], "/m")


def test_what_never_stands_still_is_said_once(
    loop: Loop, swapped: Swapped, put_in_force: list[tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    """What is in force stays meanwhile, and nothing is refused."""
    keeper = keep(loop, swapped.link)
    swapped.after, swapped.swaps = ("a.yaml",), 4 * TRIES
    keeper.start()
    run_until(loop, lambda: swapped.swaps < TRIES)
    between = keeper.status()
    run_until(loop, lambda: not swapped.swaps and not keeper._is_unsettled)
    keeper.close()

    assert (list(ONE), 1, None) == (between["names"], between["generation"], between["rejected"])
    assert 1 == caplog.text.count("what is in force stays until they stand still")
    assert [ONE] == put_in_force


def test_a_change_that_is_noticed_twice_is_refused_once(
    loop: Loop, path: Path, keeper: PolicyKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    """The second look finds the same complaint; another one is told, and so is the same after it was put right."""
    path.write_text("version: 1\nname: a\nrules: 7\n")
    run_until_rejected(loop, keeper)
    first = keeper.status()["rejected"]
    keeper._begin()
    run_until(loop, lambda: not keeper._is_loading)
    again = keeper.status()["rejected"]
    path.write_text("version: 1\nname: a\nrules: 8\n")
    run_until(loop, lambda: keeper.status()["rejected"] != first)
    told = [record for record in caplog.records if "not put in force" in record.getMessage()]

    assert first == again
    assert 2 == len(told)


def test_a_failure_that_nobody_foresaw_changes_nothing(
    loop: Loop,
    keeper: PolicyKeeper,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Such as a mistake of ours: it is said, and the policies stay."""

    def fail(*_: object) -> None:
        raise RuntimeError("out of order")

    run_until(loop, lambda: not keeper._is_loading)
    before = keeper.status()
    monkeypatch.setattr(keeping, "load_policies", fail)
    path.write_text(POLICY.format(name="b"))
    with caplog.at_level(logging.ERROR):
        said = run_until_rejected(loop, keeper)

    assert "they could not be read again: out of order" == said
    assert "RuntimeError" in caplog.text
    assert before == {**keeper.status(), "rejected": None}


def test_a_refusal_tells_where_but_nothing_of_what_is_written_there() -> None:
    """Anybody who can connect may read it."""
    warning = Diagnostic(Severity.WARNING, "odd", "`secret` is odd", SPAN)
    error = Diagnostic(Severity.ERROR, "unknown-key", "`secret` is no key", SPAN)
    elsewhere = Diagnostic(Severity.ERROR, "unreadable-file", "cannot read the policy `/p/b.yaml`", None)

    assert "/p/a.yaml:3:5: unknown-key" == in_one_line(PolicyError([warning, error]))
    assert "/p/a.yaml:3:5: unknown-key (and 1 more)" == in_one_line(PolicyError([error, elsewhere]))
    assert "cannot read the policy `/p/b.yaml`" == in_one_line(PolicyError([warning, elsewhere]))


@pytest.mark.parametrize(
    ("some", "more", "expected"),
    [
        (Limits(), Limits(), Limits()),
        (Limits(5), Limits(None, 7), Limits(5, 7)),
        (Limits(5, 7), Limits(6, 6), Limits(5, 6)),
        (Limits(0, 7), Limits(6), Limits(0, 7)),
    ],
)
def test_the_least_of_each_limit_counts(some: Limits, more: Limits, expected: Limits) -> None:
    """No limit is more than any."""
    assert expected == least(some, more)
    assert expected == least(more, some)

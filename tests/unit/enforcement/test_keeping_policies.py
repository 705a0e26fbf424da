"""Keeping policies in force: what is said of a change, and what a failure changes."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdstorefs.audit.format import Formatter
from fdstorefs.audit.log import AuditLog
from fdstorefs.core.limits import Limits
from fdstorefs.core.store import Store
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity
from fdstorefs.policy.span import Source, Span
from fdstorefs.server.enforcement import keeping
from fdstorefs.server.enforcement.authority import PolicyAuthority
from fdstorefs.server.enforcement.keeping import PolicyKeeper, in_one_line, least, make_ready
from fdstorefs.server.enforcement.loading import load_policies
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


@pytest.fixture
def keeper(loop: Loop, path: Path) -> Iterator[PolicyKeeper]:
    """It keeps the policy in force, for a store that holds nothing."""
    ready = make_ready(load_policies([str(path)], "/m"), 1)
    authority = PolicyAuthority(ready.in_force, (1,))
    store = Store(uid=0, gid=0, clock=time.time_ns, authority=authority)
    authority.govern(store.tree)
    made = PolicyKeeper(
        [str(path)],
        "/m",
        ready,
        loop=loop,
        authority=authority,
        usage=store.usage,
        ours=Limits(9, 3),
        audit=AuditLog(Formatter("/m", "0" * 16), [], loop),
    )
    made.start()
    yield made
    made.close()


def run_until_rejected(loop: Loop, keeper: PolicyKeeper) -> str:
    """Run the loop until a change was refused, and return what the status says of it."""
    deadline = time.monotonic() + PATIENCE

    def look() -> None:
        if keeper.status()["rejected"] is not None or time.monotonic() > deadline:
            loop.stop()
        else:
            loop.call_at(time.monotonic() + 0.005, look)

    look()
    loop.run()
    message: str = keeper.status()["rejected"]["message"]
    return message


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

"""A fixed place and time for what people read."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fdstorefs.cli import owners
from fdstorefs.client.records import Entry, Stasher

if TYPE_CHECKING:
    from tests.unit.cli.fake_enforcer import FakeEnforcer


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def ann(monkeypatch: pytest.MonkeyPatch) -> None:
    """User and group 1000 are called ann; nobody else has a name."""
    for kind in ("user", "group"):
        monkeypatch.setattr(owners, kind, lambda number: "ann" if number == 1000 else str(number))


@pytest.fixture
def fake_enforcer(tmp_path: Path) -> "Iterator[FakeEnforcer]":
    """An enforcer that says what a test has it say."""
    from tests.unit.cli.fake_enforcer import FakeEnforcer

    fake = FakeEnforcer(tmp_path / "enforcer.sock")
    yield fake
    fake.close()


NOON = 1_700_049_600_000_000_000  # 2023-11-15 12:00:00 UTC

WEB = Entry(
    name="listen/web",
    kind="socket",
    id=2,
    uid=1000,
    gid=1000,
    mode=0o600,
    links=2,
    created=NOON,
    changed=NOON + 61_000_000_000,
    sealed=False,
    file=7,
    description="tcp 127.0.0.1:8080 listening",
    access="rw",
    filesystem="sockfs",
    device=8,
    inode=4711,
    stasher=Stasher(77, 1000, 1000, "python3"),
    label="prod",
)
BOX = Entry("listen", "box", 1, 1000, 7, 0o750, 2, NOON, NOON, True)

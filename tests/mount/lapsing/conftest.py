"""An instance with an audit log, and what a test of entries that go by themselves asks of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fdstorefs
from tests.mount.cast import Cast
from tests.mount.instance import Instance
from tests.mount.waiting import wait_for


class Scene:
    """The instance; `store` is a connection to it."""

    def __init__(self, instance: Instance, log: Path) -> None:
        self.instance = instance
        self.mount = instance.mount
        self.store = fdstorefs.connect(instance.mount)
        self._log = log

    def names(self) -> list[str]:
        """All names that there are."""
        return [entry.name for entry in self.store.list(details=False)]

    def until_gone(self, *names: str) -> None:
        """Wait until there are no such names."""
        wait_for(lambda: not set(names) & set(self.names()), what=f"{names} to go")

    def records(self, kind: str, count: int) -> list[dict[str, Any]]:
        """The records of one type, once there are so many."""
        return wait_for(lambda: self._records(kind, count), what=f"{count} records of {kind}")

    def _records(self, kind: str, count: int) -> list[dict[str, Any]] | None:
        records = [json.loads(line) for line in self._log.read_text().splitlines()]
        found = [record for record in records if record["type"] == kind]
        return found if len(found) >= count else None


@pytest.fixture
def scene(running_instance: Callable[..., Instance], cast: Cast) -> Iterator[Scene]:
    """A fresh instance."""
    log = Path(cast.home(None)) / "audit.jsonl"
    made = Scene(running_instance(arguments=["--audit", f"file:{log}"]), log)
    yield made
    made.store.close()

"""A hook that somebody has unpinned is missed, told of, and put in place again."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fdstorefs.audit.format import Formatter
from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.record import Event
from fdstorefs.enforcer import hooks_watch
from fdstorefs.enforcer.hooks_watch import HooksWatch
from fdstorefs.enforcer.policy_keeper import Change
from fdstorefs.server.loop import Loop
from tests.unit.enforcer.enforced import Enforced
from tests.unit.enforcer.fake_kernel import HOOKS, FakeKernel

PATIENCE = 5.0


class Watched:
    """A kernel's hooks, watched; what is said and done about them."""

    def __init__(self, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel = kernel
        self.loop = Loop()
        self.said: list[object] = []
        self.error: Exception | None = None
        audit = AuditLog(Formatter("host", "0" * 16), [], self.loop)
        monkeypatch.setattr(audit, "event", self._event)
        for name in ("LOOK_SECONDS", "AGAIN_SECONDS"):
            monkeypatch.setattr(hooks_watch, name, 0.001)
        self.watch = HooksWatch(self.loop, kernel, audit, lambda: self.said.append("lost"), self._change)

    def _event(self, event: Event, **details: Any) -> None:
        self.said.append((event, details["hooks"]))

    def _change(self, change: Change) -> None:
        assert change.anew
        assert change.done is not None
        self.said.append("anew")
        if self.error is None:
            self.kernel.attached = HOOKS
        done, error = change.done, self.error
        self.loop.call_soon(lambda: done(error))

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Run the loop until it holds, and no longer than a deadline."""
        deadline = time.monotonic() + PATIENCE

        def look() -> None:
            if condition() or time.monotonic() > deadline:
                self.loop.stop()
            else:
                self.loop.call_at(time.monotonic() + 0.002, look)

        self.loop.call_soon(look)
        self.loop.run()
        assert condition()


@pytest.fixture
def watched(kernel: FakeKernel, enforced: Enforced, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """All hooks are in place."""
    made = Watched(kernel, monkeypatch)
    yield made
    made.watch.close()
    made.loop.close()


def test_one_that_is_missing_is_told_of_and_put_in_place(watched: Watched) -> None:
    """On record, to the servers, and then anew; each time."""
    for _ in range(2):
        watched.said.clear()
        watched.kernel.attached = ()
        watched.run_until(lambda: "anew" in watched.said)
        assert [(Event.DETACH, HOOKS), "lost", "anew"] == watched.said
        watched.run_until(lambda: watched.watch._hooks == HOOKS)


def test_it_is_tried_again_and_told_of_once(watched: Watched) -> None:
    """As long as it does not work."""
    watched.error = ValueError()
    watched.kernel.attached = ()

    watched.run_until(lambda: watched.said.count("anew") >= 3)

    assert [(Event.DETACH, HOOKS), "lost", "anew", "anew", "anew"] == watched.said[:5]


def test_without_all_hooks_programs_are_needed_even_for_the_same(enforced: Enforced) -> None:
    """What is left guards nothing that the missing one let through."""
    generation = enforced.enforcement.generation
    assert None is enforced.enforcement.needs_other_programs(generation, ())
    enforced.kernel.attached = ()

    assert None is not enforced.enforcement.needs_other_programs(generation, ())
    assert not enforced.enforcement.can_take(generation.everything)

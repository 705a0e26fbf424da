"""Watch: every change that the caller may see, as it happens."""

import re
from typing import Any

from fdstorefs.core.access import Action, Target
from fdstorefs.core.event import Event
from fdstorefs.core.node import Box
from fdstorefs.core.store import Store
from fdstorefs.core.subject import Subject
from fdstorefs.errors import Overloaded
from fdstorefs.server.context import Context
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.activity import Exchange, say_parameters
from fdstorefs.server.varlink.call import Call
from fdstorefs.server.varlink.pattern import pattern
from fdstorefs.server.varlink.standard import expected_more

PARAMETERS = frozenset({"pattern"})
READY = "ready"
BACKLOG_BYTES = 1 << 18
MOST_WATCHES = 64
"""How many watches a user may have: each is a verdict more on every change that anybody makes."""


def watch(context: Context, call: Call) -> "Watching":
    """Changes to matching names, after a first reply that says that none is missed from now on."""
    parameters.only(call.parameters, PARAMETERS)
    if not call.more:
        raise expected_more()
    if context.store.events.listeners_of(call.subject.uid) >= MOST_WATCHES:
        raise Overloaded(f"uid {call.subject.uid} watches {MOST_WATCHES} times already", hint="end one first")
    return Watching(context, call.subject, pattern(call.parameters))


class Watching:
    """The activity of one Watch. Before each change it is judged anew what the subject may see."""

    def __init__(self, context: Context, subject: Subject, wanted: re.Pattern[str] | None) -> None:
        self._context = context
        self._subject = subject
        self._wanted = wanted

    def start(self, exchange: Exchange) -> None:
        """Subscribe."""
        self._subscribe(exchange)
        say_parameters(exchange, {"change": READY}, continues=True)

    def _subscribe(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._end_subscription = self._context.store.events.subscribe(self._subject.uid, self._heard)

    def told(self) -> dict[str, Any]:
        """All is in the call."""
        return {}

    def resume(self, exchange: Exchange, told: dict[str, Any]) -> None:  # noqa: ARG002
        """Go on without a word: while one server stops and another begins nothing changes."""
        self._subscribe(exchange)

    def drained(self) -> None:
        """Nothing waits: events come by themselves."""

    def stop(self) -> None:
        """Unsubscribe."""
        self._end_subscription()

    def _heard(self, event: Event) -> None:
        # In the middle of somebody's call: nothing may be raised from here, which `run` sees to.
        self._exchange.run(lambda: self._tell(event))

    def _tell(self, event: Event) -> None:
        self._subject = self._subject.anew()
        parameters_of_reply = self._seen(event)
        if parameters_of_reply is None:
            return
        if self._exchange.backlog > BACKLOG_BYTES:
            raise Overloaded(
                "changes come faster than they are read; some are lost", hint="list again and watch anew"
            )
        say_parameters(self._exchange, parameters_of_reply, continues=True)

    def _seen(self, event: Event) -> dict[str, Any] | None:
        """What the subject may know of it: the entry under its name, the former name, both, or nothing."""
        target = Target(event.box, event.name, event.node)
        if not self._wants(target.path) and not (event.former is not None and self._wants(event.former)):
            return None  # before it is judged, which takes longer
        former = event.former if event.former is not None and self._may_see_former(event) else None
        entry = self._may_see(target)
        if not (entry and self._wants(target.path)) and not (former is not None and self._wants(former)):
            return None
        seen: dict[str, Any] = {"change": str(event.change)}
        if entry:
            seen["entry"] = self._context.records.plain(self._subject, target, event.node)
        if former is not None:
            seen["former"] = former
        return seen

    def _wants(self, path: str) -> bool:
        return self._wanted is None or self._wanted.fullmatch(path) is not None

    def _may_see(self, target: Target) -> bool:
        return may_see(self._context.store, self._subject, target)

    def _may_see_former(self, event: Event) -> bool:
        """Whether the caller could have listed it under its former name."""
        assert event.former is not None
        *boxes, name = event.former.split("/")
        box = self._context.store.root
        for part in boxes:
            below = box.children.get(part)
            if not isinstance(below, Box):
                return False
            box = below
        return self._may_see(Target(box, name, event.node))


def may_see(store: Store, subject: Subject, target: Target) -> bool:
    """Whether List would show it: listing its box and each box above, and searching all but the root."""
    while True:
        if not store.may(subject, Action.LIST, target):
            return False
        box = target.box
        if box.parent is None:
            return True
        if not store.may(subject, Action.SEARCH, Target(box, "")):
            return False
        target = Target(box.parent, box.name, box)

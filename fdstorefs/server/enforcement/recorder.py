"""The recorder: hands each verdict to the log, with what the log will want to know of it."""

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from fdstorefs.audit.decision import Decision, EntryMark, Opener, Reason, Texts, is_on_record
from fdstorefs.core.access import Action, Target
from fdstorefs.core.node import Entry
from fdstorefs.core.subject import Subject
from fdstorefs.policy.request import Request
from fdstorefs.policy.verdict import Verdict
from fdstorefs.policy.vocabulary import Action as Asked
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.enforcement.judge import ASKED
from fdstorefs.server.enforcement.shortcomings import Shortcomings, shortcomings

log = logging.getLogger(__name__)


# To pass through a box is to learn that it, and what is asked for in it, is there.
_WORDS = {action: ASKED.get(action, Asked.LIST).word for action in Action}


class Log(Protocol):
    """Where decisions go."""

    def verdict(self, decision: Decision) -> None:
        """Keep a record of it."""

    def decision_id(self, number: int) -> str:
        """What the record of the decision with this number is called."""


class Recorder:
    """Makes decisions under the policies of `in_force`, which may be replaced, and numbers them by `numbers`."""

    def __init__(self, kept_in: Log, in_force: InForce, numbers: Iterator[int] | None = None) -> None:
        self.in_force = in_force
        self._log = kept_in
        self._numbers = numbers if numbers is not None else itertools.count(1)

    def allowed(
        self, subject: Subject, action: Action, target: Target, verdict: Verdict, reason: Reason
    ) -> None:
        """Keep a record of a verdict that lets the subject go on, if such verdicts are on record."""
        decision = self._decision(
            subject, action, target, reason, lambda: verdict.rules, allowed=True, decided=verdict.decided
        )
        if is_on_record(decision, self._said_of_log(verdict)):
            self._log.verdict(decision)

    def denied(
        self,
        subject: Subject,
        action: Action,
        target: Target,
        reason: Reason,
        *,
        rules: Texts = (),
        question: Callable[[], Request] | None = None,
        in_force: bool = False,
    ) -> str:
        """Keep a record of a denial, and say what it is called.

        `question` tells what the policies were asked. `in_force`: those that enforce don't deny it.
        """
        decision = self._decision(subject, action, target, reason, rules, allowed=in_force, decided=False)
        if question is not None:
            found = self._shortcomings(question)
            decision.failed, decision.unknown = found.failed, found.unknown
        # The process may be gone when the record is written.
        decision.details = subject.details()
        self._log.verdict(decision)
        return self._log.decision_id(decision.number)

    def left_out(self, subject: Subject, box: Target, count: int) -> None:
        """Keep a record of a listing that did not show everything."""
        decision = self._decision(subject, Action.LIST, box, Reason.HIDDEN, (), allowed=True, decided=True)
        decision.hidden = count
        decision.details = subject.details()
        self._log.verdict(decision)

    def _said_of_log(self, verdict: Verdict) -> bool | None:
        """What the deciding rules say of the record: any that wants one gets it."""
        tables = self.in_force.tables
        if not tables.log_always and not tables.log_denials:
            return None
        if not tables.log_always.isdisjoint(verdict.rules):
            return True
        return None if tables.log_denials.isdisjoint(verdict.rules) else False

    def _shortcomings(self, question: Callable[[], Request]) -> Shortcomings:
        try:
            return shortcomings(self.in_force.policies, question())
        except Exception:
            # A denial stays one, and on record, if it cannot be explained.
            log.exception("a denial could not be explained")
            return Shortcomings((), ())

    def _decision(
        self,
        subject: Subject,
        action: Action,
        target: Target,
        reason: Reason,
        rules: Texts,
        *,
        allowed: bool,
        decided: bool,
    ) -> Decision:
        decision = Decision(
            next(self._numbers),
            time.time_ns(),
            time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            _WORDS[action],
            allowed,
            decided,
            reason,
            rules,
            subject,
            mark_of(target),
            self.in_force.mark,
            subject.via,
        )
        decision.opener = _known(target)
        if decision.opener is None and self.in_force.tables.assume:
            decision.opener = _assumed(target)
        return decision


def _known(target: Target) -> Opener | None:
    """Who opened the file that is there, or is to come, where the kernel has told it."""
    there = target.node.file if isinstance(target.node, Entry) else None
    file = target.coming.file if target.coming is not None else there
    if file is None or file.opener is None:
        return None
    who = file.opener
    return Opener(who.uid, who.gid, who.capabilities, who.userns)


def _assumed(target: Target) -> Opener | None:
    """Who stands for the opener where a policy assumes it: the stasher of what is there."""
    node = target.node
    if not isinstance(node, Entry) or node.file is None or node.stasher is None:
        return None
    who = node.stasher
    return Opener(who.uid, who.gid, who.capabilities, who.userns, assumed=True)


def mark_of(target: Target) -> EntryMark:
    """What a record says of an entry, or of what is to come under its name."""
    node, coming = target.node, target.coming
    file = node.file if isinstance(node, Entry) else None
    label = node.label if isinstance(node, Entry) else None
    kind = node.kind if node is not None else None
    if coming is not None:
        file, label = coming.file, coming.label
        kind = coming.kind
    number = node.ino if node is not None else None
    stasher = node.stasher if node is not None else None
    if file is None:
        return EntryMark(target.path, number, kind, label=label, stasher=stasher)
    return EntryMark(
        target.path,
        number,
        file.kind,
        file.device,
        file.inode,
        file.access,
        file.filesystem,
        label,
        stasher,
        file.guarded,
    )

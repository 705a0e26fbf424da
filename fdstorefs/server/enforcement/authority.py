"""The authority of a server: mode bits first, then policy; both must allow, and what is decided is on record."""

import logging
from collections.abc import Iterator
from typing import Final

from fdstorefs.audit.decision import Reason
from fdstorefs.core.access import Action, Target, mode_bits
from fdstorefs.core.subject import Subject
from fdstorefs.core.tree import Tree
from fdstorefs.errors import (
    Denied,
    NotGuarded,
    NotPermitted,
    Overloaded,
    QuotaExceeded,
    StoreError,
    TooManyNames,
)
from fdstorefs.policy.request import Userns
from fdstorefs.policy.verdict import Reason as Why
from fdstorefs.policy.verdict import RuleIds, Verdict
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.enforcement.judge import ASKED, Judge
from fdstorefs.server.enforcement.recorder import Log, Recorder
from fdstorefs.server.enforcement.subject_view import SubjectView

log = logging.getLogger(__name__)

FAILED: Final = Verdict(allowed=False, decided=False, forbids=0, allows=0, ids=RuleIds(()))
"""Stands for a verdict that could not be reached."""

_REFUSALS: dict[type[StoreError], Reason] = {
    QuotaExceeded: Reason.LIMIT,
    TooManyNames: Reason.LIMIT,
    Overloaded: Reason.ERROR,
    NotGuarded: Reason.ERROR,
}
"""Why the store itself refuses something; what is not here, owner and mode bits do."""

_REASONS = {Why.RULE: Reason.RULE, Why.FORBIDDEN: Reason.FORBIDDEN, Why.NO_RULE: Reason.NO_RULE}


class PolicyAuthority:
    """Decides by mode bits and by the policies in force. `instance` is the user namespace of the instance.

    `numbers` are for decisions; None: from 1 on.

    Whatever goes wrong in reaching a verdict, also in a policy that only monitors, is a denial.
    """

    def __init__(
        self,
        in_force: InForce,
        instance: Userns,
        kept_in: Log | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._instance = instance
        self._recorder = Recorder(kept_in, in_force, numbers) if kept_in is not None else None
        self._tree: Tree | None = None
        self._in_force = in_force
        self._latest: tuple[Subject, Action, Target, Verdict] | None = None

    @property
    def in_force(self) -> InForce:
        """The generation that decides now."""
        return self._in_force

    def govern(self, tree: Tree) -> None:
        """Decide about the entries of this tree from now on."""
        self._tree = tree
        self.adopt(self._in_force)

    def adopt(self, in_force: InForce) -> None:
        """Decide by other policies from now on; between two requests, so nobody meets half of each."""
        if self._tree is None:
            raise AssertionError("an authority that governs nothing yet")
        self._judge = Judge(in_force.tables, self._instance, self._tree)
        self._latest = None
        self._in_force = in_force
        if self._recorder is not None:
            self._recorder.in_force = in_force

    # What a store asks

    def require(self, subject: Subject, action: Action, target: Target) -> None:
        """Raise Denied or NotPermitted if mode bits or policy refuse it."""
        self.require_mode(subject, action, target)
        if not _is_passage(action, target):
            self.require_policy(subject, action, target)

    def require_mode(self, subject: Subject, action: Action, target: Target) -> None:
        """The same as far as mode bits say."""
        try:
            mode_bits(subject, action, target)
        except (Denied, NotPermitted) as error:
            self.refused(subject, action, target, error)
            raise

    def require_policy(self, subject: Subject, action: Action, target: Target) -> None:
        """The same as far as the policy says."""
        view = SubjectView(subject)
        verdict = self._reached(subject, action, target) or self._verdict(view, action, target)
        if not verdict.allowed:
            raise self._denied(subject, view, action, target, verdict)
        if self._recorder is not None:
            reason = Reason.RULE if verdict.decided else _reason(verdict)
            self._recorder.allowed(subject, action, target, verdict, reason)

    def require_implied(self, subject: Subject, action: Action, target: Target) -> None:
        """As `require_policy`, but only a denial goes on record, in force or not."""
        view = SubjectView(subject)
        verdict = self._verdict(view, action, target)
        if not verdict.allowed:
            raise self._denied(subject, view, action, target, verdict)
        if not verdict.decided:
            self._note_denial(subject, view, action, target, verdict, _reason(verdict))

    def may(self, subject: Subject, action: Action, target: Target) -> bool:
        """Whether `require` would return; leaves no record."""
        try:
            mode_bits(subject, action, target)
        except (Denied, NotPermitted):
            return False
        return _is_passage(action, target) or self.policy_allows(subject, action, target)

    def policy_allows(self, subject: Subject, action: Action, target: Target) -> bool:
        """Whether `require_policy` would return; leaves no record."""
        return self._verdict(SubjectView(subject), action, target).allowed

    def exists(self, subject: Subject, target: Target, intent: Action) -> bool:
        """Whether the subject may know of the node. A denial is on record as one of what it came for.

        Where a policy that only monitors would hide it, what it came for is asked next and on record with that,
        unless it is allowed by itself.
        """
        view = SubjectView(subject)
        if self._may_what_shows_it(subject, view, target, intent):
            return True
        listed = self._verdict(view, Action.LIST, target)
        if listed.allowed and listed.decided:
            return True
        meant = listed if intent is Action.LIST else self._verdict(view, intent, target)
        if not listed.allowed or meant is listed or meant.decided:
            why = listed if meant.decided else meant
            self._note_denial(subject, view, intent, target, why, Reason.HIDDEN, in_force=listed.allowed)
        return listed.allowed

    def _may_what_shows_it(self, subject: Subject, view: SubjectView, target: Target, intent: Action) -> bool:
        """Whether it came to do what it may do, and what nobody may do without being allowed to list.

        That verdict is asked for next, by the same request: it is kept for `require_policy`, once.
        """
        if target.node is None or not self._judge.shows(intent, target.node):
            return False
        verdict = self._verdict(view, intent, target)
        self._latest = (subject, intent, target, verdict)
        return verdict.allowed and verdict.decided

    def _reached(self, subject: Subject, action: Action, target: Target) -> Verdict | None:
        latest, self._latest = self._latest, None
        if latest is None or latest[0] is not subject or latest[1] is not action or latest[2] is not target:
            return None
        return latest[3]

    def require_unoccupied(self, subject: Subject, target: Target) -> None:
        """Return if the subject may know of what stands there; else raise as if nothing did, or Denied."""
        view, there = SubjectView(subject), target._replace(coming=None)
        listed = self._verdict(view, Action.LIST, there)
        if not listed.allowed:
            self._require_as_if_free(subject, view, target._replace(node=None))
        if not listed.allowed or not listed.decided:
            self._note_denial(
                subject, view, Action.STASH, target, listed, Reason.HIDDEN, in_force=listed.allowed
            )
        if not listed.allowed:
            raise Denied(f"uid {subject.uid} may not stash `{target.path}`", name=target.path)

    def stamp(self) -> object:
        """The policies in force."""
        return self._in_force

    def left_out(self, subject: Subject, box: Target, count: int) -> None:
        """One record for all that a listing did not show."""
        if self._recorder is not None:
            self._recorder.left_out(subject, box, count)

    def refused(self, subject: Subject, action: Action, target: Target, error: StoreError) -> None:
        """Keep a record of what mode bits, a limit or the guard refuse."""
        reason = next((why for kind, why in _REFUSALS.items() if isinstance(error, kind)), Reason.MODE_BITS)
        error.reason = str(reason)
        if self._recorder is not None:
            error.decision = self._recorder.denied(subject, action, target, reason)

    # How it is decided, and said

    def _require_as_if_free(self, subject: Subject, view: SubjectView, free: Target) -> None:
        self.require_mode(subject, Action.STASH, free)
        verdict = self._verdict(view, Action.STASH, free)
        if not verdict.allowed:
            raise self._denied(subject, view, Action.STASH, free, verdict)

    def _verdict(self, view: SubjectView, action: Action, target: Target) -> Verdict:
        try:
            return self._judge.verdict(view, action, target)
        except Exception:
            log.exception("no verdict could be reached on %s of %a: it is a denial", action, target.path)
            return FAILED

    def _note_denial(
        self,
        subject: Subject,
        view: SubjectView,
        action: Action,
        target: Target,
        verdict: Verdict,
        reason: Reason,
        *,
        in_force: bool | None = None,
    ) -> str | None:
        if self._recorder is None:
            return None
        failed = verdict is FAILED
        return self._recorder.denied(
            subject,
            action,
            target,
            Reason.ERROR if failed else reason,
            rules=verdict.rules,
            question=None if failed else lambda: self._judge.request(view, action, target),
            in_force=verdict.allowed if in_force is None else in_force,
        )

    def _denied(
        self, subject: Subject, view: SubjectView, action: Action, target: Target, verdict: Verdict
    ) -> Denied:
        why = _why(verdict)
        error = Denied(
            f"policy: uid {subject.uid} may not {_word(action)} `{target.path}`: {why}",
            name=target.path,
            hint="`fdstorefs policy explain` says what would have to hold",
        )
        error.reason = why
        error.decision = self._note_denial(subject, view, action, target, verdict, _reason(verdict))
        return error


def _reason(verdict: Verdict) -> Reason:
    return Reason.ERROR if verdict is FAILED else _REASONS[verdict.reason]


def _why(verdict: Verdict) -> str:
    if verdict is FAILED:
        return "the decision failed"
    if not verdict.forbids:
        return "no rule allows it"
    return f"forbidden by {', '.join(f'`{rule}`' for rule in verdict.rules)}"


def _word(action: Action) -> str:
    asked = ASKED.get(action)
    return asked.word if asked is not None else str(action)


def _is_passage(action: Action, target: Target) -> bool:
    """Whether it is only about going through a box or reading it: what is in it is asked about by itself."""
    return action is Action.SEARCH or (action is Action.LIST and not target.name)

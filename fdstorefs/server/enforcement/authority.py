"""The authority of a server: mode bits first, then policy; both must allow, and what is decided is on record."""

import time
from typing import Protocol

from fdstorefs.audit.decision import Decision, EntryMark, PolicyMark, Reason, Texts, is_on_record
from fdstorefs.core.access import Action, Target, mode_bits
from fdstorefs.core.node import Entry
from fdstorefs.core.subject import Subject
from fdstorefs.core.tree import Tree
from fdstorefs.errors import Denied, NotPermitted
from fdstorefs.policy.request import Userns
from fdstorefs.policy.verdict import Reason as Why
from fdstorefs.policy.verdict import Verdict
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.enforcement.judge import ASKED, Judge
from fdstorefs.server.enforcement.shortcomings import shortcomings
from fdstorefs.server.enforcement.subject_view import SubjectView

_REASONS = {Why.RULE: Reason.RULE, Why.FORBIDDEN: Reason.FORBIDDEN, Why.NO_RULE: Reason.NO_RULE}


class Log(Protocol):
    """Where decisions go."""

    def verdict(self, decision: Decision) -> None:
        """Keep a record of it."""

    def decision_id(self, number: int) -> str:
        """What the record of the decision with this number is called."""


class PolicyAuthority:
    """Decides by mode bits and by the policies in force. `instance` is the user namespace of the instance."""

    def __init__(self, in_force: InForce, instance: Userns, log: Log | None = None) -> None:
        self._instance = instance
        self._log = log
        self._tree: Tree | None = None
        self._number = 0
        self._in_force = in_force

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
        self._in_force = in_force

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
            self._refused_by_mode(subject, action, target, error)
            raise

    def require_policy(self, subject: Subject, action: Action, target: Target) -> None:
        """The same as far as the policy says."""
        view = SubjectView(subject)
        verdict = self._judge.verdict(view, action, target)
        if verdict.allowed:
            self._note_allowed(subject, action, target, verdict)
            return
        number = self._note_denied(subject, view, action, target, verdict, _REASONS[verdict.reason])
        raise self._denied(subject, action, target, verdict, number)

    def may(self, subject: Subject, action: Action, target: Target) -> bool:
        """Whether `require` would return; leaves no record."""
        try:
            mode_bits(subject, action, target)
        except (Denied, NotPermitted):
            return False
        if _is_passage(action, target):
            return True
        return self._judge.verdict(SubjectView(subject), action, target).allowed

    def exists(self, subject: Subject, target: Target, intent: Action) -> bool:
        """Whether the subject may know of the node. A denial is on record as one of what it came for."""
        view = SubjectView(subject)
        listed = self._judge.verdict(view, Action.LIST, target._replace(coming=None))
        if listed.allowed and listed.decided:
            return True
        meant = listed
        if intent is not Action.LIST and target.coming is None and intent is not Action.STASH:
            meant = self._judge.verdict(view, intent, target)
        verdict = listed if meant.decided else meant
        self._note_denied(subject, view, intent, target, verdict, Reason.HIDDEN, in_force=listed.allowed)
        return listed.allowed

    # What is kept of it

    def _refused_by_mode(
        self, subject: Subject, action: Action, target: Target, error: Denied | NotPermitted
    ) -> None:
        if self._log is None:
            return
        decision = self._decision(subject, action, target, Reason.MODE_BITS, allowed=False, decided=False)
        decision.details = subject.details()
        self._log.verdict(decision)
        error.reason, error.decision = str(Reason.MODE_BITS), self._log.decision_id(decision.number)

    def _note_allowed(self, subject: Subject, action: Action, target: Target, verdict: Verdict) -> None:
        if self._log is None:
            return
        decision = self._decision(
            subject,
            action,
            target,
            _REASONS[verdict.reason],
            allowed=True,
            decided=verdict.decided,
            rules=lambda: verdict.rules,
        )
        if is_on_record(decision, self._said_of_log(verdict)):
            self._log.verdict(decision)

    def _said_of_log(self, verdict: Verdict) -> bool | None:
        """What the deciding rules say of the record: any that wants one gets it."""
        tables = self._in_force.tables
        if not tables.log_always and not tables.log_denials:
            return None
        if not tables.log_always.isdisjoint(verdict.rules):
            return True
        return None if tables.log_denials.isdisjoint(verdict.rules) else False

    def _note_denied(
        self,
        subject: Subject,
        view: SubjectView,
        action: Action,
        target: Target,
        verdict: Verdict,
        reason: Reason,
        *,
        in_force: bool = False,
    ) -> int:
        if self._log is None:
            return 0
        found = shortcomings(self._in_force.policies, self._judge.request(view, action, target))
        decision = self._decision(
            subject,
            action,
            target,
            reason,
            allowed=in_force,
            decided=False,
            rules=verdict.rules,
        )
        decision.failed, decision.unknown = found.failed, found.unknown
        # The process may be gone when the record is written.
        decision.details = subject.details()
        self._log.verdict(decision)
        return decision.number

    def _decision(
        self,
        subject: Subject,
        action: Action,
        target: Target,
        reason: Reason,
        *,
        allowed: bool,
        decided: bool,
        rules: Texts = (),
    ) -> Decision:
        self._number += 1
        return Decision(
            self._number,
            time.time_ns(),
            time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            _word(action),
            allowed,
            decided,
            reason,
            rules,
            subject,
            mark_of(target),
            self._mark,
            subject.via,
        )

    @property
    def _mark(self) -> PolicyMark:
        return self._in_force.mark

    def _denied(
        self, subject: Subject, action: Action, target: Target, verdict: Verdict, number: int
    ) -> Denied:
        rules = ", ".join(f"`{rule}`" for rule in verdict.rules)
        why = f"forbidden by {rules}" if verdict.forbids and rules else "no rule allows it"
        error = Denied(
            f"policy: uid {subject.uid} may not {_word(action)} `{target.path}`: {why}",
            name=target.path,
            hint="`fdstorefs policy explain` says what would have to hold",
        )
        error.reason = why
        if self._log is not None:
            error.decision = self._log.decision_id(number)
        return error


def mark_of(target: Target) -> EntryMark:
    """What a record says of an entry, or of what is to come under its name."""
    node, coming = target.node, target.coming
    file = node.file if isinstance(node, Entry) else None
    label = node.label if isinstance(node, Entry) else None
    if coming is not None:
        file, label = coming.file, coming.label
    kind = file.kind if file is not None else node.kind if node is not None else None
    number = node.ino if node is not None else None
    stasher = node.stasher if node is not None else None
    if file is None:
        return EntryMark(target.path, number, kind, label=label, stasher=stasher)
    return EntryMark(
        target.path, number, kind, file.device, file.inode, file.access, file.filesystem, label, stasher
    )


def _word(action: Action) -> str:
    asked = ASKED.get(action)
    return asked.word if asked is not None else str(action)


def _is_passage(action: Action, target: Target) -> bool:
    """Whether it is only about going through a box or reading it: what is in it is asked about by itself."""
    return action is Action.SEARCH or (action is Action.LIST and not target.name)

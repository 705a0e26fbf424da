"""Keeping policies in force as their files change: all of a change or nothing of it."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.record import Event
from fdstorefs.core.limits import Limits, Usage
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity, render_all
from fdstorefs.server.enforcement.authority import PolicyAuthority
from fdstorefs.server.enforcement.in_force import InForce, put_together
from fdstorefs.server.enforcement.loading import Candidates, load_policies
from fdstorefs.server.enforcement.policy_watch import PolicyWatch
from fdstorefs.server.enforcement.settled import Unsettled
from fdstorefs.server.loop import Loop

log = logging.getLogger(__name__)

DEFAULT_MEANING = "an entry is its stasher's alone (same user, same user namespace)"


@dataclass(frozen=True, slots=True)
class Ready:
    """Policies that can be put in force at once."""

    candidates: Candidates
    in_force: InForce


def make_ready_again(candidates: Candidates, former: Mapping[str, Any]) -> Ready:
    """Compile policies: a new generation unless they are those of the `former`, as `PolicyMark` has it."""
    ready = make_ready(candidates, former["generation"])
    same = ready.in_force.mark.hash == former["hash"]
    return ready if same else make_ready(candidates, former["generation"] + 1)


def make_ready(candidates: Candidates, generation: int) -> Ready:
    """Compile policies."""
    in_force = put_together(
        candidates.policies, candidates.files, generation=generation, loaded=time.time_ns()
    )
    return Ready(candidates, in_force)


class PolicyKeeper:
    """Reads policies again when their files change, and puts them in force if nothing is wrong with them.

    `paths` are absolute; `ours` are the limits that hold besides those of policies.
    They are put on record unless they are no news.
    """

    def __init__(
        self,
        paths: Sequence[str],
        mount: str,
        ready: Ready,
        *,
        loop: Loop,
        authority: PolicyAuthority,
        usage: Usage,
        ours: Limits,
        audit: AuditLog,
        is_news: bool = True,
    ) -> None:
        self._paths = tuple(paths)
        self._mount = mount
        self._ready = ready
        self._loop = loop
        self._authority = authority
        self._usage = usage
        self._ours = ours
        self._audit = audit
        self._rejected: dict[str, Any] | None = None
        self._complaint = ""
        self._watch: PolicyWatch | None = None
        self._is_loading = False
        self._load_again = False
        self._is_unsettled = False
        self.changed: Callable[[InForce], None] | None = None
        """Told of each generation that takes the place of another."""
        if is_news:
            self._tell_loaded()

    def start(self) -> None:
        """Watch the files from now on, and read them once more: they may have changed since they were read.

        Raises OSError if they cannot be watched.
        """
        if self._paths:
            self._watch = PolicyWatch(self._loop, self._paths, self._begin)
            self._begin()

    def close(self) -> None:
        """Leave in force what is."""
        if self._watch is not None:
            self._watch.end(in_use=self._is_loading)
            self._watch = None

    def status(self) -> dict[str, Any]:
        """What is in force, as the interface's Status has it."""
        in_force, candidates = self._ready.in_force, self._ready.candidates
        return {
            "names": list(in_force.mark.names),
            "files": list(candidates.files),
            "hash": in_force.mark.hash,
            "generation": in_force.mark.generation,
            "mode": in_force.mode,
            "rules": _rules(in_force),
            "loaded": in_force.loaded,
            "applies": candidates.applies,
            "warnings": len(candidates.warnings),
            "rejected": self._rejected,
        }

    # A change

    def _begin(self) -> None:
        if self._watch is None:
            return
        if self._is_loading:
            self._load_again = True
            return
        self._is_loading = True
        watch, generation = self._watch, self._ready.in_force.mark.generation + 1
        self._loop.in_thread(lambda: self._load(watch, generation), self._end)

    def _load(self, watch: PolicyWatch, generation: int) -> Ready | None:
        """In a thread: what is to be put in force now, None if it is in force already. Raises PolicyError."""
        candidates = load_policies(self._paths, self._mount, watch.follow)
        former = self._ready.candidates
        if (candidates.policies, candidates.files) == (former.policies, former.files):
            return None
        return make_ready(candidates, generation)

    def _end(self, result: Ready | Exception | None) -> None:
        self._is_loading = False
        if self._watch is None:
            return
        was_unsettled, self._is_unsettled = self._is_unsettled, isinstance(result, Unsettled)
        if isinstance(result, Unsettled):
            self._wait(result, is_news=not was_unsettled)
        elif isinstance(result, PolicyError):
            self._reject(result)
        elif isinstance(result, Exception):
            log.error("policies: they could not be read again", exc_info=result)
            self._note_rejected(f"they could not be read again: {result}", (str(result),))
        else:
            self._take(result)
        if self._load_again:
            self._load_again = False
            self._begin()

    def _wait(self, error: Unsettled, *, is_news: bool) -> None:
        """Read them again later; what was read may be part of this state and part of that."""
        if is_news:
            log.warning("policies: what is in force stays until they stand still:\n%s", error)
        if self._watch is not None:
            self._watch.notice_later()

    def _take(self, ready: Ready | None) -> None:
        if ready is not None:
            self._authority.adopt(ready.in_force)
            former, self._ready = self._ready.in_force, ready
            self._usage.limits = least(self._ours, ready.in_force.limits)
            if self.changed is not None:
                self.changed(ready.in_force)
            self._tell_loaded()
            self._tell_of_modes(former)
        elif self._rejected is not None:
            log.warning("policies: the files say again what is in force")
        self._rejected = None
        self._complaint = ""

    def _reject(self, error: PolicyError) -> None:
        complaint = str(error)
        if complaint == self._complaint:
            return  # one change can be noticed twice, and is on record already
        self._complaint = complaint
        log.error("policies: not put in force, what was in force stays:\n%s", error)
        self._note_rejected(in_one_line(error), tuple(each.message for each in _errors(error)))

    def _note_rejected(self, message: str, errors: tuple[str, ...]) -> None:
        self._rejected = {"when": time.time_ns(), "message": message}
        self._audit.event(
            Event.POLICY_REJECT, files=self._paths, errors=errors, policy=self._ready.in_force.mark
        )

    # What is said of it

    def _tell_loaded(self) -> None:
        in_force, candidates = self._ready.in_force, self._ready.candidates
        if candidates.warnings:
            log.warning("policies:\n%s", render_all(candidates.warnings))
        if not candidates.applies:
            log.warning(
                "policies: none of those given is for this instance, so the built-in default is in force:"
            )
            log.warning("policies: %s", DEFAULT_MEANING)
        elif not candidates.files:
            log.info("no policy: %s", DEFAULT_MEANING)
        else:
            names = ", ".join(in_force.mark.names)
            log.info(
                "policies in force (generation %d, %s): %s", in_force.mark.generation, in_force.mode, names
            )
        self._audit.event(
            Event.POLICY_LOAD, policy=in_force.mark, files=candidates.files, count=_rules(in_force)
        )

    def _tell_of_modes(self, former: InForce) -> None:
        modes = {policy.name: policy.mode for policy in former.policies}
        for policy in self._ready.in_force.policies:
            before = modes.get(policy.name, policy.mode)
            if before is not policy.mode:
                log.warning("policies: `%s` went from %s to %s", policy.name, before, policy.mode)
                self._audit.event(
                    Event.MODE_CHANGE, name=policy.name, former=str(before), mode=str(policy.mode)
                )


def least(some: Limits, more: Limits) -> Limits:
    """The stricter of two limits, each by itself."""
    return Limits(
        _smaller(some.entries, more.entries),
        _smaller(some.entries_per_uid, more.entries_per_uid),
        _smaller(some.entries_per_box, more.entries_per_box),
    )


def in_one_line(error: PolicyError) -> str:
    """What is wrong, for those who may not read the policies: where, but nothing of what is written there."""
    errors = _errors(error)
    first = errors[0]
    place = first.message
    if first.span is not None:
        span = first.span
        place = f"{span.source.name}:{span.line + 1}:{span.column + 1}: {first.code}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{place}{more}"


def _errors(error: PolicyError) -> list[Diagnostic]:
    return [each for each in error.diagnostics if each.severity is Severity.ERROR]


def _smaller(some: int | None, more: int | None) -> int | None:
    return min((limit for limit in (some, more) if limit is not None), default=None)


def _rules(in_force: InForce) -> int:
    return sum(len(policy.rules) for policy in in_force.policies)

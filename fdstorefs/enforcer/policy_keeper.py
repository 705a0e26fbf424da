"""Keeping the host's policies in force: as files change, as root asks for it, all of a change or nothing of it."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.record import Event
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.core.node import Stasher
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.errors import NoSuchPolicy
from fdstorefs.enforcer.generation import Generation, Standing
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.policy_set import PolicySet, read_policies
from fdstorefs.enforcer.switched import Switched, Switches, in_modes, still_meant, switch
from fdstorefs.enforcer.turning_off import ends_unsaid
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity, render_all
from fdstorefs.policy.model import Policy
from fdstorefs.policy.vocabulary import Mode
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.enforcement.keeping import in_one_line
from fdstorefs.server.enforcement.policy_files import policies_in
from fdstorefs.server.enforcement.policy_watch import PolicyWatch
from fdstorefs.server.enforcement.settled import Unsettled
from fdstorefs.server.loop import Loop

log = logging.getLogger(__name__)

Done = Callable[[Exception | None], None]


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be put in force: the files as they are now.

    `paths` replace those that are watched; `mode` switches the policy `name`; `also`: for an instance that is yet to
    come, even if the files say what is in force already; `anew`: likewise, as the hooks are not in place. `by` asked
    for it, nobody if files changed. `done` is called with what went wrong.
    """

    paths: tuple[str, ...] | None = None
    name: str | None = None
    mode: Mode | None = None
    also: Standing | None = None
    anew: bool = False
    by: Stasher | None = None
    done: Done | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A generation that can be put in force at once."""

    generation: Generation
    switches: dict[str, Switched]


class PolicyKeeper:
    """Watches policies and puts them in force; `changed` is called when others are.

    `paths` are absolute; without any, the directory `fallback` is read if there is something in it. `switches` are in
    force already.
    """

    def __init__(
        self,
        paths: Sequence[str],
        fallback: str,
        *,
        loop: Loop,
        kernel: KernelSide,
        enforcement: Enforcement,
        instances: Callable[[], Collection[Instance]],
        audit: AuditLog,
        lockdown: bool,
        changed: Callable[[], None],
        switches: Switches | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._fallback = fallback
        self._loop = loop
        self._kernel = kernel
        self._enforcement = enforcement
        self._instances = instances
        self._audit = audit
        self._lockdown = lockdown
        self._changed = changed
        self._changes: deque[Change] = deque()
        self._now: Change | None = None
        self._watch: PolicyWatch | None = None
        self._next_watch: PolicyWatch | None = None
        self._is_unsettled = False
        self._complaint = ""
        self.rejected: dict[str, Any] | None = None
        self.switches: dict[str, Switched] = dict(switches or {})
        """Modes in force that are not the files'."""

    @staticmethod
    def first(paths: Sequence[str], fallback: str) -> PolicySet:
        """What is to be in force at the start. Raises PolicyError."""
        if paths or not _has_policies(fallback):
            return read_policies(paths)
        return read_policies([fallback])

    def start(self) -> None:
        """Watch the files from now on, and read them once more. Raises OSError if they cannot be watched."""
        self._watch = PolicyWatch(self._loop, self._paths or (self._fallback,), self._files_changed)
        self.change(Change())

    def close(self) -> None:
        """Leave in force what is."""
        for watch in (self._watch, self._next_watch):
            if watch is not None:
                watch.end(in_use=self._now is not None)
        self._watch = self._next_watch = None

    def change(self, change: Change) -> None:
        """Put something in force, after what is under way."""
        self._changes.append(change)
        self._begin()

    @property
    def files(self) -> tuple[str, ...]:
        """The policy files in force."""
        return self._enforcement.generation.policy_set.files

    def tell(self) -> None:
        """Say what is in force, in the log and on record."""
        self._tell_loaded(None)

    # One change after the other

    def _files_changed(self) -> None:
        self.change(Change())

    def _begin(self) -> None:
        if self._now is not None or not self._changes or self._watch is None:
            return
        self._now = change = self._changes.popleft()
        former = self._enforcement.generation.policy_set
        try:
            watch = self._watch_for(change)
        except OSError as error:
            self._end(error)
            return
        self._loop.in_thread(lambda: self._prepare(change, watch, former), self._end)

    def _watch_for(self, change: Change) -> PolicyWatch:
        assert self._watch is not None
        if change.paths is None:
            return self._watch
        self._next_watch = PolicyWatch(self._loop, change.paths, self._files_changed)
        return self._next_watch

    def _prepare(self, change: Change, watch: PolicyWatch, former: PolicySet) -> Ready | None:
        """In a thread: what is to be put in force; None if it is already. Raises PolicyError, KernelError."""
        texts = read_policies(self._paths_now(change.paths), watch.follow)
        switches = _switches_after(change, texts, self.switches)
        policy_set = in_modes(texts, switches)
        if change.also is None and not change.anew and policy_set.same_as(former):
            return None
        generation = Generation(policy_set, self._kernel.numbers.next_generation())
        # Before anything is loaded; and again when it is to be put in force, as others may have come meanwhile.
        self._require_said(generation, change)
        profile = self._enforcement.needs_other_programs(generation, self._standings(change))
        if profile is not None:
            self._enforcement.load(profile, lockdown=self._lockdown)
        return Ready(generation, switches)

    def _standings(self, change: Change) -> list[Standing]:
        known = [instance.standing for instance in self._instances()]
        return known if change.also is None else [*known, change.also]

    def _paths_now(self, paths: tuple[str, ...] | None) -> tuple[str, ...]:
        wanted = self._paths if paths is None else paths
        if wanted:
            return wanted
        # Where none are wanted none need be there. But once there were some, that they are gone says nothing.
        had_some = self._watch is not None and self.files
        return (self._fallback,) if had_some or _has_policies(self._fallback) else ()

    def _end(self, result: Ready | Exception | None) -> None:
        change, self._now = self._now, None
        assert change is not None
        if self._watch is None:
            return
        if isinstance(result, Ready) and self._has_outgrown(result, change):
            self._changes.appendleft(change)
            self._begin()
            return
        error = result if isinstance(result, Exception) else self._take(result, change)
        self._settle_watch(change, error)
        if error is not None:
            self._enforcement.unload()
            self._not_taken(error, change)
        else:
            self.rejected, self._complaint, self._is_unsettled = None, "", False
        if change.done is not None:
            change.done(error)
        self._begin()

    def _has_outgrown(self, ready: Ready, change: Change) -> bool:
        """Whether instances have come meanwhile that take other programs still."""
        needed = self._enforcement.needs_other_programs(ready.generation, self._standings(change))
        if needed is not None and self._next_watch is not None:
            self._next_watch.end(in_use=False)
            self._next_watch = None
        return needed is not None

    def _settle_watch(self, change: Change, error: Exception | None) -> None:
        watch, self._next_watch = self._next_watch, None
        if watch is None or self._watch is None:
            return
        if error is not None:
            watch.end(in_use=False)
            return
        self._watch.end(in_use=False)
        self._watch, self._paths = watch, change.paths or ()

    def _take(self, ready: Ready | None, change: Change) -> Exception | None:
        if ready is None:
            return None
        former = self._enforcement.generation.policy_set
        try:
            self._require_said(ready.generation, change)
            attached = self._enforcement.adopt(ready.generation, tuple(self._instances()))
        except (PolicyError, KernelError) as error:
            return error
        self.switches = ready.switches
        self._changed()
        if attached:
            self._audit.event(Event.ATTACH, hooks=attached, generation=ready.generation.number)
        self._tell_loaded(change.by)
        self._tell_of_modes(former.policies, ready.generation.policy_set.policies, change.by)
        return None

    def _require_said(self, generation: Generation, change: Change) -> None:
        if change.name is not None:
            return
        former = self._enforcement.generation
        pairs: list[tuple[InForce, InForce]] = [(former.everything, generation.everything)]
        for instance in self._instances():
            before = self._enforcement.in_force(instance.number)
            if before is not None:
                pairs.append((before, generation.for_known(instance.standing)))
        if any(ends_unsaid(before.policies, after.policies) for before, after in pairs):
            raise PolicyError([_turned_off()])

    # What is said of it

    def _not_taken(self, error: Exception, change: Change) -> None:
        if isinstance(error, Unsettled):
            if not self._is_unsettled:
                log.warning("policies: what is in force stays until they stand still:\n%s", error)
            self._is_unsettled = True
            if self._watch is not None:
                self._watch.notice_later()
            return
        complaint = str(error)
        if complaint == self._complaint and change.by is None:
            return  # one change can be noticed twice, and is on record already
        self._complaint = complaint
        if isinstance(error, PolicyError):
            log.error("policies: not put in force, what was in force stays:\n%s", error)
            errors = tuple(each.message for each in errors_in(error))
            self._reject(in_one_line(error), errors, change.by)
        elif isinstance(error, KernelError):
            log.error("policies: not put in force, what was in force stays: %s (%s)", error, error.hint)
            self._reject(error.message, (error.message,), change.by)
        elif not isinstance(error, NoSuchPolicy):
            log.error("policies: they could not be read", exc_info=error)
            self._reject(f"they could not be read: {error}", (complaint,), change.by)

    def _reject(self, message: str, errors: tuple[str, ...], by: Stasher | None) -> None:
        self.rejected = {"when": time.time_ns(), "message": message}
        mark = self._enforcement.generation.everything.mark
        files = self._paths or (self._fallback,)
        self._audit.event(Event.POLICY_REJECT, files=files, errors=errors, policy=mark, by=by)

    def _tell_loaded(self, by: Stasher | None) -> None:
        generation = self._enforcement.generation
        everything, policy_set = generation.everything, generation.policy_set
        if policy_set.warnings:
            log.warning("policies:\n%s", render_all(policy_set.warnings))
        log.info(
            "policies in force (generation %d, %s): %s",
            generation.number,
            everything.mode,
            ", ".join(everything.mark.names),
        )
        rules = sum(len(policy.rules) for policy in everything.policies)
        self._audit.event(
            Event.POLICY_LOAD, policy=everything.mark, files=policy_set.files, count=rules, by=by
        )

    def _tell_of_modes(self, former: Sequence[Policy], now: Sequence[Policy], by: Stasher | None) -> None:
        modes = {policy.name: policy.mode for policy in former}
        for policy in now:
            before = modes.get(policy.name, policy.mode)
            if before is not policy.mode:
                log.warning("policies: `%s` went from %s to %s", policy.name, before, policy.mode)
                self._audit.event(
                    Event.MODE_CHANGE, name=policy.name, former=str(before), mode=str(policy.mode), by=by
                )


def errors_in(error: PolicyError) -> list[Diagnostic]:
    """All that is an error, without the warnings."""
    return [each for each in error.diagnostics if each.severity is Severity.ERROR]


def _switches_after(change: Change, texts: PolicySet, before: Switches) -> dict[str, Switched]:
    """Those that there were, as long as the policy's text stays what it was then; and the one that is asked for."""
    kept = still_meant(before, texts)
    if change.name is not None and change.mode is not None:
        switched = switch(change.name, change.mode, texts)
        if switched is None:
            raise NoSuchPolicy(f"no policy is called `{change.name}`", name=change.name)
        kept[change.name] = switched
    return kept


def _has_policies(directory: str) -> bool:
    try:
        return bool(policies_in(directory))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _turned_off() -> Diagnostic:
    message = (
        "the policies that enforced are gone, and those that are left only monitor: nothing would be refused"
    )
    hint = "to mean it, write `mode: monitor` into the policy that enforces, or `fdstorefs policy mode NAME monitor`"
    return Diagnostic(Severity.ERROR, "enforcement-ends", message, None, hint)


def explicit_paths(files: Sequence[str]) -> tuple[str, ...] | None:
    """The paths that somebody gives; None: those that are there. Raises ValueError for one that isn't absolute."""
    for file in files:
        if not os.path.isabs(file):
            raise ValueError(file)
    return tuple(map(os.path.normpath, files)) or None

"""Registration: from a caller and the descriptor of a mount to an instance that the kernel guards."""

import itertools
import logging
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from fdstorefs.audit.decision import Decision, EntryMark, Reason
from fdstorefs.audit.log import AuditLog
from fdstorefs.core.subject import Subject
from fdstorefs.enforcer.caller import Caller, require_untraced
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.errors import BadPolicy, EnforcerError, NotEnforcing
from fdstorefs.enforcer.generation import Standing
from fdstorefs.enforcer.instance import Instance, standing_of
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.policy_keeper import Change, PolicyKeeper, errors_in
from fdstorefs.enforcer.process import Process, number_behind, process_behind
from fdstorefs.enforcer.registry import Registry
from fdstorefs.enforcer.serve_rule import ServeVerdict, may_serve
from fdstorefs.enforcer.served_mount import Seen, in_the_kernel, served_by
from fdstorefs.enforcer.turns import Turns
from fdstorefs.host.mount_table import MountTable
from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.policy.request import UNKNOWN, SubjectFacts
from fdstorefs.policy.vocabulary import Action
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.enforcement.keeping import in_one_line
from fdstorefs.server.loop import EPOLLIN, Loop

log = logging.getLogger(__name__)

Done = Callable[[Instance | Exception], None]


class ServeDenied(EnforcerError, PermissionError):
    """The policies do not let the caller run an instance (EACCES)."""

    identifier = "Denied"


class Candidate(NamedTuple):
    """A process that may serve a mount, and a pidfd of it, which `admit` takes over."""

    process: Process
    mount: Seen
    pidfd: int

    @property
    def standing(self) -> Standing:
        """What policies know the instance by."""
        return standing_of(self.process, self.mount)


class Registration:
    """Registers instances and their keepers, and notices when a server ends; `admitted` is called for each new one."""

    def __init__(
        self,
        loop: Loop,
        kernel: KernelSide,
        enforcement: Enforcement,
        registry: Registry,
        policies: PolicyKeeper,
        audit: AuditLog,
        admitted: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._kernel = kernel
        self._enforcement = enforcement
        self._registry = registry
        self._policies = policies
        self._audit = audit
        self._admitted = admitted
        self._numbers = itertools.count(1)
        self.turns = Turns(loop)

    def check(
        self, path: str, root: int, process: Process, mounts: MountTable, pidfd: int
    ) -> Instance | Candidate:
        """The process's instance if it is registered already; else what may be admitted, as far as its mount says.

        `root` is a descriptor of its mount. Raises what stands in its way.
        """
        mount = served_by(process, mounts, root, path, self._kernel.look(root, 0))
        mounted = {in_the_kernel(each.device) for each in mounts.mounts}
        known = self._registry.known(process, mount, pidfd, mounted)
        if known is not None:
            return known
        self._registry.require_room(process, mount)
        self._enforcement.forget_unused(each.standing for each in self._registry)
        return Candidate(process, mount, pidfd)

    def admit(self, candidate: Candidate, done: Done) -> None:
        """Register it; `done(instance, or what went wrong)`.

        It takes a while only where its policies need other programs in the kernel.
        """
        in_force = self._enforcement.generation.for_known(candidate.standing)
        if self._enforcement.can_take(in_force):
            done(self._admit(candidate))
            return
        self._policies.change(
            Change(also=candidate.standing, done=lambda error: done(self._admit_later(candidate, error)))
        )

    def _admit_later(self, candidate: Candidate, error: Exception | None) -> Instance | Exception:
        if error is not None:
            os.close(candidate.pidfd)
            return NotEnforcing(f"programs for these policies cannot be put in force: {error}")
        return self._admit(candidate)

    def _admit(self, candidate: Candidate) -> Instance | Exception:
        process, mount, pidfd = candidate
        try:
            in_force = self.policies_for(candidate)
            instance = self._registry.admit(process, mount, pidfd, in_force)
        except Exception as error:  # noqa: BLE001  whatever it is, it is told to who asked
            os.close(pidfd)
            return error
        self.watch(instance)
        try:
            # Asked when the role keeps any further one away.
            require_untraced(process, pidfd)
        except OSError as error:
            self._registry.end(instance)
            return error
        self._admitted()
        log.info(
            "instance %d: `%s`, served by process %d of uid %d",
            instance.number,
            mount.path,
            process.pid,
            process.uid,
        )
        return instance

    def policies_for(self, candidate: Candidate) -> InForce:
        """What is in force for a candidate. It takes a while for the first with its ids; may be called in a thread."""
        try:
            return self._enforcement.generation.for_instance(candidate.standing)
        except PolicyError as error:
            path = candidate.mount.path
            log.error("policies: `%s` is not registered:\n%s", path, error)
            raise BadPolicy(
                f"the policies make no sense for this instance: {in_one_line(error)}",
                name=path,
                hint="the enforcer's log says what is wrong",
                errors=[each.code for each in errors_in(error)],
            ) from error

    # Whether it may

    def require_serve(self, caller: Caller, candidate: Candidate, in_force: InForce) -> None:
        """Raise ServeDenied if the policies do not let the candidate run an instance."""
        process, mount, _ = candidate
        verdict = may_serve(in_force.policies, _facts(process), tuple(process.userns.numbers))
        if not verdict.allowed or not verdict.decided:
            self._note_denial(caller, process, mount, in_force, verdict)
        if not verdict.allowed:
            why = ", ".join(f"`{rule}`" for rule in verdict.rules) or "no rule"
            raise ServeDenied(
                f"policy: uid {process.inner_uid} may not serve `{mount.path}`: {why}",
                name=mount.path,
                hint="a rule with `actions: [serve]` has to allow it",
                reason="forbidden" if verdict.rules else "no-rule",
                rules=list(verdict.rules),
            )

    def _note_denial(
        self, caller: Caller, process: Process, mount: Seen, in_force: InForce, verdict: ServeVerdict
    ) -> None:
        decision = Decision(
            next(self._numbers),
            time.time_ns(),
            time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            Action.SERVE.word,
            verdict.allowed,
            verdict.decided,
            Reason.FORBIDDEN if verdict.rules else Reason.NO_RULE,
            verdict.rules,
            Subject(caller.uid, caller.gid, process.pid),
            EntryMark("/"),
            in_force.mark,
        )
        decision.mount = mount.path
        self._audit.verdict(decision)

    # Keepers, and the end

    def protect(self, instance: Instance, pidfd: int) -> None:
        """Guard the process behind a pidfd as a keeper of the instance."""
        keeper = process_behind(number_behind(pidfd), pidfd)
        take_back = self._registry.protect(instance, keeper, pidfd)
        try:
            # As of a server: when the role keeps any further one away.
            require_untraced(keeper, pidfd)
        except BaseException:
            take_back()
            raise

    def succeed(self, instance: Instance, pidfd: int) -> None:
        """Have the process behind a pidfd be the instance's server. It registers, too, before it serves."""
        taken = os.dup(pidfd)
        try:
            successor = process_behind(number_behind(taken), taken)
            require_untraced(successor, taken)
            self._registry.succeed(instance, successor, taken)
        except BaseException:
            os.close(taken)
            raise
        finally:
            self.watch(instance)
        self._admitted()
        log.info("instance %d: process %d serves from now on", instance.number, instance.pid)

    def watch(self, instance: Instance) -> None:
        """Notice when the instance's server ends."""
        if instance.pidfd is not None:
            self._loop.register(instance.pidfd, lambda _events: self._registry.end(instance), EPOLLIN)


def _facts(process: Process) -> SubjectFacts:
    """The server as its instance sees it."""
    groups = (process.gids.to_instance(gid) for gid in process.groups)
    return SubjectFacts(
        uid=UNKNOWN if process.inner_uid is None else process.inner_uid,
        gids=frozenset(gid for gid in groups if gid is not None),
        capabilities=process.capabilities,
        userns=tuple(process.userns.numbers),
        cgroup=UNKNOWN if process.cgroup is None else process.cgroup,
    )

"""The host's enforcer, put together: kernel, policies, instances, socket, log, loop. Its composition root."""

import logging
import os
import signal
import time
from collections.abc import Sequence

from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.opening import begin, open_log
from fdstorefs.audit.record import HOST, KERNEL, Event
from fdstorefs.bpf.kernel import Kernel
from fdstorefs.bpf.pins import pinned
from fdstorefs.enforcer import service
from fdstorefs.enforcer.book import Book, GuardedFile
from fdstorefs.enforcer.caller import Caller
from fdstorefs.enforcer.cgroups import Cgroups
from fdstorefs.enforcer.desk import MOST_STUCK, Desk, Door
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.generation import Generation, Standing
from fdstorefs.enforcer.guarding import Guarding
from fdstorefs.enforcer.hooks_watch import HooksWatch
from fdstorefs.enforcer.host import Host
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_log import KernelLog
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.options import POLICIES, EnforceOptions
from fdstorefs.enforcer.place import require_host
from fdstorefs.enforcer.policy_keeper import Change, PolicyKeeper
from fdstorefs.enforcer.policy_set import PolicySet
from fdstorefs.enforcer.reconciling import take_over
from fdstorefs.enforcer.registration import Registration
from fdstorefs.enforcer.registry import Registry
from fdstorefs.enforcer.state import (
    State,
    digest_of_policies,
    digest_of_programs,
    read_state,
    write_state,
)
from fdstorefs.enforcer.status import Status
from fdstorefs.enforcer.sweeping import Sweeper
from fdstorefs.enforcer.switched import Switches, in_modes, taken_over
from fdstorefs.host.descriptors import Descriptors, raise_limit
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.kernel_facts import Home
from fdstorefs.server.loop import Loop, Timer
from fdstorefs.server.readiness_notice import announce
from fdstorefs.server.varlink.activity import Activity
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reply import Reply
from fdstorefs.server.varlink.sender import Sender

log = logging.getLogger(__name__)

STATE_NAME = "enforcer.state"
SAVE_SECONDS = 0.2
DRAIN_SECONDS = 2.0


class Enforcer:
    """Enforces on this host until it is told to stop. What is in the kernel then stays in force.

    `state` is what a former one has left, `switches` those of its modes that are in force from the start.
    """

    def __init__(
        self,
        options: EnforceOptions,
        loop: Loop,
        kernel: KernelSide,
        audit: AuditLog,
        state: State,
        switches: Switches,
    ) -> None:
        self._options = options
        self._loop = loop
        self._kernel = kernel
        self._audit = audit
        self._former = state
        self._state_file = os.path.join(os.path.dirname(options.socket), STATE_NAME)
        self._saving: Timer | None = None
        self._book = Book()
        self._descriptors = Descriptors(MOST_STUCK)
        self._cgroups = Cgroups(loop)
        self._enforcement = Enforcement(kernel, self._book, self._cgroups.known)
        self._registry = Registry(kernel, self._enforcement, self._leave, self._ended)
        self._guarding = Guarding(
            kernel,
            self._book,
            self._enforcement,
            sweep=self._sweep_soon,
            clear_at=self._clear_at,
        )
        self._sweeper = Sweeper(loop, kernel, self._book, self._guarding, self._registry)
        self._policies = PolicyKeeper(
            options.policies,
            POLICIES,
            loop=loop,
            kernel=kernel,
            enforcement=self._enforcement,
            instances=lambda: tuple(self._registry),
            audit=audit,
            lockdown=options.lockdown,
            changed=self._save,
            switches=switches,
        )
        self._registration = Registration(
            loop, kernel, self._enforcement, self._registry, self._policies, audit, self._save_soon
        )
        status = Status(
            kernel, self._enforcement, self._registry, self._book, self._policies, audit, options.pins
        )
        self._host = Host(
            loop,
            kernel,
            self._descriptors,
            self._enforcement,
            self._registry,
            self._registration,
            self._guarding,
            self._policies,
            audit,
            status.told_to,
        )
        self._kernel_log = KernelLog(audit, self, self._cgroups.look_for, kernel.lost, Home(), state.reported)

    # The start and the end

    def run(self, door: Door, policy_set: PolicySet) -> None:
        """Put these policies in force and serve until told to stop."""
        take_over(self._kernel, self._registry, self._guarding, self._former)
        for instance in self._registry:
            self._registration.watch(instance)
        self._put_in_force(policy_set)
        self._cgroups.follow(self._enforcement)
        self._save()
        self._loop.register(self._kernel.ring.fileno(), self._on_ring)
        self._policies.start()
        desk = Desk(self._loop, door.listening, self._descriptors, self._answer, self._gone)
        watch = HooksWatch(self._loop, self._kernel, self._audit, desk.end_connections, self._policies.change)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal(number, self._loop.stop)
        self._loop.add_signal(signal.SIGHUP, lambda: self._policies.change(Change()))
        announce(self._options.ready_fd)
        self._loop.run()
        watch.close()
        desk.close()
        self._close()

    def _put_in_force(self, policy_set: PolicySet) -> None:
        """Go on with what is in force as far as it says the same; the rest is put in its place."""
        kernel, instances = self._kernel, tuple(self._registry)
        standings = [each.standing for each in instances]
        are_ours = self._programs_are_ours()
        generation = Generation(policy_set, kernel.generation) if are_ours else None
        if generation is not None and self._says_the_same(generation, standings):
            self._enforcement.go_on(generation, instances)
        else:
            generation = Generation(policy_set, kernel.numbers.next_generation())
            profile = self._enforcement.needs_other_programs(generation, standings)
            if profile is not None or not are_ours:
                everything = generation.profile(generation.for_known(each) for each in standings)
                self._enforcement.load(everything, lockdown=self._options.lockdown)
            self._enforcement.adopt(generation, instances)
        cause = "the enforcer has started anew" if are_ours else None
        self._audit.event(Event.ATTACH, hooks=kernel.attached, generation=generation.number, cause=cause)
        self._policies.tell()

    def _programs_are_ours(self) -> bool:
        """Whether the programs in force are those that we would load, and the state file speaks of them."""
        former, kernel = self._former, self._kernel
        return (
            bool(kernel.attached)
            and former.generation == kernel.generation
            and former.programs == digest_of_programs()
            and kernel.lockdown == self._options.lockdown
        )

    def _says_the_same(self, generation: Generation, standings: Sequence[Standing]) -> bool:
        return (
            self._former.policies == digest_of_policies(generation)
            and self._enforcement.needs_other_programs(generation, standings) is None
        )

    def _close(self) -> None:
        self._policies.close()
        self._sweeper.close()
        self._cgroups.close()
        self._save(in_order=True)
        log.warning(
            "the enforcer ends; what is in force stays so, in the kernel (`fdstorefs enforce --off` ends it)"
        )
        left = self._descriptors.drain(DRAIN_SECONDS)
        if left:
            log.warning("%d descriptors are still being closed by their file servers", left)
        self._audit.close("the enforcer ends; enforcement stays in force")
        self._kernel.close()
        self._loop.close()

    # Events

    def _answer(self, message: Message, sender: Sender, caller: Caller) -> Reply | Activity | None:
        return service.answer(self._host, message, sender, caller)

    def _gone(self, caller: Caller) -> None:
        instance = None if caller.instance is None else self._registry.get(caller.instance)
        if instance is not None and (instance.pid, instance.start) == (caller.pid, caller.start):
            instance.connected = False

    def _on_ring(self, _events: int) -> None:
        reported = self._kernel_log.reported
        try:
            self._kernel_log.read(self._kernel.ring)
        except Exception:
            # The loop would drop the ring for good.
            log.exception("a record of the kernel could not be read")
        if self._kernel_log.reported != reported:
            self._save_soon()

    def _leave(self, instance: Instance) -> None:
        if instance.pidfd is not None:
            self._loop.unregister(instance.pidfd)

    def _ended(self, instance: Instance) -> None:
        self._guarding.end_entries(instance)
        self._sweeper.soon()
        self._save_soon()

    def _sweep_soon(self) -> None:
        self._sweeper.soon()

    def _clear_at(self, when: float) -> None:
        self._loop.call_at(when, self._guarding.clear)

    # The state file

    def _save_soon(self) -> None:
        if self._saving is None:
            self._saving = self._loop.call_at(time.monotonic() + SAVE_SECONDS, self._save)

    def _save(self, *, in_order: bool = False) -> None:
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        generation = self._enforcement.generation
        files: dict[int, GuardedFile] = {}
        if in_order:
            files = {number: file for each in self._registry for number, file in self._book.of(each.number)}
        state = State(
            generation.number,
            digest_of_policies(generation),
            digest_of_programs(),
            {each.number: each.standing for each in self._registry},
            files,
            self._policies.switches,
            reported=self._kernel_log.reported,
        )
        try:
            write_state(self._state_file, state)
        except OSError as error:
            log.error("the state for the next enforcer cannot be kept: %s", error.strerror)

    # What the log looks up

    def instance(self, number: int) -> Instance | None:
        """An instance."""
        return self._registry.get(number)

    def in_force(self, number: int, generation: int) -> InForce | None:
        """The policies that were in force in an instance in that generation."""
        return self._enforcement.in_force_then(number, generation)

    def file(self, classes: int) -> GuardedFile | None:
        """A guarded file, by its class set."""
        return self._book.get(classes)


def run(options: EnforceOptions) -> None:
    """Enforce on this host until told to stop; what is in the kernel then stays in force, and the socket in its place.

    Raises, with nothing changed: NotPermitted elsewhere than on the host, EnforcerError, PolicyError if something is
    wrong with the policies, AuditError, and KernelError if the kernel does not do it.
    """
    require_host()
    raise_limit()
    door = Door(options.socket)
    try:
        _run(options, door)
    finally:
        door.close(leave=pinned(options.pins) is not None)


def _run(options: EnforceOptions, door: Door) -> None:
    texts = PolicyKeeper.first(options.policies, POLICIES)
    kernel = Kernel.open(options.pins)
    loop = Loop()
    audit = open_log(options.audit, HOST, loop)
    begin(audit, options.audit, KERNEL, "this is the host's enforcer")
    state = read_state(os.path.join(os.path.dirname(options.socket), STATE_NAME))
    try:
        switches = taken_over(state.switches, texts)
        Enforcer(options, loop, kernel, audit, state, switches).run(door, in_modes(texts, switches))
    except Exception as error:
        audit.close(cause=str(error))
        raise

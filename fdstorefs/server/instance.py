"""One instance, put together: mount, store, socket, loop. The composition root of the server."""

import logging
import os
import signal
import socket
import time
from typing import Any, NamedTuple

from fdstorefs import __version__
from fdstorefs.audit.log import AuditLog
from fdstorefs.audit.opening import begin, note_restart, note_upgrade, open_log
from fdstorefs.core.limits import Limits
from fdstorefs.core.store import Store
from fdstorefs.host import syscalls
from fdstorefs.host.descriptors import Descriptors, raise_limit
from fdstorefs.host.recursion import RecursionGuard
from fdstorefs.server import doorway, fuse, varlink
from fdstorefs.server.budget import budget
from fdstorefs.server.context import Context
from fdstorefs.server.enforcement.authority import PolicyAuthority
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.enforcement.keeping import PolicyKeeper, Ready, least, make_ready, make_ready_again
from fdstorefs.server.enforcement.loading import load_policies
from fdstorefs.server.guarding.asking import Ask
from fdstorefs.server.guarding.asking import ask as ask_kernel
from fdstorefs.server.guarding.choosing import Choice, choose
from fdstorefs.server.guarding.guarding import Guarding, Introduced
from fdstorefs.server.intake import Intake
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.keeping.keeping import Keeping
from fdstorefs.server.kept import Kept, end_with, keep
from fdstorefs.server.lapsing.lapses import Lapses
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import Mounted, MountError
from fdstorefs.server.options import ServeOptions
from fdstorefs.server.place import OwnPlace, Place
from fdstorefs.server.readiness_notice import announce
from fdstorefs.server.record import Records
from fdstorefs.server.status import Status
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.upgrading.outgoing import Upgrades
from fdstorefs.server.upgrading.parts import Parts
from fdstorefs.server.upgrading.passing import State

log = logging.getLogger(__name__)

DRAIN_SECONDS = 2.0
MOST_CLOSERS_OF_ONE = 8
"""Threads that are stuck in closing what one user has stashed; what others stashed is closed by others."""
FIRST_GENERATION = 1
REGISTERED = "registered"
"""What is remembered of an instance that the kernel guards: its number."""
_WATCH_HINT = "if this user watches too much: raise the sysctl fs.inotify.max_user_instances"


class Instance:
    """A mounted store that serves until it is told to stop, or its mount is gone, or another server has taken over.

    With what was `taken` over from another server it goes on for that one, from `go_on` on.
    """

    def __init__(
        self,
        options: ServeOptions,
        mounted: Mounted,
        limit: int,
        ready: Ready,
        foundation: "Foundation",
        ask: Ask,
        taken: State | None = None,
    ) -> None:
        self._options = options
        self._mounted = mounted
        self._descriptors = Descriptors(MOST_CLOSERS_OF_ONE)
        self._loop, self._subjects, self._audit, self._choice, self._kept, self._place = foundation
        self._started: int = self._kept.facts.get("started", time.time_ns()) if self._kept else time.time_ns()
        self._taken = taken
        self._authority, self._ours, self._context = self._make_context(limit, ready)
        self._keeping = self._keep(self._kept) if self._kept is not None else None
        self._policies = self._make_policies(ready)
        self._guarding = self._make_guarding(ask)
        self._status = self._make_status()
        self._lapses = Lapses(self._loop, self._context.store, self._context.intake, self._audit)
        self._mount_server = self._serve_mount()
        self._watch = doorway.MountWatch(self._loop, self._place.open_table(), mounted.device, self._end)
        self._listening: socket.socket | None = None
        self._socket_server: varlink.VarlinkServer | None = None
        if taken is not None:
            self._listening = taken.listening
            self._socket_server = varlink.take_over(self._context, taken.listening, taken.socket)
        self._upgrades: Upgrades | None = None
        self._failure: BaseException | None = None
        self._ending = self._is_kept_for_later = False

    def _serve_mount(self) -> fuse.MountServer:
        fd, device, taken = self._mounted.device_fd, self._mounted.device, self._taken
        if taken is None:
            return fuse.serve_mount(self._context, fd, device, self._end)
        return fuse.take_over(self._context, taken.mount, fd, device, self._end, taken.former.interrupt)

    def _make_context(self, limit: int, ready: Ready) -> tuple[PolicyAuthority, Limits, Context]:
        options = self._options
        guard = RecursionGuard(self._mounted.device, os.getpid(), self._descriptors)
        intake = Intake(self._descriptors, guard, limit)
        told = Limits(options.entries, options.entries_per_uid, options.entries_per_box)
        ours = least(told, Limits(intake.capacity))
        authority = PolicyAuthority(
            ready.in_force,
            self._subjects.userns,
            self._audit if self._audit.enabled else None,
            self._kept.memory.decisions() if self._kept is not None else None,
        )
        store = Store(
            uid=os.geteuid(),
            gid=os.getegid(),
            clock=time.time_ns,
            mode=options.mode,
            limits=least(ours, ready.in_force.limits),
            authority=authority,
        )
        authority.govern(store.tree)
        # Some policies ask for those of stashers, and so does the enforcer: for whom it may guard a file.
        guards = self._choice.line is not None
        self._subjects.capabilities_wanted = lambda: guards or bool(authority.in_force.tables.assume)
        myself = self._subjects.subject(os.getpid(), os.geteuid(), os.getegid())
        store.root.stasher = self._subjects.stasher(myself, with_capabilities=True)
        context = Context(
            loop=self._loop,
            store=store,
            intake=intake,
            subjects=self._subjects,
            records=Records(
                store, bytes.fromhex(self._kept.facts.get("records", "")) if self._kept else None
            ),
            status=self._status_now,
        )
        return authority, ours, context

    def _keep(self, kept: Kept) -> Keeping:
        """What is kept is in the store from now on, and what comes into it is kept."""
        store, intake = self._context.store, self._context.intake
        keeping = keep(kept, store, intake, self._subjects, self._loop, self._descriptors)
        keeping.remember(started=self._started, records=self._context.records.key.hex(), **kept.memory.facts)
        if kept.restored is not None and self._taken is None:
            note_restart(
                self._audit,
                self._options.audit,
                kept.memory,
                away=kept.away,
                entries=store.usage.total,
                descriptors=intake.files,
                enforcement=self._choice.enforcement,
                why=self._choice.why,
                cause=kept.held.cause,
            )
        return keeping

    def _make_policies(self, ready: Ready) -> PolicyKeeper:
        policies = PolicyKeeper(
            self._options.policies,
            self._mounted.path,
            ready,
            loop=self._loop,
            authority=self._authority,
            usage=self._context.store.usage,
            ours=self._ours,
            audit=self._audit,
            is_news=self._taken is None,
        )
        keeping = self._keeping
        if keeping is not None:
            keeping.remember(policy=_mark(ready.in_force))
            policies.changed = lambda in_force: keeping.remember(policy=_mark(in_force))
        return policies

    def _make_guarding(self, ask: Ask) -> Guarding | None:
        if self._choice.line is None:
            if self._kept is not None:
                self._kept.line.settled(guarded=False)
            return None
        store, intake = self._context.store, self._context.intake
        guarding = Guarding(
            self._options.enforcer_socket,
            self._choice.line,
            mount=self._mounted.path,
            device=self._mounted.device,
            userns=self._subjects.userns,
            loop=self._loop,
            descriptors=self._descriptors,
            audit=self._audit,
            ask=ask,
            files=lambda: intake.stored,
            keeper=(lambda: kept.line.pid) if (kept := self._kept) is not None else None,
            previous=kept.facts.get(REGISTERED) if kept is not None else None,
        )
        guarding.guard.guarded = sum(file.guarded for file in intake.stored)
        if kept is not None:
            kept.line.may_keep = guarding.may_keep
        store.guard, intake.unkept = guarding.guard, guarding.guard.release
        return guarding

    def _make_status(self) -> Status:
        return Status(
            self._mounted,
            self._context.store,
            self._context.intake,
            self._policies,
            self._audit,
            guarding=self._guarding,
            why=self._choice.why,
            kept=self._kept,
            started=self._started,
            connections=lambda: self._socket_server.connections if self._socket_server is not None else 0,
        )

    def _status_now(self) -> dict[str, Any]:
        return self._status.reply()

    def run(self) -> None:
        """Serve. Returns when the instance has ended and is unmounted; raises what kept it from starting."""
        self._watch_for_the_end()
        if not self._watch_policies():
            pass
        elif self._guarding is not None:
            self._loop.in_thread(self._guarding.introduce, self._introduced)
        else:
            self._bind()
        self._run_to_the_end()

    def _watch_for_the_end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal(number, self._end_for_now)
        if self._options.ends_with is not None:
            end_with(self._options.ends_with, self._loop, self._end)

    def _run_to_the_end(self) -> None:
        self._loop.run()
        self._close()
        if self._failure is not None:
            raise self._failure

    def _watch_policies(self) -> bool:
        try:
            self._policies.start()
        except OSError as error:
            # The mount is there, so the loop must run until it is not.
            self._failure = MountError(f"cannot watch the policies: {error.strerror}", _WATCH_HINT)
            self._end()
        return self._failure is None

    @property
    def entries(self) -> int:
        """How many entries and boxes there are."""
        return self._context.store.usage.total

    def introduce(self) -> Introduced | None:
        """In the place of another server, register with the enforcer, if there is one. Raises MountError."""
        return self._guarding.introduce() if self._guarding is not None else None

    def go_on(self, introduced: Introduced | None, upgraded: dict[str, Any]) -> None:
        """Serve from now on what another server has served, which told everything. `upgraded` says of what came."""
        taken, keeping = self._taken, self._keeping
        assert taken is not None
        assert keeping is not None
        assert self._kept is not None
        self._kept.line.go_on()
        keeping.go_on()
        keeping.remember(started=self._started)
        self._watch_for_the_end()
        if self._guarding is not None and introduced is not None:
            self._take_guard(introduced)
        self._mount_server.begin()
        assert self._socket_server is not None
        self._context.upgraded = upgraded | {"pause": time.monotonic_ns() - taken.still}
        # Whoever connects asks whom it reaches, and that is who has called this last.
        taken.listening.listen(doorway.BACKLOG)
        self._socket_server.begin()
        taken.former.attend(self._mount_server)
        self._lapses.begin()
        self._serves()
        self._tell_of_upgrade(self._context.upgraded)
        if self._watch_policies():
            self._run_to_the_end()

    def _introduced(self, result: Introduced | Exception) -> None:
        if isinstance(result, Exception) or self._guarding is None:
            wrong = result if isinstance(result, MountError) else MountError(f"cannot register: {result}")
            self._failure = wrong
            self._end()
            return
        self._take_guard(result)
        if not self._ending:
            self._bind()

    def _take_guard(self, introduced: Introduced) -> None:
        assert self._guarding is not None
        if self._kept is not None:
            self._kept.line.settled(guarded=True)
        self._guarding.begin(introduced)
        # Our role keeps others out from now on, root too, and has it on record that they tried.
        syscalls.set_dumpable(True)
        if self._keeping is not None:
            self._keeping.remember(**{REGISTERED: introduced[1].instance})

    def _bind(self) -> None:
        self._lapses.begin()
        self._loop.in_thread(lambda: doorway.bind(lambda: self._place.open_root(self._mounted)), self._bound)

    def _bound(self, listening: socket.socket | BaseException) -> None:
        if isinstance(listening, BaseException):
            self._failure = MountError(f"cannot make the socket in {self._mounted.path}: {listening}")
            self._end()
            return
        self._listening = listening
        self._socket_server = varlink.serve(self._context, listening)
        self._tell_that_it_serves()
        if self._guarding is None:
            log.info("enforcement: by this server alone; %s", self._choice.why)
        if not self._audit.enabled:
            log.info("no audit log is kept (`--audit` says where)")
        self._serves()

    def _serves(self) -> None:
        if self._kept is None or self._keeping is None:
            announce(self._options.ready_fd)
            return
        self._upgrades = Upgrades(self._parts(self._kept.line, self._keeping), self._leave)
        self._context.upgrade = self._upgrades.begin
        self._kept.line.upgrade_wanted = self._upgrades.ask
        self._kept.line.ready()

    def _parts(self, line: KeeperLine, keeping: Keeping) -> Parts:
        assert self._listening is not None
        assert self._socket_server is not None
        return Parts(
            self._loop,
            self._context,
            self._mounted,
            self._mount_server,
            self._listening,
            self._socket_server,
            line,
            keeping,
            self._audit,
            self._policies,
            self._lapses,
            self._guarding,
            self._choice.why,
        )

    def _leave(self) -> None:
        """Another server serves: end at once. What would be done in the end is that one's to do, in its time."""
        logging.shutdown()
        os._exit(0)

    def _tell_of_upgrade(self, upgraded: dict[str, Any]) -> None:
        assert self._kept is not None
        note_upgrade(
            self._audit,
            self._options.audit,
            self._kept.memory,
            former=upgraded["formerVersion"],
            away=upgraded["pause"],
            entries=upgraded["entries"],
            descriptors=self._context.intake.files,
        )
        log.warning(
            "serving %s, version %s in the place of %s (pid %d), with %d entries; nobody was served for %d ms",
            self._mounted.path,
            __version__,
            upgraded["formerVersion"],
            upgraded["formerPid"],
            upgraded["entries"],
            upgraded["pause"] // 1_000_000,
        )

    def _tell_that_it_serves(self) -> None:
        if self._kept is None or self._kept.restored is None:
            log.info("serving %s", self._mounted.path)
            return
        away = self._status.outage = self._kept.away
        count, files = self._context.store.usage.total, self._context.intake.files
        log.warning(
            "serving %s again after %d ms, with %d entries and %d open files",
            self._mounted.path,
            away // 1_000_000,
            count,
            files,
        )

    def _end_for_now(self) -> None:
        """End, but leave with systemd what it keeps: it may be about to start this again."""
        self._is_kept_for_later = True
        self._end()

    def _end(self) -> None:
        """Take the mount away while the loop still answers it, then stop. Called for every reason to end."""
        if self._ending or (self._upgrades is not None and not self._upgrades.close()):
            return
        self._ending = True
        if self._kept is not None:
            # From here on nobody is to take over, however this ends.
            self._kept.line.end(0)
        self._watch.close()
        self._policies.close()
        if self._socket_server is not None:
            self._socket_server.close()
            self._socket_server = None
        self._loop.in_thread(lambda: self._place.unmount(self._mounted), self._unmounted)

    def _unmounted(self, result: Exception | None) -> None:
        if isinstance(result, MountError):
            log.warning("%s", result.message)
        elif result is not None:
            log.error("%s is left mounted, without a server", self._mounted.path, exc_info=result)
        self._loop.stop()

    def _close(self) -> None:
        self._lapses.close()
        self._mount_server.close()
        left = self._descriptors.drain(DRAIN_SECONDS)
        if left:
            log.warning("%d descriptors are still being closed by their file servers", left)
        if self._guarding is not None:
            self._guarding.close()
        self._audit.close()
        if self._kept is not None and not self._is_kept_for_later and self._failure is None:
            self._kept.line.end_for_good()
        if self._keeping is not None:
            self._keeping.close()
        self._loop.close()


class Foundation(NamedTuple):
    """What an instance is built on, and what there is before it is mounted."""

    loop: Loop
    subjects: Subjects
    audit: AuditLog
    choice: Choice
    kept: Kept | None
    place: Place


def serve(
    options: ServeOptions, ask: Ask = ask_kernel, kept: Kept | None = None, place: Place | None = None
) -> None:
    """Mount and serve one instance until it ends. `ask` asks the kernel whether it enforces the policy. `place` says in
    which mount namespace, if not in ours.

    Raises, with nothing mounted, MountError (EnforcementError if it cannot have the policy enforced as it was told),
    PolicyError if something is wrong with its policies, AuditError if it cannot keep its audit log.
    """
    limit = raise_limit()
    place = place or OwnPlace()
    mount = place.find(options.mount)
    candidates = load_policies(options.policies, mount)
    was = kept.facts.get("policy") if kept is not None else None
    ready = make_ready(candidates, FIRST_GENERATION) if was is None else make_ready_again(candidates, was)
    loop, subjects = Loop(), Subjects(budget(limit).namespaces)
    audit = open_log(options.audit, mount, loop, subjects.userns, kept.memory if kept is not None else None)
    try:
        choice = _choose(options, audit, kept)
        mounted = place.mount(mount, kept.device if kept is not None else None)
    except MountError as error:
        audit.close(cause=error.message)
        raise
    if kept is not None:
        kept.line.note(device=mounted.device)
    try:
        made = Instance(
            options, mounted, limit, ready, Foundation(loop, subjects, audit, choice, kept, place), ask
        )
    except OSError as error:
        place.unmount(mounted)
        raise MountError(f"what is kept cannot be taken up: {error.strerror}") from error
    made.run()


def _choose(options: ServeOptions, audit: AuditLog, kept: Kept | None) -> Choice:
    """Who enforces, which is on record from the start. Raises EnforcementError."""
    if kept is not None and kept.memory.goes_on:
        return choose(options, again=REGISTERED in kept.facts)
    try:
        choice = choose(options)
    except MountError:
        begin(audit, options.audit)
        raise
    begin(audit, options.audit, choice.enforcement, choice.why)
    return choice


def _mark(in_force: InForce) -> dict[str, Any]:
    """What is remembered of a policy: enough to know it again."""
    return {"hash": in_force.mark.hash, "generation": in_force.mark.generation}

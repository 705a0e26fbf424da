"""The registry: which instances there are, from the registration of a server to the last tag that it left."""

import logging
import os
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from fdstorefs.bpf.abi import Role, RoleKind
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer.errors import AlreadyRegistered, NotRegistered
from fdstorefs.enforcer.instance import Instance, Keeper, payer_of
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.enforcer.kinship import require_kin
from fdstorefs.enforcer.process import Process, has_ended
from fdstorefs.enforcer.served_mount import Seen
from fdstorefs.errors import NotPermitted, QuotaExceeded
from fdstorefs.server.enforcement.in_force import InForce
from fdstorefs.server.shares import Shares

log = logging.getLogger(__name__)

Server = tuple[int, int, Process | None]
"""Pid, start, and what is known of it."""

PER_UID, IN_ALL = 64, 4096
"""Instances that one user, and all, may have; those that have ended count while something is tagged for them."""


class Rows(Protocol):
    """Where an instance's policies are put in force."""

    def in_force(self, number: int) -> InForce | None:
        """The policies in force in an instance."""

    def add(self, instance: Instance, in_force: InForce) -> None:
        """Put policies in force for an instance."""

    def drop(self, number: int) -> None:
        """Take them out."""


class Speaker(Protocol):
    """Who registered on a connection: a number may be another instance's by now, and so may a process's."""

    pid: int
    instance: int | None
    start: int | None


class Registry:
    """Registered instances by number.

    `leave` is called before the pidfd of a server that has gone is closed, `ended` afterwards, with its instance still
    here.
    """

    def __init__(
        self,
        kernel: KernelSide,
        rows: Rows,
        leave: Callable[[Instance], None],
        ended: Callable[[Instance], None],
    ) -> None:
        self._leave = leave
        self._kernel = kernel
        self._rows = rows
        self._ended = ended
        self._instances: dict[int, Instance] = {}
        self._quota = Shares(PER_UID, IN_ALL)

    def __iter__(self) -> Iterator[Instance]:
        return iter(tuple(self._instances.values()))

    def __len__(self) -> int:
        return len(self._instances)

    def get(self, number: int) -> Instance | None:
        """The instance of this number."""
        return self._instances.get(number)

    # Coming

    def known(self, process: Process, mount: Seen, pidfd: int, mounted: Collection[int]) -> Instance | None:
        """The instance that this very process has registered already; None if it has none.

        `mounted` are the devices that it has mounted. Raises NotPermitted if it has another role, AlreadyRegistered if
        it serves another mount.
        """
        role = self._kernel.role(pidfd)
        found = None if role is None else self._instances.get(role.instance)
        if role is None or found is None:
            return None
        # A child has its parent's role, and is still nobody's server or keeper.
        if role.kind == RoleKind.KEEPER and _is_keeper(process, found):
            raise NotPermitted("who keeps an instance's descriptors does not serve another")
        if found.has_ended or (found.pid, found.start) != (process.pid, process.start):
            return None
        if found.device == mount.device:
            return found
        if found.device in mounted and self._has_mount(found):
            raise AlreadyRegistered(
                f"process {process.pid} serves `{found.mount}` already",
                hint="serve each mount with its own process",
            )
        self.end(found)
        return None

    def require_room(self, process: Process, mount: Seen) -> None:
        """Raise AlreadyRegistered or QuotaExceeded if one more cannot come."""
        for other in self:
            if other.device == mount.device and not other.has_ended and not self._has_just_ended(other):
                raise AlreadyRegistered(f"process {other.pid} serves `{mount.path}` already", name=mount.path)
        payer = payer_of(process.uid, tuple(process.userns.owners))
        if not self._quota.fits(payer, 1):
            raise QuotaExceeded(
                f"uid {payer} has {PER_UID} instances registered, or all have {IN_ALL}",
                hint="end some; those that have ended count while somebody holds what they delivered",
            )

    def _has_just_ended(self, instance: Instance) -> bool:
        """Whether its server is gone, which the loop may not have told yet, or its mount, whose device is another's."""
        assert instance.pidfd is not None
        ended = has_ended(instance.pidfd) or not self._has_mount(instance)
        if ended:
            self.end(instance)
        return ended

    def _has_mount(self, instance: Instance) -> bool:
        """The kernel forgets a mount when it goes, before its device can be another's."""
        return self._kernel.instance_on(instance.device) == instance.number

    def admit(self, process: Process, mount: Seen, pidfd: int, in_force: InForce) -> Instance:
        """Register an instance with these policies. The pidfd is the registry's if it succeeds.

        Its role comes last: what the server receives is guarded from then on, and must then find everything.
        """
        self.require_room(process, mount)
        made = Instance.of(0, process, mount, pidfd)
        former = self._predecessor(made, in_force)
        made.number = former.number if former is not None else self._kernel.numbers.next_instance()
        try:
            self._put(made, in_force)
        except BaseException:
            self._kernel.remove_mount(made.device)
            if former is None:
                self._take_out(made)
            else:
                self._kernel.put_instance(former.number, former.record())
            raise
        if former is None:
            self._quota.take(made.payer, 1)
        else:
            made.keeper, former.keeper = former.keeper, None
        self._instances[made.number] = made
        return made

    def _predecessor(self, made: Instance, in_force: InForce) -> Instance | None:
        """An ended instance whose place the new one takes: the same user's on the same path, with the same policies,
        from the same cgroup.

        What it left tagged goes on under the same number, and is the new one's to tag anew.
        """
        for other in self:
            if (
                other.has_ended
                and other.lineage == made.lineage
                and other.standing.uid_extents == made.standing.uid_extents
                and other.standing.gid_extents == made.standing.gid_extents
                and self._rows.in_force(other.number) is in_force
            ):
                return other
        return None

    def _put(self, made: Instance, in_force: InForce) -> None:
        self._rows.add(made, in_force)
        self._kernel.put_instance(made.number, made.record())
        self._kernel.put_mount(made.device, made.number)
        assert made.pidfd is not None
        self._kernel.set_role(made.pidfd, RoleKind.SERVER, made.number)

    def _take_out(self, instance: Instance) -> None:
        self._kernel.remove_instance(instance.number)
        self._rows.drop(instance.number)

    # Keepers

    def protect(self, instance: Instance, keeper: Process, pidfd: int) -> Callable[[], None]:
        """Guard a keeper of the instance. Returns what takes that back. Raises NotPermitted for who cannot be one."""
        role = self._kernel.role(pidfd)
        require_kin(instance, keeper, pidfd, is_heir=role == Role(RoleKind.KEEPER, instance.number))
        if role is not None and self._is_bound(role, keeper, instance):
            raise NotPermitted("it has another role already")
        self._kernel.set_role(pidfd, RoleKind.KEEPER, instance.number)
        former = instance.keeper
        if former is not None and (former.pid, former.start) == (keeper.pid, keeper.start):
            return lambda: self._dismiss(instance)
        if former is not None:
            self._dismiss(instance)
        instance.keeper = Keeper(keeper.pid, keeper.start, os.dup(pidfd))
        return lambda: self._dismiss(instance)

    # A server in the place of another

    def succeed(self, instance: Instance, successor: Process, pidfd: int) -> None:
        """Have a process that the instance's keeper has started be its server; the pidfd is the instance's then.

        The former server is guarded as a keeper until it ends: it has what it had, and is given nothing more.
        """
        role = self._kernel.role(pidfd)
        heir = Role(RoleKind.KEEPER, instance.number)
        require_kin(instance, successor, pidfd, is_heir=role == heir)
        if role != heir or _is_keeper(successor, instance):
            raise NotPermitted(
                "who takes over from a server was started by the instance's keeper, and is not that itself",
                hint="have the keeper start it",
            )
        former, was = instance.pidfd, (instance.pid, instance.start, instance.process)
        assert former is not None
        self._leave(instance)
        try:
            self._put_server(instance, (successor.pid, successor.start, successor), pidfd, former)
        except BaseException:
            self._put_server_again(instance, was, pidfd, former)
            raise
        instance.pidfd, instance.connected = pidfd, False
        os.close(former)

    def _put_server(self, instance: Instance, server: Server, pidfd: int, other: int) -> None:
        """Have it be the instance's server, and the other one what a keeper is."""
        instance.pid, instance.start, instance.process = server
        self._kernel.set_role(pidfd, RoleKind.SERVER, instance.number)
        self._kernel.put_instance(instance.number, instance.record())
        self._kernel.set_role(other, RoleKind.KEEPER, instance.number)

    def _put_server_again(self, instance: Instance, server: Server, successor: int, former: int) -> None:
        """Have everything be as it was before a successor was put in the server's place, or half of that was done."""
        instance.pid, instance.start, instance.process = server
        number = instance.number
        steps: tuple[Callable[[], None], ...] = (
            lambda: self._kernel.set_role(successor, RoleKind.KEEPER, number),
            lambda: self._kernel.put_instance(number, instance.record()),
            lambda: self._kernel.set_role(former, RoleKind.SERVER, number),
        )
        for step in steps:
            try:
                step()
            except (KernelError, OSError):
                # The next step counts no less.
                log.exception("`%s` keeps its server, and something of another stays", instance.mount)

    def _is_bound(self, role: Role, keeper: Process, instance: Instance) -> bool:
        """Whether the role is its own, and not what it has of its parent or was to an instance that has ended."""
        found = self._instances.get(role.instance)
        if role.kind == RoleKind.ENFORCER:
            return True
        if found is None or found.has_ended or found is instance:
            return found is instance and (keeper.pid, keeper.start) == (instance.pid, instance.start)
        return True

    def _dismiss(self, instance: Instance) -> None:
        """The instance has no keeper any more."""
        keeper, instance.keeper = instance.keeper, None
        if keeper is None:
            return
        try:
            self._clear(keeper.pidfd, Role(RoleKind.KEEPER, instance.number))
        finally:
            os.close(keeper.pidfd)

    def _clear(self, pidfd: int, role: Role) -> None:
        if self._kernel.role(pidfd) == role:
            self._kernel.clear_role(pidfd)

    # Going

    def end(self, instance: Instance) -> None:
        """Its server has gone, or serves it no more. What it tagged stays as it is."""
        self._leave(instance)
        instance.connected = False
        steps: tuple[Callable[[], None], ...] = (
            lambda: self._remove_mount(instance),
            lambda: self._clear_server(instance),
            instance.end,
            lambda: self._kernel.put_instance(instance.number, instance.record()),
            lambda: self._ended(instance),
        )
        for step in steps:
            try:
                step()
            except (KernelError, OSError):
                # The next step counts no less.
                log.exception("`%s` has ended, and something of it stays", instance.mount)
        log.info("the server of `%s` (process %d) has ended", instance.mount, instance.pid)

    def _clear_server(self, instance: Instance) -> None:
        """It may live on, and would be a server of what comes after it."""
        if instance.pidfd is not None:
            self._clear(instance.pidfd, Role(RoleKind.SERVER, instance.number))

    def _remove_mount(self, instance: Instance) -> None:
        # Its device may be another's by now.
        if self._has_mount(instance):
            self._kernel.remove_mount(instance.device)

    def forget(self, instance: Instance) -> None:
        """Nothing is tagged for an ended instance any more."""
        del self._instances[instance.number]
        instance.let_go()
        self._quota.take(instance.payer, -1)
        self._kernel.remove_instance(instance.number)
        self._rows.drop(instance.number)

    # After a restart

    def restore(self, instance: Instance) -> None:
        """An instance that a former enforcer registered. What the kernel has of it stays."""
        self._instances[instance.number] = instance
        self._quota.take(instance.payer, 1)

    def of_server(self, caller: Speaker) -> Instance:
        """The instance that the caller has registered, if it lives and he is its server still. Raises NotRegistered."""
        found = self._instances.get(caller.instance) if caller.instance is not None else None
        if found is None or found.has_ended or (found.pid, found.start) != (caller.pid, caller.start):
            raise NotRegistered(
                "the caller serves no instance that is registered", hint="call Register first"
            )
        return found


def _is_keeper(process: Process, instance: Instance) -> bool:
    keeper = instance.keeper
    return keeper is not None and (keeper.pid, keeper.start) == (process.pid, process.start)

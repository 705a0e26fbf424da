"""A generation: the policies of the host, compiled for each instance."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fdstorefs.bpf.rows import IdMap, Profile, profile_of
from fdstorefs.enforcer.id_maps import Extents
from fdstorefs.enforcer.policy_set import SPARE, PolicySet
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.default import default_policy
from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.policy.model import Policy
from fdstorefs.server.enforcement.applies import Whereabouts
from fdstorefs.server.enforcement.in_force import InForce, put_together

log = logging.getLogger(__name__)

NOTHING_ALLOWED = Policy(
    name="none-could-be-told",
    description="stands where it cannot be told which policies are for an instance: nothing is allowed",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What policies know an instance by, and the ids of its user namespace."""

    here: Whereabouts
    uid_extents: Extents
    gid_extents: Extents

    @property
    def uids(self) -> IdMap:
        """Between the instance's uids and the host's."""
        return IdMap(self.uid_extents)

    @property
    def gids(self) -> IdMap:
        """Likewise for gids."""
        return IdMap(self.gid_extents)


class Generation:
    """`number` is the kernel's. `loaded` in ns since the epoch."""

    def __init__(self, policy_set: PolicySet, number: int) -> None:
        self.policy_set = policy_set
        self.number = number
        self.loaded = time.time_ns()
        self._made: dict[tuple[Policy, ...], InForce] = {}
        self._all = self._put_together(policy_set.policies or (default_policy(),))

    @property
    def everything(self) -> InForce:
        """All policies together, as the host's own instances would have them."""
        return self._all

    def for_instance(self, standing: Standing) -> InForce:
        """What is in force in an instance. Raises PolicyError if something is wrong with it there."""
        policies = self.policy_set.for_instance(standing.here, standing.uids, standing.gids)
        return self._put_together(policies)

    def for_known(self, standing: Standing) -> InForce:
        """The same for an instance that is registered: nothing is allowed there if something is wrong.

        Whoever runs an instance must not be able to keep others from new policies.
        """
        try:
            return self.for_instance(standing)
        except PolicyError as error:
            log.error("policies: everything is denied in `%s`:\n%s", standing.here.mount, error)
            return self._put_together((NOTHING_ALLOWED,))

    def profile(self, more: Iterable[InForce] = ()) -> Profile:
        """What programs have to be able to do for it, and for some instances."""
        default = compile_policies((default_policy(),))
        return profile_of([default, self._all.tables, *(each.tables for each in more)])

    def forget_unused(self, in_force: Iterable[InForce], standings: Iterable[Standing]) -> None:
        """Forget what was worked out and nobody has: neither is among these. The latest stays for who may come yet.

        Whoever makes user namespaces chooses what is worked out.
        """
        self.policy_set.forget_unused((each.uids, each.gids) for each in standings)
        used = set(map(id, in_force)) | {id(self._all)}
        unused = [key for key, found in tuple(self._made.items()) if id(found) not in used]
        for key in unused[:-SPARE]:
            del self._made[key]

    def _put_together(self, policies: Sequence[Policy]) -> InForce:
        key = tuple(policies)
        found = self._made.get(key)
        if found is None:
            made = put_together(key, self.policy_set.files, generation=self.number, loaded=self.loaded)
            # Another thread may have been here meanwhile: what is the same is one object.
            found = self._made.setdefault(key, made)
        return found

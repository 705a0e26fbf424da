"""What is in force: the policies of an instance, compiled, and what is known of where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fdstorefs.audit.decision import PolicyMark
from fdstorefs.core.limits import Limits
from fdstorefs.policy.cgroup_globs import fits
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.glob_index import index_of
from fdstorefs.policy.model import Policy
from fdstorefs.policy.tables import Tables
from fdstorefs.policy.vocabulary import Mode


@dataclass(frozen=True, slots=True, eq=False)
class InForce:
    """One generation. `files` are the policy files; none for the built-in default. `loaded` in ns since the epoch."""

    policies: tuple[Policy, ...]
    tables: Tables
    files: tuple[str, ...]
    loaded: int
    mark: PolicyMark = field(repr=False)

    @property
    def limits(self) -> Limits:
        """The least that any policy allows."""
        return Limits(
            _least([policy.limits.entries for policy in self.policies]),
            _least([policy.limits.entries_per_uid for policy in self.policies]),
            _least([policy.limits.entries_per_box for policy in self.policies]),
        )

    @property
    def mode(self) -> str:
        """`enforce`, `monitor`, or `mixed`."""
        return self.mark.mode


def put_together(
    policies: Sequence[Policy], files: Sequence[str], *, generation: int, loaded: int
) -> InForce:
    """Compile policies that are in force together."""
    tables = compile_policies(policies, generation=generation)
    for space in (tables.main, tables.unless):
        # Here, where nobody waits for it.
        index_of(space.names)
        for pattern, _ in space.cgroups.patterns:
            fits(pattern, "/")
    mark = PolicyMark(tuple(policy.name for policy in policies), tables.hash, generation, _mode(policies))
    return InForce(tuple(policies), tables, tuple(files), loaded, mark)


def _mode(policies: Sequence[Policy]) -> str:
    modes = {policy.mode for policy in policies} or {Mode.ENFORCE}
    return str(modes.pop()) if len(modes) == 1 else "mixed"


def _least(limits: Sequence[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)

"""What is in force: the policies of an instance, compiled, and what is known of where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from fdstorefs.audit.decision import PolicyMark
from fdstorefs.core.limits import Limits
from fdstorefs.policy.cgroup_globs import fits
from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.default import default_policy
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
    is_default = len(policies) == 1 and policies[0] is default_policy()
    tables, hashed = _of_default(generation) if is_default else _compiled(policies, generation)
    mark = PolicyMark(tuple(policy.name for policy in policies), hashed, generation, _mode(policies))
    return InForce(tuple(policies), tables, tuple(files), loaded, mark)


@lru_cache(maxsize=1)
def _of_default(generation: int) -> tuple[Tables, str]:
    """Made once in a process that many servers are forked from, and not by each of them."""
    return _compiled((default_policy(),), generation)


def _compiled(policies: Sequence[Policy], generation: int) -> tuple[Tables, str]:
    """The tables, and their hash."""
    tables = compile_policies(policies, generation=generation)
    for space in (tables.main, tables.unless):
        # Here, where nobody waits for it.
        index_of(space.names)
        for pattern, _ in space.cgroups.patterns:
            fits(pattern, "/")
    return tables, tables.hash


def _mode(policies: Sequence[Policy]) -> str:
    modes = {policy.mode for policy in policies} or {Mode.ENFORCE}
    return str(modes.pop()) if len(modes) == 1 else "mixed"


def _least(limits: Sequence[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)

"""Which of the policies that were read are for this instance."""

from collections.abc import Sequence
from dataclasses import dataclass

from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity, quoted
from fdstorefs.policy.glob import compile_glob
from fdstorefs.policy.model import Ids, InstanceMatch, Policy
from fdstorefs.policy.truth import Truth


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What policies know an instance by: its mount, its server's uid, its server's cgroup (None: not known)."""

    mount: str
    owner: int
    cgroup: str | None


def applying(policies: Sequence[Policy], here: Whereabouts) -> tuple[Policy, ...]:
    """The policies that are for the instance.

    Raises PolicyError if it cannot be told of one: to leave it out could allow what it forbids, and to put it in
    force could allow what is meant for another instance.
    """
    undecided = [policy for policy in policies if _is_for(policy, here) is Truth.UNKNOWN]
    if undecided:
        raise PolicyError([_undecided(policy) for policy in undecided])
    return tuple(policy for policy in policies if _is_for(policy, here) is Truth.TRUE)


def _is_for(policy: Policy, here: Whereabouts) -> Truth:
    if policy.instances is None:
        return Truth.TRUE
    found = {_fits(match, here) for match in policy.instances}
    return Truth.TRUE if Truth.TRUE in found else Truth.UNKNOWN if Truth.UNKNOWN in found else Truth.FALSE


def _fits(match: InstanceMatch, here: Whereabouts) -> Truth:
    """A match has conditions of one kind or several, and all of them must hold."""
    found = {_fits_mount(match.mount, here), _fits_owner(match.owner, here), _fits_cgroup(match.cgroup, here)}
    return Truth.FALSE if Truth.FALSE in found else Truth.UNKNOWN if Truth.UNKNOWN in found else Truth.TRUE


def _fits_mount(glob: str | None, here: Whereabouts) -> Truth:
    if glob is None or glob == here.mount:
        return Truth.TRUE
    return _truth(glob != "/" and compile_glob(glob[1:]).fullmatch(here.mount[1:]) is not None)


def _fits_owner(owner: Ids | None, here: Whereabouts) -> Truth:
    if owner is None or here.owner in owner.known:
        return Truth.TRUE
    return Truth.UNKNOWN if owner.undetermined else Truth.FALSE


def _fits_cgroup(cgroup: str | None, here: Whereabouts) -> Truth:
    if cgroup is None:
        return Truth.TRUE
    return Truth.UNKNOWN if here.cgroup is None else _truth(_is_at_or_below(here.cgroup, cgroup))


def _is_at_or_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _truth(value: bool) -> Truth:
    return Truth.TRUE if value else Truth.FALSE


def _undecided(policy: Policy) -> Diagnostic:
    message = f"it cannot be told whether the policy {quoted(policy.name)} is for this instance"
    hint = (
        "the instance does not know its cgroup, or what a `host:` id is in its user namespace: name the mount"
    )
    return Diagnostic(Severity.ERROR, "undecided-instance", message, policy.spans.get("instances"), hint)

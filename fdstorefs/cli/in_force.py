"""What the enforcer has in force on this host, for people."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fdstorefs.cli import owners
from fdstorefs.cli.columns import align, fields
from fdstorefs.cli.moment import to_the_second
from fdstorefs.cli.visible import visible

if TYPE_CHECKING:
    from fdstorefs.client.enforcer import HostStatus, InstanceState, PolicyState

WITHOUT = "none, so an entry is its stasher's alone"
_POLICIES = ("POLICY", "MODE", "RULES", "FILE")
_INSTANCES = ("INSTANCE", "MOUNT", "SERVER", "OWNER", "GUARDED", "POLICIES")


def lines(status: "HostStatus") -> list[str]:
    """The enforcer, then a table of policies and one of instances."""
    return [
        *_enforcer(status),
        *_table(_POLICIES, map(_policy, status.policies)),
        *_table(_INSTANCES, map(_instance, status.instances)),
    ]


def as_object(status: "HostStatus") -> dict[str, Any]:
    """The same for programs."""
    return {
        **status._asdict(),
        "policies": [policy._asdict() for policy in status.policies],
        "instances": [instance._asdict() for instance in status.instances],
    }


def summary(status: "HostStatus") -> str:
    """The same in a line."""
    names = ", ".join(visible(policy.name) for policy in status.policies) or "no policy"
    instances = "1 instance" if len(status.instances) == 1 else f"{len(status.instances)} instances"
    enforcer = f"pid {status.pid}, fdstorefs {visible(status.version)}"
    return f"{enforcer}, {names}, generation {status.generation}, {instances}"


def _enforcer(status: "HostStatus") -> list[str]:
    return fields(
        [
            ("enforcer", f"pid {status.pid}, fdstorefs {visible(status.version)}"),
            ("running since", to_the_second(status.started)),
            ("policies", None if status.policies else WITHOUT),
            ("generation", f"{status.generation}, in force since {to_the_second(status.loaded)}"),
            ("hash", visible(status.hash)),
            ("hooks", ", ".join(map(visible, status.hooks)) or "none: nothing is enforced"),
            ("lockdown", _lockdown(status.lockdown)),
            *(("file", visible(file)) for file in status.files),
            ("warnings", _warnings(status.warnings)),
            ("rejected", _rejected(status.rejected)),
            *(("audit", _target(target)) for target in status.audit),
            ("lost", f"{status.lost} records that the kernel had no room for" if status.lost else None),
            ("pinned at", visible(status.pins)),
        ]
    )


def _lockdown(is_on: bool) -> str:
    return "on: not even root looks into servers" if is_on else "off: root of the host may look into servers"


def _warnings(number: int) -> str | None:
    return f"{number}; `fdstorefs policy check` tells them" if number else None


def _rejected(rejected: dict[str, Any] | None) -> str | None:
    if not rejected:
        return None
    return f"a change of {to_the_second(rejected['when'])}: {visible(rejected['message'])}"


def _target(target: dict[str, Any]) -> str:
    lost = f", {target['lost']} lost" if target["lost"] else ""
    return f"{visible(target['target'])}: {target['written']} written{lost}"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    found = list(rows)
    return ["", *align([header, *found])] if found else []


def _policy(policy: "PolicyState") -> tuple[str, ...]:
    mode = f"{visible(policy.mode)} (switched)" if policy.switched else visible(policy.mode)
    return visible(policy.name), mode, str(policy.rules), visible(policy.file or "-")


def _instance(instance: "InstanceState") -> tuple[str, ...]:
    return (
        str(instance.number),
        visible(instance.mount),
        _server(instance),
        visible(owners.user(instance.uid)),
        str(instance.guarded),
        ", ".join(map(visible, instance.policies)) or "-",
    )


def _server(instance: "InstanceState") -> str:
    if instance.ended:
        return "ended"
    return f"pid {instance.pid}" if instance.connected else f"pid {instance.pid}, not connected"

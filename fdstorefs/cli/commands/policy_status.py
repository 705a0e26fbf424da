"""`fdstorefs policy status`: say which policies are in force, in an instance or on the host."""

from typing import TYPE_CHECKING, Any

from fdstorefs.cli.columns import fields
from fdstorefs.cli.moment import to_the_second
from fdstorefs.cli.visible import visible

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.records import Status

EXAMPLES = """\
  fdstorefs policy status
  fdstorefs --at /run/fdstore policy status --json | jq .policy.rejected
  fdstorefs policy status --host               what the kernel enforces, and on which instances
  fdstorefs policy status --host --json | jq '.policies[] | select(.mode == "monitor") | .name'

Files that were changed and have errors leave in force what was; `rejected` says so, and why. The
enforcer tells files, instances of others and the audit log to root only. If none runs (exit code 5),
`fdstorefs doctor` says whether one has left policies in force.
"""

WITHOUT = "none was given, so an entry is its stasher's alone"
NOT_FOR_US = "none of those given is for this instance, so an entry is its stasher's alone"
_MODES = {
    "monitor": "monitor: decides and logs, refuses nothing",
    "mixed": "mixed: some policies only monitor",
}


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_argument("--host", action="store_true", help="ask the host's enforcer, not an instance")
    parser.add_json("it")
    parser.add_at()
    parser.add_enforcer()


def run(options: "argparse.Namespace") -> int:
    """Ask and print."""
    return _host(options) if options.host else _instance(options)


def _host(options: "argparse.Namespace") -> int:
    from fdstorefs.cli import in_force
    from fdstorefs.client import enforcer

    status = enforcer.status(options.enforcer)
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty(in_force.as_object(status)))
    else:
        print("\n".join(in_force.lines(status)))
    return 0


def _instance(options: "argparse.Namespace") -> int:
    from fdstorefs.client.store import connect

    with connect(options.at) as store:
        status = store.status()
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty({"mount": status.mount, "policy": status.policy_status, "audit": status.audit}))
    else:
        print("\n".join(lines(status)))
    return 0


def lines(status: "Status") -> list[str]:
    """What is in force, in words."""
    policy = status.policy_status
    known = [("policies", WITHOUT)] if policy is None else _in_force(policy)
    return fields([("instance", visible(status.mount)), *known, *_targets(status.audit)])


def _in_force(policy: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [
        ("policies", _names(policy)),
        *(("file", visible(file)) for file in policy["files"]),
        ("mode", _MODES.get(policy["mode"], visible(policy["mode"]))),
        ("rules", str(policy["rules"])),
        ("generation", str(policy["generation"])),
        ("in force since", to_the_second(policy["loaded"])),
        ("hash", visible(policy["hash"])),
        ("warnings", _warnings(policy["warnings"])),
        ("rejected", _rejected(policy["rejected"])),
    ]


def _names(policy: dict[str, Any]) -> str:
    names = ", ".join(map(visible, policy["names"]))
    if not policy["applies"]:
        return f"{names}: {NOT_FOR_US}"
    return names if policy["files"] else f"{names}: {WITHOUT}"


def _warnings(number: int) -> str | None:
    return f"{number}; `fdstorefs policy check` tells them" if number else None


def _rejected(rejected: dict[str, Any] | None) -> str | None:
    if rejected is None:
        return None
    return f"a change of {to_the_second(rejected['when'])}: {visible(rejected['message'])}"


def _targets(audit: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [("audit", _target(target)) for target in audit] or [("audit", "none")]


def _target(target: dict[str, Any]) -> str:
    lost = f", {target['lost']} lost" if target["lost"] else ""
    return f"{visible(target['target'])}: {target['written']} written{lost}"

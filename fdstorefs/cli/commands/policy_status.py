"""`fdstorefs policy status`: say which policies an instance has in force."""

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

A reload that failed leaves the policies before it in force; `rejected` says so, and why.
"""

WITHOUT = "none: an entry is its stasher's alone (same user, same user namespace)"
NOT_FOR_US = "not in force here: none of the policies names this instance"


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_json("it")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Ask and print."""
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
    known = [("policy", WITHOUT)] if policy is None else _in_force(policy)
    return fields([("instance", visible(status.mount)), *known, *_targets(status.audit)])


def _in_force(policy: dict[str, Any]) -> list[tuple[str, str | None]]:
    applies = policy.get("applies", True)
    return [
        ("policy", ", ".join(map(visible, policy["names"])) + ("" if applies else f" ({NOT_FOR_US})")),
        ("files", ", ".join(map(visible, policy["files"])) or None),
        ("mode", _mode(policy["mode"])),
        ("rules", str(policy["rules"])),
        ("generation", str(policy["generation"])),
        ("hash", visible(policy["hash"])),
        ("loaded", to_the_second(policy["loaded"])),
        ("rejected", _rejected(policy.get("rejected"))),
    ]


def _mode(mode: str) -> str:
    return "monitor: decides and logs, refuses nothing" if mode == "monitor" else visible(mode)


def _rejected(rejected: dict[str, Any] | None) -> str | None:
    if rejected is None:
        return None
    first_line = rejected["message"].partition("\n")[0]
    return f"{to_the_second(rejected['when'])}: {visible(first_line)}"


def _targets(audit: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [("audit", _target(target)) for target in audit] or [("audit", "none")]


def _target(target: dict[str, Any]) -> str:
    lost = f", {target['lost']} lost" if target["lost"] else ""
    return f"{visible(target['target'])}: {target['written']} written{lost}"

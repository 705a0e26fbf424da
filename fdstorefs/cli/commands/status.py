"""`fdstorefs status`: what an instance is and what is in force."""

from typing import TYPE_CHECKING, Any

from fdstorefs.cli import owners
from fdstorefs.cli.columns import fields
from fdstorefs.cli.moment import to_the_second
from fdstorefs.cli.visible import visible

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.records import Status

EXAMPLES = """\
  fdstorefs status
  fdstorefs --at /run/fdstore status --json | jq .enforcement
  fdstorefs status --json | jq '{enforcement, guarded, unguarded}'

`enforcement` is `kernel` where the host's enforcer has the kernel guard what is stored here, `daemon`
where the server alone decides; then comes why. `guarded` counts open files, for the instance's owner.
"""


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

        print(pretty(status._asdict()))
    else:
        print("\n".join(lines(status)))
    return 0


def lines(status: "Status") -> list[str]:
    """A status in words."""
    return fields(
        [
            ("mount", visible(status.mount)),
            (
                "server",
                f"pid {status.pid}, user {visible(owners.user(status.uid))}, fdstorefs {status.version}",
            ),
            ("serving since", to_the_second(status.started)),
            ("keeper", _keeper(status)),
            ("systemd keeps", _systemd(status)),
            ("enforcement", f"{status.enforcement}: {visible(status.enforcement_reason)}"),
            ("guarded", _guarded(status)),
            ("policy", _policy(status)),
            ("rejected", _rejected(status)),
            ("audit", ", ".join(map(_target, status.audit)) or "none"),
            ("entries", str(status.entries)),
            ("limits", _limits(status)),
            ("descriptors", f"{status.descriptors} of {status.limit} at most"),
            ("connections", str(status.connections)),
            ("mounted by", f"{status.method}, on Linux {status.kernel}"),
        ]
    )


def _limits(status: "Status") -> str | None:
    if status.limits is None:
        return None
    words = {"entries": "{} entries", "entriesPerUid": "{} of one user", "entriesPerBox": "{} in a box"}
    said = [
        text.format(limit) for key, text in words.items() if (limit := status.limits.get(key)) is not None
    ]
    return ", ".join([*said, f"{status.limits['openFiles']} open files"])


def _keeper(status: "Status") -> str:
    if status.keeper is None:
        return "none: what is stashed is lost with the server"
    if not status.restarts:
        return f"pid {status.keeper}"
    times = "once" if status.restarts == 1 else f"{status.restarts} times"
    last = "" if status.outage is None else f", the last time within {status.outage // 1_000_000} ms"
    return f"pid {status.keeper}; the server died {times} and was restarted{last}"


def _systemd(status: "Status") -> str | None:
    found = status.systemd_store
    return f"{found['entries']} descriptors of {found['most']} at most" if found is not None else None


def _guarded(status: "Status") -> str | None:
    if status.guarded is None:
        return None
    unguarded = f", {status.unguarded} not; `fdstorefs ls -l` shows which" if status.unguarded else ""
    files = "1 open file" if status.guarded == 1 else f"{status.guarded} open files"
    return f"{files}{unguarded}"


def _policy(status: "Status") -> str:
    found = status.policy_status
    if found is None:
        return visible(status.policy) if status.policy is not None else "none"
    names = ", ".join(map(visible, found["names"]))
    if not found["applies"]:
        return f"{names}: none of those given is for this instance, so an entry is its stasher's alone"
    if not found["files"]:
        return f"{names}: an entry is its stasher's alone"
    rules = "1 rule" if found["rules"] == 1 else f"{found['rules']} rules"
    return f"{names}: {visible(found['mode'])}, {rules}, generation {found['generation']}"


def _rejected(status: "Status") -> str | None:
    rejected = status.policy_status and status.policy_status.get("rejected")
    if not rejected:
        return None
    return f"a change of {to_the_second(rejected['when'])}: {visible(rejected['message'])}"


def _target(target: dict[str, Any]) -> str:
    lost = f", {target['lost']} lost" if target["lost"] else ""
    return f"{visible(target['target'])} ({target['written']} records{lost})"

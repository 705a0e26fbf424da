"""`fdstorefs instances`: list every instance on the host that the caller may see."""

import time
from typing import TYPE_CHECKING

from fdstorefs.cli.visible import visible

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.instances import Instance, Unasked
    from fdstorefs.cli.parsing import Parser
    from fdstorefs.host.mounted_anywhere import Place

EXAMPLES = """\
  fdstorefs instances
  sudo fdstorefs instances                     those of all users, in all containers
  fdstorefs instances --json | jq '.instances[] | select(.entries > 1000) | .mount'
  fdstorefs instances --json | jq '[.instances[].memory.total] | add'

Instances are found in every mount namespace whose processes you may look into. NAMESPACE is a process there,
`-` where it is yours. MEMORY is that of server, keeper and spare, what they share with others divided among all
who do; `-` where you may not know. What cannot be asked within two seconds is told at the end, and why.
"""

_HEADER = (
    "MOUNT", "OWNER", "NAMESPACE", "ENTRIES", "LIMIT", "MEMORY", "ENFORCEMENT", "KEEPER", "POLICY", "AGE"
)  # fmt: skip
_SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_json("them")


def run(options: "argparse.Namespace") -> int:
    """Look, ask, list."""
    from fdstorefs.cli.instances import Instance, Unasked, survey
    from fdstorefs.cli.progress import Progress
    from fdstorefs.host.mounted_anywhere import find_mounts
    from fdstorefs.server.mounting import FSTYPE

    places = sorted(find_mounts(FSTYPE), key=_order)
    with Progress("instances asked") as progress:
        found = list(survey(places, progress))
    answered = [each for each in found if isinstance(each, Instance)]
    unasked = [each for each in found if isinstance(each, Unasked)]
    if options.json:
        _print_json(answered, unasked)
    else:
        _print(answered, unasked)
    return 0


def _order(place: "Place") -> tuple[bool, str, int]:
    return not place.is_ours, place.mount.mount_point, place.pid


def _print_json(answered: "list[Instance]", unasked: "list[Unasked]") -> None:
    from fdstorefs.cli.instances import as_json
    from fdstorefs.cli.json_output import pretty

    print(pretty({"instances": list(map(as_json, answered)), "unasked": list(map(as_json, unasked))}))


def _print(answered: "list[Instance]", unasked: "list[Unasked]") -> None:
    import sys

    from fdstorefs.cli.columns import align

    if answered:
        print("\n".join(align([_HEADER, *map(_row, answered)])), flush=True)
    elif not unasked:
        print("fdstorefs: no instance is to be seen", file=sys.stderr)
    if unasked:
        print(f"fdstorefs: {len(unasked)} could not be asked:", file=sys.stderr)
    for each in unasked:
        where = "" if each.place.is_ours else f", in the namespace of {_namespace(each)}"
        print(f"  {visible(each.place.mount.mount_point)}{where}: {visible(each.why)}", file=sys.stderr)


def _row(instance: "Instance") -> tuple[str, ...]:
    from fdstorefs.cli import owners

    told = instance.told
    return (
        visible(instance.place.mount.mount_point),
        "-" if instance.owner is None else visible(owners.user(instance.owner)),
        _namespace(instance),
        str(told["entries"]),
        str(told["limit"]),
        _size(instance.memory.total),
        visible(told["enforcement"]),
        _keeper(instance),
        visible(told["policy"] or "-"),
        age(time.time_ns() - told["started"]),
    )


def _namespace(found: "Instance | Unasked") -> str:
    return "-" if found.place.is_ours else f"{visible(found.command)}({found.place.pid})"


def _keeper(instance: "Instance") -> str:
    if instance.told["keeper"] is None:
        return "none"
    return "-" if instance.keeper is None else str(instance.keeper)


def _size(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**20:.1f}M"


def age(nanoseconds: int) -> str:
    """How long that is, in whole units of the largest kind that fits: `41 s`, `3 h`."""
    seconds = max(nanoseconds // 1_000_000_000, 0)
    size, unit = next((span for span in _SPANS if seconds >= span[0]), _SPANS[-1])
    return f"{seconds // size} {unit}"

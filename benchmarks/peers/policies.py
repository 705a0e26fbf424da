"""Policies of a given size, as a host with many services would have them."""

from pathlib import Path

_HEAD = """\
version: 1
name: benchmark
rules:
  - id: root-does-what-the-benchmark-does
    effect: allow
    actions: [all]
    subject: {uid: [root], cgroup: [/], userns: same}
"""

_SERVICE = """\
  - id: service-{number}-takes-its-own
    effect: {effect}
    actions: [retrieve, take, list]
    entries: [{entries}]
    kinds: [socket, memfd]
    subject: {{uid: [{uid}], cgroup: [/system.slice/service-{number}.service]}}
"""

_FIRST_UID = 100_000


def text(rules: int) -> str:
    """A policy of so many rules, one of which allows root everything.

    Half of the others name a box of a service of their own; the other half are about every entry, so that none of
    them is out of the question before the subject has been looked at.
    """
    return _HEAD + "".join(_service(number) for number in range(rules - 1))


def _service(number: int) -> str:
    everywhere = number % 2 == 0
    return _SERVICE.format(
        number=number,
        uid=_FIRST_UID + number,
        effect="forbid" if everywhere else "allow",
        entries='"**"' if everywhere else f'"service-{number}/**"',
    )


def write(path: Path, rules: int) -> Path:
    """Write such a policy where only its owner may."""
    path.write_text(text(rules))
    path.chmod(0o644)
    return path

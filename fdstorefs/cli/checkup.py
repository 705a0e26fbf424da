"""What `doctor` looks at, and what it says to do."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from fdstorefs.cli import enforcement_checks, probes
from fdstorefs.cli.columns import align
from fdstorefs.cli.finding import MISSING, OK, Finding
from fdstorefs.cli.visible import visible
from fdstorefs.client.store import connect
from fdstorefs.errors import StoreError
from fdstorefs.server.mounting import DEVICE


class _Check(NamedTuple):
    """`probe` returns what it found, or raises OSError (or Absent) with what is wrong."""

    name: str
    what_for: str
    probe: Callable[[], str]
    advice: str


_CHECKS = (
    _Check(
        DEVICE,
        "mounting an instance",
        probes.fuse_device,
        f"as root: `modprobe fuse` and `chmod 666 {DEVICE}`; for a container: `--device {DEVICE}`",
    ),
    _Check(
        "user namespaces",
        "`fdstorefs run`, and instances without privilege",
        probes.user_namespace,
        "as root: `sysctl user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1`; "
        "in a container: allow unshare(2) in its seccomp profile",
    ),
    _Check(
        "fusermount3",
        "mounting as an ordinary user outside a namespace",
        probes.fusermount,
        "as root: install the package `fuse3`",
    ),
    _Check(
        "pidfd_getfd",
        "stashing by writing a descriptor's number",
        probes.pidfd_getfd,
        "Linux 5.6 or newer; in a container: allow pidfd_getfd(2) in its seccomp profile. "
        "Stashing through the socket needs none of this",
    ),
    _Check(
        "ptrace_scope",
        "an ordinary user's instance taking descriptors out of processes that it didn't start",
        probes.descriptors_of_a_stranger,
        "as root: `sysctl kernel.yama.ptrace_scope=0`, or run the instance as root. "
        "Stashing through the socket needs none of this",
    ),
    _Check(
        "kcmp",
        "knowing the same open file when it is stashed twice",
        probes.kcmp,
        "Linux with CONFIG_KCMP, or 6.10 or newer; in a container: allow kcmp(2) in its seccomp profile",
    ),
    _Check(
        "descriptor limit",
        "holding more than a few thousand entries",
        probes.descriptor_limit,
        "`LimitNOFILE=524288` in the service's unit, or `nofile` in /etc/security/limits.conf",
    ),
    _Check(
        "cgroup v2",
        "rules about cgroups",
        probes.cgroup2,
        "boot with `systemd.unified_cgroup_hierarchy=1`",
    ),
)


def checkup(mount: str | None, socket: str, pins: str) -> list[Finding]:
    """Look at everything. `socket` is the enforcer's, `pins` where it pins what is in force."""
    enforcer = enforcement_checks.in_force(socket, pins)
    return [*map(_look, _CHECKS), *enforcement_checks.kernel(), enforcer, _instance(mount)]


def _look(check: _Check) -> Finding:
    try:
        found = check.probe()
    except probes.Absent as absent:
        return Finding(check.name, MISSING, str(absent), check.what_for, check.advice)
    return Finding(check.name, OK, found, check.what_for, None)


def _instance(mount: str | None) -> Finding:
    name, what_for = "instance", "stashing and retrieving"
    try:
        with connect(mount) as store:
            status = store.status()
    except StoreError as error:
        return Finding(name, MISSING, error.message, what_for, error.hint)
    found = f"serves at `{status.mount}`, {status.entries} entries, enforcement: {status.enforcement}"
    return Finding(name, OK, found, what_for, None)


def can_serve(findings: Iterable[Finding]) -> bool:
    """Whether an instance can run here at all: there is FUSE, and a way to mount it."""
    there = {finding.check for finding in findings if finding.state == OK}
    return DEVICE in there and bool(there & {"user namespaces", "fusermount3"} or probes.is_root())


def report(findings: Iterable[Finding]) -> list[str]:
    """The findings for people, and below each that is missing what it is for and what to do."""
    listed = list(findings)
    lines = align([(finding.state, finding.check, visible(finding.found)) for finding in listed])
    return [line for finding, first in zip(listed, lines, strict=True) for line in (first, *_advice(finding))]


def _advice(finding: Finding) -> list[str]:
    if finding.state == OK:
        return []
    return [
        f"         for: {finding.what_for}",
        *([f"         do:  {finding.advice}"] if finding.advice else []),
    ]

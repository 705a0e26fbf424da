"""`fdstorefs enforce`: the host's enforcer, which has the kernel enforce policies; and its end."""

from typing import TYPE_CHECKING

from fdstorefs.cli import enforcing, serving
from fdstorefs.cli.failure import UsageError

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser

EXAMPLES = """\
  fdstorefs doctor                             what this kernel lacks, and how to get it
  fdstorefs enforce --policy /etc/fdstorefs/policies --audit journald
  fdstorefs enforce --policy web.yaml --audit stderr --lockdown
  fdstorefs policy status --host               what is in force, once it runs
  fdstorefs enforce --off                      end it: the kernel enforces nothing any more

Takes root, of the host, not of a container; there is one for each host. It has the kernel guard what
instances keep, wherever a descriptor goes. What it has put in force is pinned and stays in force
when it ends, however it ends, also by SIGTERM: only `--off` (or a reboot) ends that. Started again,
it goes on with what is pinned. `systemctl enable --now fdstorefs-enforcer` does all this at boot.

Exit codes: 0 ended by a signal (or `--off`: off), 1 failed, 2 usage, 3 not root of the host.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.parsing import descriptor_number
    from fdstorefs.enforcer.options import PINS, POLICIES, SOCKET

    serving.add_policies_and_audit(
        parser, without=f"{POLICIES}; without a policy, what somebody stashed is his alone"
    )
    parser.add_argument(
        "--lockdown",
        action="store_true",
        help="let not even root of the host look into servers (ptrace, pidfd_getfd, /proc/PID/fd)",
    )
    parser.add_argument(
        "--socket",
        default=SOCKET,
        metavar="PATH",
        help=f"listen there for instances and for `fdstorefs policy` (default: {SOCKET})",
    )
    parser.add_argument(
        "--pins",
        default=PINS,
        metavar="DIR",
        help=f"keep what is in force pinned below this directory of a bpf file system (default: {PINS})",
    )
    parser.add_argument(
        "--ready-fd",
        type=descriptor_number,
        metavar="N",
        help="write `ready` to descriptor N, and close it, once policies are in force and it listens",
    )
    parser.add_argument(
        "--off", action="store_true", help="take everything that is pinned out of force, and end"
    )


def run(options: "argparse.Namespace") -> int:
    """Enforce until told to stop; or end what is in force."""
    if options.off and (options.policy or options.audit or options.lockdown or options.ready_fd is not None):
        raise UsageError("`--off` puts nothing in force", hint="leave the other options out")
    told = enforcing.enforce_options(options)
    enforcing.require_root()
    if options.off:
        print(enforcing.switch_off(told.pins, told.socket))
    else:
        enforcing.enforce(told)
    return 0

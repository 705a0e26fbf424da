"""The verbs: which there are, what each does in a few words, and which module has it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser


class Command(Protocol):
    """What a module in `commands` offers."""

    EXAMPLES: str
    configure: Callable[["Parser"], None]
    run: Callable[["argparse.Namespace"], int]


class Verb(NamedTuple):
    """One verb. `runs_command`: what follows `--` is a command line and none of our business."""

    module: str
    summary: str
    group: str
    runs_command: bool = False


INSTANCES, ENTRIES, ABOUT = "Instances", "Entries", "Looking into it"
POLICY, HOST, AUDIT, CONTAINERS = "Policy", "The whole host", "Audit log", "Containers"

FAMILIES: dict[str, str] = {
    "policy": "write policies, try them out, and see which is in force",
    "audit": "read the audit log",
    "host": "instances for containers, started on demand outside of them",
}
"""The first words of the verbs that have two."""

VERBS: dict[str, Verb] = {
    "serve": Verb("serve", "run an instance in the foreground", INSTANCES),
    "mount": Verb("mount", "start an instance in the background; return once it serves", INSTANCES),
    "umount": Verb("umount", "end an instance", INSTANCES),
    "upgrade": Verb("upgrade", "have the program that is installed now take over", INSTANCES),
    "run": Verb("run", "run a command in a namespace with an instance of its own", INSTANCES, True),
    "host serve": Verb(
        "host_serve", "start instances for containers on demand, in the foreground", CONTAINERS
    ),
    "host start": Verb("host_start", "have an instance started for a container", CONTAINERS),
    "host stop": Verb("host_stop", "end the instance of a container", CONTAINERS),
    "host list": Verb("host_list", "list the instances of containers", CONTAINERS),
    "host hook": Verb("host_hook", "be the hook of a container runtime: start what it names", CONTAINERS),
    "put": Verb("put", "stash an inherited descriptor, or a socket made for it", ENTRIES),
    "exec": Verb("exec", "run a command with retrieved descriptors", ENTRIES, True),
    "ls": Verb("ls", "list entries", ENTRIES),
    "stat": Verb("stat", "tell all about one entry", ENTRIES),
    "rm": Verb("rm", "discard entries", ENTRIES),
    "mv": Verb("mv", "rename an entry or a box", ENTRIES),
    "ln": Verb("ln", "give an entry a second name", ENTRIES),
    "seal": Verb("seal", "seal a box: nothing goes in or out", ENTRIES),
    "unseal": Verb("unseal", "unseal a box", ENTRIES),
    "watch": Verb("watch", "print changes as they happen", ENTRIES),
    "dump": Verb("dump", "hand everything to a process that restores it elsewhere", ENTRIES),
    "restore": Verb("restore", "take what another process dumps, all or nothing", ENTRIES),
    "transfer": Verb("transfer", "copy or move everything to another instance, all or nothing", ENTRIES),
    "policy check": Verb("policy_check", "find what is wrong in policies, and say what to do", POLICY),
    "policy explain": Verb("policy_explain", "say whether a request is allowed, and why", POLICY),
    "policy test": Verb("policy_test", "decide the cases that belong to policies", POLICY),
    "policy diff": Verb("policy_diff", "say what a change of policies allows and denies", POLICY),
    "policy compile": Verb("policy_compile", "turn policies into the tables that decide", POLICY),
    "policy schema": Verb("policy_schema", "print the JSON Schema of policies, for editors", POLICY),
    "policy status": Verb("policy_status", "say which policies are in force: here, or on the host", POLICY),
    "policy load": Verb("policy_load", "have the kernel enforce other policies, all or none", HOST),
    "policy mode": Verb("policy_mode", "have a policy refuse, or only log", HOST),
    "enforce": Verb("enforce", "have the kernel enforce policies (root)", HOST),
    "audit tail": Verb("audit_tail", "print the last records, and new ones as they come", AUDIT),
    "audit query": Verb("audit_query", "find records", AUDIT),
    "audit stats": Verb("audit_stats", "count records: what was denied, to whom, by which rule", AUDIT),
    "audit verify": Verb("audit_verify", "look for what is missing or damaged", AUDIT),
    "audit replay": Verb("audit_replay", "decide what is on record again, with other policies", AUDIT),
    "instances": Verb("instances", "list all instances that you may see, in containers too", ABOUT),
    "status": Verb("status", "say what this instance is and what is in force", ABOUT),
    "doctor": Verb("doctor", "say what this machine can do and how to get more", ABOUT),
    "completion": Verb("completion", "print the completion script for a shell", ABOUT),
}


def load(verb: str) -> Command:
    """Import the module of a verb."""
    from importlib import import_module

    return cast(Command, import_module(f"fdstorefs.cli.commands.{VERBS[verb].module}"))


def members(family: str) -> dict[str, Verb]:
    """The verbs of a family, each under its second word."""
    return {name.split()[1]: verb for name, verb in VERBS.items() if name.startswith(f"{family} ")}


def split_command(verb: str, arguments: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Our arguments, and the command line after the first `--` if this verb takes one (None without `--`)."""
    ours = list(arguments)
    if not VERBS[verb].runs_command or "--" not in ours:
        return ours, None
    at = ours.index("--")
    return ours[:at], ours[at + 1 :]

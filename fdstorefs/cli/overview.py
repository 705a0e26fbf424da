"""What `fdstorefs --help` says."""

from collections.abc import Mapping

from fdstorefs.cli.verbs import FAMILIES, VERBS, Verb, members

_INTRODUCTION = """\
usage: fdstorefs [--at MOUNT] COMMAND [ARGUMENT...]

Stash an open file under a name; retrieve exactly that open file later, from
another process, after a restart, without the privilege that opening it took.
"""

_CONCLUSION = """\
MOUNT names the instance: --at, or $FDSTOREFS_MOUNT, or $XDG_RUNTIME_DIR/fdstore
if it exists, or /run/fdstore. `fdstorefs COMMAND --help` has options, examples.

Exit codes: 0 done, 1 failed, 2 usage, 3 denied, 4 no such entry, 5 no instance.

A first session, no privilege needed:
  fdstorefs run -- bash              a shell with an instance of its own
  fdstorefs put web --listen tcp:127.0.0.1:8080
  fdstorefs ls -l
  fdstorefs exec web -- ./server     the listener is descriptor 3\
"""


def overview() -> str:
    """All verbs by group, and where to begin."""
    width = max(map(len, VERBS))
    lines = [_INTRODUCTION]
    for group in dict.fromkeys(verb.group for verb in VERBS.values()):
        grouped = {name: verb for name, verb in VERBS.items() if verb.group == group}
        lines += [f"{group}:", *_summaries(grouped, width), ""]
    return "\n".join([*lines, _CONCLUSION])


def family_overview(family: str) -> str:
    """The verbs that begin with the same word."""
    known = members(family)
    lines = [
        f"usage: fdstorefs {family} COMMAND [ARGUMENT...]\n",
        f"{FAMILIES[family].capitalize()}.\n",
        *_summaries(known, max(map(len, known))),
        f"\n`fdstorefs {family} COMMAND --help` has options, examples.",
    ]
    return "\n".join(lines)


def _summaries(verbs: Mapping[str, Verb], width: int) -> list[str]:
    return [f"  {name:<{width}}  {verb.summary}" for name, verb in verbs.items()]

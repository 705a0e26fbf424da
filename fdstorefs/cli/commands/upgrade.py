"""`fdstorefs upgrade`: a new program takes over from the one that serves."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.records import Upgraded

EXAMPLES = """\
  fdstorefs upgrade                            after another version was installed
  fdstorefs --at /run/fdstore upgrade --json | jq .pause
  kill -HUP $(fdstorefs status --json | jq .keeper)      the same, for who cannot wait for the answer

The program that is installed now serves from then on, in another process; the keeper executes it, too, and
keeps its process id. Nobody's request fails, and nothing is closed. If the new program does not come up, or
cannot read what the old one has written, the old one goes on, and the exit code is 1.
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    parser.add_json("what came of it")
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Have it upgraded, and say what came of it."""
    from fdstorefs.client.store import connect

    with connect(options.at) as store:
        upgraded = store.upgrade()
    if options.json:
        from fdstorefs.cli.json_output import pretty

        print(pretty(upgraded._asdict()))
    else:
        print(in_words(upgraded))
    return 0


def in_words(upgraded: "Upgraded") -> str:
    """One line."""
    versions = f"version {upgraded.version}"
    if upgraded.version != upgraded.former_version:
        versions += f" in the place of {upgraded.former_version}"
    entries = "1 entry" if upgraded.entries == 1 else f"{upgraded.entries} entries"
    return (
        f"{versions}: pid {upgraded.pid} serves {entries} in the place of pid {upgraded.former_pid}; "
        f"nobody was served for {upgraded.pause / 1_000_000:.0f} ms"
    )

"""What docs/containers.md shows works as it stands there."""

import json
import re
from collections.abc import Callable

from fdstorefs.cli.commands.host_hook import ANNOTATION, read_state
from tests.mount.cast import ORDINARY_USER, REPOSITORY, environment
from tests.mount.host.container import Container
from tests.mount.host.service import Service

DOCUMENT = (REPOSITORY / "docs" / "containers.md").read_text()


def blocks(kind: str) -> list[str]:
    """The blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_the_commands_print_what_they_are_said_to(
    service: Callable[..., Service], container: Callable[..., Container]
) -> None:
    """For an ordinary user's container, with his own service where everybody looks for it."""
    host, inside = service(ORDINARY_USER, default_socket=True), container(ORDINARY_USER)
    shown = blocks("console")[0]
    commands = re.findall(r"^\$ (.*)$", shown, re.MULTILINE)
    path = f"{REPOSITORY}/.venv/bin:/usr/bin:/bin"
    script = "set -e\n" + "\n".join(f"echo '$ {each}'\n{each}" for each in commands)
    argv = host.cast.command(["sh", "-c", script], ORDINARY_USER)
    process = host.cast.start(argv, env=environment() | {"PID": str(inside.pid), "PATH": path})
    out, err = process.communicate(timeout=60)

    assert (shown, "") == (out, err)


def test_the_hooks_say_what_ours_reads() -> None:
    """A runtime's configuration, and Podman's, with the annotation that we know."""
    runtime, podman = map(json.loads, blocks("json"))

    assert [ANNOTATION] == list(runtime["annotations"])
    assert (4711, "/run/fdstore", None) == read_state(json.dumps({**runtime, "pid": 4711}).encode())
    assert [["fdstorefs", "host", "hook"]] == [each["args"] for each in runtime["hooks"]["createRuntime"]]
    assert ["fdstorefs", "host", "hook"] == podman["hook"]["args"]
    assert [ANNOTATION] == [
        name for name in [ANNOTATION] if any(re.search(each, name) for each in podman["when"]["annotations"])
    ]

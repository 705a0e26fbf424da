"""What docs/dump.md shows is what happens."""

from tests.mount.cast import REPOSITORY, Cast, environment
from tests.mount.instance import Instance
from tests.mount.test_readme import bin_directory, commands

DOCUMENT = REPOSITORY / "docs" / "dump.md"


def test_the_commands_work(source: Instance, goal: Instance, cast: Cast) -> None:
    """One after the other, in one shell."""
    shown = commands(DOCUMENT, "instances")
    script = "\n".join(["set -e", f"PATH={bin_directory()}:$PATH", *shown])
    variables = {**environment(), "OLD": source.mount, "NEW": goal.mount, "HOME": cast.home(None)}
    process = cast.start(["bash", "-c", script], env=variables)
    out, err = process.communicate(timeout=60)

    assert shown
    assert (process.returncode, err) == (0, ""), out
    assert "restored from pid" in out

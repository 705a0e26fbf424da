"""Upgrades under load fail nobody's request."""

from pathlib import Path

from tests.mount.upgrade.torture import torture


def test_a_short_torture(tmp_path: Path) -> None:
    """Upgrades under load fail nobody's request; the long run is the program `torture`."""
    mount = tmp_path / "store"
    mount.mkdir()
    outcome, said = torture(str(mount), upgrades=3, clients=3, entries=100, seed=7)

    assert not outcome.problems, said
    assert 3 == len(outcome.pauses)

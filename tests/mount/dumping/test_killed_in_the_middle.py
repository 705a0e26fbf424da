"""kill -9 of either server, or of whoever transfers, dumps or restores, at random moments: all or nothing."""

from tests.mount.dumping.torture import VICTIMS, Torture
from tests.mount.instance import Instance

ENTRIES = 600


def test_all_or_nothing(source: Instance, goal: Instance) -> None:
    """Each is killed once; whoever ended with 0 has said the truth, and the source has lost nothing."""
    outcome = Torture(source.mount, goal.mount, ENTRIES, seed=1).run(len(VICTIMS))

    assert [] == outcome.problems
    assert len(VICTIMS) == outcome.whole + outcome.none

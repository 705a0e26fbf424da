"""Attack 5: trace server and keeper, and read what they have in memory."""

import errno

from tests.kernel import reaching
from tests.kernel.attackers import Siege, by_each

WAYS = (reaching.attach, reaching.seize, reaching.read_memory)


@by_each
def test_they_cannot_be_traced(siege: Siege) -> None:
    """Not by their own user, by whom an ordinary process can be."""
    found = [siege.besieged(way) for way in WAYS]

    assert [{"server": [errno.EPERM], "keeper": [errno.EPERM]}] * len(WAYS) == found
    for way in WAYS:
        assert [0] == siege.attacker.call(way, siege.ordinary.pid)
    siege.require_service_gets_it()

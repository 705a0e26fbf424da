"""Attack 5: trace server and keeper, and read and write what they have in memory."""

import errno

import pytest

from tests.kernel import reaching
from tests.kernel.attackers import Siege, by_each, of_each_process


@pytest.mark.parametrize("way", [reaching.attach, reaching.seize, reaching.read_memory])
@of_each_process
@by_each
def test_they_cannot_be_traced(siege: Siege, target: str, way: reaching.Way) -> None:
    """Not by their own user, whom an ordinary process can be traced by."""
    assert [errno.EPERM] == siege.attacker.call(way, siege.target(target))
    siege.require_kept_out(target)
    assert [0] == siege.attacker.call(way, siege.ordinary.pid)
    siege.require_service_gets_it()

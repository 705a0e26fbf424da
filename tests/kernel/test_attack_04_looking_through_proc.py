"""Attack 4: open the descriptors and the memory of server and keeper anew, through /proc."""

import errno

import pytest

from tests.kernel import reaching
from tests.kernel.attackers import Siege, by_each, of_each_process


@pytest.mark.parametrize("way", [reaching.reopen_all, reaching.list_descriptors, reaching.open_memory])
@of_each_process
@by_each
def test_it_is_closed(siege: Siege, target: str, way: reaching.Way) -> None:
    """To their own user, too; an ordinary process is open to him."""
    assert [errno.EACCES] == siege.attacker.call(way, siege.target(target))
    siege.require_kept_out(target)
    assert 0 in siege.attacker.call(way, siege.ordinary.pid)
    siege.require_service_gets_it()

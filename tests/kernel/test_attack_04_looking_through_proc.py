"""Attack 4: open the descriptors and the memory of server and keeper anew, through /proc."""

import errno

from tests.kernel import reaching
from tests.kernel.attackers import Siege, by_each

WAYS = (reaching.reopen_all, reaching.read_links, reaching.open_memory)


@by_each
def test_it_is_closed(siege: Siege) -> None:
    """To their own user, too; an ordinary process is open to him."""
    found = [siege.besieged(way) for way in WAYS]

    assert [{"server": [errno.EACCES], "keeper": [errno.EACCES]}] * len(WAYS) == found
    for way in WAYS:
        assert 0 in siege.attacker.call(way, siege.ordinary.pid)
    siege.require_service_gets_it()

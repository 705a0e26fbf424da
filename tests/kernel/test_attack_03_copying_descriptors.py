"""Attack 3: copy descriptors out of server and keeper, and out of whoever has them (pidfd_getfd)."""

import errno

import pytest

from tests.kernel import attempts, reaching
from tests.kernel.attackers import NAME, SECRET, Siege, by_each


@by_each
def test_out_of_those_that_keep(siege: Siege) -> None:
    """None can be copied, whichever it is; of an ordinary process all can."""
    found = siege.besieged(reaching.copy_all)

    assert {"server": [errno.EPERM], "keeper": [errno.EPERM]} == found
    assert 0 in siege.attacker.call(reaching.copy_all, siege.ordinary.pid)
    siege.require_service_gets_it()


@by_each
def test_out_of_those_that_have_it(siege: Siege) -> None:
    """What is stored is refused where it arrives; whoever may have it can copy it."""
    number = siege.service.call(attempts.own_number, NAME)
    with pytest.raises(PermissionError) as refusal:
        siege.attacker.call(reaching.copy, siege.service.pid, number)

    assert errno.EACCES == refusal.value.errno
    siege.require_refused()
    assert SECRET == siege.service.call(reaching.copy, siege.service.pid, number)

"""Authority: for whom an open file may be guarded, which restricts it wherever it goes. Pure.

That an instance's server may speak for whoever opened a file the kernel sees to. It is not enough: where others may
stash into root's instance, any of them could have root's file kept from those whom root shares it with. So a file is
guarded for somebody who stashed it and may speak for its opener himself, by the same measure.
"""

from fdstorefs.bpf.abi import KNOWS_UID, Order
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.process import CAP_SYS_ADMIN
from fdstorefs.policy.request import UNKNOWN, Person, Unknown, Userns


def match_authority(stasher: Person, look: Order, instance: Instance) -> bool:
    """Whether a stasher may speak for the opener of a file, of which the kernel says this. His ids are the instance's.

    The server may. So the opener is in the instance's user namespace or below, where a privileged stasher is, too.
    What is not known of either is no authority.
    """
    if not isinstance(stasher.userns, tuple):
        return False
    if _is_privileged(stasher, instance):
        return True
    uid = instance.uids.to_host(stasher.uid) if isinstance(stasher.uid, int) else None
    return uid is not None and _is_his_own(stasher.userns[0], uid, look)


def _is_privileged(stasher: Person, instance: Instance) -> bool:
    """His capabilities are those over the instance's namespace."""
    capabilities = stasher.capabilities
    if not isinstance(capabilities, int) or stasher.userns != instance.chain:
        return False
    return bool(capabilities >> CAP_SYS_ADMIN & 1)


def _is_his_own(namespace: int, uid: int, look: Order) -> bool:
    """Opened by him in this namespace, or by anybody in one that he made there; as the programs judge it of servers.

    The namespace is the opener's or above it (`held_chain`).
    """
    level = look.chain.numbers.index(namespace)
    if level:
        return look.owners[level - 1] == uid
    return bool(look.opener.known & KNOWS_UID) and look.opener.uid == uid


def held_chain(seen: Userns | None, opener: Userns) -> Userns | Unknown:
    """The user namespace of a stasher and all above it, by its number; UNKNOWN if it may go while the file is guarded.

    The number of one that has gone is soon another's, and a file stays guarded when server and stashers are gone. What
    lasts as long is what the open file itself holds: its opener's namespace, and all above that. The instance's is
    always among them, as nothing is guarded that was opened elsewhere.
    """
    if not seen or seen[0] not in opener:
        return UNKNOWN
    return opener[opener.index(seen[0]) :]

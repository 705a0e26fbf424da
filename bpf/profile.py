"""What programs are compiled for: as much as the policies in force ask for, and no more."""

from collections.abc import Iterable
from typing import NamedTuple

from fdstorefs.bpf import abi
from fdstorefs.policy.tables import Space, Tables, Vector
from fdstorefs.policy.vocabulary import Action

WORD = 64
DELIVERIES = (Action.RETRIEVE, Action.TAKE)
"""The actions that the kernel sees."""


class Profile(NamedTuple):
    """What programs are compiled with: FDS_WORDS, FDS_USES, FDS_CAPABILITIES; `connect`: whether they have that hook.

    `uses` are USES_ flags, `capabilities` is a mask of those that some term asks a subject for.
    """

    words: int
    uses: int
    capabilities: int
    connect: bool


def profile_of(sets: Iterable[Tables]) -> Profile:
    """What all these tables need together."""
    words, uses, capabilities, connect = 1, 0, 0, False
    for tables in sets:
        words = max(words, words_for(tables.terms))
        uses |= uses_of(tables)
        capabilities |= _capabilities(tables)
        connect |= limits_connect(tables)
    return Profile(words, uses, capabilities, connect)


def covers(program: Profile, needed: Profile) -> bool:
    """Whether programs compiled for the one can decide by tables that need the other."""
    return (
        needed.words <= program.words
        and not needed.uses & ~program.uses
        and not needed.capabilities & ~program.capabilities
        and needed.connect <= program.connect
    )


def words_for(terms: int) -> int:
    """The least number of 64-bit words, of those that programs are compiled for, that so many terms fit into."""
    words = 1
    while words * WORD < terms:
        words *= 2
    return words


def uses_of(tables: Tables) -> int:
    """The tables of rows that some term asks for, of those that the kernel ever has to judge."""
    judged = tables.reach
    for action in DELIVERIES:
        judged |= tables.actions[action]
    asks = [_asks(tables.main), _asks(tables.unless)]
    return sum(flag for flag in asks[0] if any(each[flag] & judged for each in asks))


def _asks(space: Space) -> dict[int, Vector]:
    return {
        abi.USES_UID: space.uid.asks,
        abi.USES_GID: space.gid.asks,
        abi.USES_USERNS: space.userns.asks,
        abi.USES_CGROUP: space.cgroups.asks,
        abi.USES_CAPABILITIES: space.capabilities.asks,
        abi.USES_STASHER_SAME: space.stasher_same,
        abi.USES_STASHER_USERNS: space.stasher_userns.asks,
        abi.USES_OPENER_SAME: space.opener_same,
        abi.USES_OPENER_USERNS: space.opener_userns.asks,
        abi.USES_NO_MORE: space.opener_no_more,
    }


def _capabilities(tables: Tables) -> int:
    return sum(1 << number for number in {*tables.main.capabilities.needs, *tables.unless.capabilities.needs})


def limits_connect(tables: Tables) -> bool:
    """Whether there are subjects to whom no rule could allow anything in the instance."""
    space = tables.main
    conditional = space.uid.asks | space.gid.asks | space.userns.asks | space.cgroups.asks
    for_anybody = tables.reach & ~(conditional | space.capabilities.asks | tables.about_subject)
    in_force = for_anybody & tables.enforced if tables.enforcing else for_anybody
    return not in_force

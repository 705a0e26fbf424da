"""Modes that somebody has switched policies to. Each counts for the policy's text as it was then, and for no other."""

import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from fdstorefs.enforcer.policy_set import PolicySet
from fdstorefs.policy.vocabulary import Mode

log = logging.getLogger(__name__)


class Switched(NamedTuple):
    """A mode, and the digest of the policy's text when it was switched to it."""

    mode: Mode
    digest: str


Switches = Mapping[str, Switched]
"""By the policies' names."""


def digest_of(text: str) -> str:
    """The same if the text is."""
    return sha256(text.encode(errors="surrogateescape")).hexdigest()


def switch(name: str, mode: Mode, texts: PolicySet) -> Switched | None:
    """A policy's switch to a mode; None: there is no such policy."""
    text = texts.text_of(name)
    return None if text is None else Switched(mode, digest_of(text))


def still_meant(switches: Switches, texts: PolicySet) -> dict[str, Switched]:
    """Those of policies whose texts are the same still."""
    return {
        name: switched
        for name, switched in switches.items()
        if switch(name, switched.mode, texts) == switched
    }


def in_modes(texts: PolicySet, switches: Switches) -> PolicySet:
    """The policies in the modes that they were switched to."""
    if not switches:
        return texts
    return texts.with_modes({name: switched.mode for name, switched in switches.items()})


def taken_over(switches: Switches, texts: PolicySet) -> dict[str, Switched]:
    """Those of a former enforcer that still count; the log has which do, and which don't."""
    meant = still_meant(switches, texts)
    for name, switched in switches.items():
        if name in meant:
            log.warning("policies: `%s` stays in the mode that it was switched to: %s", name, switched.mode)
        else:
            log.warning(
                "policies: `%s` was switched to %s and is another policy now: what its file says counts",
                name,
                switched.mode,
            )
    return meant

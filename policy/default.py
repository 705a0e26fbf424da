"""The policy of an instance that is given none: what somebody stashed is his, and nobody else's.

Whoever stashed a descriptor held it already, so this lends no power. It is written in the language, so that it is
explained, tested and logged like any other; and once more as what the language makes of it, so that a server that
is given no policy needs no parser.
"""

from functools import cache

from fdstorefs.policy.model import Conditions, Ids, Policy, Rule
from fdstorefs.policy.span import Source
from fdstorefs.policy.vocabulary import ON_ENTRIES, Effect, Relation

DEFAULT = Source.of(
    "built-in default",
    """\
version: 1
name: default
description: who stashed an entry may do everything with it, everybody else nothing
rules:
  - id: stasher-may-do-everything
    effect: allow
    actions: [all]
    stasher: {uid: same, userns: same}
  - id: others-may-do-nothing
    effect: forbid
    actions: [all]
    unless: {stasher: {uid: same, userns: same}}
""",
)

_ITS_STASHER = Conditions(stasher_uid=Ids(same=True), stasher_userns=frozenset({Relation.SAME}))


@cache
def default_policy() -> Policy:
    """What DEFAULT says, the same object each time."""
    return Policy(
        name="default",
        description="who stashed an entry may do everything with it, everybody else nothing",
        rules=(
            Rule("stasher-may-do-everything", Effect.ALLOW, ON_ENTRIES, _ITS_STASHER),
            Rule("others-may-do-nothing", Effect.FORBID, ON_ENTRIES, unless=_ITS_STASHER),
        ),
    )

"""The policy of an instance that is given none: what somebody stashed is his, and nobody else's.

Whoever stashed a descriptor held it already, so this lends no power. It is written in the language, so that it is
explained, tested and logged like any other.
"""

from fdstorefs.policy.span import Source

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

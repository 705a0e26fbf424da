"""Who may run an instance: the rule action `serve`, asked with the server as the subject. Pure.

While no policy says anything about `serve`, everybody may. As soon as one that is for the instance does, nobody may
whom none allows.
"""

from collections.abc import Sequence
from typing import NamedTuple

from fdstorefs.policy.compile import compile_policies
from fdstorefs.policy.decide import decide
from fdstorefs.policy.model import Policy
from fdstorefs.policy.request import EntryFacts, Request, SubjectFacts
from fdstorefs.policy.vocabulary import Action


class ServeVerdict(NamedTuple):
    """`allowed` is in force, `decided` what policies say that only monitor, too. `rules` decided."""

    allowed: bool
    decided: bool
    rules: tuple[str, ...]


def may_serve(policies: Sequence[Policy], server: SubjectFacts, userns: tuple[int, ...]) -> ServeVerdict:
    """The verdict on running an instance in the user namespace `userns` under these policies."""
    asked = [policy for policy in policies if _says_something(policy)]
    if not asked:
        return ServeVerdict(allowed=True, decided=True, rules=())
    verdict = decide(compile_policies(asked), Request(Action.SERVE, EntryFacts(""), server, userns))
    return ServeVerdict(verdict.allowed, verdict.decided, verdict.rules)


def _says_something(policy: Policy) -> bool:
    return any(Action.SERVE in rule.actions for rule in policy.rules)

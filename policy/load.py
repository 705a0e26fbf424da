"""Loading: texts to policies, and everything that is wrong with them in one go."""

from collections.abc import Sequence
from dataclasses import dataclass

from fdstorefs.policy.diagnostic import Diagnostic, Severity
from fdstorefs.policy.model import Policy
from fdstorefs.policy.names import Names
from fdstorefs.policy.span import Source


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of it. If it isn't `ok`, rules are missing from the policies, and none of them may be used."""

    policies: tuple[Policy, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors; there may be warnings."""
        return all(diagnostic.severity is not Severity.ERROR for diagnostic in self.diagnostics)


def load(sources: Sequence[Source], names: Names) -> Loaded:
    """Reads all policies that will be in force together."""
    raise NotImplementedError


def source_from_bytes(name: str, data: bytes) -> Source:
    """A source from the bytes of a file; raises PolicyError."""
    raise NotImplementedError

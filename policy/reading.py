"""Reading: what is known while texts are read, one after another."""

from dataclasses import dataclass, field
from typing import Any

from fdstorefs.policy.definitions import Place
from fdstorefs.policy.findings import Findings
from fdstorefs.policy.names import Names
from fdstorefs.policy.nodes import Mapping, Node, Scalar
from fdstorefs.policy.span import Span


@dataclass(slots=True)
class Fields:
    """A mapping whose keys are known: the node of each key and value, and what each value that is right means."""

    place: Place
    node: Mapping
    keys: dict[str, Scalar] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def inner(self, name: str) -> "Fields | None":
        """The mapping under a key; None: there is none, or it isn't right."""
        value: Fields | None = self.values.get(name)
        return value


@dataclass(slots=True)
class NamedSet:
    """A set of the policy that is read now. `fields` None: it isn't right."""

    name: Scalar
    fields: Fields | None
    is_used: bool = False


@dataclass(slots=True)
class Reading:
    """What has been seen: rule ids and policy names of all texts, the sets of this one."""

    names: Names
    findings: Findings = field(default_factory=Findings)
    rule_ids: dict[str, Span] = field(default_factory=dict)
    policy_names: dict[str, Span] = field(default_factory=dict)
    sets: dict[str, NamedSet] = field(default_factory=dict)

"""Loading policies in tests: a few names, and shorthands for what came of it."""

from fdstorefs.policy.diagnostic import PolicyError, render
from fdstorefs.policy.load import Loaded, load, source_from_bytes
from fdstorefs.policy.model import Policy, Rule
from fdstorefs.policy.names import FixedNames

NAMES = FixedNames({"root": 0, "www-data": 33, "alice": 1000}, {"adm": 4}, {1000: 0}, {100: 5})


def loaded(*texts: str | bytes) -> Loaded:
    """What comes of these texts, which are called a.yaml, b.yaml and so on."""
    sources = [
        source_from_bytes(f"{'abcdefgh'[number]}.yaml", text.encode() if isinstance(text, str) else text)
        for number, text in enumerate(texts)
    ]
    return load(sources, NAMES)


def policy(text: str) -> Policy:
    """The policy in a text that has neither errors nor warnings."""
    found = loaded(text)
    assert found.diagnostics == (), "\n".join(map(render, found.diagnostics))
    return found.policies[0]


def rule(body: str, *, sets: str = "") -> Rule:
    """The rule with this body, after `id: x` and `effect: allow`, in a policy that is right."""
    return policy(f"version: 1\n{sets}\nrules:\n  - {{id: x, effect: allow, {body}}}\n").rules[0]


def complaints(name: str, data: bytes) -> str:
    """Everything that is wrong with a file, as people read it."""
    try:
        found = load([source_from_bytes(name, data)], NAMES).diagnostics
    except PolicyError as error:
        found = error.diagnostics
    return "".join(f"{render(diagnostic)}\n" for diagnostic in found)

"""Replies: what an exception looks like on the wire."""

import json
import re
from typing import Any

import pytest

from fdstorefs.errors import BY_IDENTIFIER, Denied, NoInstance, NoSuchEntry, NotPermitted, StoreError
from fdstorefs.interface import NAME, description
from fdstorefs.server.varlink.reply import Reply, encoded, failure, success
from fdstorefs.server.varlink.standard import invalid_parameter


def decoded(reply: Reply) -> Any:
    """The JSON of a reply, which must end in its only NUL."""
    assert reply.data.index(b"\0") == len(reply.data) - 1
    return json.loads(reply.data[:-1])


def test_an_error_carries_message_name_and_hint() -> None:
    """What is not known is left out."""
    full = decoded(failure(NoSuchEntry("no `a`", name="a", hint="look elsewhere")))
    short = decoded(failure(NoSuchEntry("no `a`")))

    assert full == {
        "error": f"{NAME}.NoSuchEntry",
        "parameters": {"message": "no `a`", "name": "a", "hint": "look elsewhere"},
    }
    assert short["parameters"] == {"message": "no `a`"}


@pytest.mark.parametrize("kind", [Denied, NotPermitted])
def test_a_denial_carries_why_and_where_it_is_on_record(kind: type[StoreError]) -> None:
    """As far as there is anything to say."""
    error = kind("no")
    bare = decoded(failure(error))["parameters"]
    error.reason, error.decision = "forbidden by `r`", "0f-7"

    assert {"message": "no"} == bare
    assert {"message": "no", "reason": "forbidden by `r`", "decision": "0f-7"} == decoded(failure(error))[
        "parameters"
    ]


def test_what_errors_carry_is_declared() -> None:
    """Each field of a denial, and no reason where nothing was decided."""
    denied, missing = (
        re.search(rf"^error {name} \((.*)\)$", description(), re.MULTILINE)
        for name in ("Denied", "NoSuchEntry")
    )
    assert denied is not None
    assert missing is not None

    assert "message: string, name: ?string, hint: ?string, reason: ?string, decision: ?string" == denied[1]
    assert "message: string, name: ?string, hint: ?string" == missing[1]


@pytest.mark.parametrize("kind", BY_IDENTIFIER.values(), ids=lambda kind: str(kind.identifier))
def test_every_error_is_a_declared_one(kind: type[StoreError]) -> None:
    """What the interface does not declare comes as Failed."""
    declared = re.findall(r"^error (\w+)", description(), re.MULTILINE)
    identifier = decoded(failure(kind("x")))["error"].removeprefix(f"{NAME}.")

    assert identifier in declared
    assert identifier == (kind.identifier if kind.identifier in declared else "Failed")


def test_errors_of_the_client_side_are_not_told() -> None:
    """A server cannot say that there is no instance."""
    assert decoded(failure(NoInstance("x")))["error"] == f"{NAME}.Failed"


def test_a_standard_error_keeps_its_interface() -> None:
    """They belong to org.varlink.service."""
    assert decoded(failure(invalid_parameter("x"))) == {
        "error": "org.varlink.service.InvalidParameter",
        "parameters": {"parameter": "x"},
    }


def test_a_name_that_is_not_utf8_survives() -> None:
    """Lone surrogates go through JSON as escapes."""
    assert decoded(success({"name": "caf\udce9"})) == {"parameters": {"name": "caf\udce9"}}


def test_more_replies_are_announced() -> None:
    """`continues` is there when more follow, and only then."""
    assert decoded(encoded("{}", continues=True)) == {"parameters": {}, "continues": True}
    assert decoded(encoded("{}")) == {"parameters": {}}

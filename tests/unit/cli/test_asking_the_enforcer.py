"""The enforcer's caller: calls, answers, and what is said when there is none."""

import re
import socket
from pathlib import Path

import pytest

from fdstorefs import errors
from fdstorefs.client import enforcer
from fdstorefs.client.enforcer import BadPolicy, InstanceState, NoEnforcer, NoSuchPolicy, PolicyState
from fdstorefs.interface import enforcer as interface
from tests.unit.cli.fake_enforcer import STATUS, FakeEnforcer


def test_its_state(fake_enforcer: FakeEnforcer) -> None:
    """Every field that the interface has, under its name."""
    status = enforcer.status(fake_enforcer.path)

    assert [("Status", {})] == fake_enforcer.calls
    assert STATUS["hooks"] == list(status.hooks)
    assert PolicyState("trial", "monitor", 1, "/p/a\nb.yaml", switched=True) == status.policies[1]
    expected = InstanceState(1, "/run/fdstore", 77, 1000, ("web", "trial"), 12, True, False)
    assert expected == status.instances[0]
    assert STATUS["rejected"] == status.rejected
    assert set(STATUS) == set(status._fields)


def test_what_only_root_is_told_may_be_left_out(fake_enforcer: FakeEnforcer) -> None:
    """Null or empty: nothing is made up."""
    withheld = {"files": [], "rejected": None, "audit": None, "instances": []}
    policies = [{"name": "web", "mode": "enforce", "rules": 3}]
    fake_enforcer.replies["Status"] = {"parameters": {**STATUS, **withheld, "policies": policies}}
    status = enforcer.status(fake_enforcer.path)

    assert ((), None, (), ()) == (status.files, status.rejected, status.audit, status.instances)
    assert status.policies[0].file is None


def test_fields_of_a_newer_one_are_passed_over(fake_enforcer: FakeEnforcer) -> None:
    """An older command can ask it."""
    fake_enforcer.replies["Status"] = {"parameters": {**STATUS, "colour": "red"}}

    assert 4 == enforcer.status(fake_enforcer.path).generation


def test_loading_names_the_files(fake_enforcer: FakeEnforcer) -> None:
    """And tells what is in force then."""
    fake_enforcer.replies["Load"] = {"parameters": {"generation": 5, "policies": ["web"], "warnings": 1}}

    assert enforcer.Loaded(5, ("web",), 1) == enforcer.load(["/p/web.yaml"], fake_enforcer.path)
    assert [("Load", {"files": ["/p/web.yaml"]})] == fake_enforcer.calls


def test_a_mode_is_set_by_the_policys_name(fake_enforcer: FakeEnforcer) -> None:
    """And what it was is told."""
    fake_enforcer.replies["SetMode"] = {"parameters": {"generation": 5, "former": "enforce"}}

    assert enforcer.ModeSet(5, "enforce") == enforcer.set_mode("web", "monitor", fake_enforcer.path)
    assert [("SetMode", {"policy": "web", "mode": "monitor"})] == fake_enforcer.calls


@pytest.mark.parametrize(
    ("identifier", "kind", "exit_code"),
    [
        ("NotPermitted", errors.NotPermitted, 3),
        ("Denied", errors.Denied, 3),
        ("BadPolicy", BadPolicy, 1),
        ("NoSuchPolicy", NoSuchPolicy, 1),
        ("NotEnforcing", errors.StoreError, 1),
    ],
)
def test_what_it_refuses_is_raised(
    fake_enforcer: FakeEnforcer, identifier: str, kind: type[errors.StoreError], exit_code: int
) -> None:
    """With its words, and the exit code that belongs to it."""
    fake_enforcer.refuse("Load", identifier, message="no", hint="so", errors=["a", "b"])
    with pytest.raises(errors.StoreError) as raised:
        enforcer.load([], fake_enforcer.path)

    assert kind is type(raised.value)
    assert ("no", "so", exit_code) == (raised.value.message, raised.value.hint, raised.value.exit_code)
    assert ("a", "b") == getattr(raised.value, "errors", ("a", "b"))


def test_an_error_without_words_is_named(fake_enforcer: FakeEnforcer) -> None:
    """Such as those of Varlink itself."""
    fake_enforcer.replies["Load"] = {"error": "org.varlink.service.MethodNotFound"}
    with pytest.raises(errors.StoreError, match=r"answered `org\.varlink\.service\.MethodNotFound`"):
        enforcer.load([], fake_enforcer.path)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"hello\0", "what is no message"),
        (b"[]\0", "a message that is no reply"),
        (b'{"parameters": 7}\0', "a message that is no reply"),
        (b'{"parameters": {"generation": 5}}\0', "an answer that makes no sense"),
        (b"[" * 100_000 + b"\0", "what is no message"),
    ],
)
def test_what_makes_no_sense_is_an_error(fake_enforcer: FakeEnforcer, reply: bytes, said: str) -> None:
    """Nothing is made up."""
    fake_enforcer.replies["Status"] = reply
    with pytest.raises(errors.ProtocolError, match=said):
        enforcer.status(fake_enforcer.path)


def test_one_that_hangs_up(fake_enforcer: FakeEnforcer) -> None:
    """It may have ended, and left in force what it has pinned."""
    fake_enforcer.replies["Status"] = None
    with pytest.raises(NoEnforcer, match="ended the connection without an answer"):
        enforcer.status(fake_enforcer.path)


def test_one_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever."""
    monkeypatch.setattr(enforcer, "_PATIENCE_SECONDS", 0.01)
    path = str(tmp_path / "silent.sock")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        with pytest.raises(errors.ProtocolError, match=r"has not answered for 0\.01 seconds"):
            enforcer.status(path)


def test_none_at_all(tmp_path: Path) -> None:
    """No socket, or one that nobody listens at any more: exit code 5, and what to do."""
    left = str(tmp_path / "left.sock")
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(left)
    for path in (str(tmp_path / "none.sock"), left):
        with pytest.raises(NoEnforcer) as raised:
            enforcer.status(path)

        assert f"no enforcer listens at `{path}`" == raised.value.message
        assert 5 == raised.value.exit_code
        assert "systemctl start fdstorefs-enforcer" in (raised.value.hint or "")


def test_a_path_that_is_too_long() -> None:
    """Said, not cut."""
    with pytest.raises(NoEnforcer, match="file name too long"):
        enforcer.status("/" + "x" * 108)


def fields_of(declaration: str) -> set[str]:
    """The names in the brackets after a declaration of the interface."""
    _, _, rest = interface.description().partition(declaration)
    assert rest
    return set(re.findall(r"^ *(\w+):", rest.partition(")")[0].replace(", ", ",\n"), re.MULTILINE))


@pytest.mark.parametrize(
    ("declaration", "fields"),
    [
        ("method Status() -> (", enforcer.HostStatus._fields),
        ("type Policy (", enforcer.PolicyState._fields),
        ("type Instance (", enforcer.InstanceState._fields),
        ("method Load(files: []string) -> (", enforcer.Loaded._fields),
        ("method SetMode(policy: string, mode: string) -> (", enforcer.ModeSet._fields),
    ],
)
def test_the_interface_has_what_is_asked_for(declaration: str, fields: tuple[str, ...]) -> None:
    """Under the same names, and nothing that is not read."""
    assert set(fields) == fields_of(declaration)


def test_what_it_may_refuse_is_in_the_interface() -> None:
    """The errors that have a class of their own."""
    declared = set(re.findall(r"^error (\w+)", interface.description(), re.MULTILINE))

    assert {"NotPermitted", "Denied", "BadPolicy", "NoSuchPolicy", "NotEnforcing"} <= declared

"""An enforcer that has ended is waited for: what it enforced is in force, and it may be back at once."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdstorefs.server.guarding import choosing, finding
from fdstorefs.server.guarding.choosing import choose
from fdstorefs.server.guarding.finding import EnforcementError
from fdstorefs.server.options import ServeOptions

EITHER = pytest.mark.parametrize("enforcement", ["auto", "kernel"])


@pytest.fixture(autouse=True)
def _our_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests is its root."""
    monkeypatch.setattr(finding, "_owners", lambda: (os.geteuid(),))


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where one listened who was killed."""
    path = str(tmp_path / "enforcer.sock")
    listen(path).close()
    return path


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], object]]]:
    """What happens, one after the other, while it is waited for. Then time is up."""
    happenings: list[Callable[[], object]] = []
    now = [0.0]

    def sleep(_seconds: float) -> None:
        if happenings:
            happenings.pop(0)()
        else:
            now[0] += choosing.WAIT_SECONDS + 1

    monkeypatch.setattr(choosing, "sleep", sleep)
    monkeypatch.setattr(choosing, "monotonic", lambda: now[0])
    yield happenings
    assert [] == happenings


def listen(path: str) -> socket.socket:
    """Listen there."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    return listening


def options(path: str, enforcement: str) -> ServeOptions:
    """What a server is told."""
    return ServeOptions("/m", enforcement=enforcement, enforcer_socket=path)


@EITHER
def test_it_comes_back(path: str, meanwhile: list[Callable[[], object]], enforcement: str) -> None:
    """Also if there is no socket for a moment, when the new one puts its own there."""
    listening: list[socket.socket] = []
    meanwhile += [lambda: None, lambda: os.unlink(path), lambda: listening.append(listen(path))]

    choice = choose(options(path, enforcement))

    assert "kernel" == choice.enforcement
    assert choice.line is not None
    choice.line.close()
    listening[0].close()


@EITHER
def test_it_does_not(path: str, meanwhile: list[Callable[[], object]], enforcement: str) -> None:
    """Then the server does not start, and says what can be done."""
    with pytest.raises(EnforcementError, match=f"the enforcer that listened at {path} is gone") as raised:
        choose(options(path, enforcement))

    assert "`fdstorefs enforce --off`" in raised.value.hint


def test_it_is_switched_off(path: str, meanwhile: list[Callable[[], object]]) -> None:
    """Its socket goes then, and there is none to wait for."""
    meanwhile.append(lambda: os.unlink(path))

    assert "daemon" == choose(options(path, "auto")).enforcement


def test_a_server_before_this_one_had_it(path: str, meanwhile: list[Callable[[], object]]) -> None:
    """Then there is no doing without, and nothing to choose."""
    os.unlink(path)
    with pytest.raises(EnforcementError, match="the kernel is to enforce the policy"):
        choose(options(path, "auto"), again=True)
    with listen(path):
        choice = choose(options(path, "auto"), again=True)

    assert ("kernel", "as for the server before this one") == (choice.enforcement, choice.why)
    assert choice.line is not None
    choice.line.close()


def test_what_is_no_socket_is_no_enforcers(path: str, meanwhile: list[Callable[[], object]]) -> None:
    """Nobody has listened there."""
    os.unlink(path)
    Path(path).touch()

    assert "daemon" == choose(options(path, "auto")).enforcement


def test_it_is_not_waited_for_long() -> None:
    """A service is to fail before its manager takes it for stuck."""
    assert choosing.AGAIN_SECONDS < choosing.WAIT_SECONDS < 30

"""A call that another server cannot go on with ends before the handover: by itself, or with an error."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fdstorefs.server.loop import Loop
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.varlink import reception
from fdstorefs.server.varlink.activity import Exchange
from fdstorefs.server.varlink.framing import Message
from fdstorefs.server.varlink.reception import Limits, Most, Reception
from fdstorefs.server.varlink.reply import failure, success
from fdstorefs.server.varlink.sender import Sender


class Going:
    """An activity that goes on until somebody ends it."""

    exchange: Exchange
    is_stopped = False

    def start(self, exchange: Exchange) -> None:
        """Begin."""
        self.exchange = exchange

    def drained(self) -> None:
        """Nothing waits."""

    def stop(self) -> None:
        """It is over."""
        self.is_stopped = True


class Lasting(Going):
    """One that another server can go on with."""

    def told(self) -> dict[str, Any]:
        """All it needs."""
        return {"a": 1}

    def resume(self, exchange: Exchange, told: dict[str, Any]) -> None:
        """Go on."""


class Service:
    """Answers every call with one activity."""

    def __init__(self, activity: Going) -> None:
        self.activity = activity
        self.failure = failure

    def admits(self, _uid: int) -> bool:
        """Everybody."""
        return True

    def came(self, _connected: socket.socket, _sender: Sender) -> None:
        """Good."""

    def left(self, _sender: Sender) -> None:
        """Good."""

    def answer(self, _message: Message, _sender: Sender) -> Going:
        """The activity."""
        return self.activity

    def discard(self, descriptor: int, _sender: Sender) -> None:
        """Nobody sends any."""

    def waits(self, _descriptor: int) -> None:
        """Nobody sends any."""


class Bench:
    """A reception with one client, who has called."""

    def __init__(self, activity: Going, path: str) -> None:
        self.activity = activity
        self.loop = Loop()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen()
        limits = Limits(Most(9, 9), Most(1 << 20, 1 << 20), Most(9, 9), 1024)
        self.reception = Reception(self.loop, self.listening, Service(activity), Subjects(), limits)
        self.reception.begin()
        self.client = socket.socket(socket.AF_UNIX)
        self.client.settimeout(20)
        self.client.connect(path)
        self.client.send(b"{}\0")
        self.stilled = 0

    def run_until_called(self) -> None:
        """Until the activity has begun."""
        while not hasattr(self.activity, "exchange"):
            self.loop._turn()

    def freeze(self) -> None:
        """Freeze, and stop the loop when that is done."""
        self.reception.freeze(self._done)

    def _done(self) -> None:
        self.stilled += 1
        self.loop.stop()

    def said(self) -> dict[str, Any]:
        """What the client has been told."""
        told: dict[str, Any] = json.loads(self.client.recv(1 << 16).rstrip(b"\0"))
        return told

    def close(self) -> None:
        """End everything."""
        self.reception.close()
        self.loop.close()
        self.listening.close()
        self.client.close()


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One, with the activity that the test asks for."""
    bench = Bench(request.param(), f"{tmp_path_factory.mktemp('b')}/s")
    bench.run_until_called()
    yield bench
    bench.close()


@pytest.mark.parametrize("bench", [Going], indirect=True)
def test_it_may_end_by_itself(bench: Bench) -> None:
    """Its reply comes, and then it is time."""
    bench.freeze()
    bench.loop.call_soon(lambda: bench.activity.exchange.finish(success({"done": True})))
    bench.loop.run()

    assert (1, {"parameters": {"done": True}}) == (bench.stilled, bench.said())


@pytest.mark.parametrize("bench", [Going], indirect=True)
def test_what_takes_too_long_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told to try again."""
    monkeypatch.setattr(reception, "PATIENCE_SECONDS", 0.01)
    bench.freeze()
    bench.loop.run()
    told = bench.said()

    assert (1, True, "io.fdstorefs.Store.Busy", "try again") == (
        bench.stilled,
        bench.activity.is_stopped,
        told["error"],
        told["parameters"]["hint"],
    )


@pytest.mark.parametrize("bench", [Lasting], indirect=True)
def test_what_can_go_on_elsewhere_is_left_alone(bench: Bench) -> None:
    """It is told as it is, with the call itself."""
    bench.freeze()
    bench.loop.run()
    state = bench.reception.clients[0].state()

    assert (1, False, {"a": 1}, b"{}") == (
        bench.stilled,
        bench.activity.is_stopped,
        state.told,
        state.call and state.call.data,
    )


@pytest.mark.parametrize("bench", [Going], indirect=True)
def test_after_a_thaw_nobody_waits_any_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call goes on, and `done` is not called."""
    monkeypatch.setattr(reception, "PATIENCE_SECONDS", 0.01)
    bench.freeze()
    bench.reception.thaw()
    # Behind everything that freezing has put off.
    bench.loop.call_at(time.monotonic() + 0.02, bench.loop.stop)
    bench.loop.run()
    bench.activity.exchange.finish(success({}))

    assert (0, {"parameters": {}}) == (bench.stilled, bench.said())

"""An instance that breaks the protocol or goes away: the client says so, leaks nothing, and goes on."""

import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

import fdstorefs
from tests.mount.client.scripted_instance import HANG_UP, SILENCE, Say, ScriptedInstance

pytestmark = pytest.mark.usefixtures("no_leak")

ONE = b'{"parameters":{"entries":[{"name":"web","fileDescriptor":0}]}}'
NOTHING = Say(b'{"parameters":{}}')
FOUND = Say(ONE, files=1)

Play = Callable[..., fdstorefs.Store]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """A connection to an instance that plays a script: one argument for each connection."""
    playing: list[ScriptedInstance] = []
    stores: list[fdstorefs.Store] = []

    def start(*script: list[Say]) -> fdstorefs.Store:
        playing.append(ScriptedInstance(str(tmp_path), script))
        stores.append(fdstorefs.connect(tmp_path))
        return stores[0]

    yield start
    for store in stores:
        store.close()
    for instance in playing:
        instance.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Say(ONE), id="no descriptor"),
        pytest.param(Say(ONE, files=2), id="one too many"),
        pytest.param(Say(b'{"parameters":{"entries":[]}}', files=1), id="a nameless one"),
        pytest.param(Say(b'{"parameters":{}}', files=1), id="no entries"),
        pytest.param(Say(ONE.replace(b":0", b":1"), files=1), id="a wrong index"),
        pytest.param(Say(ONE.replace(b":0", b":-1"), files=1), id="an index before the first"),
        pytest.param(Say(ONE.replace(b":0", b":[]"), files=1), id="an index that is none"),
        pytest.param(Say(b"garbage", files=3), id="no JSON"),
        pytest.param(Say(ONE + b"\0" + ONE, files=1), id="two replies"),
        pytest.param(Say(ONE[:-1] + b',"continues":true}', files=1), id="more to come"),
    ],
)
def test_what_is_no_answer_to_a_retrieve(play: Play, answer: Say) -> None:
    """It is a protocol error, and the next call goes over a new connection."""
    store = play([answer], [FOUND])
    with pytest.raises(fdstorefs.ProtocolError):
        store.retrieve("web")

    with store.retrieve("web") as retrieved:
        assert retrieved.name == "web"


def test_descriptors_that_nobody_asked_for_are_closed(play: Play) -> None:
    """Whatever the call was."""
    store = play([Say(b'{"parameters":{}}', files=5)])
    with pytest.raises(fdstorefs.ProtocolError, match="nobody asked for"):
        store.discard("web")


def test_descriptors_beside_an_error_are_closed(play: Play) -> None:
    """The error is raised, and the connection stays."""
    store = play([Say(b'{"error":"io.fdstorefs.Store.NoSuchEntry"}', files=5), FOUND])
    with pytest.raises(fdstorefs.NoSuchEntry):
        store.retrieve("web")

    with store.retrieve("web") as retrieved:
        assert retrieved.name == "web"


def test_descriptors_beside_a_listing_are_closed(play: Play) -> None:
    """A listing has none."""
    store = play([Say(b'{"parameters":{"entries":[]}}', files=2)])
    with pytest.raises(fdstorefs.ProtocolError, match="nobody asked for"):
        store.list()


def test_a_retrieve_is_made_again_when_the_instance_went_away(play: Play) -> None:
    """Twice does no more than once."""
    store = play([HANG_UP], [FOUND])

    with store.retrieve("web") as retrieved:
        assert retrieved.name == "web"


def test_it_is_made_again_only_once(play: Play) -> None:
    """An instance that always goes away is none."""
    store = play([HANG_UP], [HANG_UP])
    with pytest.raises(fdstorefs.NoInstance, match="ended the connection without an answer"):
        store.retrieve("web")


@pytest.mark.parametrize(
    ("call", "subject"),
    [
        (lambda store: store.take("web"), "Take of `web`"),
        (lambda store: store.stash("web", 0), "Stash of `web`"),
        (lambda store: store.discard("a", "b", "c", "d", "e"), "Discard of `a`, `b`, `c` and 2 more"),
        (lambda store: store.rename("a", "b"), "Rename of `a`"),
    ],
)
def test_what_may_have_been_done_is_not_done_again(
    play: Play, call: Callable[[fdstorefs.Store], object], subject: str
) -> None:
    """The error says what is unknown."""
    store = play([HANG_UP])
    with pytest.raises(fdstorefs.ProtocolError) as raised:
        call(store)

    assert raised.value.message.endswith(f"whether it did the {subject} is unknown")


def hung_up(store: fdstorefs.Store) -> None:
    """Wait until the other side's end is closed."""
    channel = store._connection._channel
    assert channel is not None
    assert select.select([channel], [], [], 10)[0]


def test_what_was_not_even_sent_is_sent_again(play: Play) -> None:
    """A take whose connection was closed before it began is harmless."""
    store = play([Say(b'{"parameters":{}}', hang_up=True)], [FOUND])
    store.discard("x")
    hung_up(store)

    with store.take("web") as taken:
        assert taken.name == "web"


def test_the_last_words_of_an_instance_that_turns_us_away_are_heard(tmp_path: Path) -> None:
    """It says why before it closes the connection, though the client could send nothing any more."""
    why = b'{"error":"io.fdstorefs.Store.Overloaded","parameters":{"message":"too many"}}\0'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / ".fdstore"))
        listening.listen()
        with fdstorefs.connect(tmp_path) as store:
            with listening.accept()[0] as accepted:
                accepted.sendall(why)
            hung_up(store)

            with pytest.raises(fdstorefs.Overloaded, match="too many"):
                store.take("web")


def test_an_interrupted_call_leaves_no_reply_behind(play: Play) -> None:
    """The reply that comes too late is not taken for the next one's."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise InterruptedError("enough")

    store = play([SILENCE], [FOUND])
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(InterruptedError, match="enough"):
            store.status()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    with store.retrieve("web") as retrieved:
        assert retrieved.name == "web"


def test_a_watch_that_does_not_begin_is_closed(play: Play) -> None:
    """The first thing it must hear is that it has begun."""
    store = play([], [Say(b'{"parameters":{"change":"stashed"},"continues":true}')])
    with pytest.raises(fdstorefs.ProtocolError, match="before it was ready"):
        store.watch()

"""The client for asyncio with a real instance."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import fdstorefs
from tests.mount.client.scripted_instance import HANG_UP, SILENCE, Say, ScriptedInstance
from tests.mount.instance import Instance

pytestmark = pytest.mark.usefixtures("no_leak")

FOUND = Say(b'{"parameters":{"entries":[{"name":"web","fileDescriptor":0}]}}', files=1)

Story = Callable[[fdstorefs.aio.Store], Awaitable[None]]


def tell(mount: str | Path, story: Story) -> None:
    """Run a coroutine with a connection."""

    async def with_connection() -> None:
        async with await fdstorefs.aio.connect(mount) as store:
            await story(store)

    asyncio.run(with_connection())


async def stash_text(store: fdstorefs.aio.Store, *names: str) -> None:
    """Stash memfds that hold their names."""
    for name in names:
        with os.fdopen(os.memfd_create("test"), "r+b") as file:
            file.write(name.encode())
            file.flush()
            await store.stash(name, file)


def text_of(retrieved: fdstorefs.Retrieved) -> str:
    """What a retrieved memfd holds."""
    with retrieved:
        return os.pread(retrieved.fileno(), 100, 0).decode()


def test_it_does_what_the_other_does(instance: Instance) -> None:
    """Every method, once."""

    async def story(store: fdstorefs.aio.Store) -> None:
        await store.make_box("blue")
        await stash_text(store, "a", "b", "c", "blue/d")
        assert text_of(await store.retrieve("a")) == "a"
        assert [text_of(file) for file in (await store.retrieve_many(["b", "a"])).values()] == ["b", "a"]
        assert text_of(await store.take("a")) == "a"
        assert [text_of(file) for file in (await store.take_many(["b"])).values()] == ["b"]
        await store.rename("c", "e")
        await store.link("e", "f")
        await store.seal("blue")
        with pytest.raises(fdstorefs.Busy):
            await store.discard("blue/d")
        await store.unseal("blue")
        await store.discard("blue/d")
        await store.remove_box("blue")
        assert [entry.name for entry in await store.list()] == ["e", "f"]
        assert (await store.describe("e")).entry.kind == "memfd"
        assert (await store.status()).pid == instance.pid

    tell(instance.mount, story)


def test_tasks_share_a_connection(instance: Instance) -> None:
    """Each gets the reply to its own call."""
    names = [f"task-{number}" for number in range(20)]

    async def story(store: fdstorefs.aio.Store) -> None:
        await stash_text(store, *names)
        found = await asyncio.gather(*(store.retrieve(name) for name in names))
        assert [text_of(file) for file in found] == names

    tell(instance.mount, story)


def test_a_watch_is_an_asynchronous_iterator(instance: Instance) -> None:
    """A wait that is cancelled loses nothing."""

    async def story(store: fdstorefs.aio.Store) -> None:
        async with await store.watch() as watch:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watch.wait(), 0.05)
            await stash_text(store, "a")
            await store.discard("a")
            seen = [(await anext(watch)).change for _ in range(2)]
        assert seen == ["stashed", "discarded"]
        assert [change async for change in watch] == []

    tell(instance.mount, story)


def test_a_watch_ends_with_the_instance(instance: Instance) -> None:
    """It doesn't wait for ever."""

    async def story(store: fdstorefs.aio.Store) -> None:
        async with await store.watch() as watch:
            await asyncio.to_thread(instance.stop)
            with pytest.raises(fdstorefs.NoInstance):
                await watch.wait()

    tell(instance.mount, story)


def play(directory: Path, story: Story, *script: list[Say]) -> None:
    """Run a coroutine with an instance that plays a script."""
    instance = ScriptedInstance(str(directory), script)
    tell(directory, story)
    instance.close()


def test_a_cancelled_call_leaves_no_reply_behind(tmp_path: Path) -> None:
    """The next call goes over a new connection."""

    async def story(store: fdstorefs.aio.Store) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(store.status(), 0.05)
        with await store.retrieve("web") as retrieved:
            assert retrieved.name == "web"

    play(tmp_path, story, [SILENCE], [FOUND])


def test_what_can_be_done_twice_is_done_again(tmp_path: Path) -> None:
    """When the instance went away."""

    async def story(store: fdstorefs.aio.Store) -> None:
        with await store.retrieve("web") as retrieved:
            assert retrieved.name == "web"

    play(tmp_path, story, [HANG_UP], [FOUND])


def test_what_may_have_been_done_is_not_done_again(tmp_path: Path) -> None:
    """The error says what is unknown."""

    async def story(store: fdstorefs.aio.Store) -> None:
        with pytest.raises(fdstorefs.ProtocolError, match="whether it did the Take of `web` is unknown"):
            await store.take("web")

    play(tmp_path, story, [HANG_UP])


def test_no_instance_is_said_at_once(tmp_path: Path) -> None:
    """Connecting fails, not the first call."""
    with pytest.raises(fdstorefs.NoInstance):
        asyncio.run(fdstorefs.aio.connect(tmp_path))


def test_the_last_words_of_an_instance_that_turns_us_away_are_heard(tmp_path: Path) -> None:
    """As with the client that blocks: it says why before it closes the connection."""
    why = b'{"error":"io.fdstorefs.Store.Overloaded","parameters":{"message":"too many"}}\0'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / ".fdstore"))
        listening.listen()

        async def story(store: fdstorefs.aio.Store) -> None:
            with listening.accept()[0] as accepted:
                accepted.sendall(why)
            with pytest.raises(fdstorefs.Overloaded, match="too many"):
                await store.take("web")

        tell(tmp_path, story)

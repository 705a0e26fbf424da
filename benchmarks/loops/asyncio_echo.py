"""asyncio: `python -m benchmarks.loops.asyncio_echo PATH [callbacks|coroutines]`.

It has no recvmsg of its own, so a server of descriptors waits for readiness and calls the socket itself.
"""

import asyncio
import socket
import sys

from benchmarks.loops.exchange import REQUEST, RIGHTS, SIZE, listen


def answer_in_callbacks(client: socket.socket) -> None:
    """One callback a request: the least that asyncio can do."""
    loop = asyncio.get_running_loop()

    def answer() -> None:
        request, _, _, _ = client.recvmsg(REQUEST, SIZE)
        if request:
            client.sendmsg([request], RIGHTS)
        else:
            loop.remove_reader(client)
            client.close()

    loop.add_reader(client, answer)


async def answer_in_a_coroutine(client: socket.socket) -> None:
    """A task that awaits each request, as one would like to write it."""
    loop = asyncio.get_running_loop()
    while True:
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(client, ready.set_result, None)
        await ready
        loop.remove_reader(client)
        request, _, _, _ = client.recvmsg(REQUEST, SIZE)
        if not request:
            client.close()
            return
        client.sendmsg([request], RIGHTS)


async def serve(path: str, kind: str) -> None:
    """Answer for ever."""
    listening = listen(path)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    while True:
        client, _ = await loop.sock_accept(listening)
        if kind == "coroutines":
            tasks.add(asyncio.create_task(answer_in_a_coroutine(client)))
        else:
            answer_in_callbacks(client)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "callbacks"))

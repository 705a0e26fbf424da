"""trio: `python -m benchmarks.loops.trio_echo PATH`."""

import sys

import trio

from benchmarks.loops.exchange import REQUEST, RIGHTS, SIZE, listen


async def answer(client: trio.socket.SocketType) -> None:
    """A task that awaits each request."""
    while True:
        request, _, _, _ = await client.recvmsg(REQUEST, SIZE)
        if not request:
            client.close()
            return
        await client.sendmsg([request], RIGHTS)


async def serve(path: str) -> None:
    """Answer for ever."""
    listening = trio.socket.from_stdlib_socket(listen(path))
    async with trio.open_nursery() as nursery:
        while True:
            client, _ = await listening.accept()
            nursery.start_soon(answer, client)


if __name__ == "__main__":
    trio.run(serve, sys.argv[1])

"""The measuring client in Python (see batch.h): `python -m benchmarks.peers.python_client MOUNT`."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable

import fdstorefs

PER_CALL = 64
STRIDE = 7919


def _open(kind: str) -> int:
    if kind == "memfd":
        return os.memfd_create("bench")
    if kind == "tcp":
        return socket.create_server(("127.0.0.1", 0)).detach()
    raise ValueError(f"unknown kind `{kind}`")


class Batches:
    """One method an operation; each returns the seconds it took."""

    def __init__(self, store: fdstorefs.Store) -> None:
        self._store = store

    def retrieve(self, _kind: str, first: int, span: int, count: int) -> float:
        """One descriptor a call."""
        retrieve = self._store.retrieve
        names = [f"e{first + i * STRIDE % span}" for i in range(count)]
        start = time.perf_counter()
        for name in names:
            retrieve(name).close()
        return time.perf_counter() - start

    def retrieve64(self, _kind: str, first: int, span: int, count: int) -> float:
        """64 descriptors a call; `count` is that of the descriptors."""
        names = [f"e{first + i * STRIDE % span}" for i in range(count)]
        start = time.perf_counter()
        for at in range(0, count, PER_CALL):
            for one in self._store.retrieve_many(names[at : at + PER_CALL]).values():
                one.close()
        return time.perf_counter() - start

    def stash(self, kind: str, first: int, _span: int, count: int) -> float:
        """One descriptor a call."""
        stash = self._store.stash
        opened = [(f"e{first + i}", _open(kind)) for i in range(count)]
        start = time.perf_counter()
        for name, descriptor in opened:
            stash(name, descriptor)
        taken = time.perf_counter() - start
        _close(opened)
        return taken

    def stash64(self, kind: str, first: int, _span: int, count: int) -> float:
        """64 descriptors a call; `count` is that of the descriptors."""
        opened = [(f"e{first + i}", _open(kind)) for i in range(count)]
        start = time.perf_counter()
        for at in range(0, count, PER_CALL):
            self._store.stash_many(dict(opened[at : at + PER_CALL]))
        taken = time.perf_counter() - start
        _close(opened)
        return taken

    def discard(self, _kind: str, first: int, _span: int, count: int) -> float:
        """One name a call."""
        names = [f"e{first + i}" for i in range(count)]
        start = time.perf_counter()
        for name in names:
            self._store.discard(name)
        return time.perf_counter() - start

    def list(self, _kind: str, _first: int, span: int, count: int) -> float:
        """Everything, without details."""
        return self._list(span, count, details=False)

    def details(self, _kind: str, _first: int, span: int, count: int) -> float:
        """Everything, with what is inside."""
        return self._list(span, count, details=True)

    def _list(self, span: int, count: int, *, details: bool) -> float:
        start = time.perf_counter()
        for _ in range(count):
            found = len(self._store.list(details=details))
            if found != span:
                raise ValueError(f"{found} entries instead of {span}")
        return time.perf_counter() - start


def _close(opened: list[tuple[str, int]]) -> None:
    for _, descriptor in opened:
        os.close(descriptor)


def _main() -> None:
    with fdstorefs.connect(sys.argv[1]) as store:
        batches = Batches(store)
        for line in sys.stdin:
            op, kind, first, span, count = line.split()
            run: Callable[[str, int, int, int], float] = getattr(batches, op)
            seconds = run(kind, int(first), int(span), int(count))
            print(json.dumps({"op": op, "count": int(count), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    _main()

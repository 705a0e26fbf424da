"""Warming: what every new server needs is loaded, in a thread, while the keeper goes on reading what it is sent."""

import _thread
import os
import sys
from collections.abc import Callable


class Warming:
    """Calls `load` once. Nobody forks meanwhile: a child would wait for ever for the lock of a module half loaded."""

    def __init__(self, load: Callable[[], object] | None) -> None:
        self._load = load
        self._at_work = _thread.allocate_lock()
        self.is_done = False

    @property
    def is_wanted(self) -> bool:
        """Whether there is something to load, and it has not begun."""
        return self._load is not None

    def begin(self, wake: int) -> None:
        """Begin; when it is done, a byte is written to `wake`."""
        load, self._load = self._load, None
        if load is not None:
            self._at_work.acquire()
            _thread.start_new_thread(self._run, (load, wake))

    def finish(self) -> None:
        """Wait until it is done, if it has begun."""
        with self._at_work:
            self._load = None

    def _run(self, load: Callable[[], object], wake: int) -> None:
        try:
            load()
        except Exception as error:  # noqa: BLE001  the next server meets it again, and can say more
            sys.stderr.write(f"fdstorefs: keeper: cannot prepare for another server: {error}\n")
        self.is_done = True
        self._at_work.release()
        os.write(wake, b"\0")

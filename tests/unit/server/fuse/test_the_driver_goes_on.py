"""The driver answers one request after the other, and survives a session that fails."""

import os

from fdstorefs.server.fuse.driver import Driver, Session, stand_in_for_trio


class Echo:
    """A library whose session sends requests back, except those that it fails or ends at."""

    def __init__(self) -> None:
        self.descriptor = -1
        self.sessions = 0
        self.detached = False

    def attach(self, device: str) -> None:
        """Remember the descriptor."""
        self.descriptor = int(device.removeprefix("/dev/fd/"))

    def session(self) -> Session:
        """A new main loop on the same descriptor."""
        self.sessions += 1
        return self._serve()

    async def _serve(self) -> None:
        while True:
            await stand_in_for_trio().lowlevel.wait_readable(self.descriptor)
            request = os.read(self.descriptor, 99)
            if request == b"end":
                return
            if request == b"fail":
                raise ZeroDivisionError
            if request != b"silence":
                os.write(self.descriptor, request.upper())

    def detach(self) -> None:
        """Close the descriptor."""
        self.detached = True
        os.close(self.descriptor)


def ask(driver: Driver, *requests: bytes) -> list[bytes | None]:
    """The answers to these requests."""
    return [driver.exchange(memoryview(request)) for request in requests]


def test_each_request_gets_its_answer() -> None:
    """In the same call."""
    driver = Driver(library := Echo())
    answers = ask(driver, b"one", b"two")
    driver.close()

    assert ([b"ONE", b"TWO"], 1, True) == (answers, library.sessions, library.detached)


def test_no_answer_is_none() -> None:
    """And the next request is served as ever."""
    driver = Driver(Echo())
    answers = ask(driver, b"silence", b"one")
    driver.close()

    assert [None, b"ONE"] == answers


def test_a_session_that_fails_is_begun_anew() -> None:
    """The request that it failed at has no answer; the next one has."""
    driver = Driver(library := Echo())
    answers = ask(driver, b"one", b"fail", b"two")
    driver.close()

    assert ([b"ONE", None, b"TWO"], 2) == (answers, library.sessions)


def test_a_session_that_ends_is_begun_anew() -> None:
    """As after DESTROY."""
    driver = Driver(library := Echo())
    answers = ask(driver, b"end", b"two")
    driver.close()

    assert ([None, b"TWO"], 2) == (answers, library.sessions)

"""The loop: calls back what is ready, in turn, and survives what callbacks do."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fdstorefs.server.loop import EPOLLIN, EPOLLOUT, MOST_BUSY_TURNS, Loop

PATIENCE = 20.0


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that stops by itself should a test forget to."""
    loop = Loop()
    loop.call_at(time.monotonic() + PATIENCE, loop.stop)
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: reading end, writing end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def note_and_stop(loop: Loop, seen: list[int]) -> Callable[[int], None]:
    """A callback that keeps the events and ends the loop."""

    def note(events: int) -> None:
        seen.append(events)
        loop.stop()

    return note


def test_a_descriptor_that_is_ready_is_reported(loop: Loop, pipe: tuple[int, int]) -> None:
    """With the events that came."""
    seen: list[int] = []
    loop.register(pipe[0], note_and_stop(loop, seen))
    os.write(pipe[1], b"x")
    loop.run()

    assert seen == [EPOLLIN]


def test_events_can_be_changed(loop: Loop, pipe: tuple[int, int]) -> None:
    """A writing end that is ready is silent until it is asked for."""
    seen: list[int] = []
    loop.register(pipe[1], note_and_stop(loop, seen), 0)
    loop.call_soon(lambda: loop.modify(pipe[1], EPOLLOUT))
    loop.run()

    assert seen == [EPOLLOUT]


def test_an_unregistered_descriptor_is_silent_in_the_same_turn(loop: Loop) -> None:
    """Of two that are ready, the first callback takes both away: the second is not called."""
    pipes = [os.pipe(), os.pipe()]
    seen = []

    def take_away(number: int) -> None:
        seen.append(number)
        for reader, _ in pipes:
            loop.unregister(reader)
        loop.stop()

    for number, (reader, writer) in enumerate(pipes):
        os.write(writer, b"x")
        loop.register(reader, lambda _events, number=number: take_away(number))
    loop.run()
    for ends in pipes:
        for end in ends:
            os.close(end)

    assert len(seen) == 1


def test_call_soon_lets_events_in_between(loop: Loop, pipe: tuple[int, int]) -> None:
    """Work that goes on and on by call_soon does not keep a descriptor waiting."""
    turns = []

    def go_on() -> None:
        turns.append(1)
        loop.call_soon(go_on)

    loop.register(pipe[0], lambda _events: loop.stop())
    os.write(pipe[1], b"x")
    loop.call_soon(go_on)
    loop.run()

    assert len(turns) <= 2


def test_timers_come_in_order_and_not_early(loop: Loop) -> None:
    """Each at its time, whatever the order they were set in."""
    seen: list[tuple[str, bool]] = []
    start = time.monotonic()

    def note(name: str, when: float) -> None:
        seen.append((name, time.monotonic() >= when))

    for name, delay in (("late", 0.02), ("early", 0.01)):
        loop.call_at(start + delay, lambda name=name, when=start + delay: note(name, when))
    loop.call_at(start + 0.03, loop.stop)
    loop.run()

    assert seen == [("early", True), ("late", True)]


def test_a_cancelled_timer_is_not_called(loop: Loop) -> None:
    """Cancelling is final and harmless afterwards."""
    seen: list[str] = []
    timer = loop.call_at(time.monotonic(), lambda: seen.append("cancelled"))
    timer.cancel()
    timer.cancel()
    loop.call_at(time.monotonic(), loop.stop)
    loop.run()

    assert seen == []
    assert timer.cancelled


def test_cancelled_timers_do_not_pile_up(loop: Loop) -> None:
    """Setting and cancelling for ever takes no memory."""
    far = time.monotonic() + 1000
    for _ in range(10_000):
        loop.call_at(far, loop.stop).cancel()

    assert len(loop._timers) < 200


def test_post_wakes_a_sleeping_loop(loop: Loop) -> None:
    """What another thread posts is called in the loop's thread, in order."""
    seen: list[tuple[int, int]] = []
    here = threading.get_ident()

    def post_all() -> None:
        for number in range(3000):
            loop.post(lambda number=number: seen.append((number, threading.get_ident())))
        loop.post(loop.stop)

    threading.Thread(target=post_all).start()
    loop.run()

    assert seen == [(number, here) for number in range(3000)]


def test_work_in_a_thread_comes_back_to_the_loop(loop: Loop) -> None:
    """The result, or the exception that came instead, in the loop's thread."""
    seen: list[object] = []
    here = threading.get_ident()

    def done(result: object) -> None:
        seen.extend([result, threading.get_ident() == here])
        if len(seen) == 4:
            loop.stop()

    loop.in_thread(lambda: threading.get_ident() != here, done)
    loop.in_thread(lambda: 1 / 0, done)
    loop.run()

    assert any(isinstance(each, ZeroDivisionError) for each in seen)
    assert seen.count(True) == 3


def test_threads_that_are_stuck_do_not_delay_others(loop: Loop) -> None:
    """The pool grows while all its threads are busy."""
    release = threading.Event()
    finished: list[int] = []
    for number in range(20):
        loop.in_thread(lambda: release.wait(PATIENCE), lambda _result, number=number: finished.append(number))
    loop.in_thread(lambda: None, lambda _result: loop.stop())
    loop.run()
    stuck = 20 - len(finished)
    release.set()

    assert stuck == 20


def test_idle_threads_are_used_again(loop: Loop) -> None:
    """Work that comes one after the other needs one thread."""
    used: set[int] = set()
    left = 50

    def again(result: int | Exception) -> None:
        nonlocal left
        assert isinstance(result, int)
        used.add(result)
        left -= 1
        if not left:
            loop.stop()
            return
        while not loop._workers._idle:
            time.sleep(0.001)
        loop.in_thread(threading.get_ident, again)

    loop.in_thread(threading.get_ident, again)
    loop.run()

    assert len(used) == 1


def test_nothing_is_done_after_close() -> None:
    """Threads that finish late have nobody to tell, and posting is harmless."""
    loop = Loop()
    began, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        release.wait(PATIENCE)
        ended.set()

    loop.in_thread(work, lambda _result: pytest.fail("too late"))
    assert began.wait(PATIENCE)
    loop.close()
    release.set()
    loop.post(lambda: pytest.fail("too late"))
    loop.close()

    assert ended.wait(PATIENCE)


def test_a_callback_that_raises_ends_nothing(loop: Loop, pipe: tuple[int, int]) -> None:
    """Its exception goes to on_error, its descriptor is watched no more, and the loop goes on."""
    errors: list[tuple[object, str]] = []
    loop.on_error = lambda callback, error: errors.append((callback, str(error)))

    def fail(_events: int) -> None:
        raise ValueError("from a descriptor")

    def fail_soon() -> None:
        raise ValueError("from call_soon")

    loop.register(pipe[0], fail)
    os.write(pipe[1], b"x")
    loop.call_soon(fail_soon)
    loop.call_at(time.monotonic() + 0.01, loop.stop)
    loop.run()

    assert errors == [(fail, "from a descriptor"), (fail_soon, "from call_soon")]


def test_errors_are_logged_by_default(
    loop: Loop, pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    """With their traceback: nothing fails in silence."""

    def fail() -> None:
        loop.stop()
        raise ValueError("unheard of")

    loop.call_soon(fail)
    loop.run()

    assert "unheard of" in caplog.text
    assert "Traceback" in caplog.text


def test_keyboard_interrupt_ends_the_loop(loop: Loop) -> None:
    """What is not an Exception is for whoever runs the loop."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run()


def test_signals_are_called_in_the_loop(loop: Loop) -> None:
    """A signal that comes while the loop sleeps wakes it; several kinds are told apart."""
    seen: list[str] = []
    former = signal.getsignal(signal.SIGHUP)

    def note(name: str) -> None:
        seen.append(name)
        if len(seen) == 2:
            loop.stop()

    loop.add_signal(signal.SIGUSR1, lambda: note("usr1"))
    loop.add_signal(signal.SIGHUP, lambda: note("hup"))
    main = threading.get_ident()

    def send() -> None:
        signal.pthread_kill(main, signal.SIGUSR1)
        signal.pthread_kill(main, signal.SIGHUP)

    threading.Thread(target=send).start()
    loop.run()
    loop.close()

    assert sorted(seen) == ["hup", "usr1"]
    assert signal.getsignal(signal.SIGHUP) == former


def test_signals_belong_to_the_main_thread() -> None:
    """Elsewhere Python cannot have them."""
    outcomes: list[BaseException] = []

    def try_it() -> None:
        loop = Loop()
        try:
            loop.add_signal(signal.SIGUSR1, loop.stop)
        except ValueError as error:
            outcomes.append(error)
        loop.close()

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()

    assert len(outcomes) == 1


def test_an_idle_loop_blocks(loop: Loop) -> None:
    """Once it has nothing to do it waits without a time limit."""
    waits: list[float] = []
    poll = loop._epoll.poll

    class Watched:
        def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
            if timeout != 0:
                waits.append(timeout)
                loop.post(loop.stop)
            return poll(timeout, most)

        close = loop._epoll.close

    loop._timers.clear()
    loop._epoll = Watched()  # type: ignore[assignment]  # the same, and keeps a note of every wait
    loop.run()

    assert waits == [-1]


def test_idle_work_is_done_until_there_is_none(loop: Loop) -> None:
    """Called again as long as it returns True, then no more; the loop goes on."""
    calls: list[int] = []

    def work() -> bool:
        calls.append(1)
        return len(calls) < 5

    loop.when_idle(work)
    loop.call_at(time.monotonic() + 0.01, loop.stop)
    loop.run()

    assert 5 == len(calls)


def test_what_is_ready_comes_before_idle_work(loop: Loop, pipe: tuple[int, int]) -> None:
    """Between any two calls the loop looks for events, and a timer that is due is not late for idle work."""
    seen: list[str] = []

    def work() -> bool:
        seen.append("idle")
        if seen.count("idle") == 1:
            os.write(pipe[1], b"x")
        return True

    def note(_events: int) -> None:
        os.read(pipe[0], 1)
        seen.append("event")
        loop.call_at(time.monotonic(), lambda: seen.append("timer"))
        loop.call_at(time.monotonic(), loop.stop)

    loop.register(pipe[0], note)
    loop.when_idle(work)
    loop.run()

    assert ["idle", "event", "timer"] == seen


def test_a_loop_that_never_rests_does_idle_work_once_in_a_while(loop: Loop, pipe: tuple[int, int]) -> None:
    """Neither descriptors that are always ready nor work by call_soon put it off for ever."""
    turns: list[int] = []

    def work() -> bool:
        loop.stop()
        return False

    def busy(_events: int) -> None:
        turns.append(1)

    os.write(pipe[1], b"x")
    loop.register(pipe[0], busy)
    loop.when_idle(work)
    loop.run()

    assert MOST_BUSY_TURNS == len(turns)


def test_idle_work_that_raises_is_given_up(loop: Loop) -> None:
    """Its exception goes to on_error, other idle work is done."""
    errors: list[str] = []
    seen: list[str] = []
    loop.on_error = lambda _callback, error: errors.append(str(error))

    def fail() -> bool:
        raise ValueError("from idle work")

    def work() -> bool:
        seen.append("other")
        loop.stop()
        return False

    loop.when_idle(fail)
    loop.when_idle(work)
    loop.run()

    assert ["from idle work"] == errors
    assert ["other"] == seen


def test_idle_work_that_is_done_leaves_the_loop_asleep(loop: Loop) -> None:
    """It waits without a time limit again, and looks no more than once before."""
    waits: list[float] = []
    poll = loop._epoll.poll

    class Watched:
        def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
            waits.append(timeout)
            if timeout != 0:
                loop.post(loop.stop)
            return poll(timeout, most)

        close = loop._epoll.close

    loop._timers.clear()
    loop._epoll = Watched()  # type: ignore[assignment]  # the same, and keeps a note of every wait
    loop.when_idle(lambda: False)
    loop.run()

    assert [0, -1] == waits

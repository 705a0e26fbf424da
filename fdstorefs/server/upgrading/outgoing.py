"""The server that serves: it has a new program started, stands still when that has prepared, gives it everything, and
ends.

Until the new server has said that it has taken everything (`taken`), and the keeper has been told, whatever goes wrong
there ends the attempt, and this server goes on as if nothing had been asked. From then on it serves no more unless both
are gone, the new server and the keeper: as long as one of them is there, it serves or starts another that does. So this
server leaves when the new one says that it serves, or the keeper has shown that it knows of it (`is_dismissed`).
"""

import logging
import os
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from fdstorefs import __version__
from fdstorefs.errors import Busy, NotSupported, StoreError
from fdstorefs.server.loop import Timer
from fdstorefs.server.upgrading import talk
from fdstorefs.server.upgrading.leaving import Leaving
from fdstorefs.server.upgrading.parts import Parts
from fdstorefs.server.upgrading.passing import state_of
from fdstorefs.server.upgrading.standing_still import StandingStill
from fdstorefs.server.upgrading.talk import Message, Talk, TalkEnded

PREPARING_SECONDS = 30.0
"""How long the new server may take until it has loaded everything; this one serves meanwhile."""

STILL_SECONDS = 2.0
"""How long this server may take until everything stands still."""

TAKING_SECONDS = 5.0
"""How long the new server may take to take over; nobody is served meanwhile."""

LOOK_SECONDS = 0.1
"""How often this server looks who is left, when the new one should serve and does not say so."""

_NOT_TAKEN_OVER = "the new program does not take over, and the old server goes on: "

Failed = Callable[[StoreError], None]

log = logging.getLogger(__name__)


class _Stage(Enum):
    PREPARING, STOPPING, TAKING, COMMITTED = auto(), auto(), auto(), auto()


class Upgrades:
    """Upgrades of one instance, one at a time. All in the loop's thread. `leave` ends the process, all being said."""

    def __init__(self, parts: Parts, leave: Callable[[], None]) -> None:
        self._parts = parts
        self._leave = leave
        self._attempt: Attempt | None = None

    def begin(self, failed: Failed) -> None:
        """Try to upgrade. `failed` is called if that comes to nothing; else the new server has the last word.

        Raises StoreError if it cannot even begin.
        """
        if self._attempt is not None:
            raise Busy("an upgrade is under way already", hint="wait until it is done")
        attempt = Attempt(self._parts, self._leave)

        def ended(error: StoreError) -> None:
            self._attempt = None
            failed(error)

        attempt.begin(ended)
        self._attempt = attempt

    def ask(self) -> None:
        """The same for somebody who cannot be told: the log says what comes of it."""
        try:
            self.begin(lambda _error: None)
        except StoreError as error:
            log.error("no upgrade: %s", error.message)

    def close(self) -> bool:
        """This server is to end: so does the attempt. False if another one serves, which is told to end, too."""
        return self._attempt is None or self._attempt.end_with_us()


class Attempt:
    """One upgrade, on the side of the server that serves."""

    def __init__(self, parts: Parts, leave: Callable[[], None]) -> None:
        self._parts = parts
        self._leave = leave
        self._still = StandingStill(parts)
        self._stage = _Stage.PREPARING
        self._failed: Failed = lambda _error: None
        self._talk: Talk | None = None
        self._timer: Timer | None = None
        self._pid = 0
        self._keeper = 0
        self._is_over = False
        self._numbers: frozenset[int] = frozenset()
        self._stood_still = 0

    def begin(self, failed: Failed) -> None:
        """Have the keeper start the new program. Raises StoreError."""
        parts = self._parts
        ours, its = talk.pair()
        talk_to_it = Talk(ours)
        try:
            # Before there is anybody: one that fails may do so at once, and what it says then is to be heard.
            self._greet(talk_to_it)
            parts.line.start_program(its)
        except StoreError:
            ours.close()
            raise
        finally:
            its.close()
        self._failed, self._talk, self._keeper = failed, talk_to_it, parts.line.pid
        parts.loop.register(ours.fileno(), self._on_talk)
        parts.keeping.hold_still()
        self._expect(PREPARING_SECONDS, "the new server has not come up within %d seconds")
        log.info("upgrade: a new program has been started; this server (version %s) serves on", __version__)

    def _greet(self, talk_to_it: Talk) -> None:
        """Raises StoreError."""
        parts = self._parts
        try:
            talk_to_it.say(
                "hello",
                talk=talk.VERSION,
                version=__version__,
                pid=os.getpid(),
                mounted={
                    "path": parts.mounted.path,
                    "method": parts.mounted.method,
                    "device": parts.mounted.device,
                },
                why=parts.why,
            )
        except TalkEnded as error:
            raise _refused(str(error), None) from error

    # What the new one says

    def _on_talk(self, _events: int) -> None:
        try:
            while self._talk is not None and (message := self._talk.hear()) is not None:
                self._hear(message)
        except TalkEnded as error:
            self._talk_is_over()
            self._ended(str(error))
        except StoreError as error:
            self._fail(error)
        except Exception as error:
            log.exception("an upgrade failed")
            self._fail(StoreError(f"the upgrade failed: {error}"))

    def _talk_is_over(self) -> None:
        """Everything has been heard."""
        if self._talk is not None:
            self._is_over = True
            self._parts.loop.unregister(self._talk.fileno())

    def _hear(self, message: Message) -> None:
        if message.say == "failed":
            raise _refused(str(message.told.get("why")), message.told.get("hint"))
        expected = {
            "prepared": (_Stage.PREPARING, self._prepared),
            "built": (_Stage.TAKING, self._built),
            "taken": (_Stage.TAKING, self._taken),
            "serving": (_Stage.COMMITTED, self._serving),
        }
        stage, function = expected.get(message.say, (None, None))
        if function is None or stage is not self._stage:
            raise TalkEnded(f"the new server says `{message.say}` when nobody asked")
        function(message)

    def _prepared(self, message: Message) -> None:
        assert self._talk is not None
        self._require_its_keeper()
        told = self._talk.whole(message).told
        self._pid, self._numbers = int(told["pid"]), frozenset(told["numbers"])
        self._stage, self._stood_still = _Stage.STOPPING, time.monotonic_ns()
        self._expect(STILL_SECONDS, "what is under way here has not come to an end within %d seconds")
        self._still.begin(self._hand_over)

    def _require_its_keeper(self) -> None:
        """Another keeper has never started it, and would not have it serve. Raises StoreError."""
        if not self._has_its_keeper:
            raise _keeper_gone()

    @property
    def _has_its_keeper(self) -> bool:
        line = self._parts.line
        return line.pid == self._keeper and line.has_keeper

    def _hand_over(self) -> None:
        if self._talk is None or self._stage is not _Stage.STOPPING:
            return
        try:
            told, descriptors = state_of(self._parts, self._numbers)
            self._stage = _Stage.TAKING
            self._expect(TAKING_SECONDS, "the new server has not taken over within %d seconds")
            self._talk.say_much("state", descriptors, **told, still=self._stood_still)
        except TalkEnded as error:
            self._ended(str(error))
        except Exception as error:
            log.exception("an upgrade failed")
            self._give_up(StoreError(f"nothing can be handed over: {error}"))

    def _built(self, _message: Message) -> None:
        """The enforcer's guard goes over before anything is served."""
        assert self._talk is not None
        if self._parts.guarding is not None:
            self._parts.guarding.give_to(self._pid)
        self._talk.say("register")

    def _taken(self, _message: Message) -> None:
        self._require_its_keeper()
        self._parts.line.succeeded(self._pid)
        self._stage = _Stage.COMMITTED
        self._expect(TAKING_SECONDS, "the new server has not begun to serve within %d seconds")

    def _serving(self, _message: Message) -> None:
        self._finish()

    # How it ends

    def _expect(self, seconds: float, otherwise: str) -> None:
        """Something has to happen within so many seconds."""
        self._call_in(seconds, lambda: self._ended(otherwise % seconds))

    def _call_in(self, seconds: float, function: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._parts.loop.call_at(time.monotonic() + seconds, function)

    def _ended(self, why: str) -> None:
        """There is nobody to talk to any more, or nobody who answers."""
        self._fail(_refused(why, "its messages are in the log"))

    def _fail(self, error: StoreError) -> None:
        if self._stage is not _Stage.COMMITTED:
            self._give_up(error)
            return
        if not self._parts.line.is_dismissed:
            log.warning(
                "upgrade: %s; who is to serve now is not settled yet",
                error.message.removeprefix(_NOT_TAKEN_OVER),
            )
        self._settle(error)

    def _settle(self, error: StoreError) -> None:
        """The keeper was told that the new server serves, and that has not said so itself: see who is left."""
        line = self._parts.line
        if self._talk is None:
            return
        if line.is_dismissed:
            # The keeper has told the new server, and starts another if that is dead.
            self._finish()
        elif self._is_over and self._talk.has_ended and not line.has_keeper:
            self._give_up(error)
        else:
            self._call_in(LOOK_SECONDS, lambda: self._settle(error))

    def _give_up(self, error: StoreError) -> None:
        """Go on as if nothing had been asked."""
        if self._talk is None:
            return
        if not self._has_its_keeper:
            # That is why the new server left, which may be noticed first.
            error = _keeper_gone()
        was_taking = self._stage in (_Stage.TAKING, _Stage.COMMITTED)
        self._go_on()
        if was_taking and self._parts.guarding is not None:
            self._parts.guarding.take_back()
        log.error("no upgrade: %s%s", error.message, f" ({error.hint})" if error.hint else "")
        self._failed(error)

    def _go_on(self) -> None:
        self._close()
        self._parts.line.stay()
        self._parts.keeping.move_again()
        self._still.end()

    def _finish(self) -> None:
        """Another server serves: leave it everything."""
        assert self._talk is not None
        if self._timer is not None:
            self._timer.cancel()
        self._parts.loop.unregister(self._talk.fileno())
        Leaving(self._parts, self._talk, self._leave).begin()

    def end_with_us(self) -> bool:
        """Nobody is to take over. False if somebody has."""
        if self._stage is _Stage.COMMITTED:
            return False
        self._close()
        self._still.end()
        return True

    def _close(self) -> None:
        """End it: the new server sees that, and goes."""
        if self._timer is not None:
            self._timer.cancel()
        if self._talk is not None:
            self._parts.loop.unregister(self._talk.fileno())
            self._talk.close()
            self._talk = None


def _refused(why: str, hint: Any) -> StoreError:
    return StoreError(_NOT_TAKEN_OVER + why, hint=str(hint) if hint else None)


def _keeper_gone() -> StoreError:
    return _refused("the keeper that started it is gone", "try again")


def not_kept() -> StoreError:
    """Why an instance without a keeper cannot be upgraded."""
    return NotSupported(
        "there is no keeper, which would start the new program",
        hint="end this instance, and start another without `--no-keeper`",
    )

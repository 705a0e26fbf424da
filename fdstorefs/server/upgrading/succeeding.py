"""The new server: it prepares while another one serves, takes over when that stands still, and serves when the keeper
says so.

Until then it reads and writes nothing that is anybody's: neither requests nor journal nor audit log. Whatever goes
wrong, it says why and ends, and the other one goes on.
"""

import logging
import os
import socket
import time
from typing import Any, NamedTuple

from fdstorefs import __version__
from fdstorefs.audit.memory import Memory
from fdstorefs.audit.opening import open_feeds, open_log
from fdstorefs.host.descriptors import Descriptors, raise_limit
from fdstorefs.keeper.holding import Held
from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.server.enforcement.keeping import Ready, make_ready_again
from fdstorefs.server.enforcement.loading import load_policies
from fdstorefs.server.guarding.asking import Ask
from fdstorefs.server.guarding.asking import ask as ask_kernel
from fdstorefs.server.guarding.choosing import Choice, choose
from fdstorefs.server.instance import REGISTERED, Foundation, Instance
from fdstorefs.server.keeper_line import KeeperLine
from fdstorefs.server.keeping import frames
from fdstorefs.server.keeping.keeping import read
from fdstorefs.server.keeping.memory import read_memory
from fdstorefs.server.keeping.state import Restored
from fdstorefs.server.kept import Kept, counters_of
from fdstorefs.server.loop import Loop
from fdstorefs.server.mounting import Mounted, MountError
from fdstorefs.server.options import ServeOptions
from fdstorefs.server.place import OwnPlace
from fdstorefs.server.subjects import Subjects
from fdstorefs.server.upgrading import talk as talking
from fdstorefs.server.upgrading.former import Former
from fdstorefs.server.upgrading.passing import State, understand
from fdstorefs.server.upgrading.talk import Message, Talk, TalkEnded

HELLO_SECONDS = 10.0
STATE_SECONDS = 30.0
"""How long the former server may take to come to a standstill and to hand over."""

WORD_SECONDS = 30.0

log = logging.getLogger(__name__)


class _Prepared(NamedTuple):
    """Everything that could be done while the other one served."""

    hello: Message
    limit: int
    restored: Restored
    ready: Ready
    loop: Loop
    subjects: Subjects
    choice: Choice

    @property
    def policy(self) -> dict[str, Any]:
        """What the other one had in force."""
        told: dict[str, Any] = self.restored.facts["policy"]
        return told


def succeed(options: ServeOptions, held: Held, line: KeeperLine, ask: Ask = ask_kernel) -> None:
    """Take over from the server at the other end of `held.former`, and serve until the instance ends.

    Returns at once if that one, or the keeper, goes on without this one. Raises what is wrong, after telling it.
    """
    assert held.former is not None
    # From here on it is told by us alone: whoever has the line's number does not find it there any more.
    with socket.socket(fileno=held.former) as given:
        talk = Talk(given.dup())
    try:
        made, former, upgraded, introduced = _take_over(talk, options, held, line, ask)
        talk.say("taken")
    except TalkEnded as error:
        log.info("upgrade: this server is not wanted: %s", error)
        return
    except Exception as error:
        _say_why(talk, error)
        raise
    if not _is_to_serve(talk, line, former):
        log.info("upgrade: this server is not wanted: others go on without it")
        return
    made.go_on(introduced, upgraded)


def _is_to_serve(talk: Talk, line: KeeperLine, former: Former) -> bool:
    """Whether this server is the one from now on, as the keeper says. If nobody else is left, it is, too."""
    if not line.await_word(time.monotonic() + WORD_SECONDS, talk.fileno(), lambda: former.is_gone):
        if line.has_keeper or not former.is_gone:
            return False
        log.warning("upgrade: the keeper and the former server are gone; this one has everything")
    return former.relieve()


def _say_why(talk: Talk, error: Exception) -> None:
    if isinstance(error, PolicyError):
        why, hint = "there are errors in the policies", "`fdstorefs policy check` finds them"
    elif isinstance(error, frames.NewerFormat):
        why, hint = str(error), "upgrade to a version that reads it"
    else:
        why = str(getattr(error, "message", error)) or type(error).__name__
        hint = str(getattr(error, "hint", None) or "")
    try:
        talk.say("failed", why=why, hint=hint)
    except TalkEnded:
        log.info("upgrade: nobody is there to be told")


def _take_over(talk: Talk, options: ServeOptions, held: Held, line: KeeperLine, ask: Ask) -> Any:
    prepared = _prepare(talk, options, held)
    told = prepared.hello.told
    talk.say_much("prepared", pid=os.getpid(), version=__version__, numbers=list(held.files))
    former = Former(talk, prepared.loop, int(told["pid"]))
    state = understand(talk.whole(talk.await_message("state", seconds=STATE_SECONDS)), former)
    held = held._replace(files=held.files | state.files, closing=())
    made = _build(options, held, line, ask, prepared, state)
    introduced = None
    if prepared.choice.line is not None:
        talk.say("built")
        talk.await_message("register", seconds=STATE_SECONDS)
        introduced = made.introduce()
    upgraded = {
        "formerVersion": str(told["version"]),
        "formerPid": int(told["pid"]),
        "version": __version__,
        "pid": os.getpid(),
        "entries": made.entries,
    }
    return made, former, upgraded, introduced


# While the other one serves


def _prepare(talk: Talk, options: ServeOptions, held: Held) -> _Prepared:
    """Raises everything that can be known to be wrong by now."""
    hello = talk.await_message("hello", seconds=HELLO_SECONDS)
    if hello.told["talk"] != talking.VERSION:
        raise MountError(f"the former server speaks version {hello.told['talk']} of the handover, and not 1")
    _close(held.closing)
    limit = raise_limit()
    restored = _read_while_written(held)
    mount = str(hello.told["mounted"]["path"])
    ready = make_ready_again(load_policies(options.policies, mount), restored.facts["policy"])
    loop, subjects = Loop(), Subjects()
    _check_audit(options)
    is_guarded = REGISTERED in restored.facts
    choice = choose(options, again=True) if is_guarded else Choice(None, str(hello.told["why"]))
    return _Prepared(hello, limit, restored, ready, loop, subjects, choice)


def _close(descriptors: tuple[int, ...]) -> None:
    """What the keeper was letting go of when it started us: a close may take for ever."""
    unwanted = Descriptors()
    for descriptor in descriptors:
        unwanted.discard(unwanted.adopt(descriptor), may_block=True)


def _read_while_written(held: Held) -> Restored:
    """The journal so far. Its end may change at this moment: what is wrong there will show."""
    if held.journal is None:
        raise MountError("the keeper has no journal")
    restored = read(held.journal)
    return Restored(held.journal, restored.contents._replace(torn=False, damage=None), restored.state)


def _check_audit(options: ServeOptions) -> None:
    """Whether its targets can be opened: it is opened when the other one does not write there any more."""
    for feed in open_feeds(options.audit):
        feed.sink.close()


# When it stands still


def _build(
    options: ServeOptions, held: Held, line: KeeperLine, ask: Ask, prepared: _Prepared, state: State
) -> Instance:
    restored = _read_to_the_end(prepared.restored, state.journal)
    ready = prepared.ready
    mounted = Mounted(device_fd=state.device_fd, **prepared.hello.told["mounted"])
    if restored.facts["policy"] != prepared.policy:
        # They were changed in the very last moment.
        ready = make_ready_again(load_policies(options.policies, mounted.path), restored.facts["policy"])
    kept = Kept(line, held, restored, None, Memory.again(restored.facts, counters_of(held)))
    audit = open_log(options.audit, mounted.path, prepared.loop, prepared.subjects.userns, kept.memory)
    foundation = Foundation(prepared.loop, prepared.subjects, audit, prepared.choice, kept, OwnPlace())
    made = Instance(options, mounted, prepared.limit, ready, foundation, ask, state)
    line.drop(state.unwanted, slow=True)
    return made


def _read_to_the_end(before: Restored, journal: int) -> Restored:
    """The journal as it is now: what has come to it, or if it is another one, all of it. Raises MountError."""
    if os.path.samestat(os.fstat(before.fd), os.fstat(journal)):
        contents = frames.read_on(read_memory(journal), before.contents)
        before.state.apply(contents.records)
        restored = Restored(journal, contents, before.state)
    else:
        restored = read(journal)
    os.close(before.fd)
    if restored.damage is not None or restored.contents.torn:
        raise MountError(f"the journal cannot be read to its end: {restored.damage or 'a record is torn'}")
    return restored

"""Calls over the socket: who may make them, what they do, and what comes of nonsense."""

import array
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fdstorefs.audit.format import Formatter
from fdstorefs.audit.log import AuditLog
from fdstorefs.bpf.abi import Order
from fdstorefs.enforcer import desk, registration, service
from fdstorefs.enforcer.caller import Caller
from fdstorefs.enforcer.desk import Desk
from fdstorefs.enforcer.host import Host
from fdstorefs.enforcer.policy_keeper import PolicyKeeper
from fdstorefs.enforcer.registration import Candidate, Registration
from fdstorefs.enforcer.registry import Registry
from fdstorefs.enforcer.served_mount import Seen
from fdstorefs.enforcer.status import Status
from fdstorefs.errors import NotPermitted
from fdstorefs.host.descriptors import Descriptors
from fdstorefs.interface.enforcer import NAME, description
from fdstorefs.server.loop import Loop
from fdstorefs.server.varlink import standard
from fdstorefs.server.varlink.reception import Most
from tests.mount.waiting import wait_for
from tests.unit.enforcer.enforced import HERE, POLICY, Enforced
from tests.unit.enforcer.relatives import Relative

PATIENCE = 20.0
ERRORS = {
    interface: re.findall(r"^error (\w+)", text, re.MULTILINE)
    for interface, text in ((NAME, description()), (standard.STANDARD, standard.DESCRIPTION))
}
STASHER = {"uid": 1000, "gid": 1000, "capabilities": None, "userns": [HERE]}


class Served:
    """An enforcer with a fake kernel behind a real socket, its loop in a thread of its own."""

    def __init__(self, enforced: Enforced, directory: Path) -> None:
        self.enforced = enforced
        self.loop = Loop()
        self.path = str(directory / "socket")
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.listening.bind(self.path)
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.listening.listen(8)
        audit = AuditLog(Formatter("host", "0" * 16), [], self.loop)
        kernel, enforcement = enforced.kernel, enforced.enforcement
        registry = Registry(kernel, enforcement, self._leave, lambda _instance: None)
        enforced.registry = registry
        self.policies = PolicyKeeper(
            (),
            str(directory / "policies"),
            loop=self.loop,
            kernel=kernel,
            enforcement=enforcement,
            instances=lambda: tuple(registry),
            audit=audit,
            lockdown=False,
            changed=lambda: None,
        )
        status = Status(kernel, enforcement, registry, enforced.book, self.policies, audit, "/pins")
        self.host = Host(
            self.loop,
            kernel,
            Descriptors(),
            enforcement,
            registry,
            Registration(self.loop, kernel, enforcement, registry, self.policies, audit, lambda: None),
            enforced.guarding,
            self.policies,
            audit,
            status.told_to,
        )
        self.desk = Desk(
            self.loop,
            self.listening,
            self.host.descriptors,
            lambda message, sender, caller: service.answer(self.host, message, sender, caller),
            lambda _caller: None,
        )
        self.thread = threading.Thread(target=self.loop.run, daemon=True)
        self.thread.start()

    def _leave(self, instance: Any) -> None:
        self.loop.unregister(instance.pidfd)

    def close(self) -> None:
        """End everything."""
        self.loop.stop()
        self.thread.join(PATIENCE)
        self.desk.close()
        self.listening.close()
        self.loop.close()

    def connect(self) -> "Line":
        """A new connection."""
        return Line(self.path)


class Line:
    """A connection to it."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)

    def call(
        self, method: str, parameters: dict[str, Any] | None = None, *descriptors: int
    ) -> dict[str, Any]:
        """What a call returns: its parameters, with the error's name as `error`."""
        name = method if "." in method else f"io.fdstorefs.Enforcer.{method}"
        self.send(json.dumps({"method": name, "parameters": parameters or {}}).encode(), *descriptors)
        return self.reply()

    def send(self, message: bytes, *descriptors: int) -> None:
        """Send a message."""
        beside = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        )
        self.socket.sendmsg([message + b"\0"], beside)

    def reply(self) -> dict[str, Any]:
        """The next one. An error is one that the enforcer's interface has, or every Varlink service."""
        data = b""
        while not data.endswith(b"\0"):
            piece = self.socket.recv(1 << 16)
            assert piece, "it hung up"
            data += piece
        found = json.loads(data[:-1])
        told: dict[str, Any] = found["parameters"]
        if "error" in found:
            interface, _, told["error"] = found["error"].rpartition(".")
            assert told["error"] in ERRORS[interface]
        return told


@pytest.fixture
def served(enforced: Enforced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """An enforcer at its socket. Whatever descriptor is shown to it is of the mount `/m` of whoever shows it."""
    monkeypatch.setattr(registration, "served_by", lambda *_arguments: Seen("/m", 77))
    made = Served(enforced, tmp_path)
    yield made
    made.close()


@pytest.fixture
def line(served: Served) -> Iterator[Line]:
    """A connection."""
    made = served.connect()
    yield made
    made.socket.close()


def register(served: Served, line: Line) -> dict[str, Any]:
    """Register this process."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    served.enforced.kernel.files[os.fstat(root).st_ino] = Order(0)
    try:
        return line.call("Register", {"mount": "/m", "mountDescriptor": 0}, root)
    finally:
        os.close(root)


def a_file(descriptor: int = 0, path: str = "a") -> dict[str, Any]:
    """A file of Guard with one name."""
    return {
        "descriptor": descriptor,
        "names": [{"path": path, "inode": 5, "label": None, "stasher": STASHER}],
    }


def open_descriptors() -> int:
    """How many this process has."""
    return len(os.listdir("/proc/self/fd"))


def test_a_server_registers_and_guards(served: Served, line: Line) -> None:
    """Files are answered in the order given."""
    told = register(served, line)
    assert (1, 1, ["p"], False) == tuple(
        told[key] for key in ("instance", "generation", "policies", "lockdown")
    )
    mine, theirs = served.enforced.open_file(), served.enforced.open_file(authority=False)

    told = line.call("Guard", {"files": [a_file(1, "x"), a_file(0, "y")]}, mine, theirs)

    assert [(False, "authority"), (True, None)] == [(each["guarded"], each["why"]) for each in told["files"]]
    assert {"uid": 1000, "gid": 1000, "capabilities": 0, "userns": [HERE]} == told["files"][1]["opener"]


def test_to_register_again_is_the_same_instance(served: Served, line: Line) -> None:
    """On another connection, as after an enforcer was away."""
    first = register(served, line)

    assert first == register(served, served.connect())


def test_many_files_in_one_call(served: Served, line: Line) -> None:
    """A few at a time, and none is left out."""
    register(served, line)
    fds = [served.enforced.open_file() for _ in range(30)]

    told = line.call("Guard", {"files": [a_file(i, f"n{i}") for i in range(30)]}, *fds)

    assert [True] * 30 == [each["guarded"] for each in told["files"]]


def test_nothing_received_stays_open(served: Served, line: Line) -> None:
    """Whatever becomes of the call."""
    register(served, line)
    fd = served.enforced.open_file()
    line.call("Guard", {"files": [a_file()]}, fd)
    before = open_descriptors()

    line.call("Guard", {"files": [a_file()]}, fd, fd, fd)
    line.call("Guard", {"files": [a_file(9)]}, fd)
    line.call("Release", {"descriptor": 0}, fd)
    line.call("Status", {}, fd)
    line.call("Guard", {"files": 5}, fd)
    other = served.connect()
    other.call("Guard", {"files": [a_file()]}, fd)
    other.socket.close()

    wait_for(lambda: open_descriptors() <= before, PATIENCE, "what was received to be closed")


@pytest.mark.parametrize(
    ("method", "parameters", "error"),
    [
        ("Guard", {"files": []}, "NotRegistered"),
        ("Release", {"descriptor": 0}, "BadDescriptor"),
        ("Protect", {"process": 0}, "BadDescriptor"),
        ("Register", {"mount": "/m", "mountDescriptor": 0}, "BadDescriptor"),
        ("Register", {"mount": 5, "mountDescriptor": 0}, "InvalidParameter"),
        ("Status", {"more": 1}, "InvalidParameter"),
        ("Load", {"files": ["relative"]}, "InvalidArgument"),
        ("SetMode", {"policy": "p", "mode": "off"}, "InvalidArgument"),
        ("NoSuch", {}, "MethodNotFound"),
        ("org.example.Thing.Do", {}, "InterfaceNotFound"),
    ],
)
def test_what_cannot_be_done(line: Line, method: str, parameters: dict[str, Any], error: str) -> None:
    """It is said what is wrong."""
    assert error == line.call(method, parameters)["error"]


def test_only_a_pidfd_is_a_process(served: Served, line: Line) -> None:
    """A keeper is named by one."""
    register(served, line)

    assert "BadDescriptor" == line.call("Protect", {"process": 0}, served.enforced.open_file())["error"]


def test_a_keeper_that_somebody_traces_is_none(
    served: Served, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked when it has its role, which it loses again."""

    def fail(*_arguments: object) -> None:
        raise NotPermitted("it is traced")

    register(served, line)
    keeper = Relative()
    before = dict(served.enforced.kernel.roles)
    try:
        with monkeypatch.context() as traced:
            traced.setattr(registration, "require_untraced", fail)
            refused = line.call("Protect", {"process": 0}, keeper.pidfd)
        roles = dict(served.enforced.kernel.roles)
        done = line.call("Protect", {"process": 0}, keeper.pidfd)
    finally:
        keeper.end()

    assert ("NotPermitted", before, {}) == (refused["error"], roles, done)


def test_a_connection_does_not_speak_for_what_came_after(served: Served, line: Line) -> None:
    """Its process serves it no more, and another has the instance's number."""
    register(served, line)
    (instance,) = served.host.registry
    instance.start -= 1

    assert "NotRegistered" == line.call("Guard", {"files": []})["error"]


def test_who_was_given_a_connection_is_not_its_caller(served: Served, line: Line) -> None:
    """Only the process that made it speaks on it."""
    register(served, line)
    child = os.fork()
    if not child:
        line.send(json.dumps({"method": "io.fdstorefs.Enforcer.Guard", "parameters": {"files": []}}).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert "NotPermitted" == line.reply()["error"]


def test_the_descriptor_of_an_ended_process_is_nobodys_registration(served: Served, line: Line) -> None:
    """Its server is gone, and with it what it may ask for."""
    register(served, line)
    (instance,) = served.host.registry

    done = threading.Event()
    served.loop.post(lambda: (served.host.registry.end(instance), done.set())[1])
    assert done.wait(PATIENCE)

    assert "NotRegistered" == line.call("Guard", {"files": []})["error"]


def test_others_are_told_less(served: Served) -> None:
    """Files, what was rejected and others' instances are root's to know."""
    register(served, served.connect())

    ours, theirs = served.host.status(0), served.host.status(1234)

    assert 1 == len(ours["instances"])
    assert ([], [], None, None) == tuple(theirs[key] for key in ("instances", "files", "rejected", "audit"))
    assert ours.keys() == theirs.keys()


def test_only_root_changes_what_is_in_force(
    served: Served, as_other: Callable[[Callable[[], Any]], Any]
) -> None:
    """Anybody may ask what it is."""

    def ask() -> list[str | None]:
        line = served.connect()
        calls = [("Load", {"files": []}), ("SetMode", {"policy": "p", "mode": "monitor"}), ("Status", {})]
        return [line.call(method, parameters).get("error") for method, parameters in calls]

    os.chmod(served.path, 0o666)
    assert ["NotPermitted", "NotPermitted", None] == as_other(ask)


def test_it_describes_itself(line: Line) -> None:
    """As every Varlink service does."""
    told = line.call("org.varlink.service.GetInterfaceDescription", {"interface": "io.fdstorefs.Enforcer"})

    assert description() == told["description"]
    assert ["org.varlink.service", "io.fdstorefs.Enforcer"] == line.call("org.varlink.service.GetInfo")[
        "interfaces"
    ]


@pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff", b'{"method":5}', b"[" * 100_000])
def test_nonsense_ends_a_connection_and_nothing_else(served: Served, line: Line, message: bytes) -> None:
    """Others go on."""
    other = served.connect()

    line.send(message)
    assert "error" in line.reply()

    assert b"" == line.socket.recv(1)
    assert "error" not in other.call("Status")


def test_one_connection_too_many(enforced: Enforced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told why, and ended; when another has gone there is room."""
    monkeypatch.setattr(desk, "LIMITS", desk.LIMITS._replace(connections=Most(1, 1)))
    served = Served(enforced, tmp_path)
    first, second = served.connect(), served.connect()

    assert "error" not in first.call("Status")
    assert "Overloaded" == second.reply()["error"]
    assert b"" == second.socket.recv(1)
    first.socket.close()

    def has_room() -> bool:
        line = served.connect()
        with line.socket:
            return "error" not in line.call("Status")

    wait_for(has_room, PATIENCE, "room")
    served.close()


def test_more_than_is_kept_for_anybody(
    enforced: Enforced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is received and not asked for yet counts, and too much of it ends the connection."""
    monkeypatch.setattr(desk, "LIMITS", desk.LIMITS._replace(memory=Most(8, 8)))
    served = Served(enforced, tmp_path)
    line = served.connect()

    line.socket.send(b'{"method":')
    assert "Overloaded" == line.reply()["error"]
    assert b"" == line.socket.recv(1)
    served.close()


def test_what_nobody_has_thought_of(served: Served, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the call, and is told in the words of this interface."""
    register(served, line)

    def fail(*_arguments: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(served.host.guarding, "guard", fail)

    assert "Failed" == line.call("Guard", {"files": [a_file()]}, served.enforced.open_file())["error"]


class SlowLook:
    """Callers are looked at once they may; `most` is how many were looked at together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_go_on = threading.Event()
        self.begun = self.most = self.now = 0
        self._lock = threading.Lock()
        self._look = Caller.look

        def look(caller: Caller, pidfd: int) -> Any:
            return self._wait(caller, pidfd)

        monkeypatch.setattr(Caller, "look", look)

    def _wait(self, caller: Caller, pidfd: int) -> Any:
        with self._lock:
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            assert self.may_go_on.wait(PATIENCE)
            return self._look(caller, pidfd)
        finally:
            with self._lock:
                self.now -= 1


def begin_to_register(served: Served, line: Line) -> None:
    """Send the call."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    served.enforced.kernel.files[os.fstat(root).st_ino] = Order(0)
    call = {"method": f"{NAME}.Register", "parameters": {"mount": "/m", "mountDescriptor": 0}}
    line.send(json.dumps(call).encode(), root)
    os.close(root)


def test_others_do_not_wait_for_a_registration(
    served: Served, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller can have so many mounts that to look at it takes seconds; and it has one turn at a time."""
    slow = SlowLook(monkeypatch)
    lines = [line, served.connect(), served.connect()]
    for each in lines:
        begin_to_register(served, each)
    wait_for(lambda: slow.begun == 1, PATIENCE, "the first to be looked at")

    assert "error" not in served.connect().call("Status")
    slow.may_go_on.set()
    assert [1, 1, 1] == [each.reply()["instance"] for each in lines]
    assert 1 == slow.most


def test_a_caller_that_goes_before_it_is_registered(
    served: Served, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes of it, and nothing stays open; whether it was its turn or not."""
    line.call("Status")
    before = open_descriptors()
    slow = SlowLook(monkeypatch)
    for _ in range(2):
        going = served.connect()
        begin_to_register(served, going)
        wait_for(lambda: slow.begun == 1, PATIENCE, "the first to be looked at")
        going.socket.close()
    line.call("Status")
    slow.may_go_on.set()

    wait_for(lambda: open_descriptors() <= before, PATIENCE, "what it sent to be closed")
    assert 0 == len(served.host.registry)
    assert 1 == slow.begun


def test_policies_that_come_while_somebody_registers(
    served: Served, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in force then is what counts."""
    meant = Registration.policies_for
    generations: list[int] = []

    def understand(registration: Registration, candidate: Candidate) -> Any:
        found = meant(registration, candidate)
        if not generations:
            done = threading.Event()
            served.loop.post(lambda: (served.enforced.adopt(POLICY), done.set())[1])
            assert done.wait(PATIENCE)
        generations.append(found.mark.generation)
        return found

    monkeypatch.setattr(Registration, "policies_for", understand)

    assert 2 == register(served, line)["generation"]
    assert [1, 2, 2] == generations


def test_who_sends_what_cannot_be_closed(served: Served, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """His file server keeps every close waiting: his connections end, and no further ones come."""
    other = served.connect()
    assert "error" not in other.call("Status")
    unclosed = {os.getuid(): desk.MOST_UNCLOSED + 1}
    monkeypatch.setattr(served.host.descriptors, "unclosed", lambda sender: unclosed.get(sender, 0))

    assert "Overloaded" == other.call("Status")["error"]
    assert b"" == other.socket.recv(1)
    assert "Overloaded" == served.connect().reply()["error"]
    unclosed.clear()
    assert "error" not in served.connect().call("Status")

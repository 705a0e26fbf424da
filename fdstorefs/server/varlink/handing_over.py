"""Handing over: the connections of one server, told to another that takes them over.

Each as it is at rest (see `state`): `socket` is the connection itself, `peer` what its process is held by.
"""

import socket
from collections.abc import Sequence

from fdstorefs.core.node import OpenFile
from fdstorefs.server.context import Context
from fdstorefs.server.passed import NotUnderstood, Packing, Passed, Told, Unpacking, understood
from fdstorefs.server.passed_files import FilesAgain, tell_files
from fdstorefs.server.varlink.connection import Connection
from fdstorefs.server.varlink.reception import Reception
from fdstorefs.server.varlink.retrieve import Taken
from fdstorefs.server.varlink.state import State
from fdstorefs.server.varlink.telling import (
    FORMAT,
    bytes_again,
    message_again,
    peer_again,
    tell_bytes,
    tell_message,
    tell_peer,
)


def tell_connections(connections: Sequence[Connection], packing: Packing) -> Passed:
    """All of them. They do nothing by themselves from now on. Raises OSError."""
    states = [(connection, connection.state()) for connection in connections]
    return packing.passed(
        {
            "format": FORMAT,
            "files": tell_files([file for _, state in states for file in _files(state)], packing),
            "connections": [
                {
                    "socket": packing.descriptor(connection.descriptor),
                    "peer": tell_peer(connection.sender.held, packing),
                    **tell_state(state, packing),
                }
                for connection, state in states
            ],
        }
    )


def _files(state: State) -> list[OpenFile]:
    return [file for landed in state.landings for file in landed.files]


def tell_state(state: State, packing: Packing) -> Told:
    """How one is left; of open files the numbers."""
    return {
        "half": tell_message(state.half, packing),
        "violation": state.violation,
        "inbox": [tell_message(message, packing) for message in state.inbox],
        "ending": state.ending,
        "last_words": tell_bytes(state.last_words, packing),
        "queued": packing.bytes(state.queued),
        "in_flight": state.in_flight,
        "landings": [[file.number for file in landed.files] for landed in state.landings],
        "call": tell_message(state.call, packing) if state.call is not None else None,
        "told": state.told,
    }


def connect_again(reception: Reception, context: Context, passed: Passed) -> None:
    """Let all of them in. Raises NotUnderstood, OSError."""
    unpacking = Unpacking(passed)
    told = unpacking.told
    if told.get("format") != FORMAT:
        raise NotUnderstood(
            f"connections are told in format {told.get('format')}, and this version knows {FORMAT}"
        )
    understood("what was told of connections", lambda: _connect_again(reception, context, told, unpacking))


def _connect_again(reception: Reception, context: Context, told: Told, unpacking: Unpacking) -> None:
    files = FilesAgain(told["files"], unpacking, context.intake)
    for fields in told["connections"]:
        connected = socket.socket(fileno=unpacking.descriptor(fields["socket"]))
        client = reception.let_in_again(connected, peer_again(fields["peer"], unpacking))
        client.go_on_with(state_again(fields, unpacking, files, context))


def state_again(told: Told, unpacking: Unpacking, files: FilesAgain, context: Context) -> State:
    """The same state."""
    violation, call = told["violation"], told["call"]
    return State(
        half=message_again(told["half"], unpacking),
        violation=str(violation) if violation is not None else None,
        inbox=[message_again(message, unpacking) for message in told["inbox"]],
        ending=bool(told["ending"]),
        last_words=bytes_again(told["last_words"], unpacking),
        queued=unpacking.bytes(told["queued"]),
        in_flight=int(told["in_flight"]),
        landings=[
            Taken(context.store, [files.get(number).hold() for number in numbers])
            for numbers in told["landings"]
        ],
        call=message_again(call, unpacking) if call is not None else None,
        told=dict(told["told"]),
    )

"""Retrieve and Take: descriptors go out. Retrieve is what the store is measured by."""

from json.encoder import encode_basestring_ascii as quote

from fdstorefs.core.access import Target
from fdstorefs.core.node import OpenFile
from fdstorefs.core.store import Store
from fdstorefs.server.context import Context
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.call import Call
from fdstorefs.server.varlink.reply import Landed, Reply

PARAMETERS = frozenset({"names"})


def retrieve(context: Context, call: Call) -> Reply:
    """Copies of the descriptors of all names."""
    parameters.only(call.parameters, PARAMETERS)
    names = parameters.names(call.parameters)
    return _reply(names, context.store.retrieve_many(call.subject, names))


def take(context: Context, call: Call) -> Reply:
    """Copies of the descriptors of all names; once the kernel has them for the client, the entries go."""
    parameters.only(call.parameters, PARAMETERS)
    names = parameters.names(call.parameters)
    taken = context.store.check_take(call.subject, names)
    reply = _reply(names, [file for _, file in taken])
    reply.sent = lambda: _remove(context.store, [target for target, _ in taken])
    return reply


def _remove(store: Store, targets: list[Target]) -> Landed | None:
    files = store.remove_taken(targets)
    if store.guard is None:
        store.let_go(files)
        return None
    return Taken(store, [file for file in files if file is not None])


class Taken:
    """Files that somebody has taken, each held once, and may not have received yet."""

    def __init__(self, store: Store, files: list[OpenFile]) -> None:
        self._store = store
        self.files = files

    def __call__(self, arrived: bool) -> None:
        """Let go of them."""
        self._store.let_go(self.files, settled=arrived)


def _reply(names: list[str], files: list[OpenFile]) -> Reply:
    # By hand: the general encoder takes three times as long for the shape that is sent most.
    entries = ",".join(
        [f'{{"name":{quote(name)},"fileDescriptor":{index}}}' for index, name in enumerate(names)]
    )
    text = f'{{"parameters":{{"entries":[{entries}]}}}}\0'
    return Reply(text.encode("ascii"), [file.descriptor for file in files])

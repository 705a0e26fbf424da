"""`fdstorefs put NAME [FD]`: stash a descriptor that this process inherited, or a socket made for it."""

import os
from typing import TYPE_CHECKING

from fdstorefs.cli.failure import UsageError
from fdstorefs.errors import BadDescriptor

if TYPE_CHECKING:
    import argparse

    from fdstorefs.cli.parsing import Parser
    from fdstorefs.client.calls import Stashable

EXAMPLES = """\
  fdstorefs put notes < notes.txt              descriptor 0, as opened by the shell
  fdstorefs put log 3 3>> /var/log/app.log     descriptor 3
  fdstorefs put web --listen tcp:127.0.0.1:8080
  fdstorefs put web --replace --listen unix:/run/web.sock
  fdstorefs put token --expires 90s < token.txt
  sudo fdstorefs --at $M put http --mode 666 --listen 'tcp:[::]:80'
"""


def configure(parser: "Parser") -> None:
    """Add our arguments."""
    from fdstorefs.cli.parsing import descriptor_number, duration, octal_mode

    parser.add_argument("name", metavar="NAME", help="the entry; what leads to it must be there")
    parser.add_argument(
        "fd", metavar="FD", nargs="?", type=descriptor_number, help="an open descriptor (default: 0)"
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        help="listen at tcp:HOST:PORT, udp:HOST:PORT or unix:PATH, and stash that",
    )
    parser.add_argument("--replace", action="store_true", help="put it in place of what the entry holds")
    parser.add_argument("--label", help="a word for policies and people to know the entry by")
    parser.add_argument(
        "--mode", type=octal_mode, metavar="OCTAL", help="permission bits of a new entry (default: 600)"
    )
    parser.add_argument(
        "--expires",
        type=duration,
        metavar="DURATION",
        help="discard it by itself after so long, such as 90s, 2h or 1h30m",
    )
    parser.add_argument(
        "--no-poll",
        action="store_true",
        help="keep it when the other side of the socket or pipe hangs up; otherwise it goes then",
    )
    parser.add_at()


def run(options: "argparse.Namespace") -> int:
    """Stash."""
    from fdstorefs.client.store import connect

    file = _file(options)
    with connect(options.at) as store:
        store.stash(
            options.name,
            file,
            replace=options.replace,
            mode=options.mode,
            label=options.label,
            expires=options.expires,
            poll=False if options.no_poll else None,
        )
    return 0


def _file(options: "argparse.Namespace") -> "Stashable":
    """What to stash. A number is looked at before we open anything: it could become a descriptor of ours."""
    if options.listen is not None:
        from fdstorefs.cli.listening import listen, parse

        if options.fd is not None:
            raise UsageError("give FD or `--listen`, not both")
        return listen(parse(options.listen))
    number = 0 if options.fd is None else int(options.fd)
    try:
        os.fstat(number)
    except OSError:
        raise BadDescriptor(
            f"`{number}` is no open descriptor here",
            hint=f"open it in the shell: `fdstorefs put {options.name} {number} {number}<FILE`",
        ) from None
    return number

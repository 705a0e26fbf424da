"""Names: what an entry or a box may be called, and how a path splits into names."""

from fdstorefs.errors import InvalidArgument, InvalidName, NameTooLong

NAME_BYTES = 255
PATH_BYTES = 4095
LABEL_BYTES = 255

RESERVED = frozenset({".fdstore", ".notify"})
"""Names in the root box that are the store's own sockets."""


def encode(name: str) -> bytes:
    """The bytes of a name as the kernel sees them; lone surrogates stand for bytes that are not UTF-8."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidName(f"`{name!a}` is not a name: it holds half of a character", name=None) from None


def check(name: str) -> str:
    """Return `name` if one component may be called so; raise InvalidName or NameTooLong otherwise."""
    if not name or name in (".", ".."):
        raise InvalidName(f"`{name}` is not a name", name=name, hint="use 1 to 255 bytes, not `.` or `..`")
    if "/" in name or "\0" in name:
        raise InvalidName(f"{name!r} is not a name: it holds a slash or a NUL", name=name)
    if (len(name) > NAME_BYTES or not name.isascii()) and len(encode(name)) > NAME_BYTES:
        raise NameTooLong(f"`{name[:32]}...` is over {NAME_BYTES} bytes long", name=name)
    return name


def check_label(label: str) -> str:
    """Return `label` if it may be one: any text of at most 255 bytes; InvalidArgument otherwise."""
    if len(label.encode("utf-8", "surrogatepass")) > LABEL_BYTES:
        raise InvalidArgument(f"the label is over {LABEL_BYTES} bytes long")
    return label


def split(path: str) -> list[str]:
    """The components of `path` below the root box, each checked; one leading or trailing slash is fine.

    The root itself splits to no components. Errors: InvalidName, NameTooLong.
    """
    if (len(path) > PATH_BYTES or not path.isascii()) and len(encode(path)) > PATH_BYTES:
        raise NameTooLong(f"`{path[:32]}...` is over {PATH_BYTES} bytes long", name=path)
    inner = path.removeprefix("/").removesuffix("/")
    return [check(part) for part in inner.split("/")] if inner else []


def join(box: str, name: str) -> str:
    """The path of `name` in the box with path `box` (the root's path is empty)."""
    return f"{box}/{name}" if box else name

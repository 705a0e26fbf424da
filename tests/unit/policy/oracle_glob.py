"""A second reading of what globs mean: by trying every way, sign by sign."""

from collections.abc import Iterator

ANY_BELOW = "a final **"
ANY_COMPONENTS = "**/"
ANY = "**"
ANY_IN_COMPONENT = "*"


def fits(glob: str, name: str) -> bool:
    """Whether the name fits the glob."""
    return _fits(list(_signs(glob)), name)


def could_fit_below(glob: str, box: str) -> bool:
    """Whether there can be a name below this box that fits the glob."""
    return _could_go_on(list(_signs(glob)), f"{box}/")


def _signs(glob: str) -> Iterator[str]:
    at = 0
    while at < len(glob):
        starts_component = at == 0 or glob[at - 1] == "/"
        text = _first_sign(glob[at:], starts_component=starts_component)
        at += len(text)
        yield ANY_BELOW if text == ANY and starts_component and at == len(glob) else text


def _first_sign(glob: str, *, starts_component: bool) -> str:
    if glob.startswith("**"):
        return ANY_COMPONENTS if starts_component and glob.startswith("**/") else ANY
    if glob.startswith("["):
        first = 2 if glob.startswith("[!") else 1
        return glob[: glob.index("]", first + 1) + 1]
    return glob[0]


def _fits(signs: list[str], name: str) -> bool:
    if not signs:
        return not name
    return any(_fits(signs[1:], name[taken:]) for taken in _takes(signs[0], name))


def _could_go_on(signs: list[str], start: str) -> bool:
    """Whether something longer than `start`, and beginning with it, fits."""
    if not start or not signs:
        return bool(signs)
    if signs[0] in {ANY, ANY_BELOW}:
        return True
    return any(_could_go_on(signs[1:], start[taken:]) for taken in _takes(signs[0], start))


def _takes(sign: str, name: str) -> list[int]:
    """With how many characters at the beginning of the name the sign can be content."""
    everything = range(len(name) + 1)
    match sign:
        case "**":
            return list(everything)
        case "a final **":
            return list(everything)[1:]
        case "**/":
            return [0, *(end for end in everything if name[:end].endswith("/"))]
        case "*":
            return [end for end in everything if "/" not in name[:end]]
    return [1] if name and _is(sign, name[0]) else []


def _is(sign: str, character: str) -> bool:
    if sign == "?":
        return character != "/"
    if not sign.startswith("["):
        return sign == character
    if sign.startswith("[!"):
        return character != "/" and not _is_among(sign[2:-1], character)
    return _is_among(sign[1:-1], character)


def _is_among(members: str, character: str) -> bool:
    while members:
        if len(members) > 2 and members[1] == "-":
            if members[0] <= character <= members[2]:
                return True
            members = members[3:]
        else:
            if members[0] == character:
                return True
            members = members[1:]
    return False

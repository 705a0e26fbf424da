"""Paths and globs: names of entries, cgroups, mount paths."""

from fdstorefs.policy.diagnostic import quoted
from fdstorefs.policy.findings import Wrong
from fdstorefs.policy.glob import BadGlob, compile_glob
from fdstorefs.policy.nodes import Scalar

_GLOB_SIGNS = "*?["


def entry_glob(node: Scalar, pattern: str) -> str:
    """A glob over names."""
    _check_glob(node, pattern, 0)
    _refuse_dots(node, pattern)
    return pattern


def absolute_glob(node: Scalar, pattern: str, noun: str) -> str:
    """A glob over paths with a leading slash; `/` alone is one too."""
    _check_absolute(node, pattern, noun)
    if pattern != "/":
        _check_glob(node, pattern[1:], 1)
    return pattern


def absolute_path(node: Scalar, path: str, noun: str) -> str:
    """A path with a leading slash that is no glob."""
    _check_absolute(node, path, noun)
    for position, character in enumerate(path):
        if character in _GLOB_SIGNS:
            message = f"the {noun} {quoted(path)} can't be a glob"
            raise Wrong("bad-path", message, node.span_of(position), "write the whole path")
    return path


def _check_absolute(node: Scalar, path: str, noun: str) -> None:
    if not path.startswith("/"):
        message = f"the {noun} {quoted(path)} has no leading slash"
        raise Wrong("bad-path", message, node.span, f"write {quoted('/' + path)}")
    if path != "/" and path.endswith("/"):
        message = f"the {noun} {quoted(path)} has a trailing slash"
        raise Wrong(
            "bad-path", message, node.span_of(len(path) - 1), f"write {quoted(path.rstrip('/') or '/')}"
        )
    _refuse_dots(node, path)


def _refuse_dots(node: Scalar, path: str) -> None:
    at = 0
    for component in path.split("/"):
        if component in (".", ".."):
            hint = "write the path as it is without it"
            raise Wrong("bad-path", f"`{component}` is no part of a path here", node.span_of(at), hint)
        at += len(component) + 1


def _check_glob(node: Scalar, pattern: str, offset: int) -> None:
    try:
        compile_glob(pattern)
    except BadGlob as bad:
        raise Wrong("bad-glob", bad.problem, node.span_of(bad.position + offset), bad.hint) from None

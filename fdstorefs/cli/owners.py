"""Users and groups by name, where they have one."""

import grp
import pwd
from functools import cache


@cache
def user(uid: int) -> str:
    """The name of a user, or the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


@cache
def group(gid: int) -> str:
    """The name of a group, or the number."""
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return str(gid)

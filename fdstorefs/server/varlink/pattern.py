"""Patterns in calls: which paths a client asks about."""

import re

from fdstorefs.errors import InvalidArgument
from fdstorefs.policy.glob import BadGlob, compile_glob
from fdstorefs.server.varlink import parameters
from fdstorefs.server.varlink.call import Parameters


def pattern(given: Parameters) -> re.Pattern[str] | None:
    """The compiled `pattern`, None if there is none; InvalidArgument for a bad one."""
    glob = parameters.optional_text(given, "pattern")
    if glob is None:
        return None
    try:
        return compile_glob(glob)
    except BadGlob as error:
        raise InvalidArgument(f"pattern `{glob[:64]}`: {error}", hint=error.hint) from None

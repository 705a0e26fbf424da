"""What is passed, as it arrives in another process: through JSON, and with copies of the descriptors."""

import json
import os

from fdstorefs.server.passed import Packing, Passed, Told, Unpacking


def arrived(packing: Packing, told: Told) -> Unpacking:
    """What the other process has, once this one has let go of what it made for it."""
    passed = packing.passed(told)
    copies = [os.dup(fd) for fd in passed.descriptors]
    packing.close()
    return Unpacking(Passed(json.loads(json.dumps(passed.told)), copies))

"""Lanes, a loop that serves them, and a stored pipe."""

import os

from fdstorefs.core.node import OpenFile
from fdstorefs.server.fuse.lane import Lanes
from fdstorefs.server.fuse.readiness import Readiness
from fdstorefs.server.loop import Loop


class PipedLanes:
    """`stored` are both ends of the pipe, by descriptor."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.readiness = Readiness(self.loop)
        self.lanes = Lanes(self.loop, self.readiness)
        self.reader, self.writer = os.pipe()
        self.stored = {end: OpenFile(end, "pipe").hold() for end in (self.reader, self.writer)}

    def close(self) -> None:
        """Give all back."""
        self.lanes.close()
        self.loop.close()
        for end in (self.reader, self.writer):
            os.close(end)

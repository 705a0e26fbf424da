"""Open files that are passed from one server to another, beside those that both have by what they are called."""

import json
from collections.abc import Iterable

from fdstorefs.core.node import OpenFile
from fdstorefs.server.intake import Intake
from fdstorefs.server.keeping.decoding import open_file
from fdstorefs.server.keeping.encoding import file_text
from fdstorefs.server.passed import NotUnderstood, Packing, Told, Unpacking


def tell_files(files: Iterable[OpenFile], packing: Packing) -> list[Told]:
    """Each once, with its descriptor, unless the other server has it from the journal."""
    loose = {file.number: file for file in files if not (file.entries and file.kept)}
    return [
        {**json.loads(file_text(file)), "descriptor": packing.descriptor(file.descriptor)}
        for file in loose.values()
    ]


class FilesAgain:
    """The open files of a store that takes over from another server's, by number. Raises OSError."""

    def __init__(self, told: list[Told], unpacking: Unpacking, intake: Intake) -> None:
        self._files = {file.number: file for file in intake.stored}
        for fields in told:
            fd = unpacking.descriptor(fields["descriptor"])
            if fields["n"] in self._files:
                intake.discard_stray(fd)
            else:
                self._restore(fields, fd, intake)

    def _restore(self, fields: Told, fd: int, intake: Intake) -> None:
        file = open_file(fields, fd)
        # No entry leads to it, so whoever keeps entries has let it go.
        file.kept = False
        self._files[file.number] = intake.restore(file)

    def get(self, number: int) -> OpenFile:
        """An open file; NotUnderstood if nobody passed it."""
        file = self._files.get(number)
        if file is None:
            raise NotUnderstood(f"open file {number} was not passed")
        return file

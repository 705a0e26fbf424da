"""What is in force in the kernel: a generation's rows for every instance, every guarded file and every cgroup."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from fdstorefs.bpf.abi import Key, Row, Table
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.rows import Profile, TableSet, covers, profile_of
from fdstorefs.enforcer.book import Book
from fdstorefs.enforcer.generation import Generation, Standing
from fdstorefs.enforcer.instance import Instance
from fdstorefs.enforcer.kernel_side import KernelSide
from fdstorefs.server.enforcement.in_force import InForce

log = logging.getLogger(__name__)


class Enforcement:
    """Puts generations into the kernel whole, and adds to the one in force what comes later.

    `cgroups` are all that there are, by number. Until the first `adopt` or `go_on` there is no generation.
    """

    def __init__(self, kernel: KernelSide, book: Book, cgroups: Mapping[int, str]) -> None:
        self._kernel = kernel
        self._book = book
        self._cgroups = cgroups
        self._generation: Generation | None = None
        self._in_force: dict[int, InForce] = {}
        self._former: dict[int, InForce] = {}
        self._tables: dict[int, TableSet] = {}
        self._loaded: Profile | None = None

    @property
    def generation(self) -> Generation:
        """The one in force."""
        if self._generation is None:
            raise AssertionError("nothing is in force yet")
        return self._generation

    def in_force(self, number: int) -> InForce | None:
        """The policies in force in an instance."""
        return self._in_force.get(number)

    def in_force_then(self, number: int, generation: int) -> InForce | None:
        """The same in a generation, if it is this one or the one before."""
        for known in (self._in_force.get(number), self._former.get(number)):
            if known is not None and known.mark.generation == generation:
                return known
        return None

    def tables_of(self, instance: Instance) -> TableSet:
        """The rows of what is in force in an instance."""
        return self._tables[instance.number]

    # Programs

    def needs_other_programs(self, generation: Generation, standings: Iterable[Standing]) -> Profile | None:
        """What programs have to be loaded before these can be in force; None: those that are there will do."""
        needed = generation.profile(generation.for_known(each) for each in standings)
        there = self._loaded or self._profile_attached
        return None if there is not None and covers(there, needed) else needed

    def can_take(self, in_force: InForce) -> bool:
        """Whether the programs that are there can decide by these policies."""
        there = self._profile_attached
        return there is not None and covers(there, profile_of([in_force.tables]))

    @property
    def _profile_attached(self) -> Profile | None:
        """What programs can do that are there, with all their hooks."""
        return self._kernel.profile if self._kernel.attached else None

    def load(self, profile: Profile, *, lockdown: bool) -> None:
        """Compile and load programs, which the next generation is for. Takes long; raises KernelError."""
        self._kernel.load(profile, lockdown=lockdown)
        self._loaded = profile

    def unload(self) -> None:
        """What was loaded is not for the next generation after all."""
        self._kernel.unload()
        self._loaded = None

    # Generations

    def adopt(self, generation: Generation, instances: Collection[Instance]) -> tuple[str, ...]:
        """Put it in force, all at once; the hooks, if they are new. Raises KernelError, and nothing has changed."""
        program = self._loaded or self._kernel.profile
        if program is None:
            raise AssertionError("no programs are loaded")
        in_force, tables = _made(generation, instances, program)
        self._kernel.publish(self._rows(tables), generation.number)
        attached = self._kernel.attach() if self._loaded is not None else ()
        self._loaded = None
        self._former = self._in_force
        self._generation, self._in_force, self._tables = generation, in_force, tables
        self._kernel.set_record_allowed(any(each.tables.log_always for each in in_force.values()))
        return attached

    def add_rows(self, rows: Sequence[tuple[Key, Row]]) -> None:
        """Add rows to the generation in force, and give it more room if there is none left. Raises KernelError."""
        try:
            self._kernel.add_rows(rows)
        except KernelError as error:
            if error.code != "rows-full" or self._loaded is not None:
                raise
            # Published anew it says the same, with room for as much again.
            self._kernel.publish(self._rows(self._tables), self.generation.number)
            self._kernel.add_rows(rows)

    def go_on(self, generation: Generation, instances: Collection[Instance]) -> None:
        """What is in force already, from a former enforcer, is this generation; cgroups have come since."""
        program = self._kernel.profile
        if program is None:
            raise AssertionError("no programs are attached")
        self._in_force, self._tables = _made(generation, instances, program)
        self._generation = generation
        for tables in self._tables.values():
            self.add_rows(list(self._cgroup_rows(tables)))

    def _rows(self, sets: Mapping[int, TableSet]) -> Iterator[tuple[Key, Row]]:
        for tables in sets.values():
            yield from tables.rows()
            yield from self._cgroup_rows(tables)
        for _, file in self._book.all():
            made = sets.get(file.instance)
            if made is not None:
                yield from made.class_rows(file.classes, file.names)

    def _cgroup_rows(self, tables: TableSet) -> Iterator[tuple[Key, Row]]:
        for number, path in self._cgroups.items():
            row = tables.cgroup_row(number, path)
            if row is None:
                return
            yield row

    # Instances

    def add(self, instance: Instance, in_force: InForce) -> None:
        """Put the policies in force for one more instance. Raises KernelError."""
        program = self._kernel.profile
        if program is None:
            raise AssertionError("no programs are attached")
        made = TableSet(instance.number, in_force.tables, instance.uids, instance.gids, program)
        self.add_rows([*made.rows(), *self._cgroup_rows(made)])
        self._in_force[instance.number], self._tables[instance.number] = in_force, made

    def drop(self, number: int) -> None:
        """The instance is no more, nor is anything tagged for it."""
        made = self._tables.pop(number, None)
        self._in_force.pop(number, None)
        if made is not None:
            self._kernel.remove_rows([key for key, _ in (*made.rows(), *self._cgroup_rows(made))])

    def forget_unused(self, standings: Iterable[Standing]) -> None:
        """Forget what the policies mean to anybody but these, who have them in force."""
        self.generation.forget_unused(self._in_force.values(), standings)

    # Cgroups

    def cgroup_appeared(self, number: int, path: str) -> None:
        """Classify a new cgroup for every instance."""
        rows = [
            row for tables in self._tables.values() if (row := tables.cgroup_row(number, path)) is not None
        ]
        if rows:
            self.add_rows(rows)

    def cgroup_gone(self, number: int) -> None:
        """Nobody is in this cgroup, and its number is nobody's."""
        keys = [Key(Table.CGROUP, instance, number) for instance in self._tables]
        if keys:
            self._kernel.remove_rows(keys)


def _made(
    generation: Generation, instances: Collection[Instance], program: Profile
) -> tuple[dict[int, InForce], dict[int, TableSet]]:
    in_force = {each.number: generation.for_known(each.standing) for each in instances}
    tables = {
        each.number: TableSet(each.number, in_force[each.number].tables, each.uids, each.gids, program)
        for each in instances
    }
    return in_force, tables

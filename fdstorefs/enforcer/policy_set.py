"""The policies of the host as they were read at one moment, and what they mean to each instance.

Numbers in a policy are the instance's ids, and a `host:` id is another number in each id map. So a policy is read
anew for every map that gives other answers; mostly all give the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from fdstorefs.bpf.rows import IDENTITY, IdMap
from fdstorefs.enforcer.names import InstanceNames, KnownUsers
from fdstorefs.host.user_database import HostNames
from fdstorefs.policy.check import check
from fdstorefs.policy.default import default_policy
from fdstorefs.policy.diagnostic import Diagnostic, PolicyError, Severity
from fdstorefs.policy.load import load
from fdstorefs.policy.model import InstanceMatch, Policy
from fdstorefs.policy.span import Source
from fdstorefs.policy.vocabulary import Mode
from fdstorefs.server.enforcement.applies import Whereabouts, applying
from fdstorefs.server.enforcement.policy_files import sources_of
from fdstorefs.server.enforcement.settled import read_settled

Answers = tuple[tuple[int | None, ...], tuple[int | None, ...]]

SPARE = 16
"""How many of what was worked out, and is of no use to any instance, are kept."""


class PolicySet:
    """Policies read together. `files` are where they were read; `modes` replace what the policies of these names say.

    Raises PolicyError with all that is wrong with them, as the host's own instances would have it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        files: Sequence[str] = (),
        modes: Mapping[str, Mode] | None = None,
        known: KnownUsers | None = None,
    ) -> None:
        self.sources = tuple(sources)
        self.files = tuple(files)
        self.modes = dict(modes or {})
        self._known = KnownUsers(HostNames()) if known is None else known
        self._asked: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
        self._understood: dict[Answers, tuple[Policy, ...] | PolicyError] = {}
        self.warnings: tuple[Diagnostic, ...] = ()
        self.policies = self._understand(IDENTITY, IDENTITY)

    def with_modes(self, modes: Mapping[str, Mode]) -> "PolicySet":
        """The same texts with other modes."""
        return PolicySet(self.sources, self.files, modes, self._known)

    def same_as(self, other: "PolicySet") -> bool:
        """Whether they say the same, and were read in the same places."""
        return (self.files, self.policies, self.modes) == (other.files, other.policies, other.modes)

    def text_of(self, name: str) -> str | None:
        """The text of a policy by its name; None: there is none."""
        source = self._source_of(name)
        return None if source is None else source.text

    def file_of(self, name: str) -> str:
        """The file that a policy was read from; empty if it was not read."""
        source = self._source_of(name)
        return "" if source is None else source.name

    def _source_of(self, name: str) -> Source | None:
        for policy, source in zip(self.policies, self.sources, strict=True):
            if policy.name == name:
                return source
        return None

    def for_instance(self, here: Whereabouts, uids: IdMap, gids: IdMap) -> tuple[Policy, ...]:
        """The policies that are for an instance, in its ids; the built-in default if none is.

        Raises PolicyError if something is wrong with them in these ids, or if it cannot be told which are for it.
        """
        policies = self._understand(uids, gids)
        return applying([_decided(each) for each in policies], here) or (default_policy(),)

    def forget_unused(self, maps: Iterable[tuple[IdMap, IdMap]]) -> None:
        """Forget what the policies mean in other maps than these and the host's, but for what came last."""
        if len(self._understood) <= SPARE:
            return
        used = {self._answers(uids, gids) for uids, gids in maps} | {self._answers(IDENTITY, IDENTITY)}
        unused = [answers for answers in tuple(self._understood) if answers not in used]
        for answers in unused[:-SPARE]:
            del self._understood[answers]

    def _understand(self, uids: IdMap, gids: IdMap) -> tuple[Policy, ...]:
        found = self._understood.get(self._answers(uids, gids))
        if found is None:
            found = self._read_or_error(uids, gids)
            # Another thread may have been here meanwhile: what is the same is one object.
            found = self._understood.setdefault(self._answers(uids, gids), found)
        if isinstance(found, PolicyError):
            raise PolicyError(found.diagnostics)
        return found

    def _read_or_error(self, uids: IdMap, gids: IdMap) -> tuple[Policy, ...] | PolicyError:
        try:
            return self._read(uids, gids)
        except PolicyError as error:
            if not self._understood:
                raise
            # Kept as well: it is asked for again with each change of policies, and took as long.
            return PolicyError(error.diagnostics)

    def _answers(self, uids: IdMap, gids: IdMap) -> Answers:
        """What a map says of all ids that the texts ask for; which these are is known once they have been read."""
        asked_uids, asked_gids = self._asked
        return tuple(map(uids.to_instance, asked_uids)), tuple(map(gids.to_instance, asked_gids))

    def _read(self, uids: IdMap, gids: IdMap) -> tuple[Policy, ...]:
        names = InstanceNames(self._known, uids, gids)
        loaded = load(self.sources, names)
        found = loaded.diagnostics
        # A rule that can matter on the host may be about nobody in a container, and that is no mistake.
        if loaded.ok and loaded.policies and not self._understood:
            found += tuple(check(self._in_modes(loaded.policies)))
        if any(diagnostic.severity is Severity.ERROR for diagnostic in found):
            raise PolicyError(found)
        if not self._understood:
            self.warnings = found
            self._asked = (tuple(sorted(names.asked_uids)), tuple(sorted(names.asked_gids)))
        return self._in_modes(loaded.policies)

    def _in_modes(self, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        return tuple(replace(each, mode=self.modes.get(each.name, each.mode)) for each in policies)


def read_policies(
    paths: Sequence[str],
    has_moved: Callable[[], bool] = lambda: False,
    *,
    modes: Mapping[str, Mode] | None = None,
) -> PolicySet:
    """The policies at these absolute paths, as they were at one moment. Blocks. Raises PolicyError, or Unsettled."""
    if not paths:
        has_moved()
        return PolicySet(())
    files = read_settled(paths, has_moved)
    return PolicySet(sources_of(files), [file.name for file in files], modes)


def _decided(policy: Policy) -> Policy:
    """The policy with its owners settled: an id of the host that has no number in an instance is not its server's."""
    if policy.instances is None:
        return policy
    return replace(policy, instances=tuple(map(_decided_match, policy.instances)))


def _decided_match(match: InstanceMatch) -> InstanceMatch:
    if match.owner is None:
        return match
    return replace(match, owner=replace(match.owner, undetermined=False))

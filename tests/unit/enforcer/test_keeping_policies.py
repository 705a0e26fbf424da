"""Policies of the host are kept in force: a change is taken whole, or what was in force stays."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fdstorefs.audit.format import Formatter
from fdstorefs.audit.log import AuditLog
from fdstorefs.bpf.abi import Key, Table
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.enforcer.enforcement import Enforcement
from fdstorefs.enforcer.errors import NoSuchPolicy
from fdstorefs.enforcer.generation import Generation
from fdstorefs.enforcer.policy_keeper import Change, PolicyKeeper, explicit_paths
from fdstorefs.enforcer.switched import Switched, Switches, in_modes, taken_over
from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.policy.vocabulary import Mode
from fdstorefs.server.loop import Loop
from tests.unit.enforcer.enforced import Enforced
from tests.unit.enforcer.fake_kernel import HOOKS, FakeKernel

PATIENCE = 20.0
TEXT = """\
version: 1
name: {name}
mode: {mode}
rules:
  - {{id: r-{name}, effect: allow, actions: [retrieve], entries: ["{glob}"]}}
"""


class Kept:
    """Policies in a directory, kept in force in a fake kernel."""

    def __init__(self, enforced: Enforced, directory: Path, *, fallback: bool = False) -> None:
        self.directory = directory
        self.kernel: FakeKernel = enforced.kernel
        self.enforcement: Enforcement = enforced.enforcement
        self.loop = Loop()
        self.ends: list[Exception | None] = []
        self.changes = 0
        paths = () if fallback else (str(directory),)
        first = PolicyKeeper.first(paths, str(directory))
        self.enforcement.adopt(Generation(first, self.kernel.numbers.next_generation()), ())
        self.on_change: Callable[[], object] = lambda: None
        self._paths = paths
        self._enforced = enforced
        self.start({})

    def start(self, switches: Switches) -> None:
        """Keep them in force, after whoever has left these switches."""
        self.keeper = PolicyKeeper(
            self._paths,
            str(self.directory),
            loop=self.loop,
            kernel=self.kernel,
            enforcement=self.enforcement,
            instances=lambda: tuple(self._enforced.registry),
            audit=AuditLog(Formatter("host", "0" * 16), [], self.loop),
            lockdown=False,
            changed=self._changed,
            switches=switches,
        )
        self.keeper.start()
        self.change(Change())

    def _changed(self) -> None:
        self.changes += 1
        self.on_change()

    def write(self, name: str, mode: str = "enforce", glob: str = "a") -> None:
        """A policy file."""
        file = self.directory / f"{name}.yaml"
        file.write_text(TEXT.format(name=name, mode=mode, glob=glob))
        file.chmod(0o644)

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Run the loop until it holds, and no longer than a deadline."""
        deadline = self.loop.call_at(time.monotonic() + PATIENCE, self.loop.stop)

        def look() -> None:
            if condition():
                self.loop.stop()
            else:
                self.loop.call_at(time.monotonic() + 0.005, look)

        look()
        self.loop.run()
        deadline.cancel()
        assert condition()

    def change(self, change: Change) -> Exception | None:
        """Have something put in force; what went wrong."""
        count = len(self.ends)
        self.keeper.change(replace(change, done=self.ends.append))
        self.run_until(lambda: len(self.ends) > count)
        return self.ends[-1]

    @property
    def modes(self) -> dict[str, str]:
        """What is in force."""
        return {each.name: str(each.mode) for each in self.enforcement.generation.everything.policies}


@pytest.fixture
def kept(enforced: Enforced, tmp_path: Path) -> Iterator[Kept]:
    """Two policies in force."""
    for name in ("p", "q"):
        (tmp_path / f"{name}.yaml").write_text(TEXT.format(name=name, mode="enforce", glob="a"))
        (tmp_path / f"{name}.yaml").chmod(0o644)
    made = Kept(enforced, tmp_path)
    yield made
    made.keeper.close()
    made.loop.close()


def test_a_change_of_files_is_noticed(kept: Kept) -> None:
    """And put in force."""
    kept.write("p", glob="b")

    kept.run_until(lambda: kept.changes == 1)

    assert kept.kernel.generation == kept.enforcement.generation.number


def test_the_same_again_is_no_generation(kept: Kept) -> None:
    """Nothing is published."""
    before = kept.kernel.generation

    assert None is kept.change(Change())
    assert before == kept.kernel.generation


def test_a_bad_policy_changes_nothing(kept: Kept) -> None:
    """It is reported until the files are good again."""
    before = kept.kernel.generation
    kept.write("p", glob="[")

    error = kept.change(Change())

    assert isinstance(error, PolicyError)
    assert before == kept.kernel.generation
    assert kept.keeper.rejected is not None
    kept.write("p")
    kept.change(Change())
    assert None is kept.keeper.rejected


def test_what_the_kernel_does_not_take_changes_nothing(kept: Kept) -> None:
    """It is reported alike."""
    before = kept.enforcement.generation
    kept.kernel.is_broken = True
    kept.write("p", glob="b")

    assert isinstance(kept.change(Change()), KernelError)
    assert before is kept.enforcement.generation
    assert kept.keeper.rejected is not None


def test_an_empty_directory_changes_nothing(kept: Kept) -> None:
    """That files are gone says nothing; the default is not put in their place in silence."""
    for file in kept.directory.iterdir():
        file.unlink()

    assert isinstance(kept.change(Change()), PolicyError)
    assert ["p", "q"] == list(kept.modes)


def test_the_last_that_enforces_does_not_go_by_itself(kept: Kept) -> None:
    """Somebody has to say that nothing is to be refused any more."""
    kept.write("q", mode="monitor")
    kept.change(Change())
    (kept.directory / "p.yaml").unlink()

    assert isinstance(kept.change(Change()), PolicyError)
    assert {"p": "enforce", "q": "monitor"} == kept.modes
    kept.write("p", mode="monitor")
    assert None is kept.change(Change())
    assert {"p": "monitor", "q": "monitor"} == kept.modes


def assert_p_monitors_until_its_file_changes(kept: Kept) -> None:
    """Another policy's file has no say."""
    kept.write("q", glob="b")
    kept.change(Change())
    assert {"p": "monitor", "q": "enforce"} == kept.modes
    kept.write("p", glob="b")
    kept.change(Change())
    assert {"p": "enforce", "q": "enforce"} == kept.modes


def test_a_mode_is_switched(kept: Kept) -> None:
    """Until the policy's own file changes."""
    assert None is kept.change(Change(name="p", mode=Mode.MONITOR))
    assert {"p": "monitor", "q": "enforce"} == kept.modes

    assert_p_monitors_until_its_file_changes(kept)


def test_a_switch_lasts_until_another_enforcer_and_beyond(kept: Kept) -> None:
    """It is kept by the policy's text: with that, it counts from the start, and with another it does not."""
    kept.change(Change(name="p", mode=Mode.MONITOR))
    switches = dict(kept.keeper.switches)
    texts = PolicyKeeper.first((str(kept.directory),), "")

    assert switches == taken_over(switches, texts)
    assert {"p": Mode.MONITOR, "q": Mode.ENFORCE} == {
        each.name: each.mode for each in in_modes(texts, switches).policies
    }
    kept.write("p", glob="b")
    assert {} == taken_over(switches, PolicyKeeper.first((str(kept.directory),), ""))
    (kept.directory / "p.yaml").unlink()
    assert {} == taken_over(switches, PolicyKeeper.first((str(kept.directory),), ""))


def test_a_switch_taken_over_stays(kept: Kept) -> None:
    """When the files are read again, and until the policy's own one changes."""
    kept.change(Change(name="p", mode=Mode.MONITOR))
    switches = kept.keeper.switches
    kept.keeper.close()
    kept.start(switches)

    assert_p_monitors_until_its_file_changes(kept)


def test_a_switch_is_kept_before_it_is_answered(kept: Kept) -> None:
    """So that it cannot be lost once somebody relies on it."""
    seen: list[dict[str, Switched]] = []
    kept.on_change = lambda: seen.append(dict(kept.keeper.switches))
    kept.change(Change(name="p", mode=Mode.MONITOR))

    assert [Mode.MONITOR] == [each["p"].mode for each in seen]


def test_a_mode_of_a_policy_that_there_is_not(kept: Kept) -> None:
    """It is said, and the files are not blamed for it."""
    assert isinstance(kept.change(Change(name="x", mode=Mode.MONITOR)), NoSuchPolicy)
    assert None is kept.keeper.rejected


def test_other_files_take_their_place(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> None:
    """And are watched from then on; bad ones leave everything as it was."""
    other = tmp_path_factory.mktemp("other") / "z.yaml"
    other.write_text(TEXT.format(name="z", mode="enforce", glob="["))
    other.chmod(0o644)
    assert isinstance(kept.change(Change(paths=(str(other),))), PolicyError)
    assert ["p", "q"] == list(kept.modes)

    other.write_text(TEXT.format(name="z", mode="enforce", glob="a"))
    assert None is kept.change(Change(paths=(str(other),)))
    assert ["z"] == list(kept.modes)
    changes = kept.changes
    other.write_text(TEXT.format(name="zz", mode="enforce", glob="a"))
    kept.run_until(lambda: kept.changes > changes)
    assert ["zz"] == list(kept.modes)


def test_without_policies_the_default_is_in_force(enforced: Enforced, tmp_path: Path) -> None:
    """And as soon as there are some in the usual place, they are."""
    kept = Kept(enforced, tmp_path / "policies", fallback=True)
    assert ["default"] == list(kept.modes)
    (tmp_path / "policies").mkdir()

    kept.write("p")
    kept.run_until(lambda: list(kept.modes) == ["p"])

    kept.keeper.close()
    kept.loop.close()


def test_paths_are_absolute() -> None:
    """Whose directory would they be in?"""
    assert None is explicit_paths([])
    assert ("/a/b",) == explicit_paths(["/a//b/"])
    with pytest.raises(ValueError, match="b"):
        explicit_paths(["/a", "b"])


OTHER_PROGRAMS = """\
version: 1
name: p
mode: {mode}
rules:
  - {{id: r, effect: allow, actions: [retrieve], entries: [a], subject: {{capabilities: [CAP_NET_ADMIN]}}}}
"""


def test_nothing_is_loaded_for_what_is_not_said(kept: Kept) -> None:
    """To compile takes seconds, and what enforced would end by itself."""
    kept.write("q", mode="monitor")
    kept.change(Change())
    before = kept.kernel.loads
    (kept.directory / "p.yaml").unlink()
    (kept.directory / "q.yaml").write_text(
        OTHER_PROGRAMS.format(mode="monitor").replace("name: p", "name: q")
    )

    assert isinstance(kept.change(Change()), PolicyError)

    assert before == kept.kernel.loads


def test_programs_of_a_change_that_is_not_taken_are_given_up(kept: Kept) -> None:
    """Else the next generation would go into programs that nobody calls, and pass for the one in force."""
    kept.kernel.is_broken = True
    (kept.directory / "p.yaml").write_text(OTHER_PROGRAMS.format(mode="enforce"))

    assert isinstance(kept.change(Change()), KernelError)

    assert None is kept.kernel.loaded
    kept.kernel.is_broken = False
    assert None is kept.change(Change())
    assert kept.kernel.profile is not None
    assert 1 << 12 == kept.kernel.profile.capabilities


def test_rows_have_room_again_after_a_change_that_was_not_taken(enforced: Enforced, kept: Kept) -> None:
    """A generation that is full is published anew as before."""
    instance = enforced.admit()
    kept.kernel.is_broken = True
    (kept.directory / "p.yaml").write_text(OTHER_PROGRAMS.format(mode="enforce"))
    kept.change(Change())
    kept.kernel.is_broken = False
    kept.kernel.room = len(kept.kernel.rows)

    kept.enforcement.add_rows([(Key(Table.CGROUP, instance.number, 99), (0, 0))])

    assert Key(Table.CGROUP, instance.number, 99) in kept.kernel.rows


def test_hooks_are_put_in_place_anew(kept: Kept) -> None:
    """With the policies that are in force already."""
    loads = kept.kernel.loads
    kept.kernel.attached = ()

    assert None is kept.change(Change(anew=True))

    assert (loads + 1, HOOKS) == (kept.kernel.loads, kept.kernel.attached)

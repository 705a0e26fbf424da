"""Which policies are for an instance."""

import pytest

from fdstorefs.policy.diagnostic import PolicyError
from fdstorefs.policy.model import Ids, InstanceMatch, Policy
from fdstorefs.server.enforcement.applies import Whereabouts, applying

HERE = Whereabouts("/run/fdstore", 1000, "/system.slice/web.service")


def applies(*instances: InstanceMatch, here: Whereabouts = HERE) -> bool:
    """Whether a policy with these `instances` is for the instance."""
    policy = Policy("p", instances=instances)
    return applying([policy], here) == (policy,)


def test_without_instances_it_is_for_every_instance() -> None:
    """Also for one that knows little of itself."""
    policy = Policy("p")

    assert applying([policy], Whereabouts("/x", 0, None)) == (policy,)


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("/run/fdstore", True),
        ("/run/*", True),
        ("/**", True),
        ("/run/fdstore/*", False),
        ("/run/fdstor", False),
        ("/*", False),
        ("/", False),
    ],
)
def test_the_mount_fits_a_glob(glob: str, expected: bool) -> None:
    """The whole path, as globs over names do."""
    assert expected == applies(InstanceMatch(mount=glob))


def test_a_mount_path_may_look_like_a_glob() -> None:
    """A path fits itself."""
    assert applies(InstanceMatch(mount="/run/[a]"), here=Whereabouts("/run/[a]", 0, None))


@pytest.mark.parametrize(("uid", "expected"), [(1000, True), (1001, False)])
def test_the_owner_is_who_the_server_runs_as(uid: int, expected: bool) -> None:
    """One of those listed."""
    assert expected == applies(InstanceMatch(owner=Ids(frozenset({uid, 7}))))


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        ("/", True),
        ("/system.slice", True),
        ("/system.slice/web.service", True),
        ("/system.slice/web.service/x", False),
        ("/system", False),
        ("/user.slice", False),
    ],
)
def test_the_cgroup_is_it_or_one_above(cgroup: str, expected: bool) -> None:
    """A path ends where a component does."""
    assert expected == applies(InstanceMatch(cgroup=cgroup))


def test_one_item_is_enough() -> None:
    """Items are alternatives; what is not known doesn't matter if another fits."""
    unknown = Whereabouts("/run/fdstore", 1000, None)

    assert applies(InstanceMatch(mount="/elsewhere"), InstanceMatch(owner=Ids(frozenset({1000}))))
    assert applies(InstanceMatch(cgroup="/x"), InstanceMatch(mount="/run/fdstore"), here=unknown)


def test_all_keys_of_an_item_must_fit() -> None:
    """Also where one of them is not known."""
    there = Whereabouts("/elsewhere", 1000, None)

    assert not applies(InstanceMatch(mount="/run/fdstore", owner=Ids(frozenset({1}))))
    assert not applies(InstanceMatch(mount="/run/fdstore", cgroup="/x"), here=there)


@pytest.mark.parametrize(
    "match",
    [InstanceMatch(cgroup="/system.slice"), InstanceMatch(owner=Ids(frozenset({5}), undetermined=True))],
    ids=["cgroup", "host id"],
)
def test_what_cannot_be_told_is_an_error(match: InstanceMatch) -> None:
    """To leave such a policy out could allow what it forbids, and the other way round."""
    with pytest.raises(PolicyError, match="cannot be told whether the policy `p`"):
        applying([Policy("p", instances=(match,)), Policy("q")], Whereabouts("/run/fdstore", 1000, None))


def test_the_others_are_left_out() -> None:
    """In the order given."""
    ours, theirs, also_ours = Policy("a"), Policy("b", instances=(InstanceMatch(mount="/b"),)), Policy("c")

    assert applying([ours, theirs, also_ours], HERE) == (ours, also_ours)

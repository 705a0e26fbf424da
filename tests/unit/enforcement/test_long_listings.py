"""Whoever may not list much of what there is doesn't keep the loop from others while that is found out."""

from fdstorefs.core.finder import HIDDEN_AT_ONCE
from tests.unit.enforcement.governed import ALL, BOB, Governed, User, policy


def test_a_walk_pauses_among_what_is_hidden(ada: User, bob: User) -> None:
    """However many in a row are not shown, the caller has its turn; the pauses tell nothing."""
    governed = Governed(policy(ALL, f"forbid actions: [list], entries: ['h*'], subject: {{uid: [{BOB}]}}"))
    for number in range(3 * HIDDEN_AT_ONCE):
        governed.stash(ada, f"h{number:03}")
    governed.stash(ada, "seen")
    seen = [(path, target and target.path) for path, target in governed.store.walk(bob.subject)]
    all_of_it = list(governed.store.walk(ada.subject))

    assert [("", None)] * 3 + [("seen", "seen")] == seen
    assert 3 * HIDDEN_AT_ONCE + 1 == len(all_of_it)

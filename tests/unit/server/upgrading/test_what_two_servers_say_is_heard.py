"""What one server says to the other in an upgrade is heard, whatever becomes of it then."""

import pytest

from fdstorefs.server.upgrading import talk
from fdstorefs.server.upgrading.talk import Talk, TalkEnded


@pytest.mark.parametrize("is_read", [True, False])
def test_who_ends_is_heard_to_the_end(is_read: bool) -> None:
    """Though it has not read what it was told: a program that cannot be loaded reads nothing, and says why."""
    ours, its = map(Talk, talk.pair())
    ours.say("hello")
    if is_read:
        its.hear()
    its.say("failed", why="no luck")
    its.close()
    message = ours.hear()

    assert message is not None
    assert ("failed", {"why": "no luck"}, []) == message
    with pytest.raises(TalkEnded, match="the other server has ended"):
        ours.hear()
    ours.close()

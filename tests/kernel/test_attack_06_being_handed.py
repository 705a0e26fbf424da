"""Attack 6: be handed the descriptor by somebody who may have it, or by the server itself."""

import pytest

from tests.kernel import attempts
from tests.kernel.attackers import NAME, SECRET, Scene, by_each
from tests.kernel.handing import handed

PATH = "by-path"


@pytest.mark.parametrize("as_duplicate", [False, True], ids=["itself", "a duplicate"])
@by_each
def test_through_a_socket(scene: Scene, as_duplicate: bool) -> None:
    """It doesn't arrive; at somebody who may have it, it does."""
    (arrived,) = handed(scene.holder, scene.attacker, NAME, as_duplicate=as_duplicate)

    assert ([], True) == (arrived["texts"], arrived["truncated"])
    scene.require_refused()
    assert [SECRET] == handed(scene.holder, scene.service, NAME, as_duplicate=as_duplicate)[0]["texts"]


@by_each
def test_what_is_open_as_a_path_only(scene: Scene) -> None:
    """A stored O_PATH descriptor, by which its file could be opened, doesn't arrive either."""
    scene.service.call(attempts.stash_path, scene.mount, PATH)

    (arrived,) = handed(scene.holder, scene.attacker, PATH)

    assert ([], True) == (arrived["texts"], arrived["truncated"])
    scene.require_refused(PATH)
    assert [""] == handed(scene.holder, scene.service, PATH)[0]["texts"]

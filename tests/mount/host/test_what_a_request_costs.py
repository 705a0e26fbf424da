"""Who may not ask for an instance has no work done for it."""

from collections.abc import Callable
from typing import Any

import pytest

from fdstorefs.containers import container as containers
from fdstorefs.errors import Denied
from tests.mount.host.container import Container
from tests.mount.host.service import held


def test_rights_are_required_before_the_first_process_is_looked_for(
    container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be among all processes of the host."""
    inside, searches = container(), []

    def refuse(_users: int, _mounts: int) -> None:
        raise Denied("not he")

    def search(*_task: Any) -> tuple[int, int]:
        searches.append("all processes")
        raise ProcessLookupError

    monkeypatch.setattr(containers, "_first_of", search)
    with held(inside.pid) as pidfd, pytest.raises(Denied):
        containers.hold(inside.pid, pidfd, refuse)

    assert [] == searches

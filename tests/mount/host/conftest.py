"""Fixtures for containers and the service that starts instances for them.

- `service(user=None, arguments=(), default_socket=False)`: a service that listens, as a `Service`; user None is whoever
  runs the tests
- `container(user=None, users=True, pids=True, first_uid=...)`: a `Container`
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from tests.mount.cast import Cast
from tests.mount.host.container import Container
from tests.mount.host.service import Service


@pytest.fixture
def service(cast: Cast) -> Iterator[Callable[..., Service]]:
    """Start services; whatever one leaves behind fails the test."""
    with ExitStack() as services:

        def start(
            user: str | None = None, arguments: Sequence[str] = (), *, default_socket: bool = False
        ) -> Service:
            log = services.enter_context(tempfile.TemporaryFile("a+"))
            started = Service(cast, user, arguments, log, default_socket=default_socket)
            services.callback(started.end)
            return started

        yield start


@pytest.fixture
def container(cast: Cast) -> Callable[..., Container]:
    """Make containers; they end with the test."""

    def make(user: str | None = None, **how: Any) -> Container:
        if user is None and os.geteuid() != 0:
            pytest.skip("only root can map many users into a container")
        return Container(cast, user=user, **how)

    return make

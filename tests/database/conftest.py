"""Event loops in debug mode: they refuse calls from threads that are not theirs."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """asyncio, in debug mode."""
    return ("asyncio", {"debug": True})

"""The backend of a database whose dialect has no drivers: its queries can be compiled, not run."""

from __future__ import annotations

from typing import Any, NoReturn

from databases.core import DatabaseURL

from orm.database.connections.backend import ManagedBackend
from orm.database.dialect_registry import dialects
from orm.exceptions import NotSupportedError


class NoDriverBackend(ManagedBackend):
    """Refuses to connect."""

    _pool = None

    def __init__(self, database_url: DatabaseURL | str, **options: Any) -> None:
        self._dialect = dialects[DatabaseURL(database_url).dialect]
        self.display_name = self._dialect.name

    def _refuse(self) -> NoReturn:
        raise NotSupportedError(
            f"{self.display_name} cannot be connected to, because its dialect has no driver: "
            f"define `drivers` of {type(self._dialect).__name__}."
        )

    @property
    def driver(self) -> NoReturn:  # type: ignore[override]
        """Raises `NotSupportedError`."""
        self._refuse()

    def connection(self) -> NoReturn:
        """Raises `NotSupportedError`."""
        self._refuse()

    async def connect(self) -> None:
        """Raises `NotSupportedError`."""
        self._refuse()

    async def engine_arguments(self) -> NoReturn:
        """Raises `NotSupportedError`."""
        self._refuse()

    async def open_raw(self) -> NoReturn:
        """Raises `NotSupportedError`."""
        self._refuse()

    async def set_statement_timeout(self, raw: Any, seconds: float) -> None:
        """There are no connections."""

    async def check(self, raw: Any) -> None:
        """There are no connections."""

    def is_open(self, raw: Any) -> bool:
        """There are no connections."""
        return False

    def is_clean(self, raw: Any) -> bool:
        """There are no connections."""
        return False

    async def clean(self, raw: Any, *, dirty: bool) -> bool:
        """There are no connections."""
        return False

    async def close_connection(self, raw: Any) -> None:
        """There are no connections."""

    def terminate(self, raw: Any) -> None:
        """There are no connections."""

"""YugabyteDB's dialect, whose SQL layer is PostgreSQL's own code. Written from its documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from orm.database.postgresql.dialect import PostgreSQLDialect

VERSION = re.compile(r"-YB-(\d+)\.(\d+)\.(\d+)")
# Advisory locks came with the preview version 2.25.1 and the stable version after it, which is named by its year.
FIRST_WITH_ADVISORY_LOCKS = (2, 25, 1), (2025, 1, 0)
NO_ADVISORY_LOCKS = (
    "YugabyteDB before 2025.1 has no advisory locks: keep a table of locks with a row for each name, and lock the row "
    "with select_for_update() in a transaction."
)


class YugabyteDBDialect(PostgreSQLDialect):
    """YugabyteDB 2.20 and newer, through asyncpg."""

    name = "yugabytedb"
    sqlalchemy_name = "postgresql"
    position_query = None
    lag_query = None
    server_query: ClassVar[str | None] = "SELECT version()"

    refused_table_options: ClassVar[Mapping[str, str]] = {
        "deferrable": "YugabyteDB checks unique constraints at once: it has no deferrable=.",
        "exclusion": "YugabyteDB has no exclusion constraints: check the rows in a transaction.",
    }

    def adapt(self, answer: Any) -> None:
        """Adapt to the version of a server: ``PostgreSQL 15.2-YB-2025.1.0.0-b0 …``."""
        match = VERSION.search(str(answer))
        version = tuple(map(int, match.groups())) if match else (0, 0, 0)
        preview, stable = FIRST_WITH_ADVISORY_LOCKS
        if version < (stable if version >= (2000,) else preview):
            self.lacks = {**self.lacks, "advisory_lock": NO_ADVISORY_LOCKS}

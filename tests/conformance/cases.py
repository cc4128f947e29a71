"""`Case`: a query that Django and `orm` must answer alike; `Area`: the cases about one topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.conformance.compare import Query

KINDS = ("sqlite", "postgresql", "mysql")
MYSQL_ITSELF = "mysql itself"
"""The database of a difference that MariaDB does not have; "mysql" is both, "mariadb" is MariaDB alone."""


@dataclass(frozen=True)
class Case:
    """A query: written once for both ORMs, or once for each if the spelling differs.

    Attributes:
        name: a description of the query; unique in its area.
        query: takes the models and the namespace of expressions, and returns what is compared: a queryset, or
            what awaiting gives. A generator yields each thing to be awaited and returns what is compared.
        theirs: the query in Django's spelling, if it differs.
        ordered: whether the order of the rows is defined.
        writes: whether the query changes rows, so that it must be rolled back.
        differs: why our answer differs on purpose, by database (see `MYSQL_ITSELF`).
        statements: why the number of statements may differ; "" if it may not.
        fewer: why we may send fewer statements than Django (never more).
        point: the number of the known trap that the case shows, or 0.
    """

    area: str
    name: str
    query: Query
    theirs: Query | None = None
    ordered: bool = False
    writes: bool = False
    differs: Mapping[str, str] = field(default_factory=dict)
    statements: str = ""
    fewer: str = ""
    point: int = 0

    def difference(self, kind: str, server: str) -> str | None:
        """Why our answer differs on a database of this kind, whose server is of the dialect `server`."""
        return self.differs.get(kind) or self.differs.get(MYSQL_ITSELF if server == "mysql" else server)


class Area:
    """The cases about one topic. Call it to add one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cases: list[Case] = []

    def __call__(
        self,
        name: str,
        query: Query,
        *,
        theirs: Query | None = None,
        ordered: bool = False,
        writes: bool = False,
        differs: str | Mapping[str, str] = "",
        statements: str = "",
        fewer: str = "",
        point: int = 0,
    ) -> None:
        """Add a case: see `Case`. `differs` as a string applies to every database."""
        if any(case.name == name for case in self.cases):
            raise ValueError(f"two cases of {self.name} are called {name!r}")
        if isinstance(differs, str):
            differs = dict.fromkeys(KINDS, differs) if differs else {}
        new_case = Case(self.name, name, query, theirs, ordered, writes, differs, statements, fewer, point)
        self.cases.append(new_case)

"""`Case`: a query that Django and `orm` must answer alike; `Area`: the cases about one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.conformance.compare import Query

KINDS = ("sqlite", "postgresql", "mysql")


@dataclass(frozen=True)
class Case:
    """One query, spelled once for both, or once for each where the spelling differs.

    Attributes:
        name: what is asked, in words; unique in its area.
        query: takes the models and the namespace of expressions, and returns what is compared: a queryset, or
            what awaiting gives. A generator yields each thing to be awaited and returns what is compared.
        theirs: Django's spelling, where it is another.
        ordered: whether the order of the rows is defined.
        writes: whether rows are changed, so that it must be undone.
        differs: why we differ on purpose, by kind of database.
        statements: why another number of statements is right; "" where the same number must be sent.
        fewer: why we may send fewer than Django; never more.
        point: the number of the known trap that it is about, 0 if none.
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


class Area:
    """The cases about one thing; call it to add one."""

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
        """Add a case; see `Case`. `differs` as a text holds for every kind of database."""
        if any(case.name == name for case in self.cases):
            raise ValueError(f"two cases of {self.name} are called {name!r}")
        if isinstance(differs, str):
            differs = dict.fromkeys(KINDS, differs) if differs else {}
        new_case = Case(self.name, name, query, theirs, ordered, writes, differs, statements, fewer, point)
        self.cases.append(new_case)

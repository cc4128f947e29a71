"""Players of teams of organisations: two levels of relations, with NULLs at every level.

`team` and `org` may be null, `home` and `league` may not, which gives each kind of path:
``team__org__name``, ``team__league__name``, ``home__org__name``, ``home__league__name``. The rows are plain
data, so that a test can work out in Python what a query must find.
"""

from __future__ import annotations

import datetime
from typing import Any

import databases

import orm

models = orm.ModelRegistry()


class Org(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, trim_whitespace=False)
    size = orm.Integer(allow_null=True)

    class Meta:
        ordering = ["-name"]


class Team(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, trim_whitespace=False)
    org: Any = orm.ForeignKey(Org, allow_null=True, on_delete=orm.SET_NULL, related_name="+")
    league: Any = orm.ForeignKey(Org, on_delete=orm.CASCADE, related_name="+")


class Player(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, trim_whitespace=False)
    nick = orm.String(max_length=50, allow_null=True, allow_blank=True, trim_whitespace=False)
    score = orm.Integer(allow_null=True)
    rank = orm.Integer(default=0)
    joined = orm.Date(allow_null=True)
    active = orm.Boolean(default=True)
    team: Any = orm.ForeignKey(Team, allow_null=True, on_delete=orm.CASCADE, related_name="+")
    home: Any = orm.ForeignKey(Team, on_delete=orm.CASCADE, related_name="+")


class Tag(orm.Model):
    """Something with a unique name, for races."""

    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=50, unique=True)
    uses = orm.Integer(default=0)
    note = orm.String(max_length=50, allow_null=True)


ORGS: list[dict[str, Any]] = [
    {"id": 1, "name": "Acme", "size": 10},
    {"id": 2, "name": "acme", "size": None},
    {"id": 3, "name": "Ölwerk", "size": 30},
    {"id": 4, "name": "B1", "size": 10},
]
TEAMS: list[dict[str, Any]] = [
    {"id": 1, "name": "Red", "org": 1, "league": 1},
    {"id": 2, "name": "Blue", "org": None, "league": 2},
    {"id": 3, "name": "red 100%", "org": 2, "league": 3},
    {"id": 4, "name": "Grün", "org": 3, "league": 1},
]
_PLAYERS: list[tuple[Any, ...]] = [
    (1, "Ann", "annie", 10, 1, datetime.date(2024, 1, 1), True, 1, 1),
    (2, "ann", None, None, 2, None, False, 1, 2),
    (3, "Bob", "", 5, 3, datetime.date(2024, 2, 29), True, 2, 1),
    (4, "100%", "a_b", 5, 4, datetime.date(2023, 12, 31), True, 3, 2),
    (5, "100x", "axb", 0, 5, None, False, None, 2),
    (6, "back\\slash", "!bang", -5, 6, datetime.date(2024, 1, 1), True, None, 3),
    (7, "star*", "what?", None, 7, datetime.date(2025, 5, 5), True, 4, 4),
    (8, "[set]", "s]et[", 10, 8, None, True, 4, 3),
    (9, "ÄRGER", "Straße", 2_000_000_000, 9, datetime.date(2024, 2, 29), False, 3, 3),
    (10, "ärger", "STRASSE", 7, 10, None, True, 2, 4),
    (11, 'it\'s "q"; --', "%", 3, 11, datetime.date(1999, 12, 31), False, 1, 1),
    (12, "Zed ", " pad", 1, 12, datetime.date(2024, 3, 1), True, None, 1),
    (13, "Zed", "emoji 🎉", 1, 13, None, True, 2, 2),
    (14, "two\nlines", "_", 10, 14, datetime.date(2024, 3, 1), False, 1, 4),
]
PLAYERS: list[dict[str, Any]] = [
    dict(zip(("id", "name", "nick", "score", "rank", "joined", "active", "team", "home"), row, strict=True))
    for row in _PLAYERS
]
_TABLES: dict[str, dict[int, dict[str, Any]]] = {
    "team": {row["id"]: row for row in TEAMS},
    "home": {row["id"]: row for row in TEAMS},
    "org": {row["id"]: row for row in ORGS},
    "league": {row["id"]: row for row in ORGS},
}


def value_at(row: dict[str, Any], path: str) -> Any:
    """The value at a path such as ``team__org__name`` of a player's row; None if a relation is null."""
    current: Any = row
    parts = path.split("__")
    for position, part in enumerate(parts):
        current = current["id" if part == "pk" else part.removesuffix("_id")]
        if position < len(parts) - 1 and part in _TABLES:
            if current is None:
                return None
            current = _TABLES[part][current]
    return current


async def create(database: databases.Database) -> None:
    """Create empty tables in `database`, and make the models use it."""
    models.database = database
    await models.create_all()


async def fill() -> None:
    """Insert the rows. The database generates their keys, which are those of the constants."""
    for model, rows in ((Org, ORGS), (Team, TEAMS), (Player, PLAYERS)):
        unnumbered = [{name: value for name, value in row.items() if name != "id"} for row in rows]
        instances: list[Any] = await model.objects.bulk_create(unnumbered)
        assert [instance.pk for instance in instances] == [row["id"] for row in rows]

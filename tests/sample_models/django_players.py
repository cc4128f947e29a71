"""The models of `players` in Django, on the same tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from databases import DatabaseURL
from django.db import connections
from django.db import models as fields

import tests.django_settings  # noqa: F401 - models need a configured Django

# Django's synchronous calls block the event loop, which is fine: nothing else runs on it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
ALIAS = "world"
ENGINES = {"sqlite": "sqlite3", "postgresql": "postgresql", "mysql": "mysql"}


class Org(fields.Model):
    name = fields.CharField(max_length=50)
    size = fields.IntegerField(null=True)

    class Meta:
        app_label = "world"
        db_table = "org"
        managed = False
        ordering = ("-name",)


class Team(fields.Model):
    name = fields.CharField(max_length=50)
    org = fields.ForeignKey(Org, fields.DO_NOTHING, null=True, db_column="org", related_name="+")
    league = fields.ForeignKey(Org, fields.DO_NOTHING, db_column="league", related_name="+")

    class Meta:
        app_label = "world"
        db_table = "team"
        managed = False


class Player(fields.Model):
    name = fields.CharField(max_length=50)
    nick = fields.CharField(max_length=50, null=True)
    score = fields.IntegerField(null=True)
    rank = fields.IntegerField(default=0)
    joined = fields.DateField(null=True)
    active = fields.BooleanField(default=True)
    team = fields.ForeignKey(Team, fields.DO_NOTHING, null=True, db_column="team", related_name="+")
    home = fields.ForeignKey(Team, fields.DO_NOTHING, db_column="home", related_name="+")

    class Meta:
        app_label = "world"
        db_table = "player"
        managed = False


class Tag(fields.Model):
    name = fields.CharField(max_length=50, unique=True)
    uses = fields.IntegerField(default=0)
    note = fields.CharField(max_length=50, null=True)

    class Meta:
        app_label = "world"
        db_table = "tag"
        managed = False


@contextmanager
def connected(url: str) -> Iterator[str]:
    """The alias of a Django connection to the database at this URL, while the block runs.

    Django keeps a connection for each context of a thread with an event loop: enter the block in the one that queries.
    """
    parsed = DatabaseURL(url)
    settings: dict[str, Any] = {
        "ENGINE": f"django.db.backends.{ENGINES[parsed.dialect]}",
        "NAME": parsed.database,
        "HOST": parsed.hostname or "",
        "PORT": parsed.port or "",
        "USER": parsed.username or "",
        "PASSWORD": parsed.password or "",
    }
    if parsed.dialect == "mysql":
        settings["OPTIONS"] = {"charset": "utf8mb4", "isolation_level": "repeatable read"}
    if parsed.options:
        settings["HOST"] = parsed.options.get("host", settings["HOST"])
    connections.settings[ALIAS] = connections.configure_settings({"default": {}, ALIAS: settings})[ALIAS]
    try:
        yield ALIAS
    finally:
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.settings[ALIAS]

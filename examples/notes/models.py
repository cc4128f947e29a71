"""The model of both services, and its database: `DATABASE_URL`, or the file `notes.db`."""

from __future__ import annotations

import os

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ.get("DATABASE_URL", "sqlite:///notes.db")))


class Note(orm.Model):
    """A note."""

    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=100, unique=True, title="Title")
    text = orm.Text(allow_blank=True, title="Text")
    completed = orm.Boolean(default=False, index=True, title="Completed")
    created = orm.DateTime(timezone=True, auto_now_add=True)

    class Meta:
        tablename = "notes"
        ordering = ["-id"]

"""The models, and their database: `DATABASE_URL`, or the file `wiki.db`."""

from __future__ import annotations

import os

import orm

models = orm.ModelRegistry(database=orm.Database(os.environ.get("DATABASE_URL", "sqlite:///wiki.db")))


class Page(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=100, unique=True, pattern=r"^\w[^/?#]*$", title="Title")
    text = orm.Text(title="Text")
    version = orm.Version()

    class Meta:
        tablename = "pages"
        ordering = ["title"]


class Revision(orm.Model):
    """The text that a page had in one version."""

    registry = models

    id = orm.Integer(primary_key=True)
    page = orm.ForeignKey(Page, on_delete=orm.CASCADE, related_name="revisions")
    number = orm.Integer()
    text = orm.Text()
    saved = orm.DateTime(timezone=True, auto_now_add=True)

    class Meta:
        tablename = "revisions"
        ordering = ["-number"]
        constraints = [orm.UniqueConstraint("page", "number", name="one_revision_per_version")]

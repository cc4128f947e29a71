"""The models of the tests of sessions, and the same tables mapped by SQLAlchemy's ORM."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import registry, relationship

import orm

models = orm.ModelRegistry()


class Author(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)

    notes: orm.RelatedManager[Note]


class Tag(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100, unique=True)


class Note(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    text = orm.String(max_length=100)
    views = orm.Integer(default=0)
    author = orm.ForeignKey(Author, allow_null=True, related_name="notes", on_delete=orm.CASCADE)
    tags = orm.ManyToMany(Tag, related_name="notes")


class Profile(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    bio = orm.String(max_length=100)
    author = orm.OneToOne(Author, related_name="profile", on_delete=orm.CASCADE)


class Employee(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    manager = orm.ForeignKey("Employee", allow_null=True, related_name="reports", on_delete=orm.SET_NULL)


class Left(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    right = orm.ForeignKey("Right", allow_null=True, related_name="lefts", on_delete=orm.SET_NULL)


class Right(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=100)
    left = orm.ForeignKey(Left, allow_null=True, related_name="rights", on_delete=orm.SET_NULL)


class Page(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    title = orm.String(max_length=100)
    version = orm.Version()


class Document(orm.Model):
    registry = models

    id = orm.Integer(primary_key=True)
    data = orm.JSON(mutable=True)
    plain = orm.JSON(allow_null=True, mutable=False)


class Place(orm.Model):
    """A model whose key the program gives."""

    registry = models

    code = orm.String(max_length=20, primary_key=True)
    name = orm.String(max_length=100)


class Stay(orm.Model):
    """A model with a composite key."""

    registry = models

    place = orm.String(max_length=20, primary_key=True)
    day = orm.Integer(primary_key=True)
    guests = orm.Integer()


MODELS = (Author, Tag, Note, Profile, Employee, Left, Right, Page, Document, Place, Stay)
_mapped: dict[str, Any] = {}


def sqlalchemy_classes() -> dict[str, Any]:
    """Classes of SQLAlchemy's ORM for the tables of the models, by the model's name; mapped once."""
    if _mapped:
        return _mapped
    models.database = None
    mapper = registry(metadata=models.metadata)
    defaults: dict[str, dict[str, Any]] = {"Note": {"views": 0}}

    def made(model: type[orm.Model]) -> Any:
        name = model.__name__

        def init(self: Any, **values: Any) -> None:
            for key, value in {**defaults.get(name, {}), **values}.items():
                setattr(self, key, value)

        return type(name, (), {"__init__": init})

    classes = {model.__name__: made(model) for model in MODELS}
    table = {model.__name__: model.table for model in MODELS}
    pairs = models.metadata.tables["note_tags"]
    options = {"passive_deletes": True}
    properties: dict[str, dict[str, Any]] = {
        "Author": {
            "notes": relationship(classes["Note"], back_populates="author", passive_deletes="all"),
            "profile": relationship(classes["Profile"], back_populates="author", uselist=False, passive_deletes="all"),
        },
        "Note": {
            "author": relationship(classes["Author"], back_populates="notes"),
            "tags": relationship(classes["Tag"], secondary=pairs, back_populates="notes", **options),
        },
        "Tag": {"notes": relationship(classes["Note"], secondary=pairs, back_populates="tags", **options)},
        "Profile": {"author": relationship(classes["Author"], back_populates="profile")},
        "Employee": {
            "manager": relationship(
                classes["Employee"], remote_side=[table["Employee"].c.id], post_update=False, passive_deletes="all"
            )
        },
        "Left": {"right": relationship(classes["Right"], foreign_keys=[table["Left"].c.right], post_update=True)},
        "Right": {"left": relationship(classes["Left"], foreign_keys=[table["Right"].c.left], post_update=True)},
    }
    renamed = {"author": "author_id", "manager": "manager_id", "right": "right_id", "left": "left_id"}
    for name, cls in classes.items():
        columns = {
            renamed.get(column.name, column.name): column for column in table[name].columns if column.name in renamed
        }
        more: dict[str, Any] = {"version_id_col": table["Page"].c.version} if name == "Page" else {}
        mapper.map_imperatively(cls, table[name], properties={**columns, **properties.get(name, {})}, **more)
    sqlalchemy.orm.configure_mappers()
    MutableDict.associate_with_attribute(classes["Document"].data)
    _mapped.update(classes)
    return _mapped

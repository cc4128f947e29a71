"""`Hop` and `Relation`: the joins between two models, and a relation as one of them sees it."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import ColumnElement, FromClause, and_

from orm.exceptions import FieldError, NoMatch, QueryError
from orm.fields import Field
from orm.utils.articles import with_article

if TYPE_CHECKING:
    from orm.models import Model


def missing_error(model: type[Model], attribute: str, target: type[Model]) -> type[NoMatch]:
    """The error of a relation's attribute that has no row: as in Django, ``Album.cover.RelatedObjectDoesNotExist``.

    It is pickled by that name.
    """
    name = "RelatedObjectDoesNotExist"
    names = {"__module__": model.__module__, "__qualname__": f"{model.__qualname__}.{attribute}.{name}"}
    return type(name, (target.DoesNotExist, AttributeError), names)


class Hop(Protocol):
    """One join on the way from a model's table to a related one."""

    @property
    def name(self) -> str:
        """The name in lookups."""

    @property
    def many(self) -> bool:
        """Whether there may be several rows on the other side."""

    @property
    def allow_null(self) -> bool:
        """Whether there may be no row on the other side."""

    @property
    def target(self) -> type[Model]:
        """The model on the other side."""

    @property
    def local_columns(self) -> tuple[str, ...]:
        """The columns on this side, to be compared with `remote_columns` pair by pair."""

    @property
    def remote_columns(self) -> tuple[str, ...]:
        """The columns on the other side."""


class Relation(Protocol):
    """A relation as one of its models sees it, on instances and in lookups: forward, reverse or many-to-many."""

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str:
        """The name in lookups."""

    @property
    def accessor(self) -> str:
        """The attribute of instances."""

    @property
    def many(self) -> bool:
        """Whether an instance has a manager of several related instances, or a single one."""

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The joins to the target: one, or two over a through model."""

    @property
    def target(self) -> type[Model]:
        """The model on the other side."""

    @property
    def key(self) -> Field[Any]:
        """The key of the target, which ``filter(tracks=track)`` compares."""


def join_condition(join: Hop, left: FromClause, right: FromClause) -> ColumnElement[bool]:
    """The ON clause of a join."""
    columns = zip(join.local_columns, join.remote_columns, strict=True)
    return and_(*(left.c[local] == right.c[remote] for local, remote in columns))


def column_equalities(local: Sequence[ColumnElement[Any]], join: Hop, right: FromClause) -> list[ColumnElement[bool]]:
    """The conditions that the remote columns of a join, in the table `right`, equal the `local` ones."""
    return [right.c[name] == column for name, column in zip(join.remote_columns, local, strict=True)]


def find_target(to: type[Model] | str, model: type[Model]) -> type[Model] | None:
    """The model that `to` stands for in a relation of `model`; None if it is not declared yet.

    ``"self"`` is the model itself, ``"Album"`` one of its registry, ``"shop.models.Album"`` one of that module.
    """
    if not isinstance(to, str):
        return to
    if to in ("self", model.__name__):
        return model
    module, _, name = to.rpartition(".")
    if not module:
        return model._meta.registry.find(to)
    # The module is not imported here: the application decides in which order it imports its modules.
    target: type[Model] | None = getattr(sys.modules.get(module), name, None)
    if target is None:
        registered = model._meta.registry.find(name)
        target = registered if registered is not None and registered.__module__ == module else None
    return target if hasattr(target, "_meta") else None


def check_target(to: Any) -> None:
    """Raise `FieldError` unless `to` is a model with a table, or the name of a model."""
    if not isinstance(to, str) and not hasattr(to, "_meta"):
        type_name = getattr(to, "__name__", type(to).__name__)
        raise FieldError(f"A relation takes a model or the name of one, got {type_name}.")
    if not isinstance(to, str) and to._meta.abstract:
        raise FieldError(f"A relation cannot lead to {to.__name__}, which is abstract and has no rows.")


def format_related_name(name: str | None, owner: str) -> str | None:
    """A `related_name` or `related_query_name` with ``%(class)s`` replaced by the name of the declaring model."""
    return None if name is None else name.replace("%(class)s", owner.lower())


def check_related_name(name: str | None, what: str) -> None:
    """Raise `FieldError` unless `name` can be the name of a reverse relation. `what` is the option it was passed as."""
    if name is None or name.endswith("+"):
        return
    bare = name.replace("%(class)s", "x") if isinstance(name, str) else ""
    if not bare.isidentifier() or keyword.iskeyword(bare) or bare.startswith("_") or "__" in bare or bare.endswith("_"):
        raise FieldError(
            f"{what}={name!r} cannot be the name of a reverse relation: it must be a Python identifier that "
            "neither begins nor ends with an underscore and has no double underscore, at which lookups are split. "
            "A plus at its end hides the reverse relation."
        )


def key_values(label: str, target: type[Model], fields: Sequence[Field[Any]], value: Any) -> tuple[Any, ...]:
    """The values of the target's key `fields` for `value`: an instance, a key, or a tuple of the parts of a key.

    Raises `QueryError` as `key_value` does, and for a tuple of the wrong length.
    """
    if len(fields) == 1 or hasattr(value, "_meta"):
        return tuple(key_value(label, target, field, value) for field in fields)
    if not isinstance(value, (tuple, list)) or len(value) != len(fields):
        names = ", ".join(field.name for field in fields)
        raise QueryError(
            f"{label} takes {target.__name__} instances, or tuples of their key ({names}); got {type(value).__name__}."
        )
    return tuple(field.to_python(part) for field, part in zip(fields, value, strict=True))


def key_value(label: str, target: type[Model], field: Field[Any], value: Any) -> Any:
    """The value to compare a relation's key `field` with: that of an instance, or `value` converted by the field.

    Raises `QueryError` for an instance of another model, or one without a value for the field.
    """
    if not hasattr(value, "_meta"):
        return field.to_python(value)
    if not isinstance(value, target._meta.instance_class):
        if value._meta.concrete in target._meta.ancestors and value.pk is not None:
            return field.to_python(value.pk)  # The row of the target that begins with this row has its key.
        raise QueryError(f"{label} is compared with {target.__name__} instances, got {type(value).__name__}.")
    key = getattr(value, field.attname, None)  # also of a lazy object that stands for an instance
    if key is None:
        raise QueryError(
            f"{label} is compared with {with_article(target.__name__)} that has no {field.name}: save it first."
        )
    return key

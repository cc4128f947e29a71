"""`Hop` and `Relation`: how one model's rows lead to another's."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import ColumnElement, FromClause, and_

from orm.exceptions import FieldError, QueryError
from orm.fields import Field

if TYPE_CHECKING:
    from orm.models import Model


class Hop(Protocol):
    """One step of a path from a model's table to a related one: one join."""

    @property
    def name(self) -> str:
        """What stands for it in lookups."""

    @property
    def many(self) -> bool:
        """Whether there can be several rows at the other end."""

    @property
    def allow_null(self) -> bool:
        """Whether there can be none."""

    @property
    def target(self) -> type[Model]:
        """The model at the other end."""

    @property
    def local_columns(self) -> tuple[str, ...]:
        """The columns on this side that must equal `remote_columns`, one by one, on the other."""

    @property
    def remote_columns(self) -> tuple[str, ...]:
        """The columns on the other side."""


class Relation(Protocol):
    """One end of a relation, as a model's instances and lookups have it: forward, reverse or many-to-many.

    `key` is what a comparison with the relation compares, ``filter(tracks=track)``.
    """

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str:
        """What stands for it in lookups."""

    @property
    def accessor(self) -> str:
        """The attribute of an instance."""

    @property
    def many(self) -> bool:
        """Whether an instance has several related ones, under a manager, or one."""

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The joins to the target, one or two."""

    @property
    def target(self) -> type[Model]:
        """The model at the other end."""

    @property
    def key(self) -> Field[Any]:
        """What is compared: the key of the target."""


def join_condition(hop: Hop, left: FromClause, right: FromClause) -> ColumnElement[bool]:
    """The condition that joins the two tables of a hop."""
    columns = zip(hop.local_columns, hop.remote_columns, strict=True)
    return and_(*(left.c[here] == right.c[there] for here, there in columns))


def column_equalities(local: Sequence[ColumnElement[Any]], hop: Hop, right: FromClause) -> list[ColumnElement[bool]]:
    """The near columns of a hop, each equal to its column of the table at the far end."""
    return [there == here for here, there in zip(local, (right.c[name] for name in hop.remote_columns), strict=True)]


def find_target(to: type[Model] | str, model: type[Model]) -> type[Model] | None:
    """The model that a relation of `model` names, None while it is not there.

    ``"self"`` is the model itself, ``"Album"`` one of its registry, ``"shop.models.Album"`` the one of that module.
    """
    if not isinstance(to, str):
        return to
    if to in ("self", model.__name__):
        return model
    module, _, name = to.rpartition(".")
    if not module:
        return model._meta.registry.find(to)
    # Not imported here: that is the application's to do, and in which order.
    found: type[Model] | None = getattr(sys.modules.get(module), name, None)
    if found is None:
        own = model._meta.registry.find(name)
        found = own if own is not None and own.__module__ == module else None
    return found if hasattr(found, "_meta") else None


def check_to(to: Any) -> None:
    """Raise `FieldError` unless a relation can lead there: a model with a table, or the name of one."""
    if not isinstance(to, str) and not hasattr(to, "_meta"):
        given = getattr(to, "__name__", type(to).__name__)
        raise FieldError(f"A relation takes a model or the name of one, got {given}.")
    if not isinstance(to, str) and to._meta.abstract:
        raise FieldError(f"A relation cannot lead to {to.__name__}, which is abstract and has no rows.")


def format_related_name(name: str | None, owner: str) -> str | None:
    """A related_name or related_query_name, with the name of the model that declares it for ``%(class)s``."""
    return None if name is None else name.replace("%(class)s", owner.lower())


def check_related_name(name: str | None, what: str) -> None:
    """Raise `FieldError` unless a way back can be called so. `what` is the option."""
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
    """The values of the target's `fields` that `value` stands for: an instance, a key, or a tuple of its parts.

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
    """The key that a relation is compared with: of an instance the value of `field`, else what `field` makes of it.

    Raises `QueryError` for an instance of another model and for one that is not saved.
    """
    if not hasattr(value, "_meta"):
        return field.to_python(value)
    if not isinstance(value, target):
        given = getattr(type(value), "__name__", value)
        raise QueryError(f"{label} is compared with {target.__name__} instances, got {given}.")
    key = value.__dict__.get(field.attname)
    if key is None:
        raise QueryError(f"{label} is compared with a {target.__name__} that has no {field.name}: save it first.")
    return key

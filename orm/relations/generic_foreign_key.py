"""`GenericForeignKey`: a relation to one row of one of several models."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import sqlalchemy

from orm.database.sql.ddl import check_beside_set_null
from orm.exceptions import FieldError, QueryError
from orm.expressions.base import Q
from orm.relations.base import check_target
from orm.relations.composed import Composed, ComposedExpression
from orm.relations.expressions import RelationExpression, UnknownAttribute
from orm.relations.foreign_key import ForeignKey
from orm.relations.to_one import NO_ACTION, SET_NULL, check_on_delete

if TYPE_CHECKING:
    from orm.models import Model

M = TypeVar("M", bound="Model | None")
A = TypeVar("A", bound="Model")
B = TypeVar("B", bound="Model")
C = TypeVar("C", bound="Model")
D = TypeVar("D", bound="Model")


class GenericForeignKey(Composed, Generic[M]):
    """A relation to one row of one of several models: the subject of a comment is an album or a track.

        class Comment(orm.Model):
            subject = orm.GenericForeignKey(Album, Track, on_delete=orm.CASCADE, related_name="comments")

    It consists of one nullable `ForeignKey` per model, named after it (``subject_album``, ``subject_track``), so that
    the database enforces each of them, and of a CHECK that exactly one is set (at most one with `allow_null=True`).
    MySQL and MariaDB do not support a CHECK together with `on_delete=SET_NULL`, so there it is left out.

    On an instance it is the related instance, which holds only its key until it is loaded. ``filter(subject=album)``
    compares it, ``filter(subject__album__name=...)`` follows it to one of the models. Each of these has the reverse
    relation `related_name`.
    """

    if TYPE_CHECKING:

        @overload
        def __init__(self: GenericForeignKey[A | B], first: type[A], second: type[B], **options: Any) -> None: ...
        @overload
        def __init__(
            self: GenericForeignKey[A | B | C], first: type[A], second: type[B], third: type[C], **options: Any
        ) -> None: ...
        @overload
        def __init__(
            self: GenericForeignKey[A | B | C | D],
            first: type[A],
            second: type[B],
            third: type[C],
            fourth: type[D],
            **options: Any,
        ) -> None: ...
        @overload
        def __init__(self: GenericForeignKey[Any], *to: type[Model] | str, **options: Any) -> None: ...
        def __init__(self: Any, *to: Any, **options: Any) -> None: ...

        @overload
        def __get__(self, instance: None, owner: type) -> Any: ...
        @overload
        def __get__(self, instance: object, owner: type) -> M: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...
        def __set__(self, instance: object, value: M | None) -> None: ...

    else:

        def __init__(
            self, *to, allow_null=False, on_delete=NO_ACTION, related_name=None, related_query_name=None, index=False
        ):
            for target in to:
                check_target(target)
            check_on_delete(on_delete, allow_null)
            if len(to) < 2:
                raise FieldError("A GenericForeignKey leads to several models; for a single one, use a ForeignKey.")
            self.to = to
            self.allow_null = allow_null
            self.options = {
                "on_delete": on_delete,
                "related_name": related_name,
                "related_query_name": related_query_name,
                "index": index,
            }

        def __get__(self, instance, owner):
            if instance is None:
                return self.expression(owner)
            for key in self.keys:
                related = key.related(instance)
                if related is not None:
                    return related
            return None

        def __set__(self, instance, value):
            chosen = None if value is None else self.key_for(value)
            for key in self.keys:
                setattr(instance, key.name, value if key is chosen else None)

    to: tuple[type[Model] | str, ...]
    allow_null: bool
    options: dict[str, Any]

    def make_fields(self, name: str, owner: str) -> dict[str, ForeignKey[Any]]:
        """The foreign keys of the relation `name`, by their names: ``subject_album``. `owner` is the model's name."""
        targets = {}
        for target in self.to:
            target_name = target.rpartition(".")[2] if isinstance(target, str) else target.__name__
            targets[(owner if target_name == "self" else target_name).lower()] = target
        if len(targets) < len(self.to):
            raise FieldError(f"{owner}.{name} leads to two models of one name.")
        self.names = {target_name: f"{name}_{target_name}" for target_name in targets}
        self.field_names = tuple(self.names.values())
        return {self.names[each]: ForeignKey(to, allow_null=True, **self.options) for each, to in targets.items()}

    names: dict[str, str]
    """The names of the foreign keys, by the name of their model in lookups."""

    @property
    def keys(self) -> tuple[ForeignKey[Any], ...]:
        """The foreign keys."""
        return self.fields  # type: ignore[return-value]

    def key_for(self, value: Any) -> ForeignKey[Any]:
        """The foreign key to the model of an instance or a query. Raises `FieldError` if there is none."""
        query = getattr(value, "_query", None)
        model = query.info.model if query is not None else type(value)
        for key in self.keys:
            if issubclass(model, key.target):
                return key
        targets = ", ".join(key.target.__name__ for key in self.keys)
        raise FieldError(
            f"{self.label} takes instances of {targets}, got {model.__name__}. "
            f"To give a key, name the model: {self.keys[0].attname}=..."
        )

    def expression(self, model: type[Model], via: tuple[str, ...] = ()) -> GenericExpression:
        """The relation as an expression on `model`, reached over `via`."""
        return GenericExpression(model, self, via)

    def constraint(self) -> sqlalchemy.CheckConstraint:
        """The CHECK that exactly one foreign key is set, or at most one."""
        columns: list[sqlalchemy.ColumnElement[Any]] = [sqlalchemy.column(key.column_name) for key in self.keys]
        is_set: list[sqlalchemy.ColumnElement[int]] = [
            sqlalchemy.case((column.is_not(None), 1), else_=0) for column in columns
        ]
        total = reduce(operator.add, is_set)
        name = f"{self.model._meta.tablename}_{self.name}_check"
        check = sqlalchemy.CheckConstraint(total <= 1 if self.allow_null else total == 1, name=name)
        return check_beside_set_null(check) if self.options["on_delete"] == SET_NULL else check

    def field_values(self, value: Any) -> dict[str, Any]:
        """The value for the foreign key to its model, and None for the others."""
        chosen = None if value is None else self.key_for(value)
        return {key.name: value if key is chosen else None for key in self.keys}

    def condition(self, prefix: str, lookup: str, value: Any) -> Q:
        """A lookup of the relation as conditions on its foreign keys. Raises `QueryError` for other lookups."""
        names = [f"{prefix}{name}" for name in self.field_names]
        if lookup == "isnull" or (lookup == "exact" and value is None):
            missing = Q(**{f"{name}__isnull": True for name in names})
            return missing if value is None or value is True else ~missing
        if lookup == "exact":
            return Q(**{f"{prefix}{self._key_for(value).name}": value})
        if lookup != "in":
            raise QueryError(
                f"{self.label} is compared with instances, with __in and __isnull; {lookup!r} is for a field of one of "
                f"its models: {self.name}__{next(iter(self.names))}__..."
            )
        if hasattr(value, "_query"):
            return Q(**{f"{prefix}{self._key_for(value).name}__in": value})
        groups: dict[str, list[Any]] = {}
        for item in value:
            if item is not None:
                groups.setdefault(self._key_for(item).name, []).append(item)
        if not groups:
            return Q(**{f"{names[0]}__in": []})
        return reduce(operator.or_, (Q(**{f"{prefix}{name}__in": items}) for name, items in groups.items()))

    def _key_for(self, value: Any) -> ForeignKey[Any]:
        try:
            return self.key_for(value)
        except FieldError as error:
            raise QueryError(str(error)) from None


class GenericExpression(ComposedExpression):
    """A generic relation on the class: ``Comment.subject == album``, ``Comment.subject.album.name == "x"``."""

    def __init__(self, model: type[Model], relation: GenericForeignKey[Any], path: tuple[str, ...] = ()) -> None:
        super().__init__(model, relation, path)
        self._relation = relation

    def __getattr__(self, name: str) -> Any:
        if name in self._relation.names:
            return RelationExpression(self._model, self._relation.names[name], self._path)
        choices = ", ".join(self._relation.names)
        raise UnknownAttribute(f"{self!r} leads to {choices}; it has no {name!r}.")

"""`RelationExpression`: a relation in an expression, such as ``Track.album`` or ``Album.tracks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orm.exceptions import FieldError
from orm.expressions.base import FieldExpression

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations.base import Relation


class UnknownAttribute(FieldError, AttributeError):
    """An attribute that is not a field. As an `AttributeError`, it makes ``hasattr()`` return False."""


class RelationExpression(FieldExpression[Any]):
    """A relation in an expression: ``Track.album``. Its attributes are the related model's fields."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattribute__(name)
        # The related model's fields take precedence over methods: one may be called `range` or `contains`.
        relation = self._relation()
        target = relation.target._meta
        field = target.fields.get(name) or target.by_attname.get(name)
        if name == "pk" and len(target.pk_fields) == 1:
            field = target.pk_fields[0]
        if field is None:
            if name in target.relations:
                return RelationExpression(self._model, name, self._path)
            composed = target.composed.get(name)
            if composed is not None:
                return composed.expression(self._model, self._path)
            return super().__getattribute__(name)
        if name != field.name and name != "pk":
            return FieldExpression(self._model, name, self._path)
        return field.expression(self._model, self._path)

    def _relation(self) -> Relation:
        model: type[Model] = self._model
        for name in self._path[:-1]:
            model = model._meta.relation(name).target
        return model._meta.relation(self._path[-1])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{self!r} has no {name!r}.")
        if name == "RelatedObjectDoesNotExist" and not self._relation().many:
            return getattr(self._relation(), "missing", None) or self._relation().target.DoesNotExist
        raise UnknownAttribute(str(self._relation().target._meta.unknown(name, f"an attribute of {self!r}")))

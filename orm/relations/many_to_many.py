"""`ManyToMany`: a relation kept in the rows of a model of its own, which points at both sides."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from orm.exceptions import FieldError
from orm.fields import Field
from orm.relations.base import Hop, check_related_name, check_to, find_target, format_related_name
from orm.relations.reverse import RelatedKey

if TYPE_CHECKING:
    from typing_extensions import Self

    from orm.models import ManyToManyManager, Model
    from orm.relations import ForwardRelation

T = TypeVar("T", bound="Model")


class ManyToMany(Generic[T]):
    """A relation to any number of rows of another model, each of which may have any number of these.

        tags = orm.ManyToMany("Tag", related_name="articles")

    `to` is a model, or the class name of one in the same registry (``"self"``: this one). The pairs are kept in the
    rows of `through`: a model with a `ForeignKey` to either side, which may have more fields. Without it one is made,
    ``Article_tags``. `through_fields` names its two foreign keys, own side first, where it has several. `related_name`
    names the way back, ``tag.articles``; `related_query_name` its name in lookups. A relation to the same model is
    `symmetrical` unless that is False: who is a friend has one.

    On an instance it is a manager: ``await article.tags.filter(name="x")``, ``await article.tags.add(tag)``.
    """

    def __init__(
        self,
        to: type[T] | str,
        *,
        through: type[Model] | str | None = None,
        through_fields: tuple[str, str] | None = None,
        related_name: str | None = None,
        related_query_name: str | None = None,
        symmetrical: bool | None = None,
        tablename: str | None = None,
    ) -> None:
        check_to(to)
        check_related_name(related_name, "related_name")
        check_related_name(related_query_name, "related_query_name")
        if through is not None:
            check_to(through)
            if tablename is not None:
                raise FieldError("tablename is of a through model that is made: leave it out, or through.")
        elif through_fields is not None:
            raise FieldError("through_fields are of a through model of your own: give through=, too.")
        if through_fields is not None and (isinstance(through_fields, str) or len(through_fields) != 2):
            raise FieldError("through_fields are two names: the foreign key to this side, and the one to the other.")
        self.to: type[Model] | str = to
        self.through: type[Model] | str | None = through
        self.through_fields = through_fields
        self.related_name = related_name
        self.related_query_name = related_query_name
        self.tablename = tablename
        self._symmetrical = symmetrical
        self.name = ""
        self.model: type[Model]
        self.is_installed = False
        """Whether both ends are known to their models."""
        self.made: type[Model] | None = None
        """The through model, if it was made for the relation."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> ManyToManyManager[T]: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...

    else:

        def __get__(self, instance, owner):
            # Only until both sides are there: then the class has the relation's accessor in its place.
            if self.model._meta.abstract:
                return self
            self.model._meta.registry.require(self)
            return getattr(owner if instance is None else instance, self.name)

    def reset(self) -> None:
        """Forget the through model that was made, and what follows from it."""
        self.is_installed = False
        if self.made is not None:
            self.through = self.made = None
        for name in ("through_model", "keys", "forward", "backward"):
            self.__dict__.pop(name, None)

    def bind(self, model: type[Model], name: str) -> None:
        """Take the model and the name that the class statement gives."""
        self.model = model
        self.name = name

    def copy(self) -> Self:
        """A copy for a model that inherits the relation."""
        return type(self)(
            self.to,  # type: ignore[arg-type]
            through=None if self.made is not None else self.through,
            through_fields=self.through_fields,
            related_name=self.related_name,
            related_query_name=self.related_query_name,
            symmetrical=self._symmetrical,
            tablename=self.tablename,
        )

    @property
    def label(self) -> str:
        """The relation's name in messages: ``Article.tags``."""
        return f"{self.model.__name__}.{self.name}"

    @property
    def target(self) -> type[Model]:
        """The related model. Raises `FieldError` while it is not declared."""
        found = find_target(self.to, self.model)
        if found is None:
            raise self.model._meta.registry.unknown_model(self.label, str(self.to))
        return found

    @property
    def to_itself(self) -> bool:
        """Whether both sides are the same model."""
        return self.target is self.model

    @property
    def symmetrical(self) -> bool:
        """Whether each pair counts for both sides. Only a relation to the same model can be so."""
        return self.to_itself and self._symmetrical is not False

    def is_resolved(self) -> bool:
        """Whether the related model, and the through model if one was named, are there yet, with their tables."""
        target = find_target(self.to, self.model)
        if target is None or target._meta.table is None or self.model._meta.table is None:
            return False
        if self.through is None:
            return True
        through = find_target(self.through, self.model)
        return through is not None and through._meta.table is not None

    @cached_property
    def through_model(self) -> type[Model]:
        """The model that keeps the pairs."""
        found = None if self.through is None else find_target(self.through, self.model)
        if found is None:
            raise self.model._meta.registry.unknown_model(f"{self.label}'s through", str(self.through))
        return found

    @cached_property
    def keys(self) -> tuple[ForwardRelation, ForwardRelation]:
        """The through model's foreign keys: to this side, and to the other one."""
        through = self.through_model._meta
        if self.through_fields is not None:
            known = {relation.name: relation for relation in through.forward}
            found = [known.get(name) for name in self.through_fields]
            wrong = [
                name
                for name, field, side in zip(self.through_fields, found, (self.model, self.target), strict=True)
                if field is None or field.target is not side
            ]
            if wrong:
                raise FieldError(
                    f"{self.label}: through_fields={self.through_fields!r} must name the foreign keys of "
                    f"{through.name} to {self.model.__name__} and to {self.target.__name__}; {wrong[0]!r} is not one."
                )
            return found[0], found[1]  # type: ignore[return-value]
        sources = [relation for relation in through.forward if relation.target is self.model]
        targets = [relation for relation in through.forward if relation.target is self.target]
        if self.to_itself and len(sources) == 2:
            return sources[0], sources[1]
        if len(sources) != 1 or len(targets) != 1 or self.to_itself:
            raise FieldError(
                f"{self.label}: {through.name} must have one foreign key to {self.model.__name__} and one to "
                f"{self.target.__name__}, or through_fields= must say which."
            )
        return sources[0], targets[0]

    @cached_property
    def forward(self) -> ManyToManySide:
        """The relation as instances of this model have it."""
        return ManyToManySide(self, self.name, self.name, self.model, *self.keys)

    @cached_property
    def backward(self) -> ManyToManySide:
        """The relation as instances of the other model have it; its name ends with a plus where it is hidden."""
        source, target = self.keys
        owner = self.model.__name__
        related_name = format_related_name(self.related_name, owner)
        name = format_related_name(self.related_query_name, owner) or related_name or owner.lower()
        accessor = related_name or f"{owner.lower()}_set"
        if self.symmetrical:
            name = accessor = f"{self.name}+"
        return ManyToManySide(self, name, accessor, self.target, target, source)


class PairedKey(RelatedKey):
    """What ``filter(tags=...)`` compares: the key of the other side that the through model keeps."""

    relation: ManyToManySide

    @property
    def target_field(self) -> Field[Any]:
        """The field that the through model points at: the primary key, or its `to_field`."""
        field: Field[Any] = self.relation.remote_key.target_field
        return field


class ManyToManySide:
    """One side's view of a `ManyToMany`: from its rows over the through model's to the other side's."""

    many = True
    allow_null = True

    def __init__(
        self,
        relation: ManyToMany[Any],
        name: str,
        accessor: str,
        model: type[Model],
        local_key: ForwardRelation,
        remote_key: ForwardRelation,
    ) -> None:
        self.relation = relation
        self.name = name
        self.accessor = accessor
        self.model = model
        self.local_key = local_key
        """The through model's foreign key to this side."""
        self.remote_key = remote_key
        """Its foreign key to the other side."""
        self.key = PairedKey(self, model)

    def __repr__(self) -> str:
        return f"<ManyToManySide {self.model.__name__}.{self.accessor}>"

    @property
    def through(self) -> type[Model]:
        """The model that keeps the pairs."""
        return self.relation.through_model

    @property
    def target(self) -> type[Model]:
        """The model at the other end."""
        target: type[Model] = self.remote_key.target
        return target

    @property
    def symmetrical(self) -> bool:
        """Whether each pair is kept in both directions."""
        return self.relation.symmetrical

    @property
    def hops(self) -> tuple[Hop, ...]:
        """To the through model, and on to the other side."""
        return (self.local_key.reverse, self.remote_key)

"""`ManyToMany`: a relation that is kept in the rows of a through model, which reference both sides."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, overload

from typing_extensions import Unpack

from orm.exceptions import FieldError
from orm.fields import Field
from orm.relations.base import Hop, check_related_name, check_target, find_target, format_related_name
from orm.relations.reverse import RelatedKey

if TYPE_CHECKING:
    from typing_extensions import Self

    from orm.models import ManyToManyManager, Model
    from orm.relations import ForwardRelation

T = TypeVar("T", bound="Model")


class ManyToManyOptions(TypedDict, total=False):
    """The options of `ManyToMany`, as type checkers see them."""

    through: type[Model] | str | None
    through_fields: tuple[str, str] | None
    related_name: str | None
    related_query_name: str | None
    symmetrical: bool | None
    tablename: str | None
    columns: tuple[str, str] | None
    index: bool


class ManyToMany(Generic[T]):
    """A relation to any number of rows of another model, each of which may have any number of these.

        tags = orm.ManyToMany("Tag", related_name="articles")

    `to` is a model, or the class name of one in the same registry (``"self"``: this one). The pairs are kept in the
    rows of `through`: a model with a `ForeignKey` to each side, which may have further fields. By default one is
    created, such as ``Article_tags``. If `through` has several foreign keys to a side, `through_fields` names the two
    to use, that to this side first. `related_name` names the reverse relation, ``tag.articles``, and
    `related_query_name` its name in lookups. A relation to the same model is `symmetrical` by default: each pair
    counts in both directions.

    If the ORM creates the table, `tablename` and `columns` are its names; both of its sides are indexed, unless
    `index=False` omits the index of the second one.

    On an instance it is a manager: ``await article.tags.filter(name="x")``, ``await article.tags.add(tag)``.
    """

    @overload
    def __init__(self, to: type[T], **options: Unpack[ManyToManyOptions]) -> None: ...
    @overload
    def __init__(self: ManyToMany[Any], to: str, **options: Unpack[ManyToManyOptions]) -> None: ...
    def __init__(
        self,
        to: type[Any] | str,
        *,
        through: type[Model] | str | None = None,
        through_fields: tuple[str, str] | None = None,
        related_name: str | None = None,
        related_query_name: str | None = None,
        symmetrical: bool | None = None,
        tablename: str | None = None,
        columns: tuple[str, str] | None = None,
        index: bool = True,
    ) -> None:
        check_target(to)
        check_related_name(related_name, "related_name")
        check_related_name(related_query_name, "related_query_name")
        if through is not None:
            check_target(through)
            if tablename is not None:
                raise FieldError("tablename= names the table of a through model that is created. Omit it, or through=.")
        elif through_fields is not None:
            raise FieldError("through_fields= names foreign keys of your own through model. Pass it as through=.")
        if through_fields is not None and (isinstance(through_fields, str) or len(through_fields) != 2):
            raise FieldError(
                "through_fields takes two names: the foreign key to this model, and the one to the related model."
            )
        self.to: type[Model] | str = to
        self.through: type[Model] | str | None = through
        self.through_fields = through_fields
        self.related_name = related_name
        self.related_query_name = related_query_name
        if through is not None and (columns is not None or not index):
            raise FieldError("columns= and index= describe a table that is created. Omit them, or through=.")
        if columns is not None and (isinstance(columns, str) or len(columns) != 2):
            raise FieldError("columns takes two names: the column for this model's key, and the related model's.")
        self.tablename = tablename
        self.columns = columns
        self.index = index
        self._symmetrical = symmetrical
        self.name = ""
        self.model: type[Model]
        self.is_installed = False
        """Whether both models have the relation."""
        self.auto_through: type[Model] | None = None
        """The through model, if it was created for the relation."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> type[T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> ManyToManyManager[T]: ...
        def __get__(self, instance: Any, owner: type) -> Any: ...

    else:

        def __get__(self, instance, owner):
            # The relation is its own attribute only until both models are declared; then an accessor replaces it.
            if self.model._meta.abstract:
                return self
            self.model._meta.registry.require(self)
            return getattr(owner if instance is None else instance, self.name)

    def reset(self) -> None:
        """Drop the created through model, and what was derived from it."""
        self.is_installed = False
        if self.auto_through is not None:
            self.through = self.auto_through = None
        for name in ("through_model", "keys", "forward", "backward"):
            self.__dict__.pop(name, None)

    def bind(self, model: type[Model], name: str) -> None:
        """Make this the relation `name` of `model`."""
        self.model = model
        self.name = name

    def copy(self) -> Self:
        """An unbound copy, for a model that inherits the relation."""
        return type(self)(
            self.to,
            through=None if self.auto_through is not None else self.through,
            through_fields=self.through_fields,
            related_name=self.related_name,
            related_query_name=self.related_query_name,
            symmetrical=self._symmetrical,
            tablename=self.tablename,
            columns=self.columns,
            index=self.index,
        )

    @property
    def label(self) -> str:
        """The relation's name in messages: ``Article.tags``."""
        return f"{self.model.__name__}.{self.name}"

    @property
    def target(self) -> type[Model]:
        """The related model. Raises `FieldError` while it is not declared."""
        target = find_target(self.to, self.model)
        if target is None:
            raise self.model._meta.registry.unknown_model(self.label, str(self.to))
        return target

    @property
    def to_itself(self) -> bool:
        """Whether the relation leads to its own model."""
        return self.target is self.model

    @property
    def symmetrical(self) -> bool:
        """Whether each pair counts in both directions, which is possible only for a relation to the same model."""
        return self.to_itself and self._symmetrical is not False

    def is_resolved(self) -> bool:
        """Whether the related model, and a through model that was named, are declared and have their tables."""
        target = find_target(self.to, self.model)
        if target is None or target._meta.table is None or self.model._meta.table is None:
            return False
        if self.through is None:
            return True
        through = find_target(self.through, self.model)
        return through is not None and through._meta.table is not None

    @cached_property
    def through_model(self) -> type[Model]:
        """The model whose rows are the pairs."""
        through = None if self.through is None else find_target(self.through, self.model)
        if through is None:
            raise self.model._meta.registry.unknown_model(f"{self.label}'s through", str(self.through))
        return through

    @cached_property
    def keys(self) -> tuple[ForwardRelation, ForwardRelation]:
        """The through model's foreign keys: to this model, and to the related one."""
        through = self.through_model._meta
        if self.through_fields is not None:
            by_name = {relation.name: relation for relation in through.forward}
            chosen = [by_name.get(name) for name in self.through_fields]
            wrong = [
                name
                for name, key, model in zip(self.through_fields, chosen, (self.model, self.target), strict=True)
                if key is None or key.target._meta.concrete is not model._meta.concrete
            ]
            if wrong:
                raise FieldError(
                    f"{self.label}: through_fields={self.through_fields!r} must name the foreign keys of "
                    f"{through.name} to {self.model.__name__} and to {self.target.__name__}; {wrong[0]!r} is not one."
                )
            return chosen[0], chosen[1]  # type: ignore[return-value]
        sources = [
            relation for relation in through.forward if relation.target._meta.concrete is self.model._meta.concrete
        ]
        targets = [
            relation for relation in through.forward if relation.target._meta.concrete is self.target._meta.concrete
        ]
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
        """The relation as instances of this model see it."""
        return ManyToManySide(self, self.name, self.name, self.model, *self.keys)

    @cached_property
    def backward(self) -> ManyToManySide:
        """The relation as instances of the related model see it. If it is hidden, its name ends with a plus."""
        source, target = self.keys
        owner = self.model.__name__
        related_name = format_related_name(self.related_name, owner)
        name = format_related_name(self.related_query_name, owner) or related_name or owner.lower()
        accessor = related_name or f"{owner.lower()}_set"
        if self.symmetrical:
            name = accessor = f"{self.name}+"
        return ManyToManySide(self, name, accessor, self.target, target, source)


class PairedKey(RelatedKey):
    """The key that ``filter(tags=...)`` compares: that of the other side, as the through model holds it."""

    relation: ManyToManySide

    @property
    def target_field(self) -> Field[Any]:
        """The field that the through model references: the primary key, or the `to_field`."""
        field: Field[Any] = self.relation.remote_key.target_field
        return field


class ManyToManySide:
    """A `ManyToMany` as one of its models sees it."""

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
        """The through model's foreign key to this model."""
        self.remote_key = remote_key
        """The through model's foreign key to the other model."""
        self.key = PairedKey(self, model)

    def __repr__(self) -> str:
        return f"<ManyToManySide {self.model.__name__}.{self.accessor}>"

    @property
    def through(self) -> type[Model]:
        """The model whose rows are the pairs."""
        return self.relation.through_model

    @property
    def target(self) -> type[Model]:
        """The model on the other side."""
        target: type[Model] = self.remote_key.target
        return target

    @property
    def symmetrical(self) -> bool:
        """Whether each pair is stored in both directions."""
        return self.relation.symmetrical

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The joins to the through model, and on to the other side."""
        return (self.local_key.reverse, self.remote_key)

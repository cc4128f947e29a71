"""Declaring tables: the model behind each row class, in a `ModelRegistry`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary

from orm.contrib.tables.annotations import Attribute, Undeclared
from orm.contrib.tables.columns import field_of
from orm.contrib.tables.row_classes import PydanticRows, RowClass, row_class_of
from orm.contrib.tables.tables import Table
from orm.exceptions import FieldError
from orm.mapping.constraints import UniqueConstraint
from orm.mapping.indexes import Index
from orm.models import Model
from orm.registry import ModelRegistry
from orm.relations import ForeignKey, ManyToMany

T = TypeVar("T")


@dataclass
class Link:
    """A relation that an annotation declares: ``author: Author``, or ``books: list["Book"]``."""

    name: str
    target: str
    """The name of the other row class."""
    many: bool
    allow_null: bool
    takes_key: bool
    """Whether the attribute may be the key: ``author: Author | int``."""


@dataclass
class TableOptions:
    """The arguments of `ModelRegistry.table()`."""

    pk: tuple[str, ...]
    indexed: tuple[Any, ...] = ()
    unique: tuple[Any, ...] = ()
    tablename: str | None = None
    on_delete: Mapping[str, str] = field(default_factory=dict)
    back_references: Mapping[str, str] = field(default_factory=dict)


class Declared:
    """A row class with its table."""

    def __init__(self, registry: ModelRegistry, rows: RowClass, options: TableOptions) -> None:
        self.registry = registry
        self.rows = rows
        self.cls = rows.cls
        self.name = rows.cls.__name__
        self.options = options
        self.columns: dict[str, Attribute] = {}
        self.links: dict[str, Link] = {}
        self.model: type[Model]

    def related(self, name: str) -> Declared:
        """The other side of a relation. Raises `FieldError` if its class is not declared."""
        target = self.links[name].target
        declared = _tables[self.registry].get(target)
        if declared is None:
            raise FieldError(
                f"{self.name}.{name} leads to {target}, which is no table of this registry: "
                "declare it with @models.table(...)."
            )
        return declared

    def read(self, known: Mapping[str, Any]) -> None:
        """Read the annotations: which attributes are columns, and which are relations."""
        self.columns.clear()
        self.links.clear()
        for attribute in self.rows.attributes(known):
            link = _link(attribute, set(known.values()) | {self.cls})
            if link is None:
                self.columns[attribute.name] = attribute
            else:
                self.links[attribute.name] = link
        for name in self.options.pk:
            if name not in self.columns and name not in self.links:
                raise FieldError(
                    f"{self.name} has no attribute {name!r}, which is to be its primary key: write pk=, one of "
                    f"{', '.join(self.columns)}."
                )

    def build(self) -> None:
        """Make the model. Its relations to classes that are declared later are resolved then."""
        members: dict[str, Any] = {name: self._field(name) for name in self.columns}
        for link in self.links.values():
            if not link.many:
                members[link.name] = self._foreign_key(link)
            elif self._owns(link):
                other = self._opposite(link)
                members[link.name] = ManyToMany(link.target, related_name=other.name if other else None)
        meta = {
            "tablename": self.options.tablename or self.name.lower(),
            "indexes": tuple(Index(*each) for each in self.options.indexed if not isinstance(each, str)),
            "constraints": tuple(UniqueConstraint(*each) for each in self.options.unique if not isinstance(each, str)),
        }
        namespace: dict[str, Any] = {
            "__module__": self.cls.__module__,
            "__doc__": self.cls.__doc__,
            "registry": self.registry,
            "Meta": type("Meta", (), meta),
            **members,
        }
        make: Any = type(Model)
        self.model = make(self.name, (Model,), namespace)
        self.rows.mark_relations(set(self.links))

    def _field(self, name: str) -> Any:
        options: dict[str, Any] = {}
        if name in self.options.pk:
            options["primary_key"] = True
        else:
            options.update({"index": True} if name in self.options.indexed else {})
            options.update({"unique": True} if name in self.options.unique else {})
        return field_of(f"{self.name}.{name}", self.columns[name], options)

    def _foreign_key(self, link: Link) -> Any:
        options: dict[str, Any] = {"allow_null": link.allow_null}
        if link.name in self.options.pk:
            options = {"primary_key": True}
        if link.name in self.options.unique:
            options["unique"] = True
        if link.name in self.options.on_delete:
            options["on_delete"] = self.options.on_delete[link.name].upper().replace("_", " ")
        other = _tables[self.registry].get(link.target)
        reverse = other and next((each for each in other.links.values() if other.is_reverse(each, self, link)), None)
        if reverse:
            options["related_name"] = reverse.name
        return ForeignKey("self" if link.target == self.name else link.target, **options)

    def is_reverse(self, link: Link, other: Declared, foreign_key: Link) -> bool:
        """Whether a list is the reverse of this foreign key of another table."""
        if not link.many or link.target != other.name or foreign_key.target != self.name:
            return False
        named = self.options.back_references.get(link.name)
        if named is not None:
            return named == foreign_key.name
        candidates = [each for each in other.links.values() if not each.many and each.target == self.name]
        return candidates == [foreign_key]

    def _opposite(self, link: Link) -> Link | None:
        """The list of the other class that leads back, if the two are the sides of a many-to-many relation."""
        other = _tables[self.registry].get(link.target)
        lists = [each for each in other.links.values() if each.many and each.target == self.name] if other else []
        return next((each for each in lists if each is not link), None)

    def _owns(self, link: Link) -> bool:
        """Whether a list is the side of a many-to-many relation that declares it."""
        other = _tables[self.registry].get(link.target)
        if other is None or any(not each.many and each.target == self.name for each in other.links.values()):
            return False
        opposite = self._opposite(link)
        return opposite is not None and [*_tables[self.registry]].index(self.name) > [*_tables[self.registry]].index(
            other.name
        )

    def check_links(self) -> None:
        """Raise `FieldError` for a list whose class has no way back."""
        for link in self.links.values():
            other = self.related(link.name)
            accessors = self.model._meta.accessors
            if link.many and link.name not in accessors:
                raise FieldError(
                    f"{self.name}.{link.name} is a list of {other.name}, which has neither an attribute of type "
                    f"{self.name} (or several: then write back_references={{{link.name!r}: …}}) nor a list of it."
                )


def _is_reverse_of(declared: Declared, other: Declared) -> bool:
    """Whether a table has a list of another one, which has a foreign key to it."""
    lists = any(link.many and link.target == other.name for link in declared.links.values())
    return lists and any(not link.many and link.target == declared.name for link in other.links.values())


_tables: WeakKeyDictionary[ModelRegistry, dict[str, Declared]] = WeakKeyDictionary()


def _link(attribute: Attribute, classes: set[Any]) -> Link | None:
    """The relation that an attribute is; None for a column."""

    def is_table(each: Any) -> bool:
        return isinstance(each, type) and (each in classes or issubclass(each, Undeclared))

    for each in attribute.types:
        if get_origin(each) is list:
            (item,) = get_args(each)
            if is_table(item) and len(attribute.types) == 1:
                return Link(attribute.name, item.__name__, many=True, allow_null=False, takes_key=False)
        elif is_table(each):
            others = len(attribute.types) > 1
            return Link(attribute.name, each.__name__, many=False, allow_null=attribute.allow_null, takes_key=others)
    return None


def declare(
    registry: ModelRegistry,
    *,
    pk: str | Sequence[str] = "id",
    indexed: Sequence[str | Sequence[str]] = (),
    unique: Sequence[str | Sequence[str]] = (),
    tablename: str | None = None,
    on_delete: Mapping[str, str] | None = None,
    back_references: Mapping[str, str] | None = None,
) -> Callable[[type[T]], type[T]]:
    """A class decorator that makes a table of a class: ``@models.table(pk="id", indexed=["name"])``.

    See `ModelRegistry.table()`. Raises `FieldError` for a class or an annotation that cannot be a table or a column.
    """
    options = TableOptions(
        pk=(pk,) if isinstance(pk, str) else tuple(pk),
        indexed=tuple(each if isinstance(each, str) else tuple(each) for each in indexed),
        unique=tuple(each if isinstance(each, str) else tuple(each) for each in unique),
        tablename=tablename,
        on_delete=on_delete or {},
        back_references=back_references or {},
    )

    def make(cls: type[T]) -> type[T]:
        tables = _tables.setdefault(registry, {})
        declared = Declared(registry, row_class_of(cls), options)
        known = {**{name: each.cls for name, each in tables.items()}, cls.__name__: cls}
        declared.read(known)
        tables[declared.name] = declared
        try:
            declared.build()
        except FieldError:
            del tables[declared.name]
            raise
        for other in tables.values():
            if isinstance(other.rows, PydanticRows):
                other.rows.complete({name: each.cls for name, each in tables.items()})
            if other is not declared and _is_reverse_of(declared, other):
                other.build()  # Its foreign key learns the name of the list that is its reverse.
        return cls

    return make


def table_of(registry: ModelRegistry, cls: type[T]) -> Table[T]:
    """The table of a class: ``models[Flavor]``. Raises `FieldError` if it was not declared."""
    declared = _tables.get(registry, {}).get(getattr(cls, "__name__", ""))
    if declared is None or declared.cls is not cls:
        name = getattr(cls, "__name__", type(cls).__name__)
        raise FieldError(f"{name} is no table of this registry: declare it with @models.table(...).")
    declared.check_links()
    return Table(declared)

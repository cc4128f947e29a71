"""`Model` and its metaclass, which makes a table of a class statement."""

from __future__ import annotations

import copy
import keyword
from collections.abc import Mapping
from sys import intern
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import sqlalchemy
import typesystem

from orm.exceptions import FieldError, MultipleMatches, NoMatch
from orm.expressions.base import use_renderer
from orm.fields import BigInteger, Field
from orm.mapping.model_info import ModelInfo, read_meta
from orm.query.sqlalchemy_clauses import to_clause
from orm.queryset.descriptors import Objects
from orm.queryset.queryset import QuerySet
from orm.queryset.raw import RawQuerySet
from orm.registry import ModelRegistry, registry_of
from orm.related.managers import ManyToManyManager
from orm.relations import Composed, GenericForeignKey, ManyToMany
from orm.relations.instance_state import KEY_ONLY, LOADED, OWNER, reserve_attribute_keys
from orm.writing.delete_preview import DeletePlan, collect_delete
from orm.writing.instances import database_of, delete_instance, load_instance, row_query, save_instance, update_instance

if TYPE_CHECKING:
    from typing_extensions import Self

# Annotations in lower layers take these types from here: see the rule about type-only imports.
__all__ = ["ManyToManyManager", "Model", "ModelMetaclass", "ModelRegistry"]

use_renderer(to_clause)

# Names with a meaning of their own in the body of a model.
RESERVED = frozenset({"Meta", "registry", "tablename"})


class ModelMetaclass(type):
    """Collects the fields of a class statement into a `ModelInfo` and registers the model."""

    _meta: ModelInfo

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> ModelMetaclass:
        parents = [base for base in bases if isinstance(base, ModelMetaclass)]
        if not parents:
            return super().__new__(mcls, name, bases, namespace)

        options = read_meta(name, namespace, bases)
        older = isinstance(namespace.get("fields"), Mapping)
        declared = dict(namespace.pop("fields")) if older else {}
        legacy = older or "__metadata__" in namespace
        for key, value in list(namespace.items()):
            if isinstance(value, (Field, ManyToMany, Composed)):
                declared[key] = namespace.pop(key)
        _check_names(name, declared)
        many = {key: value for key, value in declared.items() if isinstance(value, ManyToMany)}
        composed = {key: value for key, value in declared.items() if isinstance(value, Composed)}
        declared = _fields_of(name, declared)

        for kind, base in (("DoesNotExist", NoMatch), ("MultipleObjectsReturned", MultipleMatches)):
            qualified = {"__module__": namespace.get("__module__"), "__qualname__": f"{name}.{kind}"}
            namespace.setdefault(kind, type(kind, (base,), qualified))
        cls: Any = super().__new__(mcls, name, bases, namespace)
        fields = _inherited_fields(name, parents)
        for key in [key for key in fields if key in namespace]:
            del fields[key]  # A subclass removes a field by giving its name to something else.
        fields.update(declared)
        overridden = {**namespace, **declared}
        many = {**{k: value for k, value in _inherited(parents, "many_to_many").items() if k not in overridden}, **many}
        composed = {
            **{k: value for k, value in _inherited(parents, "composed").items() if k not in overridden},
            **composed,
        }
        _check_names(name, fields)

        registry = registry_of(namespace, bases)
        if not options.abstract:
            if registry is None:
                raise FieldError(
                    f"{name} has no registry: write `registry = models` in its body, with "
                    "models = orm.ModelRegistry(database=...), or make it abstract in class Meta."
                )
            if not any(field.primary_key for field in fields.values()):
                _check_names(name, {"id": None})
                fields = {"id": BigInteger(primary_key=True), **fields}
            keys = [field for field in fields.values() if field.primary_key]
            if len(keys) > 1:
                for field in keys:
                    field.in_composite_key()

        cls._meta = info = ModelInfo(cls, registry, options, fields, many, composed, legacy=legacy)
        for key, field in fields.items():
            field.bind(cls, key)
            for attribute, descriptor in field.descriptors().items():
                if hasattr(descriptor, "__set__") or _is_defined_in_bases(cls, attribute):
                    setattr(cls, attribute, descriptor)
                else:
                    info.fallback_descriptors[attribute] = descriptor
        declared_relations: dict[str, ManyToMany[Any] | Composed] = {**many, **composed}
        for key, relation in declared_relations.items():
            relation.bind(cls, key)
            setattr(cls, key, relation)
        info.check()
        if registry is not None and not options.abstract:
            registry._add(cls)
        _reserve_attribute_keys(cls)
        model: ModelMetaclass = cls
        return model

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> Any:
            info = cls.__dict__.get("_meta")
            if info is None or name not in info.fallback_descriptors:
                raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}", name=name, obj=cls)
            return info.fallback_descriptors[name].__get__(None, cls)

    def __dir__(cls) -> list[str]:
        info = cls.__dict__.get("_meta")
        return sorted({*super().__dir__(), *(info.fallback_descriptors if info else ())})

    @property
    def fields(cls) -> dict[str, Field[Any]]:
        """The model's fields by name, in the order of their declaration."""
        return cls._meta.fields

    @property
    def table(cls) -> sqlalchemy.Table:
        """The SQLAlchemy table. Raises `FieldError` if a `ForeignKey` names an unknown model."""
        return cls._meta.require_table()

    @property
    def __table__(cls) -> sqlalchemy.Table:
        return cls._meta.require_table()

    @property
    def columns(cls) -> Any:
        """The columns of the SQLAlchemy table: ``Note.columns.text.contains("x")``."""
        return cls._meta.require_table().columns

    @property
    def pkname(cls) -> str:
        """The name of the primary key field; of a composite key, the names joined by commas."""
        return ",".join(field.name for field in cls._meta.pk_fields)

    @property
    def schema(cls) -> typesystem.Schema:
        """The fields as a `typesystem.Schema`, for forms and validation."""
        return cls._meta.schema

    def build_table(cls) -> sqlalchemy.Table:
        """The SQLAlchemy table (its name in `orm` 0.x)."""
        return cls._meta.require_table()


def _is_defined_in_bases(cls: type, attribute: str) -> bool:
    """Whether a base class defines an attribute of this name, which the field must override."""
    return any(attribute in vars(base) for base in cls.__mro__)


def _reserve_attribute_keys(cls: Any) -> None:
    """Create the keys of all attributes that the instances share (PEP 412) up front."""
    info: ModelInfo = cls._meta
    reserve_attribute_keys(cls, [name for field in info.fields.values() for name in (field.attname, field.name)])
    reserve_attribute_keys(cls, [LOADED, OWNER, "_persisted"])


def _inherited_fields(name: str, parents: list[ModelMetaclass]) -> dict[str, Field[Any]]:
    fields: dict[str, Field[Any]] = {}
    for parent in reversed(parents):
        info: ModelInfo | None = getattr(parent, "_meta", None)
        if info is None:
            continue
        if not info.abstract:
            raise FieldError(
                f"{name} inherits from {parent.__name__}, which has a table of its own. Only models with "
                "`abstract = True` in their class Meta can be inherited from."
            )
        fields.update((key, copy.copy(field)) for key, field in info.fields.items())
    return fields


def _fields_of(name: str, declared: Mapping[str, Any]) -> dict[str, Field[Any]]:
    """The fields by name; each generic relation is replaced by the fields that it consists of."""
    fields: dict[str, Field[Any]] = {}
    for key, value in declared.items():
        own_fields: dict[str, Field[Any]] = {key: value} if isinstance(value, Field) else {}
        if isinstance(value, GenericForeignKey):
            own_fields.update(value.make_fields(key, name))
        for field_name in own_fields:
            if field_name in fields or (field_name != key and field_name in declared):
                raise FieldError(
                    f"{name}.{key} adds the field {field_name!r}, which already exists. Rename one of them."
                )
        fields.update(own_fields)
    return fields


def _inherited(parents: list[ModelMetaclass], kind: Literal["many_to_many", "composed"]) -> dict[str, Any]:
    infos: list[ModelInfo] = [info for parent in reversed(parents) if (info := getattr(parent, "_meta", None))]
    return {key: relation.copy() for info in infos for key, relation in getattr(info, kind).items()}


def _check_names(name: str, fields: Mapping[str, Any]) -> None:
    reserved = RESERVED.union(dir(Model), dir(ModelMetaclass))
    for key in fields:
        if key in reserved:
            raise FieldError(
                f"{name}.{key}: a field cannot be called {key!r}, because every model has an attribute of that "
                f"name. Call it {key}_, for example, with column={key!r} to keep the column's name."
            )
        if "__" in key or key.startswith("_") or not key.isidentifier() or keyword.iskeyword(key):
            raise FieldError(
                f"{name}: {key!r} cannot be a field's name. It must be a Python identifier that does not begin "
                "with an underscore and has no double underscore, at which lookups are split; "
                "column= gives the column another name."
            )


class Model(metaclass=ModelMetaclass):
    """A row of a table. Subclass it to declare a table.

        class Note(orm.Model):
            registry = models

            id = orm.Integer(primary_key=True)
            text = orm.String(max_length=100)

    A `class Meta` in the body has options such as `tablename`, `ordering`, `abstract`, `indexes`, `constraints` and
    `schema`. The constructor takes field names, or ``pk``, as keyword arguments; fields that are left out get their
    default. It raises `FieldError` for a name that is not a field.
    """

    # Not a slot: from Python 3.13 on, instances of a class with slots keep their other attributes in a separate dict.
    _loaded: dict[str, list[Any]] | None = None
    _meta: ClassVar[ModelInfo]
    # Without an annotation, which would also apply to the managers of subclasses.
    objects = Objects(QuerySet)
    # Whether the row exists. Instances of loaded rows are made without __init__, so the class has True.
    _persisted = True

    DoesNotExist: ClassVar[type[NoMatch]] = NoMatch
    MultipleObjectsReturned: ClassVar[type[MultipleMatches]] = MultipleMatches

    if TYPE_CHECKING:
        registry: ClassVar[ModelRegistry]

    def __init__(self, /, **values: Any) -> None:
        model = type(self)
        construct = model._meta.construct
        if model.__init__ is Model.__init__:
            model.__init__ = construct  # type: ignore[method-assign] # the next instance skips this method
        construct(self, **values)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Also called if a property raised AttributeError; asking for it again raises the original error.
            descriptor = type(self)._meta.fallback_descriptors.get(name)
            return object.__getattribute__(self, name) if descriptor is None else descriptor.__get__(self, type(self))

    @property
    def pk(self) -> Any:
        """The primary key's value (a tuple if it is composite), or None."""
        return self._meta.get_pk(self)

    @pk.setter
    def pk(self, value: Any) -> None:
        self._meta.set_pk(self, value)

    def __str__(self) -> str:
        info = self._meta
        key = ", ".join(f"{f.attname}={self.__dict__.get(f.attname)!r}" for f in info.pk_fields)
        sparse = self._persisted and any(f.attname not in self.__dict__ for f in info.fields.values())
        return f"{info.name}({key}){' [sparse]' if sparse else ''}"

    def __repr__(self) -> str:
        return f"<{self._meta.name}: {self}>"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        info = self._meta
        if not isinstance(other, Model) or other._meta is not info:
            return NotImplemented
        key = info.get_pk(self)
        return key is not None and key == info.get_pk(other)

    def __hash__(self) -> int:
        info = self._meta
        key = info.get_pk(self)
        if key is None:
            raise TypeError(f"{info.name} without a primary key is unhashable: save it first.")
        return hash((info.model, key))

    def __getstate__(self) -> dict[str, Any]:
        """The attributes to pickle, without the database of `using()`, which cannot be pickled."""
        return {key: value for key, value in self.__dict__.items() if key != "_database"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = self.__dict__
        for key, value in state.items():
            attributes[intern(key)] = value

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = memo[id(self)] = type(self).__new__(type(self))
        for key, value in self.__dict__.items():
            copied.__dict__[key] = value if key == "_database" else copy.deepcopy(value, memo)
        return copied

    def _missing_attribute(self, field: Field[Any]) -> AttributeError:
        """The error for an attribute without a value, with ways to load it."""
        name = f"{self._meta.name}.{field.name}"
        sparse = self.__dict__.get(KEY_ONLY)
        if sparse is not None:
            owner, _, relation = sparse.partition(".")
            return AttributeError(
                f"{name} was not loaded, and relations are not loaded implicitly: {sparse} holds only its key. Use "
                f"`await instance.load()`, `await orm.load({owner.lower()}, {relation!r})` for one or many, or have "
                f"the query bring it: {owner}.objects.select_related({relation!r}) or prefetch_related({relation!r})."
            )
        if self._persisted:
            return AttributeError(
                f"{name} was not loaded, and fields are not loaded implicitly. Use `await instance.load()`, "
                f"or load it with the query: only() or defer() left it out."
            )
        return AttributeError(f"{name} has no value yet: it was not given and has no default.")

    async def save(self, *, update_fields: list[str] | tuple[str, ...] | None = None) -> Self:
        """Validate and write the instance: INSERT if it is new, else UPDATE of `update_fields` (default: all fields).

        Returns the instance. Raises `orm.ValidationError` with all messages before anything is sent,
        `orm.IntegrityError` if the database rejects the row, `NoMatch` if `update_fields` are given and the row does
        not exist.
        """
        await save_instance(self, update_fields)
        return self

    async def update(self, /, **values: Any) -> None:
        """Validate these values and set them here and in the database. Raises `NoMatch` if the row is gone."""
        await update_instance(self, values)

    async def delete(self) -> int:
        """Delete the row; returns the number of rows deleted (0 or 1). The instance is then unsaved and has no key."""
        return await delete_instance(self)

    async def collect_delete(self) -> DeletePlan:
        """A preview of `delete()`: see `QuerySet.collect_delete()`."""
        return await collect_delete(row_query(self), database_of(self))

    async def load(self) -> Self:
        """Load all fields again, including those that were not loaded. Raises `NoMatch` if the row is gone."""
        await load_instance(self)
        return self

    @classmethod
    def raw(cls, sql: str, values: Mapping[str, Any] | None = None) -> RawQuerySet[Self]:
        """Instances from your own SQL, with ``:name`` placeholders; columns are matched by name.

        notes = await Note.raw("SELECT * FROM note WHERE text LIKE :t", {"t": "%mum%"})
        """
        return RawQuerySet(cls._meta, sql, values)

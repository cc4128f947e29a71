"""The metaclass of models, which makes a `ModelInfo` and a table of a class statement."""

from __future__ import annotations

import copy
import keyword
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy
import typesystem

from orm.database.sql.ddl import View
from orm.exceptions import FieldError, MultipleMatches, NoMatch
from orm.expressions.base import Comparison, Ordering, Q
from orm.expressions.subqueries import is_queryset
from orm.fields import BigInteger, Field
from orm.mapping.changes import SNAPSHOT
from orm.mapping.inheritance import ProxyInfo, concrete_parents, proxied_parent
from orm.mapping.meta_options import read_meta
from orm.mapping.model_checks import check_fields
from orm.mapping.model_info import ModelInfo
from orm.mapping.multi_table import ChildInfo, add_parent_links
from orm.mapping.retired import RetiredAttribute, split_retired
from orm.mapping.signals import METHODS, hooked_models
from orm.mapping.single_table import SingleTableInfo, add_discriminator, set_discriminator
from orm.query.sqlalchemy_clauses import select_of_view
from orm.queryset.field_methods import add_field_methods
from orm.registry import ModelRegistry, registry_of
from orm.relations import Composed, Embedded, GenericForeignKey, ManyToMany
from orm.relations.instance_state import LOADED, OWNER, reserve_attribute_keys

# Names that mean something else in the body of a model.
RESERVED = frozenset({"Meta", "registry", "tablename"})


class ModelMetaclass(type):
    """Collects the fields of a class statement into a `ModelInfo` and registers the model."""

    _meta: ModelInfo

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> ModelMetaclass:
        parents = [base for base in bases if isinstance(base, ModelMetaclass)]
        if not parents:
            return super().__new__(mcls, name, bases, namespace)
        return _Declaration(mcls, name, bases, namespace, parents).declare()

    if TYPE_CHECKING:
        # Type checkers see `Track.album` as `type[Album]`. These are the methods of the relation's expression.
        def __eq__(cls, other: object) -> Comparison: ...  # type: ignore[override]

        def __ne__(cls, other: object) -> Q: ...  # type: ignore[override]

        def __hash__(cls) -> int: ...

        def is_null(cls, value: bool = True) -> Comparison: ...

        def in_(cls, values: Any) -> Comparison: ...

        def asc(cls, *, nulls_first: bool = False, nulls_last: bool = False) -> Ordering: ...

        def desc(cls, *, nulls_first: bool = False, nulls_last: bool = False) -> Ordering: ...

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


class _Declaration:
    """One class statement of a model."""

    def __init__(
        self,
        mcls: type[ModelMetaclass],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        parents: list[ModelMetaclass],
    ) -> None:
        self.mcls = mcls
        self.name = name
        self.bases = bases
        self.namespace = namespace
        self.parents = parents
        self.root = next(base for base in reversed(parents[0].__mro__) if isinstance(base, ModelMetaclass))
        """`Model` itself."""
        self.options = read_meta(name, namespace, bases)
        self.concrete = concrete_parents(parents)
        """The `ModelInfo`s of the models with rows that it inherits from, directly or over abstract models."""

    def declare(self) -> ModelMetaclass:
        """The model. Raises `FieldError` for what makes no table."""
        namespace = self.namespace
        older = isinstance(namespace.get("fields"), Mapping)
        declared: dict[str, Any] = dict(namespace.pop("fields")) if older else {}
        self.legacy = older or "__metadata__" in namespace
        for key, value in list(namespace.items()):
            if isinstance(value, (Field, ManyToMany, Composed)):
                declared[key] = namespace.pop(key)
        self.check_names(declared)
        self.many = {key: value for key, value in declared.items() if isinstance(value, ManyToMany)}
        self.composed = {key: value for key, value in declared.items() if isinstance(value, Composed)}
        self.declared = _fields_of(self.name, declared)
        for kind, base in (("DoesNotExist", NoMatch), ("MultipleObjectsReturned", MultipleMatches)):
            self.add_error(kind, base)
        cls = type.__new__(self.mcls, self.name, self.bases, namespace)
        self.registry = registry_of(namespace, self.bases)
        if self.registry is None and not self.options.abstract:
            raise FieldError(
                f"{self.name} has no registry: write `registry = models` in its body, with "
                "models = orm.ModelRegistry(database=...), or make it abstract in class Meta."
            )
        if self.concrete and not self.options.abstract:
            _let_subclass_construct(cls, self.concrete)
        info = self.proxy(cls) if self.options.proxy else self.model(cls)
        if self.registry is not None and not self.options.abstract:
            self.register(cls, info, self.registry)
        _reserve_attribute_keys(cls)
        return cls

    def add_error(self, kind: str, base: type[Exception]) -> None:
        """Make the model's error class, as in Django a subclass of those of the models it inherits from."""
        inherited = tuple(dict.fromkeys(getattr(info.model, kind) for info in self.concrete))
        qualified = {"__module__": self.namespace.get("__module__"), "__qualname__": f"{self.name}.{kind}"}
        self.namespace.setdefault(kind, type(kind, inherited or (base,), qualified))

    def proxy(self, cls: Any) -> ModelInfo:
        """The `ModelInfo` of a proxy model."""
        base = proxied_parent(self.name, self.concrete)
        fields = [*self.declared, *self.many, *self.composed]
        for parent in self.parents:
            info: ModelInfo | None = getattr(parent, "_meta", None)
            if info is not None and info.abstract and not info.bases:
                fields += [*info.fields, *info.many_to_many, *info.composed]
        if fields:
            raise FieldError(
                f"{self.name} is a proxy model, which has the fields of {base.name} and no others: remove "
                f"{', '.join(fields)}, or leave out `proxy = True`."
            )
        info = cls._meta = ProxyInfo(cls, self.registry, self.options, base)
        self.find_overrides(cls, info)
        return info

    def model(self, cls: Any) -> ModelInfo:
        """The `ModelInfo` of a model that declares fields."""
        name, namespace, declared = self.name, self.namespace, self.declared
        fields = _inherited_fields(self.parents)
        for key in [key for key in fields if key in namespace]:
            del fields[key]  # A subclass removes a field by giving its name to something else.
        fields.update(declared)
        overridden = {**namespace, **declared}
        fields, retired = split_retired(name, fields)
        if self.options.discriminator in retired:
            raise FieldError(f"{name}.{self.options.discriminator} tells rows of models apart, and cannot be retired.")
        many = {k: value for k, value in _inherited(self.parents, "many_to_many").items() if k not in overridden}
        many |= self.many
        composed = {k: value for k, value in _inherited(self.parents, "composed").items() if k not in overridden}
        composed |= self.composed
        self.check_names(fields)
        info: ModelInfo
        if self.options.abstract:
            info = ModelInfo(cls, self.registry, self.options, fields, many, composed, legacy=self.legacy)
            info.bases = self.concrete
        elif self.concrete and self.concrete[0].discriminator is not None:
            info = self.single_table(cls, fields, many, composed)
        elif self.concrete:
            fields = add_parent_links(name, fields, self.concrete)
            info = ChildInfo(cls, self.registry, self.options, self.concrete, fields, many, composed)
        else:
            if self.options.discriminator is not None:
                add_discriminator(name, self.options, fields)
            if not any(field.primary_key for field in fields.values()):
                self.check_names(["id"])
                fields = {"id": BigInteger(primary_key=True), **fields}
            _mark_composite_key(fields)
            info = ModelInfo(cls, self.registry, self.options, fields, many, composed, legacy=self.legacy)
        cls._meta = info
        info.retired = retired
        for key, field in retired.items():
            field.bind(cls, key)
            for attribute in field.descriptors():
                info.fallback_descriptors[attribute] = RetiredAttribute(field)
                setattr(cls, attribute, info.fallback_descriptors[attribute])
        self.find_overrides(cls, info)
        self.bind(cls, info, fields, {**many, **composed})
        if not self.options.abstract and info.concrete.options.discriminator is not None:
            if info.ancestors:
                raise FieldError(f"{name} has a table of its own, so class Meta cannot name a discriminator.")
            set_discriminator(info, info.fields[info.concrete.options.discriminator])
        check_fields(info)
        return info

    def single_table(
        self, cls: Any, fields: dict[str, Field[Any]], many: dict[str, ManyToMany[Any]], composed: dict[str, Composed]
    ) -> ModelInfo:
        """The `ModelInfo` of a model that shares the table of the one it inherits from."""
        if len(self.concrete) > 1:
            names = " and ".join(info.name for info in self.concrete)
            raise FieldError(f"{self.name} inherits from {names}, but its rows can be in the table of one model only.")
        meta = self.namespace.get("Meta")
        if meta is not None and not {"tablename", "view", "managed"}.isdisjoint(vars(meta)):
            raise FieldError(f"{self.name}: the table is that of {self.concrete[0].name}, whose options it has.")
        info = SingleTableInfo(cls, self.registry, self.options, self.concrete[0], fields, many, composed)
        fields[info.discriminator_name] = info.fields[info.discriminator_name]
        return info

    def bind(self, cls: Any, info: ModelInfo, fields: Mapping[str, Field[Any]], relations: Mapping[str, Any]) -> None:
        """Bind fields and relations to the model, and add their attributes to the class."""
        for key, field in fields.items():
            field.bind(cls, key)
            for attribute, descriptor in field.descriptors().items():
                if hasattr(descriptor, "__set__") or _is_defined_in_bases(cls, attribute):
                    setattr(cls, attribute, descriptor)
                else:
                    info.fallback_descriptors[attribute] = descriptor
        for key, relation in relations.items():
            relation.bind(cls, key)
            setattr(cls, key, relation)

    def find_overrides(self, cls: Any, info: ModelInfo) -> None:
        """Find out which methods of `Model` the class, or a base class, overrides."""
        root: Any = self.root
        info.overrides_save = cls.save is not root.save
        info.hook_methods = frozenset(
            name for name in METHODS.values() if getattr(cls, name) is not getattr(root, name)
        )

    def register(self, cls: Any, info: ModelInfo, registry: ModelRegistry) -> None:
        """Add the model to its registry, which builds its table."""
        if self.options.view is not None:
            info.view = View(partial(_view_select, info), materialized=self.options.materialized)
        add_field_methods(cls, info.fields.values())
        registry._add(cls)
        hooked_models.add(info)

    def check_names(self, fields: Iterable[str]) -> None:
        """Raise `FieldError` for names that no field can have."""
        name = self.name
        reserved = RESERVED.union(dir(self.root), dir(ModelMetaclass))
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


def _mark_composite_key(fields: Mapping[str, Field[Any]]) -> None:
    keys = [field for field in fields.values() if field.primary_key]
    if len(keys) > 1:
        for field in keys:
            field.in_composite_key()


def _let_subclass_construct(cls: Any, concrete: tuple[ModelInfo, ...]) -> None:
    """Let the instances of a subclass be made by its own constructor, not by that which a base class keeps."""
    for info in concrete:
        for each in info.model.__mro__:
            kept = vars(each).get("__init__")
            meta = vars(each).get("_meta")
            if meta is not None and kept is not None and kept is meta.__dict__.get("construct"):
                delattr(each, "__init__")
            if meta is not None:
                meta.keeps_constructor = False


def _view_select(info: ModelInfo) -> str | sqlalchemy.Select[Any]:
    """What a model's view selects: the SQL of `Meta.view`, or the SELECT of its queryset."""
    view = info.options.view
    if isinstance(view, str):
        return view
    if not is_queryset(view):
        raise FieldError(f"{info.name}.Meta.view is a queryset or SQL, got {type(view).__name__}.")
    return select_of_view(info, view._query)


def _is_defined_in_bases(cls: type, attribute: str) -> bool:
    """Whether a base class defines an attribute of this name, which the field must override."""
    return any(attribute in vars(base) for base in cls.__mro__)


def _reserve_attribute_keys(cls: Any) -> None:
    """Create the keys of all attributes that the instances share (PEP 412) up front."""
    info: ModelInfo = cls._meta
    reserve_attribute_keys(cls, [name for field in info.fields.values() for name in (field.attname, field.name)])
    reserve_attribute_keys(cls, [LOADED, OWNER, "_persisted", *([SNAPSHOT] if info.options.track_changes else [])])


def _inherited_fields(parents: list[ModelMetaclass]) -> dict[str, Field[Any]]:
    """Copies of the fields of abstract models."""
    fields: dict[str, Field[Any]] = {}
    for parent in reversed(parents):
        info: ModelInfo | None = getattr(parent, "_meta", None)
        if info is not None and info.abstract:
            fields.update((key, copy.copy(field)) for key, field in (*info.fields.items(), *info.retired.items()))
    return fields


def _fields_of(name: str, declared: Mapping[str, Any]) -> dict[str, Field[Any]]:
    """The fields by name; each generic relation and embedded value is replaced by the fields that it consists of."""
    fields: dict[str, Field[Any]] = {}
    for key, value in declared.items():
        own_fields: dict[str, Field[Any]] = {key: value} if isinstance(value, Field) else {}
        if isinstance(value, (Embedded, GenericForeignKey)):
            own_fields.update(value.make_fields(key, name))
        for field_name in own_fields:
            if field_name in fields or (field_name != key and field_name in declared):
                raise FieldError(
                    f"{name}.{key} adds the field {field_name!r}, which already exists. Rename one of them."
                )
        fields.update(own_fields)
    return fields


def _inherited(parents: list[ModelMetaclass], kind: Literal["many_to_many", "composed"]) -> dict[str, Any]:
    """Copies of the relations of abstract models."""
    infos: list[ModelInfo] = [info for parent in reversed(parents) if (info := getattr(parent, "_meta", None))]
    return {key: relation.copy() for info in infos if info.abstract for key, relation in getattr(info, kind).items()}

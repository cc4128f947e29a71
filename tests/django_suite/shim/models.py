"""Django's `Model`: its metaclass declares Django's models as models of `orm`, as far as there are counterparts."""

from __future__ import annotations

import inspect
from typing import Any

import orm
from orm.models import ModelMetaclass
from orm.query.projection import Instances
from orm.query.query import Query
from tests.django_suite.shim.bridge import synchronous
from tests.django_suite.shim.database import Run
from tests.django_suite.shim.fields import CompositePrimaryKey, ForeignObject, substitutions
from tests.django_suite.shim.placeholders import DjangoInternal, Dropped, MissingFeature, is_missing, missing

registry = orm.ModelRegistry()
"""All models of the area."""

FORMATTED_OPTIONS = frozenset(
    [
        "app_label",
        "verbose_name",
        "verbose_name_plural",
        "indexes",
        "required_db_features",
        "required_db_vendor",
        "managed",
        "swappable",
        "apps",
        "db_table_comment",
        "default_permissions",
        "permissions",
        "select_on_save",
        "db_tablespace",
    ]
)
"""Options of a Meta that no query depends on."""


class DjangoMetaclass(ModelMetaclass):
    """Declares a model of Django's as one of `orm`; what has no counterpart is left out, and noted."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        root = name == "Model" and not any(isinstance(base, DjangoMetaclass) for base in bases)
        generated = "registry" in namespace and "__qualname__" not in namespace  # a through model that orm declares
        if root or generated:
            return super().__new__(mcls, name, bases, namespace)
        return _Declaration(mcls, name, bases, namespace).declare()

    def __init__(cls, *args: Any) -> None:
        pass

    @property
    def _base_manager(cls) -> Any:
        return all_rows(cls)

    @property
    def _default_manager(cls) -> Any:
        return cls.objects  # type: ignore[attr-defined]


def all_rows(model: Any) -> Any:
    """A queryset of all rows, without the filters of managers."""
    return orm.QuerySet(Query(model._meta, Instances(model._meta)))


class _Declaration:
    """One class statement of a model."""

    def __init__(self, mcls: Any, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        self.mcls, self.name, self.bases, self.namespace = mcls, name, bases, namespace
        self.app = namespace.get("__module__", "").partition(".")[0]
        self.meta: dict[str, Any] = {}
        self.proxy = False

    def note(self, what: str) -> None:
        substitutions.append(f"{self.app}.{self.name}: {what}")

    def declare(self) -> Any:
        if any(is_missing(base) for base in self.bases):
            self.note("left out, inherits from what is missing")
            return missing(self.name, feature=next(base for base in self.bases if is_missing(base)).feature)
        self.read_meta()
        if self.proxy:
            self.meta["proxy"] = True
        self.convert_fields()
        if not self.meta.get("abstract") and not self.proxy:
            self.namespace["tablename"] = f"{self.app}_{self.name.lower()}"
        if self.meta or self.namespace.get("Meta"):
            self.namespace["Meta"] = type("Meta", (), self.meta)
        self.namespace["registry"] = registry
        declared = dict(self.namespace)
        try:
            model = ModelMetaclass.__new__(self.mcls, self.name, self.bases, self.namespace)
        except (orm.FieldError, orm.QueryError, TypeError, KeyError, MissingFeature) as error:
            self.note(f"left out, {error}")
            registry.models.pop(self.name, None)
            return missing(self.name, feature=f"a model that is left out: {error}")
        inherited: dict[str, Any] = {}
        for base in self.bases:
            inherited.update(getattr(base, "declared_namespace", {}))
        type.__setattr__(model, "declared_namespace", {**inherited, **declared})
        for name, method in list(vars(model).items()):
            if name.startswith(("get_next_by_", "get_previous_by_")) and inspect.iscoroutinefunction(method):
                setattr(model, name, synchronous(method))
        return model

    def read_meta(self) -> None:
        meta = self.namespace.get("Meta")
        for base in reversed(meta.__mro__ if meta else ()):
            for option, value in vars(base).items():
                if not option.startswith("__"):
                    self.read_option(option, value, own=base is meta)
        needed = getattr(meta, "required_db_features", ())
        if self.meta.get("constraints") and not all(Run.features.get(feature) for feature in needed):
            self.meta["constraints"] = []
            self.note("without constraints that Django does not make on this database")
        if isinstance(self.meta.get("ordering"), str):
            self.meta["ordering"] = [self.meta["ordering"]]
        elif meta and not self.meta.get("ordering", True):
            self.meta["ordering"] = []

    def read_option(self, option: str, value: Any, *, own: bool) -> None:
        if option == "db_table":
            self.meta["tablename"] = value.strip('"')
        elif option == "abstract":
            if own:
                self.meta["abstract"] = value
        elif option in ("ordering", "get_latest_by"):
            self.meta[option] = value
        elif option == "constraints":
            kept = [constraint for constraint in value if not isinstance(constraint, Dropped)]
            self.meta.setdefault("constraints", []).extend(kept)
            if len(kept) != len(value):
                self.note("without a constraint")
        elif option == "unique_together":
            groups = [value] if value and isinstance(value[0], str) else value
            self.meta.setdefault("constraints", []).extend(orm.UniqueConstraint(*group) for group in groups)
        elif option == "proxy":
            self.proxy = value
        elif option not in FORMATTED_OPTIONS:
            self.note(f"without Meta.{option}")

    def convert_fields(self) -> None:
        namespace = self.namespace
        for name, value in list(namespace.items()):
            renamed = getattr(value, "django_name", None) if isinstance(value, orm.Field) else None
            if renamed:
                namespace[renamed] = namespace.pop(name)
        for name, value in list(namespace.items()):
            if isinstance(value, Dropped):
                self.note(f"without {name}, {value.feature}")
                del namespace[name]
            elif isinstance(value, orm.ForeignKey) and value.column is None:
                value.column = f"{name}_id"
        for name, value in list(namespace.items()):
            if isinstance(value, CompositePrimaryKey):
                del namespace[name]
                for key in value.names:
                    self.field_of(key).primary_key = True
        for name, value in list(namespace.items()):
            if isinstance(value, ForeignObject):
                self.convert_foreign_object(name, value)

    def field_of(self, name: str) -> Any:
        field = self.namespace.get(name)
        return field if isinstance(field, orm.Field) else self.namespace[name.removesuffix("_id")]

    def convert_foreign_object(self, name: str, value: ForeignObject) -> None:
        keys = [
            key.removesuffix("_id") if isinstance(self.namespace.get(key.removesuffix("_id")), orm.ForeignKey) else key
            for key in value.from_fields
        ]
        try:
            self.namespace[name] = orm.CompositeForeignKey(
                value.to,
                from_fields=keys,
                on_delete=value.on_delete,
                related_name=value.related_name,
                allow_null=value.null,
            )
        except orm.FieldError as error:
            self.note(f"without {name}, {error}")
            del self.namespace[name]


class Model(orm.Model, metaclass=DjangoMetaclass):
    """The base class of Django's models."""

    class Meta:
        abstract = True

    def __init__(self, *values: Any, **named: Any) -> None:
        if values:
            named = {**dict(zip(self._meta.by_attname, values, strict=False)), **named}
        self._meta.construct(self, **named)

    def __str__(self) -> str:
        return f"{type(self).__name__} object ({self.pk})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    @classmethod
    def from_db(cls, *values: Any) -> Any:
        raise DjangoInternal("Model.from_db")


del Model.Meta

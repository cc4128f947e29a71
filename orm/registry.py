"""`ModelRegistry`: the models of a database, and their SQLAlchemy MetaData."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import databases
import sqlalchemy

from orm.database.connections import ddl, schemas
from orm.database.connections.errors import on_integrity_error
from orm.exceptions import FieldError, IntegrityError, QueryError
from orm.mapping.violations import identify_by_table
from orm.query.plans.cache import plan_cache_clear
from orm.related.accessors import install_many_to_many, set_reverse_accessors, uninstall_many_to_many
from orm.relations.base import find_target

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations import ManyToMany

T = TypeVar("T")

# PostgreSQL's defaults, so that databases created by other means compare equal in Alembic. Foreign keys in a cycle
# need names to be dropped.
NAMING_CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
}


_registries: weakref.WeakSet[ModelRegistry] = weakref.WeakSet()


def _identify(error: IntegrityError) -> None:
    """Set the model of an error, found among all models. The ORM's own statements know the model, and set it again."""
    identify_by_table(error, [model._meta for registry in _registries for model in registry.models.values()])


on_integrity_error.append(_identify)


class ModelRegistry:
    """The models of an application and their database.

        database = orm.Database("sqlite:///db.sqlite")
        models = orm.ModelRegistry(database=database)

    `models` maps class names to models, `metadata` is the MetaData with which Alembic compares a database. `database`
    can be set later, before the first query.

    With `require_all=True`, `update()` and `delete()` of a whole table raise `QueryError` unless it is confirmed with
    ``all()``: ``Note.objects.all().delete()``.
    """

    def __init__(
        self,
        database: databases.Database | None = None,
        *,
        metadata: sqlalchemy.MetaData | None = None,
        require_all: bool = False,
    ) -> None:
        self._database = database
        self.require_all = require_all
        self.models: dict[str, type[Model]] = {}
        self.on_change: list[Callable[[ModelRegistry], None]] = []
        """Called with the registry after a model was added."""
        self._installing = False
        _registries.add(self)
        self._metadata = sqlalchemy.MetaData(naming_convention=NAMING_CONVENTION) if metadata is None else metadata

    def __repr__(self) -> str:
        return f"<ModelRegistry: {', '.join(self.models) or 'no models'}>"

    @property
    def database(self) -> databases.Database:
        """The database on which the models' queries run. Raises `QueryError` if none is set."""
        if self._database is None:
            raise QueryError(
                "This ModelRegistry has no database: pass ModelRegistry(database=...), "
                "set registry.database, or choose one per query with using(database)."
            )
        return schemas.of_context(self._database) if schemas.in_use else self._database

    @database.setter
    def database(self, database: databases.Database) -> None:
        self._database = database

    @property
    def own_database(self) -> databases.Database | None:
        """The database, whatever schema the context names."""
        return self._database

    @property
    def metadata(self) -> sqlalchemy.MetaData:
        """The MetaData with the table of every model. Raises `FieldError` if a relation names an unknown model."""
        self.build_tables()
        for model in self.models.values():
            model._meta.require_table()
            for relation in model._meta.local_many_to_many.values():
                self.require(relation)
        return self._metadata

    # The tables of other classes are declared above this layer, in a package that is imported when it is used.

    def table(
        self,
        *,
        pk: str | Sequence[str] = "id",
        indexed: Sequence[str | Sequence[str]] = (),
        unique: Sequence[str | Sequence[str]] = (),
        tablename: str | None = None,
        on_delete: Mapping[str, str] | None = None,
        back_references: Mapping[str, str] | None = None,
    ) -> Callable[[type[T]], type[T]]:
        """Make a table of a Pydantic model, a dataclass or a msgspec struct.

            @models.table(pk="id", indexed=["name"])
            class Flavor(BaseModel):
                id: str
                name: str = Field(min_length=2, max_length=63)

        Columns have the types of the annotations and their limits. ``author: Author`` is a foreign key, and
        ``books: list["Book"]`` its reverse, or a many-to-many relation if both classes have a list.

        Args:
            pk: The name of the primary key, or the names of its parts.
            indexed: The names of indexed columns; a tuple is an index of several.
            unique: The names of unique columns; a tuple is a constraint of several.
            tablename: The table's name, by default that of the class in lower case.
            on_delete: What the database does when the row of a relation is deleted: ``{"author": orm.CASCADE}``.
            back_references: Of lists for which there are several foreign keys, the one that is meant.

        Raises:
            FieldError: The class, or one of its annotations, cannot be stored.
        """
        declare: Callable[[type[T]], type[T]] = import_module("orm.contrib.tables").declare(
            self,
            pk=pk,
            indexed=indexed,
            unique=unique,
            tablename=tablename,
            on_delete=on_delete,
            back_references=back_references,
        )
        return declare

    def __getitem__(self, row_class: type) -> Any:
        """The `orm.contrib.tables.Table` of a class: ``await models[Flavor].find_one("vanilla")``.

        Raises `FieldError` if the class was not declared with `table()`.
        """
        return import_module("orm.contrib.tables").table_of(self, row_class)

    async def create_all(self) -> None:
        """Create the tables that do not exist, on the connection of the current task."""
        await ddl.create_all(self.database, self.metadata)

    async def drop_all(self) -> None:
        """Drop the tables of the models, with all their rows."""
        await ddl.drop_all(self.database, self.metadata)

    async def create_schema(self, name: str) -> None:
        """Create a schema, on MySQL and MariaDB a database, if there is none of this name, with the models' tables.

        Raises `NotSupportedError` on SQLite, which has no schemas, and for a name that is longer than the database's.
        """
        with schemas.schema(name):
            await ddl.create_schema(self.database, name)
            await self.create_all()

    async def drop_schema(self, name: str) -> None:
        """Drop a schema, on MySQL and MariaDB a database, with all that is in it, if there is one of this name."""
        with schemas.schema(name):
            await ddl.drop_schema(self.database, name)

    def _add(self, model: type[Model]) -> None:
        schema, name = model._meta.options.schema or self._metadata.schema, model._meta.tablename
        existing = self._metadata.tables.get(f"{schema}.{name}" if schema else name)
        if model._meta.concrete is not model._meta:
            existing = None  # The table is that of the model that it inherits from.
        replaced = self.models.get(model.__name__)
        if existing is not None and (replaced is None or replaced._meta.table is not existing):
            raise FieldError(
                f"{model.__name__}: the table {name!r} is already taken by another "
                "model of this registry. Give one of them another Meta.tablename."
            )
        if replaced is not None:
            self._forget(replaced)
        self.models[model.__name__] = model
        try:
            self.build_tables()
        except FieldError:
            self._forget(model)
            raise
        for base in model._meta.bases:
            base.children.append(model._meta)
            base.concrete.clear_caches()
            plan_cache_clear()  # Queries of the base model may read its rows, too.
        for function in self.on_change:
            function(self)

    def _forget(self, model: type[Model]) -> None:
        """Remove a model, its table, and its reverse relations. References to it become unresolved names."""
        info = model._meta
        for child in list(info.children):
            self._forget(child.model)
        for base in info.bases:
            if info in base.children:
                base.children.remove(info)
        for relation in info.local_many_to_many.values():
            if relation.is_installed:
                uninstall_many_to_many(relation)
            if relation.auto_through is not None:
                self._forget(relation.auto_through)
        self._detach_referrers(model)
        for forward in info.local_forward:
            if forward.is_resolved():
                forward.target._meta.drop_relation(forward)
        if self.models.get(model.__name__) is model:
            del self.models[model.__name__]
        if info.table is not None and info.concrete is info and self._metadata.tables.get(info.table.key) is info.table:
            self._metadata.remove(info.table)
        if info.local_fields and info.concrete is not info:
            self._rebuild_table(info.concrete.model)
        for other in self.models.values():
            other._meta.clear_caches()
        plan_cache_clear()

    def _rebuild_table(self, model: type[Model]) -> None:
        """Let the table be built again without the columns of a model that shared it."""
        info = model._meta
        if info.table is not None and self._metadata.tables.get(info.table.key) is info.table:
            self._drop_referring_tables(model)
            self._metadata.remove(info.table)
            info.forget_table()

    def _detach_referrers(self, model: type[Model]) -> None:
        """Turn references to the removed model back into unresolved names."""
        name = model.__name__
        for other in [other for other in self.models.values() if other is not model]:
            info = other._meta
            for relation in info.local_many_to_many.values():
                to_it = find_target(relation.to, other) is model
                over_it = (
                    relation.auto_through is None and relation.through and find_target(relation.through, other) is model
                )
                if relation.is_installed and (to_it or over_it):
                    self._uninstall_many_to_many(relation)
                if to_it:
                    relation.to = name
                if over_it:
                    relation.through = name
        self._drop_referring_tables(model)
        for other in self.models.values():
            for forward in other._meta.local_forward:
                if other is not model and forward.to is model:
                    forward.reset_target(name)

    def _drop_referring_tables(self, model: type[Model]) -> None:
        """Remove the tables that refer to the model's table, which SQLAlchemy could not point at a new one."""
        for other in list(self.models.values()):
            info = other._meta
            if other is not model and info.table is not None and any(each.to is model for each in info.local_forward):
                if info.concrete is info:
                    self._metadata.remove(info.table)
                info.concrete.forget_table()
                self._drop_referring_tables(other)

    def _uninstall_many_to_many(self, relation: ManyToMany[Any]) -> None:
        """Uninstall a many-to-many relation, with the through model that was generated for it."""
        generated_model = relation.auto_through
        uninstall_many_to_many(relation)
        relation.reset()
        if generated_model is not None:
            self._forget(generated_model)

    def build_tables(self) -> None:
        """Build the tables whose foreign keys can be resolved. Tables with unresolved references are built later.

        Raises `FieldError` for an invalid relation.
        """
        for model in list(self.models.values()):
            if model._meta.build_table_if_ready(self._metadata):
                set_reverse_accessors(model)
        if self._installing:
            return  # The model that is being added is a generated through model.
        self._installing = True
        try:
            for model in list(self.models.values()):
                for relation in model._meta.local_many_to_many.values():
                    if not relation.is_installed and relation.is_resolved():
                        self._install_many_to_many(relation)
        finally:
            self._installing = False

    def _install_many_to_many(self, relation: ManyToMany[Any]) -> None:
        try:
            install_many_to_many(relation)
        except FieldError:
            self._uninstall_many_to_many(relation)
            raise

    def require(self, relation: ManyToMany[Any]) -> None:
        """Raise `FieldError` if a model of the relation is unknown."""
        self.build_tables()
        if not relation.is_installed:
            sides = [relation.model, relation.target]
            if relation.through is not None:
                sides.append(relation.through_model)
            for model in sides:
                model._meta.require_table()

    def unknown_model(self, label: str, target: str) -> FieldError:
        """The error for a relation to an unknown model, with the closest name."""
        known = sorted(self.models)
        close = difflib.get_close_matches(target, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return FieldError(
            f"{label} points to {target!r}, but no model of that name is in its registry."
            f"{hint} The models are: {', '.join(known)}."
        )

    def find(self, name: str) -> type[Model] | None:
        """The model with this class name, or None."""
        return self.models.get(name)


def registries_of(metadata: sqlalchemy.MetaData) -> list[ModelRegistry]:
    """The registries whose models' tables are in a MetaData."""
    return [registry for registry in list(_registries) if registry._metadata is metadata]


def registry_of(namespace: dict[str, Any], bases: tuple[type, ...]) -> ModelRegistry | None:
    """The registry that a class body names, or that it inherits; None if there is none.

    In the spelling of `orm` 0.1 the class body names a MetaData and a database instead. Their registry is kept in the
    MetaData's `info`. Raises `FieldError` for a `registry` of another type.
    """
    if "__metadata__" in namespace:
        metadata = namespace["__metadata__"]
        known = metadata.info.get("orm_registry")
        if not isinstance(known, ModelRegistry):
            known = ModelRegistry(namespace.get("__database__"), metadata=metadata)
            metadata.info["orm_registry"] = known
        return known
    if "registry" in namespace:
        registry = namespace["registry"]
        if not isinstance(registry, ModelRegistry):
            raise FieldError(f"registry must be an orm.ModelRegistry, got {type(registry).__name__}.")
        return registry
    for base in bases:
        inherited = getattr(base, "registry", None)
        if isinstance(inherited, ModelRegistry):
            return inherited
    return None

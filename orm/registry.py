"""`ModelRegistry`: a set of models, their SQLAlchemy MetaData, and the database they live in."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import databases
import sqlalchemy

from orm.database.connections import ddl
from orm.exceptions import FieldError, QueryError
from orm.query.plans.cache import plan_cache_clear
from orm.related.accessors import install_many_to_many, set_reverse_accessors, uninstall_many_to_many
from orm.relations.base import find_target

if TYPE_CHECKING:
    from orm.models import Model
    from orm.relations import ManyToMany

# PostgreSQL's own defaults, so that databases made by other means compare equal in Alembic; and names
# are what a cycle of foreign keys needs to be dropped again.
NAMING_CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
}


class ModelRegistry:
    """The models of an application and the database they live in.

        database = orm.Database("sqlite:///db.sqlite")
        models = orm.ModelRegistry(database=database)

    `models` maps each model's class name to the class, `metadata` is the MetaData that Alembic
    compares a database with. `database` may be set later, before the first query.

    With `require_all=True`, `update()` and `delete()` over a whole table raise `QueryError` unless ``all()`` says
    that it is meant: ``Note.objects.all().delete()``.
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
        self._linking = False
        self._metadata = sqlalchemy.MetaData(naming_convention=NAMING_CONVENTION) if metadata is None else metadata

    def __repr__(self) -> str:
        return f"<ModelRegistry: {', '.join(self.models) or 'no models'}>"

    @property
    def database(self) -> databases.Database:
        """The database that the models' queries run on. Raises `QueryError` while there is none."""
        if self._database is None:
            raise QueryError(
                "This ModelRegistry has no database: pass ModelRegistry(database=...), "
                "set registry.database, or choose one per query with using(database)."
            )
        return self._database

    @database.setter
    def database(self, database: databases.Database) -> None:
        self._database = database

    @property
    def metadata(self) -> sqlalchemy.MetaData:
        """The MetaData with every model's table. Raises `FieldError` if a relation names no model."""
        self.build_tables()
        for model in self.models.values():
            model._meta.require_table()
            for relation in model._meta.many_to_many.values():
                self.require(relation)
        return self._metadata

    async def create_all(self) -> None:
        """Create the tables that do not exist yet, on the connection of the current task."""
        await ddl.create_all(self.database, self.metadata)

    async def drop_all(self) -> None:
        """Drop the models' tables that exist, with all their rows."""
        await ddl.drop_all(self.database, self.metadata)

    def _add(self, model: type[Model]) -> None:
        schema, name = model._meta.options.schema or self._metadata.schema, model._meta.tablename
        taken = self._metadata.tables.get(f"{schema}.{name}" if schema else name)
        replaced = self.models.get(model.__name__)
        if taken is not None and (replaced is None or replaced._meta.table is not taken):
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

    def _forget(self, model: type[Model]) -> None:
        """Take a model out, with its table and what it gave other models. What leads to it waits for another."""
        info = model._meta
        for relation in info.many_to_many.values():
            if relation.is_installed:
                uninstall_many_to_many(relation)
            if relation.made is not None:
                self._forget(relation.made)
        self._detach_referrers(model)
        for forward in info.forward:
            if forward.is_resolved():
                forward.target._meta.drop_relation(forward)
        if self.models.get(model.__name__) is model:
            del self.models[model.__name__]
        if info.table is not None and self._metadata.tables.get(info.table.key) is info.table:
            self._metadata.remove(info.table)
        for other in self.models.values():
            other._meta.clear_caches()
        plan_cache_clear()

    def _detach_referrers(self, model: type[Model]) -> None:
        """Let the relations that lead to a model wait for the next one of its name, without a table meanwhile."""
        name = model.__name__
        for other in [other for other in self.models.values() if other is not model]:
            info = other._meta
            for relation in info.many_to_many.values():
                to_it = find_target(relation.to, other) is model
                over_it = relation.made is None and relation.through and find_target(relation.through, other) is model
                if relation.is_installed and (to_it or over_it):
                    self._unmake(relation)
                if to_it:
                    relation.to = name
                if over_it:
                    relation.through = name
        self._drop_referring_tables(model)
        for other in self.models.values():
            for forward in other._meta.forward:
                if other is not model and forward.to is model:
                    forward.reset_target(name)

    def _drop_referring_tables(self, model: type[Model]) -> None:
        """Take away the tables that point at a model's: SQLAlchemy would not let them point at the next one."""
        for other in list(self.models.values()):
            info = other._meta
            if other is not model and info.table is not None and any(each.to is model for each in info.forward):
                self._metadata.remove(info.table)
                info.table = None
                self._drop_referring_tables(other)

    def _unmake(self, relation: ManyToMany[Any]) -> None:
        """Undo what linking a many-to-many relation made."""
        made = relation.made
        uninstall_many_to_many(relation)
        relation.reset()
        if made is not None:
            self._forget(made)

    def build_tables(self) -> None:
        """Build each table whose foreign keys can be resolved by now; a forward reference waits.

        Raises `FieldError` for relations that make no sense.
        """
        for model in list(self.models.values()):
            if model._meta.build_table_if_ready(self._metadata):
                set_reverse_accessors(model)
        if self._linking:
            return  # The model that is being added is one that a relation makes for itself.
        self._linking = True
        try:
            for model in list(self.models.values()):
                for relation in model._meta.many_to_many.values():
                    if not relation.is_installed and relation.is_resolved():
                        self._link(relation)
        finally:
            self._linking = False

    def _link(self, relation: ManyToMany[Any]) -> None:
        try:
            install_many_to_many(relation)
        except FieldError:
            self._unmake(relation)
            raise

    def require(self, relation: ManyToMany[Any]) -> None:
        """See that both ends of the relation are known. Raises `FieldError` if one of its models never appeared."""
        self.build_tables()
        if not relation.is_installed:
            sides = [relation.model, relation.target]
            if relation.through is not None:
                sides.append(relation.through_model)
            for model in sides:
                model._meta.require_table()

    def unknown_model(self, label: str, target: str) -> FieldError:
        """The error for a relation to a model that is not there, with what it could have been."""
        known = sorted(self.models)
        close = difflib.get_close_matches(target, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return FieldError(
            f"{label} points to {target!r}, but no model of that name is in its registry."
            f"{hint} The models there are: {', '.join(known)}."
        )

    def find(self, name: str) -> type[Model] | None:
        """The model of this class name, or None."""
        return self.models.get(name)


def registry_of(namespace: dict[str, Any], bases: tuple[type, ...]) -> ModelRegistry | None:
    """The registry that a class statement names, in any of the three spellings.

    The spelling of `orm` 0.1 names a MetaData and a database instead; the registry of such a pair is
    kept with the MetaData.
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

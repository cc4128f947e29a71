"""Pickled querysets: the query, without its rows and without the database of `using()`.

A query refers to models, fields, relations, paths, tables and lookups. A process has one object for each, and the plan
cache compares them by identity. So they are pickled by name, and unpickled as the objects of the current process.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orm.lookups.base import Lookup, lookups
from orm.lookups.json import KEY_IS_NULL
from orm.query.conditions.base import EVERYTHING, NOTHING
from orm.query.paths import path_over, resolve_path
from orm.query.query import Query
from orm.query.terms.base import NULL

if TYPE_CHECKING:
    from orm.mapping.model_info import ModelInfo
    from orm.models import Model

Reference = tuple[Any, ...]
"""The name of a model, the kind of thing that belongs to it, and further names: the arguments of `referenced`."""

SINGLETONS = {id(EVERYTHING): "EVERYTHING", id(NOTHING): "NOTHING", id(NULL): "NULL"}


def pickled(query: Query, protocol: int) -> bytes:
    """The pickle of a query. Raises `pickle.PicklingError` for what cannot be pickled, such as a lambda in a `CTE`."""
    buffer = io.BytesIO()
    QueryPickler(buffer, protocol, query.info).dump(query)
    return buffer.getvalue()


def unpickled(queryset_class: Any, data: bytes) -> Any:
    """The queryset of a pickled query."""
    return queryset_class(pickle.loads(data))


class QueryPickler(pickle.Pickler):
    """Pickles a query. What belongs to the models of its registry is pickled by name."""

    def __init__(self, file: io.BytesIO, protocol: int, info: ModelInfo) -> None:
        super().__init__(file, protocol)
        self._root = info.model
        self._objects: list[tuple[object, Reference]] = [*references(info)]  # keeps the ids in use
        self._references = {id(named): reference for named, reference in self._objects}

    def reducer_override(self, obj: Any) -> Any:
        """How an object is pickled, if pickle's way does not do."""
        reference = self._references.get(id(obj))
        if reference is not None and obj is not self._root:
            return referenced, (self._root, *reference)
        if isinstance(obj, Query):
            return type(obj), tuple(getattr(obj, clause.name) for clause in dataclasses.fields(obj))
        if isinstance(obj, Lookup):
            return registered_lookup, (type(obj),)
        return SINGLETONS.get(id(obj), NotImplemented)


def references(info: ModelInfo) -> Iterator[tuple[object, Reference]]:
    """What belongs to the models of this model's registry, with its reference."""
    for name, model in info.registry.models.items():
        meta = model._meta
        yield model, (name, "model")
        yield meta, (name, "info")
        for kind in ("fields", "composed", "many_to_many", "relations"):
            for key, named in getattr(meta, kind).items():
                yield named, (name, kind, key)
                for part in ("key", "reverse"):
                    if part in getattr(named, "__dict__", {}):
                        yield named.__dict__[part], (name, kind, key, part)
        if meta.table is not None:
            yield meta.table, (name, "table")
            for column in meta.table.columns:
                yield column, (name, "column", column.key)
        for (hops, rest), path in meta.paths_over_joins.items():
            yield path, (name, "path over", hops, rest)
        for key, path in meta.paths.items():
            yield path, (name, "path", key)
            for count in path._rests:
                yield path.after(count), (name, "path", key, count)


def referenced(root: type[Model], name: str, kind: str, key: Any = "", part: Any = None) -> Any:
    """The object of a reference. Raises `pickle.UnpicklingError` if this process has no such model or field."""
    try:
        info = root._meta.registry.models[name]._meta
        if kind == "model":
            return info.model
        if kind == "info":
            return info
        if kind == "table":
            return info.require_table()
        if kind == "column":
            return info.require_table().columns[key]
        if kind == "path over":
            return path_over(info, key, part)
        if kind == "path":
            path = resolve_path(info, key, "a column of a pickled query")
            return path if part is None else path.after(part)
        named = getattr(info, kind)[key]
        return named if part is None else getattr(named, part)
    except (KeyError, AttributeError) as error:
        raise pickle.UnpicklingError(f"The pickled query refers to {name}.{key or kind}, which is not here.") from error


def registered_lookup(lookup_class: type[Lookup]) -> Lookup:
    """The lookup of a class."""
    if isinstance(KEY_IS_NULL, lookup_class):
        return KEY_IS_NULL
    registered = (lookup for lookup in lookups[lookup_class.name] if type(lookup) is lookup_class)
    return next(registered, None) or lookup_class()

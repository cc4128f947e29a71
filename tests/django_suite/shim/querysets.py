"""Querysets as Django has them: they are iterated, cache their rows, and their methods are synchronous."""

from __future__ import annotations

import functools
import inspect
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

import orm
from orm.queryset.chaining import ChainMethods
from orm.queryset.reading import ReadMethods
from orm.relations.expressions import RelationExpression
from tests.django_suite.shim.bridge import in_test, run, synchronous, without_alias
from tests.django_suite.shim.internals import SQLText
from tests.django_suite.shim.placeholders import DjangoInternal, MissingFeature
from tests.django_suite.shim.raw import raw

QUERYSETS: tuple[Any, ...] = tuple(cls for cls in orm.QuerySet.__mro__ if issubclass(cls, ChainMethods))
CLASSES: tuple[Any, ...] = (*QUERYSETS, orm.RelatedManager, orm.ManyToManyManager, orm.Manager)
CACHE = "_django_rows"


def install() -> None:
    """Change the classes of querysets and managers."""
    asynchronous: dict[Any, dict[str, Any]] = {
        cls: {name: method for name, method in vars(cls).items() if inspect.iscoroutinefunction(method)}
        for cls in CLASSES
    }
    for cls, methods in asynchronous.items():
        for name, method in methods.items():
            if name.startswith("_"):
                continue
            setattr(cls, f"a{name}", method)
            if name == "delete":
                method = _clearing_cache(method)
                setattr(cls, name, synchronous(method, arguments=without_alias, result=lambda count: (count, {})))
            elif name == "bulk_update":
                setattr(cls, name, synchronous(method, arguments=_with_kept_rows))
            else:
                setattr(cls, name, synchronous(_clearing_cache(method) if name == "update" else method))
    _install_iteration()
    _install_django_names()


def _with_kept_rows(rows: Any, *args: Any, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of `bulk_update()`, with the rows that a queryset of Django's keeps."""
    return ([*rows] if isinstance(rows, ReadMethods) else rows, *args), options


def _clearing_cache(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(self: Any, *args: Any, **options: Any) -> Any:
        result = await method(self, *args, **options)
        self.__dict__.pop(CACHE, None)
        return result

    return call


def _rows(self: Any) -> Any:
    """The rows, which a queryset keeps once they are loaded."""
    if isinstance(self, orm.RelatedManager) and self._rows is not None:
        return run(self._fetch())
    if CACHE not in self.__dict__:
        self.__dict__[CACHE] = run(self._fetch())
    return self.__dict__[CACHE]


def _without_cache(self: Any) -> Any:
    copied = type(self).__new__(type(self))
    copied.__dict__.update({name: value for name, value in self.__dict__.items() if name != CACHE})
    return copied


def _install_iteration() -> None:
    reading: Any = ReadMethods

    def in_tests(of_rows: Callable[..., Any], original: Callable[..., Any]) -> Any:
        return lambda self, *args: of_rows(_rows(self), *args) if in_test() else original(self, *args)

    for cls in CLASSES:
        for name, of_rows in (
            ("__iter__", iter),
            ("__len__", len),
            ("__bool__", bool),
            ("__contains__", operator.contains),
        ):
            if name in vars(cls):
                setattr(cls, name, in_tests(of_rows, vars(cls)[name]))
        if "__getitem__" in vars(cls):
            cls.__getitem__ = _getitem(vars(cls)["__getitem__"])

    async def collected(self: Any) -> list[Any]:
        return [row async for row in self]

    async def aiterator(self: Any, chunk_size: int | None = None) -> Any:
        async for row in self:
            yield row

    def iterator(self: Any, chunk_size: int | None = None) -> Iterator[Any]:
        return iter(run(collected(self)))

    reading.iterator = iterator
    reading.aiterator = aiterator


def _getitem(original: Callable[[Any, Any], Any]) -> Any:
    def get(self: Any, index: Any) -> Any:
        if not in_test():
            return original(self, index)
        if not isinstance(index, (int, slice)):
            raise TypeError(f"QuerySet indices must be integers or slices, not {type(index).__name__}.")
        rows = self.__dict__.get(CACHE)
        if rows is None and isinstance(index, int) and isinstance(self, orm.RelatedManager):
            rows = self._rows
        if rows is not None:
            return rows[index]
        if isinstance(index, slice) and index.step is not None:
            return run(original(self, slice(index.start, index.stop))._fetch())[:: index.step]
        value = original(self, index)  # of a related manager, that of QuerySet has waited already
        return run(value) if inspect.iscoroutine(value) else value

    return get


def django_sql(text: str) -> SQLText:
    """SQL as tests look for it: with Django's capitals and its word for an inner join."""
    one_line = " ".join(text.split())
    joined = re.sub(r"(?<!OUTER) JOIN ", " INNER JOIN ", one_line)
    return SQLText(re.sub(r"\b(count|max|min|sum|avg)\(", lambda match: match[0].upper(), joined))


class _QueryText:
    """`queryset.query`, of which there is the SQL alone."""

    def __init__(self, queryset: Any) -> None:
        object.__setattr__(self, "queryset", queryset)

    def __str__(self) -> str:
        return django_sql(str(self.queryset.sql))

    def __getattr__(self, name: str) -> Any:
        raise DjangoInternal(f"QuerySet.query.{name}")


def _install_django_names() -> None:
    chaining: Any = ChainMethods
    using, explain = chaining.using, ReadMethods.explain

    def use(self: Any, alias: Any) -> Any:
        if alias in ("default", None):
            return self
        if isinstance(alias, str):
            raise MissingFeature("using(alias)")
        return using(self, alias)

    def missing(feature: str) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **options: Any) -> Any:
            raise MissingFeature(feature)

        return method

    def all_rows(original: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **options: Any) -> Any:
            queryset = original(self, *args, **options)
            return _without_cache(queryset) if in_test() else queryset

        return method

    for cls in (chaining, orm.Manager, orm.RelatedManager):
        if "all" in vars(cls):
            cls.all = all_rows(vars(cls)["all"])
    chaining.using = use
    chaining.query = property(_QueryText)
    chaining.db = property(lambda self: "default")
    chaining.db_manager = lambda self, using=None, hints=None: self
    chaining.complex_filter = lambda self, q: self.filter(q) if isinstance(q, orm.Q) else self.filter(**q)
    chaining.extra = missing("extra()")
    chaining.__class_getitem__ = classmethod(lambda cls, item: cls)
    queryset: Any = orm.QuerySet
    queryset.raw = raw(queryset.raw)
    reading: Any = ReadMethods
    reading.explain = lambda self, format=None, **options: explain(self, format=format, **options)
    many: Any = orm.ManyToManyManager
    many.through = property(lambda self: self._relation.relation.through_model)
    _install_relation_descriptors()


def _install_relation_descriptors() -> None:
    """`Article.tags.through` on the class, where `orm` has an expression."""
    expression: Any = RelationExpression
    original = expression.__getattribute__

    def get(self: Any, name: str) -> Any:
        if name == "through":
            relation = self._relation()
            return getattr(relation, "relation", relation).through_model
        if name in (
            "cache_name",
            "field",
            "get_object",
            "get_queryset",
            "is_cached",
            "rel",
            "related",
            "related_manager_cls",
        ):
            raise DjangoInternal(f"descriptor.{name}")
        return original(self, name)

    expression.__getattribute__ = get

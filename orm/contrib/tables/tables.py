"""`Table`: reading and writing the rows of a class, ``models[Flavor]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orm.contrib.tables.filters import condition_of, is_empty
from orm.contrib.tables.row_builder import RowBuilder
from orm.contrib.tables.strategies import Load, loads_of
from orm.exceptions import FieldError, NoMatch, NotSupportedError, QueryError
from orm.expressions.base import Q
from orm.loading.strategies import Strategy, joined, selectin
from orm.models import Model
from orm.utils.articles import with_article

if TYPE_CHECKING:
    from orm.contrib.tables.registration import Declared

T = TypeVar("T")
Where = Mapping[str, Any] | Q | None


@dataclass(frozen=True)
class Result(Generic[T]):
    """The rows of `find_many()`, in `data`."""

    data: list[T]
    limit: int | None = None
    offset: int = 0

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


class Table(Generic[T]):
    """The table of a row class.

    `model` is the `orm.Model` behind it, and `model.objects` its queryset, which `rows()` turns into rows.

    Conditions are dicts, or `Q`: see `orm.contrib.tables.filters`. A relation to one whose attribute cannot be its key
    (``author: Author``) is joined, unless ``load=[noload("author")]``; other relations are loaded by ``load=``.
    Reading one that was not loaded raises `NotLoaded`.
    """

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._rows = declared.rows

    @property
    def model(self) -> type[Model]:
        """The model behind the table."""
        return self._declared.model

    # Reading

    async def find_one(self, where: Any, *, load: Iterable[Load | Strategy] = (), depth: int = 0) -> T | None:
        """The row with a primary key, or that matches a condition; None if there is none.

        Raises:
            MultipleMatches: Several rows match.
        """
        condition = condition_of(where) if isinstance(where, (Mapping, Q)) else Q(pk=where)
        matching = await self._loading(load, depth).filter(condition)[:2]
        if len(matching) > 1:
            raise self.model.MultipleObjectsReturned(f"find_one(): more than one {self._declared.name} matches.")
        return self._built(matching)[0] if matching else None

    async def find_many(
        self,
        where: Where = None,
        *,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        load: Iterable[Load | Strategy] = (),
        depth: int = 0,
    ) -> Result[T]:
        """The rows that match a condition.

        Args:
            where: The condition.
            order_by: A name or several, descending after a minus: ``["-rating", "supplier.name"]``.
            limit: The largest number of rows.
            offset: The number of rows to leave out at the beginning.
            load: How relations are loaded: ``[selectinload("flavors"), joinedload("supplier")]``.
            depth: Load all relations up to this distance.
        """
        _check_rows("offset", offset)
        if limit is not None:
            _check_rows("limit", limit)
        matching = self._ordered(self._loading(load, depth).filter(condition_of(where)), order_by)
        if limit is not None or offset:
            matching = matching[offset : None if limit is None else offset + limit]
        return Result(self._built(await matching), limit, offset)

    async def select(
        self,
        *names: str,
        where: Where = None,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
        **expressions: Any,
    ) -> list[dict[str, Any]]:
        """Columns and expressions, as dicts: ``select("supplier.name", where={"rating": 5}, n=orm.Count("id"))``."""
        if limit is not None:
            _check_rows("limit", limit)
        paths = [name.replace(".", "__") for name in names]
        matching: Any = self._ordered(
            self.model.objects.filter(condition_of(where)).values(*paths).annotate(**expressions), order_by
        )
        selected: list[dict[str, Any]] = await (matching if limit is None else matching[:limit])
        return selected

    async def count(self, where: Where = None) -> int:
        """The number of rows that match a condition."""
        return await self.model.objects.filter(condition_of(where)).count()

    async def exists(self, where: Where = None) -> bool:
        """Whether a row matches a condition."""
        return await self.model.objects.filter(condition_of(where)).exists()

    async def rows(self, queryset: Any) -> list[T]:
        """The rows of a queryset of the model: ``await flavors.rows(flavors.model.objects.exclude(rating=0))``."""
        return self._built(await queryset)

    async def load(self, rows: T | Sequence[T], path: str) -> Any:
        """Load a relation of one row, or of several in one statement. Returns what was loaded, of one row."""
        several = list(rows) if isinstance(rows, (list, tuple)) else [rows]
        name = path.partition(".")[0]
        if name not in self._declared.links:
            raise FieldError(f"{self._declared.name} has no relation {name!r}: {', '.join(self._declared.links)}.")
        keys = [self._key(row) for row in several]
        queryset = self.model.objects.filter(pk__in=keys).options(selectin(path.replace(".", "__")))
        loaded = {self._key(row): row for row in self._built(await queryset)}
        for row, key in zip(several, keys, strict=True):
            if key not in loaded:
                raise self._no_row(key)
            self._rows.assign(row, name, self._rows.get(loaded[key], name))
        return self._rows.get(several[0], name) if several and several[0] is rows else None

    # Writing

    async def insert(self, row: T | Mapping[str, Any]) -> T:
        """Insert a row, and set on it what the database has set: a numbered key. Returns the row.

        Of a dict, the class makes a row, with its defaults: ``insert({"name": "Vanilla"})``.
        """
        row = self._row_of(row)
        instance = self.model(**self._values(row))
        await instance.save(force_insert=True)
        self._set_key(row, instance)
        return row

    async def insert_many(self, rows: Iterable[T | Mapping[str, Any]]) -> list[T]:
        """Insert rows, of which each may be a dict, in as few statements as the database takes."""
        several = [self._row_of(row) for row in rows]
        instances = await self.model.objects.bulk_create([self.model(**self._values(row)) for row in several])
        for row, instance in zip(several, instances, strict=True):
            self._set_key(row, instance)
        return several

    async def update(self, row: T) -> T:
        """Write all columns of a row. Raises `NoMatch` if it does not exist."""
        self._check_row(row)
        key = self._key(row)
        keys = {field.name for field in self.model._meta.pk_fields}
        values = {name: value for name, value in self._values(row).items() if name not in keys}
        matching = self.model.objects.filter(pk=key)
        if not (await matching.update(**values) if values else await matching.count()):
            raise self._no_row(key)
        return row

    async def update_where(self, where: Where, values: Mapping[str, Any], *, all_rows: bool = False) -> int:
        """Write these values to the rows that match a condition; returns their number.

        Raises `QueryError` for an empty condition, which every row matches, unless `all_rows` is true.
        """
        condition = self._confirmed("update", where, all_rows)
        updated: int = await self.model.objects.all().filter(condition).update(**values)
        return updated

    async def upsert(self, row: T | Mapping[str, Any]) -> T:
        """Insert a row, or write its columns to the row that has its primary key.

        Of a dict, the class makes a row, whose defaults are written too.

        One statement; on MySQL and MariaDB, where that would update a row with another unique value in common too, an
        UPDATE and an INSERT if there is no row.
        """
        row = self._row_of(row)
        if self._key(row) is None:
            return await self.insert(row)
        keys = [field.name for field in self.model._meta.pk_fields]
        try:
            await self.model.objects.upsert(self._values(row), unique_fields=keys)
        except NotSupportedError:
            async with self.model.objects.database.transaction():
                try:
                    await self.update(row)
                except NoMatch:
                    await self.insert(row)
        return row

    async def delete(self, row: Any) -> bool:
        """Delete the row that an object or a primary key stands for; returns whether it existed."""
        key = self._key(row) if isinstance(row, self._declared.cls) else row
        return bool(await self.model.objects.filter(pk=key).delete())

    async def delete_where(self, where: Where, *, all_rows: bool = False) -> int:
        """Delete the rows that match a condition; returns their number.

        Raises `QueryError` for an empty condition, which every row matches, unless `all_rows` is true.
        """
        condition = self._confirmed("delete", where, all_rows)
        deleted: int = await self.model.objects.all().filter(condition).delete()
        return deleted

    # What these methods have in common

    def _confirmed(self, verb: str, where: Where, all_rows: bool) -> Any:
        """The condition of `update_where()` or `delete_where()`. Raises `QueryError` if it is empty by accident."""
        condition = condition_of(where)
        if is_empty(condition) and not all_rows:
            values = ", {…}" if verb == "update" else ""
            raise QueryError(
                f"{verb}_where() would {verb} all rows of {self._declared.name}: the condition is empty. If that is "
                f"meant, write {verb}_where({{}}{values}, all_rows=True)."
            )
        return condition

    def _built(self, instances: Iterable[Model]) -> list[T]:
        builder = RowBuilder()
        return [builder.row(self._declared, instance) for instance in instances]

    @staticmethod
    def _ordered(rows: Any, order_by: str | Sequence[str]) -> Any:
        names = [order_by] if isinstance(order_by, str) else order_by
        return rows.order_by(*(name.replace(".", "__") for name in names)) if names else rows

    def _loading(self, load: Iterable[Load | Strategy], depth: int) -> Any:
        """The queryset with the relations that are loaded."""
        kinds: dict[str, str] = {}
        _follow(self._declared, "", (), depth, kinds)
        for each in loads_of(load):
            if each.kind == "none":
                kinds = {path: kind for path, kind in kinds.items() if f"{path}__".find(f"{each.path}__") != 0}
                continue
            declared, below = self._declared, each.path.split("__")
            many = False
            for name in below:
                if name not in declared.links:
                    raise FieldError(
                        f"{declared.name} has no relation {name!r}: {', '.join(declared.links) or 'it has none'}."
                    )
                many = many or declared.links[name].many
                declared = declared.related(name)
            kinds[each.path] = "selectin" if many else each.kind
            _follow(declared, f"{each.path}__", (self._declared,), 0, kinds, joins=kinds[each.path] == "joined")
        options = [joined(path) for path, kind in kinds.items() if kind == "joined"]
        options += [selectin(path) for path, kind in sorted(kinds.items()) if kind == "selectin"]
        return self.model.objects.options(*options) if options else self.model.objects.all()

    def _row_of(self, row: T | Mapping[str, Any]) -> T:
        """The row, or the one that the class makes of a dict."""
        if isinstance(row, Mapping):
            built: T = self._rows.build(dict(row), set())
            return built
        self._check_row(row)
        return row

    def _check_row(self, row: object) -> None:
        if not isinstance(row, self._declared.cls):
            raise FieldError(f"A row of {self._declared.name} is an instance of it, got {type(row).__name__}.")

    def _values(self, row: T) -> dict[str, Any]:
        """The values of a row's columns, and of the keys of its relations."""
        values: dict[str, Any] = {}
        keys = {field.name for field in self.model._meta.pk_fields}
        for name in (*self._declared.columns, *self._declared.links):
            link = self._declared.links.get(name)
            if link is not None and link.many:
                continue
            try:
                value = self._rows.get(row, name)
            except AttributeError:
                continue  # It was not loaded, so it is not written.
            if link is not None and isinstance(value, self._declared.related(name).cls):
                related = self._declared.related(name)
                key = Table(related)._key(value)
                if key is None:
                    raise FieldError(
                        f"{self._declared.name}.{name} is {with_article(related.name)} without a key: insert it first."
                    )
                value = key
            if value is not None or name not in keys:
                values[name] = value
        return values

    def _key(self, row: Any) -> Any:
        """The primary key of a row; of several columns, a tuple."""
        parts = [self._values(row).get(field.name) for field in self.model._meta.pk_fields]
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _set_key(self, row: T, instance: Model) -> None:
        for field in self.model._meta.pk_fields:
            if field.name in self._declared.columns and self._rows.get(row, field.name) is None:
                self._rows.assign(row, field.name, getattr(instance, field.name))

    def _no_row(self, key: Any) -> NoMatch:
        names = ", ".join(field.name for field in self.model._meta.pk_fields)
        return self.model.DoesNotExist(f"No {self._declared.name} has this {names} ({type(key).__name__}).")


def _check_rows(name: str, number: object) -> None:
    """Raise `QueryError` unless it is a number of rows."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        shown = number if isinstance(number, int) else type(number).__name__
        raise QueryError(f"{name}= takes a number of rows, got {shown}.")


def _follow(
    declared: Declared,
    prefix: str,
    above: tuple[Declared, ...],
    depth: int,
    kinds: dict[str, str],
    joins: bool = True,
) -> None:
    """Add the relations that are loaded without being asked for, and all up to a depth."""
    for link in declared.links.values():
        required = not link.many and not link.takes_key
        if not required and depth < 1:
            continue
        target = declared.related(link.name)
        if target in above or (target is declared and depth < 1):
            continue
        path = f"{prefix}{link.name}"
        joined_here = joins and not link.many
        kinds.setdefault(path, "joined" if joined_here else "selectin")
        _follow(target, f"{path}__", (*above, declared), depth - 1, kinds, joined_here)

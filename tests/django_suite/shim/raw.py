"""`QuerySet.raw()` as Django has it: placeholders without names, and rows that are iterated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orm
from tests.django_suite.shim.bridge import run
from tests.django_suite.shim.placeholders import DjangoInternal, MissingFeature


def named_placeholders(sql: str, values: Any) -> tuple[str, dict[str, Any]]:
    """SQL with the placeholders of Python's DB API, `%s` or `%(name)s`, as SQL with `:name`, and the values by name."""
    if values is None:  # without values, Django leaves `%` alone
        return sql.replace(":", "\\:"), {}
    named = dict(values) if isinstance(values, Mapping) else {f"p{n}": value for n, value in enumerate(values)}
    position = iter(range(len(named)))

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        return f":{match[1] or f'p{next(position)}'}"

    return re.sub(r"%%|%s|%\((\w+)\)s", replaced, sql.replace(":", "\\:")), named


class RawRows:
    """Django's `RawQuerySet`."""

    def __init__(self, queryset: Any, lookups: tuple[Any, ...] = ()) -> None:
        self.queryset, self.lookups = queryset, lookups
        self.rows: list[Any] | None = None

    def prefetch_related(self, *lookups: Any) -> RawRows:
        """The same rows with relations; `None` forgets those that were asked for before."""
        return RawRows(self.queryset, () if lookups == (None,) else (*self.lookups, *lookups))

    def using(self, alias: Any) -> RawRows:
        """The same rows; of another database they are missing."""
        if alias not in (None, "default"):
            raise MissingFeature("using(alias)")
        return self

    def iterator(self) -> Iterator[Any]:
        """The rows, which are not kept."""
        return iter(self._loaded())

    def _loaded(self) -> list[Any]:
        rows: list[Any] = run(self.queryset._fetch())
        if self.lookups and rows:
            run(orm.load(rows, *self.lookups))
        return rows

    def _kept(self) -> list[Any]:
        if self.rows is None:
            self.rows = self._loaded()
        return self.rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self._kept())

    async def __aiter__(self) -> Any:
        for row in await self.queryset._fetch():
            yield row

    def __len__(self) -> int:
        return len(self._kept())

    def __bool__(self) -> bool:
        return bool(self._kept())

    def __getitem__(self, index: Any) -> Any:
        return self._kept()[index]

    def __getattr__(self, name: str) -> Any:
        raise DjangoInternal(f"RawQuerySet.{name}")


def raw(original: Any) -> Any:
    """Django's `QuerySet.raw()`, over that of `orm`."""

    def method(self: Any, raw_query: str, params: Any = (), translations: Any = None, using: Any = None) -> RawRows:
        if translations and any(name in raw_query for name in translations):
            raise MissingFeature("raw(translations=…)")
        return RawRows(original(self, *named_placeholders(raw_query, params)))

    return method

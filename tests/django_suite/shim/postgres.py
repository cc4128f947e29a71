"""`django.contrib.postgres`: the fields and aggregates of `orm` by Django's names."""

from __future__ import annotations

from typing import Any

import orm
from tests.django_suite.shim.constraints import exclusion_constraint
from tests.django_suite.shim.database import Run
from tests.django_suite.shim.expressions import Subquery, dropped
from tests.django_suite.shim.fields import field_class, options_of, plain_field
from tests.django_suite.shim.placeholders import Dropped, MissingFeature


def _array(base_field: Any, size: int | None = None, **options: Any) -> Any:
    if isinstance(base_field, Dropped):
        return base_field
    if isinstance(base_field, orm.JSON) and Run.vendor != "postgresql":
        raise MissingFeature("an array of documents, which PostgreSQL alone has")
    converted = options_of(options)
    if size is not None:
        converted["max_items"] = size
    field: Any = orm.Array(base_field, **converted)
    field.strict_field = lambda: field
    return field


def _only_on_postgresql(name: str, orm_field: Any) -> Any:
    """A field class that PostgreSQL alone has: on the other databases, Django's models do without it."""
    of_field = plain_field(name, orm_field, ignored=("default_bounds",))

    def make(*args: Any, **options: Any) -> Any:
        if Run.vendor != "postgresql":
            raise MissingFeature(f"{name}, which PostgreSQL alone has")
        if "default_bounds" in options:
            raise MissingFeature(f"{name}(default_bounds=…)")
        options.pop("db_default", None)
        return of_field(*args, **options)

    return field_class(name, orm_field, make)


FIELDS = {
    "ArrayField": field_class("ArrayField", orm.Array, _array),
    "BigIntegerRangeField": _only_on_postgresql("BigIntegerRangeField", orm.BigIntegerRange),
    "DateRangeField": _only_on_postgresql("DateRangeField", orm.DateRange),
    "DateTimeRangeField": _only_on_postgresql("DateTimeRangeField", orm.DateTimeRange),
    "DecimalRangeField": _only_on_postgresql("DecimalRangeField", orm.DecimalRange),
    "HStoreField": _only_on_postgresql("HStoreField", orm.HStore),
    "IntegerRangeField": _only_on_postgresql("IntegerRangeField", orm.IntegerRange),
}


class RangeOperators:
    """Django's names of the operators of ranges."""

    EQUAL, NOT_EQUAL = "=", "<>"
    CONTAINS, CONTAINED_BY, OVERLAPS = "@>", "<@", "&&"
    FULLY_LT, FULLY_GT, NOT_LT, NOT_GT = "<<", ">>", "&>", "&<"
    ADJACENT_TO = "-|-"


class ArrayAgg(orm.ArrayAgg):
    """`orm.ArrayAgg`, by Django's name."""

    def __init__(self, expression: Any, *, order_by: Any = None, **options: Any) -> None:
        super().__init__(expression, order_by=() if order_by is None else order_by, **options)


class JSONBAgg(orm.JSONAgg):
    """`orm.JSONAgg`, by Django's name."""

    def __init__(self, expression: Any, *, order_by: Any = None, **options: Any) -> None:
        super().__init__(expression, order_by=() if order_by is None else order_by, **options)


class StringAgg(orm.StringAgg):
    """`orm.StringAgg`, whose delimiter may be a `Value` in Django."""

    def __init__(self, expression: Any, delimiter: Any, *, order_by: Any = None, **options: Any) -> None:
        text = delimiter.value if isinstance(delimiter, orm.Value) else delimiter
        super().__init__(expression, text, order_by=() if order_by is None else order_by, **options)


def _aggregate(name: str, field: Any = None) -> Any:
    """An aggregate of PostgreSQL that `orm` has no class for: one of the user's own, by its function."""
    namespace = {"function": name, "name": name.replace("_", ""), "result": lambda self, *fields: field or fields[0]}
    return type(name, (orm.Aggregate,), namespace)


def _statistic(name: str, field: Any) -> Any:
    """An aggregate of two arguments, which Django calls `y` and `x`."""

    def init(self: Any, y: Any, x: Any, **options: Any) -> None:
        if not y or not x:
            raise ValueError("Both y and x must be provided.")
        orm.Aggregate.__init__(self, y, x, **options)

    namespace = {"function": name, "name": name, "arity": 2, "result": lambda *_: field, "__init__": init}
    return type(name, (orm.Aggregate,), namespace)


def _covariance(y: Any, x: Any, sample: bool = False, **options: Any) -> Any:
    return _statistic(f"covar_{'samp' if sample else 'pop'}", orm.Float())(y, x, **options)


AGGREGATES = {
    "ArrayAgg": ArrayAgg,
    "JSONBAgg": JSONBAgg,
    "StringAgg": StringAgg,
    **{f"Bit{name}": _aggregate(f"bit_{name.lower()}") for name in ("And", "Or", "Xor")},
    **{f"Bool{name}": _aggregate(f"bool_{name.lower()}", orm.Boolean()) for name in ("And", "Or")},
    "Corr": _statistic("corr", orm.Float()),
    "CovarPop": _covariance,
    "RegrCount": _statistic("regr_count", orm.Integer()),
    **{
        f"Regr{name}": _statistic(f"regr_{name.lower()}", orm.Float())
        for name in ("AvgX", "AvgY", "Intercept", "R2", "Slope", "SXX", "SXY", "SYY")
    },
}
MODULES: dict[str, dict[str, Any]] = {
    "": {},
    "aggregates": AGGREGATES,
    "constraints": {"ExclusionConstraint": exclusion_constraint},
    "expressions": {"ArraySubquery": dropped("ArraySubquery"), "Subquery": Subquery},
    "fields": {**FIELDS, "RangeOperators": RangeOperators},
    "fields.array": {"ArrayField": FIELDS["ArrayField"]},
    "fields.ranges": {**FIELDS, "RangeOperators": RangeOperators},
    "fields.hstore": {"HStoreField": FIELDS["HStoreField"]},
    "indexes": {
        f"{name}Index": dropped("Index") for name in ("Bloom", "Brin", "BTree", "Gin", "Gist", "Hash", "SpGist")
    },
}
"""The names of `django.contrib.postgres`, by module."""
RANGES = dict.fromkeys(("DateRange", "DateTimeRange", "DateTimeTZRange", "NumericRange"), orm.Range)
"""The classes of ranges of Django's driver."""

__all__ = ["MODULES", "RANGES"]

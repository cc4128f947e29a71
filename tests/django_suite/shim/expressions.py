"""Django's expressions, where their names or arguments differ from those of `orm`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy

import orm
from orm import functions
from tests.django_suite.shim.bridge import run
from tests.django_suite.shim.placeholders import Dropped, MissingFeature
from tests.django_suite.shim.raw import named_placeholders


class Window(orm.Window[Any]):
    """`orm.Window`, with Django's `output_field`."""

    def __init__(
        self,
        expression: Any,
        partition_by: Any = None,
        order_by: Any = None,
        frame: Any = None,
        output_field: Any = None,
    ) -> None:
        super().__init__(expression, partition_by=partition_by, order_by=order_by, frame=frame)


class Subquery(orm.Subquery):
    """`orm.Subquery`, with Django's `output_field`."""

    def __init__(self, queryset: Any, output_field: Any = None, **template: Any) -> None:
        if template:
            raise MissingFeature("Subquery(template=…)")
        super().__init__(queryset)


class Exists(orm.Exists):
    """`orm.Exists`, with Django's `output_field`."""

    def __init__(self, queryset: Any, output_field: Any = None) -> None:
        super().__init__(queryset)


class Func(orm.Func[Any]):
    """`orm.Func`, which has no templates."""

    def __init__(self, *expressions: Any, **options: Any) -> None:
        for name in ("template", "arg_joiner", "arity"):
            if name in options:
                raise MissingFeature(f"Func({name}=…)")
        super().__init__(*expressions, **options)


class Count(orm.Count):
    """`orm.Count`, with Django's positional `filter` and its `output_field`."""

    def __init__(self, expression: Any = "*", filter: Any = None, output_field: Any = None, **options: Any) -> None:
        super().__init__(expression, filter=filter, **options)


def _aggregate(base: Any) -> Any:
    """An aggregate of `orm`, with Django's positional `filter`. It is an attribute here, by which it is pickled."""

    def init(self: Any, expression: Any, filter: Any = None, **options: Any) -> None:
        base.__init__(self, expression, filter=filter, **options)

    aggregate = globals()[base.__name__] = type(base.__name__, (base,), {"__init__": init, "__module__": __name__})
    return aggregate


AGGREGATES = {name: _aggregate(getattr(orm, name)) for name in ("Min", "Max", "Sum", "Avg", "StdDev", "Variance")}


def value(value: Any, output_field: Any = None) -> Any:
    """`orm.Value`, with a positional `output_field`."""
    return orm.Value(value, output_field=output_field)


def order_by(expression: Any, descending: bool = False, nulls_first: Any = None, nulls_last: Any = None) -> Any:
    """Django's `OrderBy`, which is a method of expressions in `orm`."""
    nulls = {name: True for name, given in (("nulls_first", nulls_first), ("nulls_last", nulls_last)) if given}
    term = orm.F(expression) if isinstance(expression, str) else expression
    return term.desc(**nulls) if descending else term.asc(**nulls)


class _QClass(type):
    """The type of Django's `Q`, whose arguments may be pairs of a lookup and a value."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, orm.Q)

    def __call__(cls, *args: Any, _connector: str = "AND", _negated: bool = False, **lookups: Any) -> Any:
        conditions = [orm.Q(**{each[0]: each[1]}) if isinstance(each, tuple) else each for each in args]
        if _connector == "AND":
            q = orm.Q(*conditions, **lookups)
        else:
            q = orm.Q()
            for condition in [*conditions, *(orm.Q(**{name: given}) for name, given in lookups.items())]:
                q = q | condition if _connector == "OR" else q ^ condition
        return ~q if _negated else q


class Q(metaclass=_QClass):
    """Django's `Q`."""

    AND, OR, XOR = "AND", "OR", "XOR"
    missing = False


class Manager(orm.Manager[Any]):
    """`orm.Manager`, whose `_db` Django's tests read."""

    use_in_migrations = False
    _db = None


def dropped(feature: str) -> Callable[..., Dropped]:
    """A function that makes a `Dropped`, for the body of a model."""
    return lambda *args, **options: Dropped(feature)


def prefetch_related_objects(instances: Any, *lookups: Any) -> None:
    """Django's function for `orm.load`."""
    run(orm.load(list(instances), *lookups))


async def aprefetch_related_objects(instances: Any, *lookups: Any) -> None:
    """Django's function for `orm.load`."""
    await orm.load(list(instances), *lookups)


def raw_sql(sql: str, params: Any, output_field: Any = None) -> Any:
    """Django's `RawSQL`: the text as a SQLAlchemy clause, with named parameters."""
    text, named = named_placeholders(sql, params)
    clause = sqlalchemy.text(f"({text})").bindparams(**named)
    return clause if output_field is None else orm.ExpressionWrapper(clause, output_field=output_field)


def key_transform(key: Any, expression: Any) -> Any:
    """Django's `KeyTransform`: a key of a document, which is a part of a name in `orm`."""
    path = expression.path if isinstance(expression, orm.F) else expression
    if not isinstance(path, str):
        raise MissingFeature("KeyTransform of an expression")
    return orm.F(f"{path}__{key}")


def key_text_transform(key: Any, expression: Any) -> Any:
    """Django's `KeyTextTransform`: the text of a key of a document."""
    inner = TEXT_KEYS.get(id(expression), expression)
    text = functions.KT(key_transform(key, inner).path)
    TEXT_KEYS[id(text)] = orm.F(key_transform(key, inner).path)
    return text


TEXT_KEYS: dict[int, Any] = {}
"""The names of the keys whose texts `key_text_transform` made."""
JSON_KEYS = {"KT": functions.KT, "KeyTransform": key_transform, "KeyTextTransform": key_text_transform}


class _LookupClass(type):
    """The type of Django's lookup classes, which are methods of expressions in `orm`."""

    compare: Callable[[Any, Any], Any]

    def __call__(cls, left: Any, right: Any = None) -> Any:
        return cls.compare(left if isinstance(left, orm.Expression) else orm.Value(left), right)


def _lookup(name: str, compare: Callable[[Any, Any], Any]) -> Any:
    return _LookupClass(name, (), {"compare": staticmethod(compare), "missing": False, "lookup_name": name.lower()})


LOOKUPS = {
    name: _lookup(name, compare)
    for name, compare in {
        "Exact": lambda left, right: left == right,
        "GreaterThan": lambda left, right: left > right,
        "GreaterThanOrEqual": lambda left, right: left >= right,
        "LessThan": lambda left, right: left < right,
        "LessThanOrEqual": lambda left, right: left <= right,
        "IsNull": lambda left, right: left.is_null(right),
        "In": lambda left, right: left.in_(right),
        "Contains": lambda left, right: left.contains(right),
        "StartsWith": lambda left, right: left.startswith(right),
        "EndsWith": lambda left, right: left.endswith(right),
        "IContains": lambda left, right: left.icontains(right),
        "IExact": lambda left, right: left.iexact(right),
        "IStartsWith": lambda left, right: left.istartswith(right),
        "Range": lambda left, right: left.range(*right),
    }.items()
}

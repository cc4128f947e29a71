"""Rows for tests: `await Factory(Note).create()`."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import random
import uuid
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from typesystem import ValidationError

from orm.exceptions import FieldError, QueryError
from orm.fields import BigInteger, Integer, SmallInteger
from orm.fields.base import Field
from orm.fields.structured import Array, Enum
from orm.models import Model
from orm.relations import ForeignKey
from orm.utils.articles import with_article

M = TypeVar("M", bound=Model)

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
START = datetime.datetime(2020, 1, 1)

_numbers: WeakKeyDictionary[type[Model], int] = WeakKeyDictionary()


def restart_numbers() -> None:
    """Number the rows of each model from 1 again. The fixture `orm_database` does so for each test."""
    _numbers.clear()


class Factory(Generic[M]):
    """Makes valid rows of a model.

        note = await Factory(Note).create(text="Call Mum.", author__name="Ann")
        notes = await Factory(Note, author=ann).create_many(3)

    A field that must have a value gets one of its type, within its limits and choices; texts and unique fields differ
    from row to row. A field with a default, and one that may be null, is left alone. A row that another one must refer
    to is made too. The values follow from `seed` and the row's number: each run has the same.

    Args:
        model: The model.
        seed: Another seed gives other values.
        values: Values of all rows. A function is called with the row's number, from 1. ``author__name=`` is a value of
            the row that `author` refers to.

    Raises:
        FieldError: A name is not one of the model.
        QueryError: There is no rule for the value of a field, such as for a regular expression: pass the value.
    """

    def __init__(self, model: type[M], *, seed: int = 0, **values: Any) -> None:
        self.model = model
        self.seed = seed
        self._values = values
        self._above: tuple[type[Model], ...] = ()
        self._check(values)

    def build(self, **values: Any) -> M:
        """An instance that is not saved, as are the instances that it refers to."""
        values, nested = self._split(values)
        for relation in self._relations(values, nested):
            values[relation.name] = self._parent(relation).build(**nested.get(relation.name, {}))
        return self._instance(values)

    async def create(self, **values: Any) -> M:
        """A saved row, and the rows that it refers to."""
        values, nested = self._split(values)
        for relation in self._relations(values, nested):
            values[relation.name] = await self._parent(relation).create(**nested.get(relation.name, {}))
        instance = self._instance(values)
        await instance.save()
        return instance

    async def create_many(self, count: int, **values: Any) -> list[M]:
        """Saved rows, written together. They refer to one row, or to one each if the foreign key is unique."""
        values, nested = self._split(values)
        unique: list[ForeignKey[Any]] = []
        for relation in self._relations(values, nested):
            if relation.unique or relation.primary_key:
                unique.append(relation)
            else:
                values[relation.name] = await self._parent(relation).create(**nested.get(relation.name, {}))
        instances = []
        for _ in range(count):
            parents = {each.name: await self._parent(each).create(**nested.get(each.name, {})) for each in unique}
            instances.append(self._instance({**values, **parents}))
        await self.model.objects.bulk_create(instances)
        return instances

    def _check(self, values: dict[str, Any]) -> None:
        info = self.model._meta
        relations = {relation.name for relation in info.foreign_keys}
        for name in values:
            if name not in info.settable and name.partition("__")[0] not in relations:
                raise FieldError(f"{info.name} has no field {name!r} that Factory({info.name}) could set.")

    def _split(self, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The values of the model, and those of the rows that it refers to."""
        self._check(values)
        direct: dict[str, Any] = {}
        nested: dict[str, dict[str, Any]] = {}
        for name, value in {**self._values, **values}.items():
            if name in self.model._meta.settable:
                direct[name] = value
            else:
                relation, _, rest = name.partition("__")
                nested.setdefault(relation, {})[rest] = value
        return direct, nested

    def _relations(self, values: dict[str, Any], nested: dict[str, Any]) -> list[ForeignKey[Any]]:
        """The foreign keys for which a row is made."""
        return [
            field
            for field in self.model._meta.foreign_keys
            if field.name not in values
            and field.attname not in values
            and (field.name in nested or _must_have_value(self.model, field))
        ]

    def _parent(self, relation: ForeignKey[Any]) -> Factory[Any]:
        target: type[Model] = relation.target
        above: tuple[type[Model], ...] = (*self._above, self.model)
        if target in above:
            raise QueryError(
                f"Factory({self.model.__name__}): {relation.name} must refer to {with_article(target.__name__)}, which "
                f"refers to {with_article(self.model.__name__)} itself: pass "
                f"Factory({self.model.__name__}, {relation.name}=...)."
            )
        factory = Factory(target, seed=self.seed)
        factory._above = above
        return factory

    def _instance(self, values: dict[str, Any]) -> M:
        number = _numbers[self.model] = _numbers.get(self.model, 0) + 1
        chosen = {name: value(number) if _is_function(value) else value for name, value in values.items()}
        chance = random.Random(f"{self.seed} {self.model.__name__} {number}")
        for field in self.model._meta.fields.values():
            if field.name not in chosen and field.attname not in chosen and _must_have_value(self.model, field):
                chosen[field.name] = self._value_for(field, number, chance)
        return self.model(**chosen)

    def _value_for(self, field: Field[Any], number: int, chance: random.Random) -> Any:
        value = _value_of(field, number, chance)
        try:
            return field.validator.validate(value)
        except ValidationError as error:
            raise QueryError(
                f"Factory({self.model.__name__}) has no rule for a value of {self.model.__name__}.{field.name}, "
                f"which takes: {error.messages()[0].text} Pass Factory({self.model.__name__}, {field.name}=...)."
            ) from None


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _must_have_value(model: type[Model], field: Field[Any]) -> bool:
    info = model._meta
    return not (
        field is info.generated
        or field is info.version
        or field.is_generated
        or field.allow_null
        or field.has_default()
        or field.server_default is not None
    )


def _value_of(field: Field[Any], number: int, chance: random.Random) -> Any:
    """A value of a field; None if there is no rule."""
    if field.choices is not None:
        return field.choices[number % len(field.choices)][0]
    if isinstance(field, Enum):
        members = list(field.enum)
        return members[number % len(members)]
    if isinstance(field, Array):
        least = getattr(field.validator, "min_items", None) or 0
        return [_value_of(field.field, number + index, chance) for index in range(least)]
    if field.is_number:
        return _number(field, number, chance)
    rule = RULES.get(field.family)
    return None if rule is None else rule(field, number, chance)


def _number(field: Field[Any], number: int, chance: random.Random) -> Any:
    validator: Any = field.validator
    step = getattr(validator, "multiple_of", None)
    decimals = getattr(field, "decimal_places", None)
    unit = decimal.Decimal(str(step)) if step else decimal.Decimal(1).scaleb(-(decimals or 0))
    bits = next(
        (bits for kind, bits in ((SmallInteger, 15), (BigInteger, 63), (Integer, 31)) if isinstance(field, kind)), 31
    )
    least = _limit(validator, "minimum", unit)
    most = _limit(validator, "maximum", -unit)
    if least is None:
        least = decimal.Decimal(0) if most is None or most >= 0 else most - 1000 * unit
    if most is None:
        most = min(least + 1000 * unit, decimal.Decimal(2**bits - 1))
        digits = getattr(field, "max_digits", None)
        if digits is not None:
            most = min(most, decimal.Decimal(10) ** (digits - (decimals or 0)) - unit)
    first = (least / unit).to_integral_value(decimal.ROUND_CEILING)
    last = (most / unit).to_integral_value(decimal.ROUND_FLOOR)
    count = max(1, int(last - first) + 1)
    offset = number % count if field.unique or field.primary_key else chance.randrange(count)
    value = (first + offset) * unit
    return int(value) if field.family == "integer" else value if field.family == "decimal" else float(value)


def _limit(validator: Any, name: str, beyond: decimal.Decimal) -> decimal.Decimal | None:
    inclusive, exclusive = getattr(validator, name, None), getattr(validator, f"exclusive_{name}", None)
    if exclusive is not None:
        return decimal.Decimal(str(exclusive)) + beyond
    return None if inclusive is None else decimal.Decimal(str(inclusive))


def _text(field: Field[Any], number: int, chance: random.Random) -> str:
    validator: Any = field.validator
    kind = type(field).__name__
    if kind == "Email":
        return f"{field.name}{number}@example.com"
    if kind == "URL":
        return f"https://example.com/{field.name}/{number}"
    text = f"{field.name}-{number}" if kind == "Slug" else f"{field.name} {number}"
    longest = getattr(validator, "max_length", None)
    if longest is not None and len(text) > longest:
        text = _digits(number)[-longest:]
    return text.ljust(getattr(validator, "min_length", None) or 0, "x")


def _datetime(field: Field[Any], number: int, chance: random.Random) -> datetime.datetime:
    moment = START + datetime.timedelta(hours=number)
    return moment.replace(tzinfo=datetime.timezone.utc) if getattr(field, "timezone", False) else moment


def _digits(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


Rule = Callable[[Field[Any], int, random.Random], Any]
RULES: dict[str, Rule] = {
    "text": _text,
    "boolean": lambda field, number, chance: chance.random() < 0.5,
    "date": lambda field, number, chance: START.date() + datetime.timedelta(days=number),
    "datetime": _datetime,
    "time": lambda field, number, chance: (START + datetime.timedelta(seconds=number)).time(),
    "duration": lambda field, number, chance: datetime.timedelta(minutes=number),
    "uuid": lambda field, number, chance: uuid.UUID(int=chance.getrandbits(128), version=4),
    "ip": lambda field, number, chance: ipaddress.ip_address("10.0.0.0") + number,
    "binary": lambda field, number, chance: f"{field.name} {number}".encode(),
    "json": lambda field, number, chance: {"number": number},
    "hstore": lambda field, number, chance: {"number": str(number)},
}

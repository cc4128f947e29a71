"""`Sequence`: numbers that the database counts apart from any table; and `NextVal`, the next of them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import databases
import sqlalchemy
from sqlalchemy import ColumnElement

from orm.database.connections.checkout import Checkout
from orm.database.connections.server_dialect import dialect_of
from orm.database.sql.sequences import NextValue
from orm.exceptions import FieldError, NotSupportedError, QueryError
from orm.fields import Field
from orm.functions.base import BIG_INTEGER, Func

if TYPE_CHECKING:
    from orm.models import Model


class Sequence:
    """A sequence of the database (PostgreSQL, MariaDB), which several tables can number their rows from.

        numbers = orm.Sequence("document_numbers", start=1000)

        class Invoice(orm.Model):
            number = orm.BigInteger(server_default=orm.NextVal(numbers))

        class CreditNote(orm.Model):
            number = orm.BigInteger(server_default=orm.NextVal(numbers))

    `create_all()` and migrations create it before the tables, and drop it after them. Numbers are not given back if a
    transaction is rolled back, so there are gaps.

    Args:
        name: its name in the database.
        start: the first number, by default 1, or -1 if `increment` is negative.
        increment: the difference of one number to the next, by default 1.
        cycle: whether to begin again after the last number, instead of an error.
        schema: the schema in which it is, by default that of the connection.

    Raises `FieldError` for a name that is no text, and for an increment of 0.
    """

    def __init__(
        self,
        name: str,
        *,
        start: int | None = None,
        increment: int | None = None,
        cycle: bool = False,
        schema: str | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise FieldError(f"orm.Sequence takes the name of the sequence, got {type(name).__name__}.")
        for option, value in (("start", start), ("increment", increment)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise FieldError(f"orm.Sequence({option}=) takes an integer, got {type(value).__name__}.")
        if increment == 0:
            raise FieldError("orm.Sequence(increment=0) would give every row the same number.")
        self.name = name
        self.schema = schema
        self.model: type[Model] | None = None
        """The model that uses it, whose database `next()` asks."""
        self.item = sqlalchemy.Sequence(name, start=start, increment=increment, cycle=cycle or None, schema=schema)
        """SQLAlchemy's sequence, in no MetaData."""

    def __repr__(self) -> str:
        return f"Sequence({self.name!r})"

    async def next(self, *, database: databases.Database | None = None) -> int:
        """The next number: ``number = await numbers.next()``. No other call, nor any row, gets the same.

        `database` is by default that of the model that has the sequence in a field.

        Raises:
            QueryError: there is neither `database=` nor a model.
            NotSupportedError: the database has no sequences.
        """
        if database is None:
            if self.model is None:
                raise QueryError(f"No field uses {self!r}, so its database is unknown: {self!r}.next(database=...).")
            database = self.model._meta.registry.database
        dialect = await dialect_of(database)
        if not dialect.sequences:
            raise NotSupportedError(f"{self!r}.next(): {dialect.name} has no sequences.")
        statement = dialect.compile(sqlalchemy.select(NextValue(self.item)))
        async with Checkout(database) as checkout:
            [(number,)] = await checkout.fetch(str(statement))
        return int(number)


class NextVal(Func[int]):
    """The next number of a `Sequence`: the `server_default` of a field, or a value of ``create()`` and ``update()``.

    >>> number = orm.BigInteger(server_default=orm.NextVal(numbers))
    >>> await Invoice.objects.filter(number=None).update(number=orm.NextVal(numbers))
    """

    def __init__(self, sequence: Sequence) -> None:
        if not isinstance(sequence, Sequence):
            raise FieldError(f"orm.NextVal takes an orm.Sequence, got {type(sequence).__name__}.")
        super().__init__(output_field=BIG_INTEGER)
        self.sequence = sequence

    def __repr__(self) -> str:
        return f"NextVal({self.sequence!r})"

    @property
    def options(self) -> Hashable:
        """The sequence's name."""
        return (self.sequence.schema, self.sequence.name)

    def build(self, *arguments: ColumnElement[Any]) -> ColumnElement[Any]:
        """The SQL."""
        return NextValue(self.sequence.item)

    def result(self, *fields: Field[Any]) -> Field[Any]:
        """A big integer field."""
        return BIG_INTEGER

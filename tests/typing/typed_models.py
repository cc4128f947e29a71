"""What type checkers see of the constructor of a `TypedModel`. Checked by `make check`, never run."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
from typing import ClassVar

from typing_extensions import assert_type

import orm

models = orm.ModelRegistry(database=orm.Database("sqlite://"))


class State(enum.Enum):
    OPEN = "open"


class Invoice(orm.TypedModel):
    registry = models

    id: orm.Field[int] = orm.Integer(primary_key=True, default=None)
    number: orm.Field[str] = orm.String(max_length=100)
    total: orm.Field[decimal.Decimal | None] = orm.Decimal(10, 2, allow_null=True, default=None)
    state: orm.Field[State] = orm.Enum(State, default=State.OPEN)
    created_at: orm.Field[datetime.datetime] = orm.DateTime(auto_now_add=True, default=None)

    line_set: ClassVar[orm.RelatedManager[Line]]


class Line(orm.TypedModel):
    registry = models

    id: orm.Field[int] = orm.Integer(primary_key=True, default=None)
    invoice: orm.ForeignKey[Invoice] = orm.ForeignKey(Invoice)
    credit: orm.ForeignKey[Invoice | None] = orm.ForeignKey(
        Invoice, allow_null=True, default=None, related_name="credits"
    )
    text: orm.Field[str] = orm.String(max_length=100)

    invoice_id: ClassVar[orm.Field[int]]


@dataclasses.dataclass
class Address:
    city: str


class Party(orm.TypedModel):
    registry = models

    kind: ClassVar[orm.Field[str]]
    home: orm.Embedded[Address] = orm.Embedded(Address)
    office: orm.Embedded[Address | None] = orm.Embedded(Address, allow_null=True, default=None)
    staff: orm.Field[int] = orm.PositiveInteger()

    class Meta(orm.TypedModel.Meta):
        discriminator = "kind"


class Company(Party):
    name: orm.Field[str] = orm.String(max_length=100)

    class Meta(Party.Meta):
        discriminator_value = "co"


class Named(orm.TypedModel):
    name: orm.Field[str] = orm.String(max_length=100)

    class Meta(orm.TypedModel.Meta):
        abstract = True


async def constructors() -> None:
    invoice = await Invoice(number="1").save()
    Invoice(id=3, number="2", total=decimal.Decimal(3), state=State.OPEN)
    Line(invoice=invoice, text="x")
    Line(invoice=3, text="x", credit=invoice)
    assert_type(invoice, Invoice)
    assert_type(invoice.total, "decimal.Decimal | None")
    assert_type(await Invoice.objects.filter(number="x"), list[Invoice])
    assert_type(invoice.line_set, "orm.RelatedManager[Line]")
    assert_type(Line(invoice=3, text="x").invoice_id, int)


async def inherited_and_embedded() -> None:
    company = Company(name="x", home=Address("Turin"), staff=3)
    assert_type(company.home, Address)
    assert_type(company.office, "Address | None")
    assert_type(company.kind, str)
    assert_type(await Party.objects.filter(Company).exclude(Company), list[Party])

"""`orm.TypedModel`: annotated fields, and `default=None` where type checkers need it."""

from __future__ import annotations

import datetime

import pytest

import orm


@pytest.fixture
def invoice_model(database: orm.Database) -> type[orm.Model]:
    class Invoice(orm.TypedModel):
        registry = orm.ModelRegistry(database=database)

        id: orm.Field[int] = orm.Integer(primary_key=True, default=None)
        number: orm.Field[str] = orm.String(max_length=20)
        note: orm.Field[str | None] = orm.String(max_length=20, allow_null=True, default=None)
        created_at: orm.Field[datetime.datetime] = orm.DateTime(auto_now_add=True, default=None)

    return Invoice


async def test_key_with_default_none_is_generated(invoice_model: type[orm.Model]) -> None:
    await invoice_model._meta.registry.create_all()
    created = await invoice_model.objects.create(number="1")
    saved = await invoice_model(number="2").save()
    many = await invoice_model.objects.bulk_create([invoice_model(number="3"), invoice_model(number="4")])
    assert [row.pk for row in (created, saved, *many)] == [1, 2, 3, 4]
    assert (await invoice_model.objects.get(id=3)).note is None
    assert isinstance(saved.created_at, datetime.datetime)


def test_key_without_a_generator_and_with_default_none_is_required() -> None:
    class Country(orm.Model):
        registry = orm.ModelRegistry()

        code = orm.String(max_length=2, primary_key=True, default=None)

    with pytest.raises(orm.ValidationError, match="code"):
        Country._meta.validator.create({})
